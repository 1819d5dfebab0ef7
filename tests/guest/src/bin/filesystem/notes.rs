//! What each act on a file or directory tells who watches it.

use alloc::vec;

use guest_tests::failure::equal;
use guest_tests::looks::ready;
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment, child};
use libkq::event::note;
use libkq::flag::{O_RDONLY, O_WRONLY};
use libkq::{Descriptor, Queue, process};

use crate::{PROGRAM, SHARED, make, noted, vnode};

pub const TESTS: &[Test] = &[
    ("vnode_notes_of_a_file", vnode_notes_of_a_file),
    ("vnode_notes_of_a_directory", vnode_notes_of_a_directory),
    ("vnode_notes_of_another_process", vnode_notes_of_another_process),
    ("r53_two_queues_on_one_file_are_independent", two_queues),
];

fn vnode_notes_of_a_file() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/v")?);
    // What was before a note is none of its business.
    file.write_all(b"before")?;
    queue.apply(&[vnode(&file, note::VNODE)])?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    file.write_all(b"bytes")?;
    noted(&queue, note::WRITE | note::EXTEND)?;
    process().write_at(file.number(), b"B", 0)?;
    noted(&queue, note::WRITE)?;
    process().read_at(file.number(), &mut [0; 2], 0)?;
    noted(&queue, note::READ)?;
    process().truncate(file.number(), 2)?;
    noted(&queue, note::ATTRIB)?;
    process().chmod("/tmp/v", 0o600)?;
    noted(&queue, note::ATTRIB)?;
    process().link("/tmp/v", "/tmp/w")?;
    noted(&queue, note::LINK)?;
    process().rename("/tmp/w", "/tmp/x")?;
    noted(&queue, note::RENAME)?;
    let other = Descriptor::open("/tmp/v", O_RDONLY)?;
    noted(&queue, note::OPEN)?;
    drop(other);
    noted(&queue, note::CLOSE)?;
    drop(Descriptor::open("/tmp/v", O_WRONLY)?);
    noted(&queue, note::OPEN | note::CLOSE_WRITE)?;
    process().unlink("/tmp/v")?;
    noted(&queue, note::DELETE | note::LINK)?;
    process().unlink("/tmp/x")?;
    noted(&queue, note::DELETE | note::LINK)?;
    // Only what was asked for.
    queue.apply(&[vnode(&file, note::EXTEND)])?;
    process().write_at(file.number(), b"B", 0)?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    process().write_at(file.number(), b"longer", 0)?;
    noted(&queue, note::EXTEND)
}

fn vnode_notes_of_a_directory() -> Outcome {
    process().mkdir("/tmp/one", 0o700)?;
    process().mkdir("/tmp/two", 0o700)?;
    let (one, two) = (Queue::new()?, Queue::new()?);
    let directories = [Descriptor::open("/tmp/one", O_RDONLY)?, Descriptor::open("/tmp/two", O_RDONLY)?];
    one.apply(&[vnode(&directories[0], note::VNODE)])?;
    two.apply(&[vnode(&directories[1], note::VNODE)])?;
    drop(make("/tmp/one/f")?);
    noted(&one, note::WRITE)?;
    process().mkdir("/tmp/one/d", 0o700)?;
    noted(&one, note::WRITE | note::LINK)?;
    process().rename("/tmp/one/f", "/tmp/one/g")?;
    noted(&one, note::WRITE)?;
    process().rename("/tmp/one/g", "/tmp/two/g")?;
    noted(&one, note::WRITE | note::EXTEND)?;
    noted(&two, note::WRITE | note::EXTEND)?;
    process().list("/tmp/two")?;
    noted(&two, note::READ)?;
    process().unlink("/tmp/two/g")?;
    noted(&two, note::WRITE)?;
    process().rmdir("/tmp/one/d")?;
    noted(&one, note::WRITE | note::LINK)?;
    process().rmdir("/tmp/one")?;
    noted(&one, note::DELETE | note::LINK)?;
    Ok(process().rmdir("/tmp/two")?)
}

fn vnode_notes_of_another_process() -> Outcome {
    let (queue, file) = (Queue::new()?, make(SHARED)?);
    queue.apply(&[vnode(&file, note::VNODE)])?;
    let child = child::Role::new(PROGRAM, "acts").spawn(vec![])?;
    noted(&queue, note::OPEN | note::WRITE | note::EXTEND | note::CLOSE_WRITE | note::ATTRIB)?;
    child::ends_well(&child)?;
    equal(process().stat(file.number())?.size, 18)?;
    Ok(process().unlink(SHARED)?)
}

fn two_queues() -> Outcome {
    let (one, two, file) = (Queue::new()?, Queue::new()?, make("/tmp/queues")?);
    one.apply(&[vnode(&file, note::WRITE)])?;
    two.apply(&[vnode(&file, note::WRITE | note::ATTRIB)])?;
    file.write_all(b"x")?;
    noted(&one, note::WRITE)?;
    process().chmod("/tmp/queues", 0o600)?;
    noted(&two, note::WRITE | note::ATTRIB)?;
    equal(ready(&one)?, vec![])?;
    Ok(process().unlink("/tmp/queues")?)
}
