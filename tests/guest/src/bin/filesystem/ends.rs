//! What is left when memory, a process or the driver is at its end.

use alloc::vec;

use abi::error::{ENODEV, ENOENT, ENOSPC};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::looks::{next, ready};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment, operator};
use libkq::event::note;
use libkq::flag::O_RDONLY;
use libkq::{Descriptor, Filter, KEvent, Queue, process};

use crate::{make, noted, vnode};

pub const TESTS: &[Test] = &[
    ("r55_a_greedy_process_gets_enospc", a_greedy_process),
    ("nothing_is_left_over", nothing_is_left_over),
    ("r57_a_dead_driver_is_told_once", a_dead_driver_is_told_once),
];

fn a_greedy_process() -> Outcome {
    let file = make("/tmp/greedy")?;
    let block = [7; 3968];
    let error = (0..20_000).find_map(|_| libkq::write(file.number(), &block).err());
    equal(error.map(|error| error.errno), Some(ENOSPC))?;
    process().truncate(file.number(), 0)?;
    file.write_all(b"room again")?;
    Ok(process().unlink("/tmp/greedy")?)
}

fn nothing_is_left_over() -> Outcome {
    let round = || -> Outcome {
        let (queue, file) = (Queue::new()?, make("/tmp/left")?);
        queue.apply(&[vnode(&file, note::VNODE), KEvent::read(file.number()).add()])?;
        file.write_all(&[7; 3000])?;
        process().unlink("/tmp/left")?;
        noted(&queue, note::WRITE | note::EXTEND | note::DELETE | note::LINK)
    };
    round()?;
    let ledger = Ledger::open()?;
    for _ in 0..100 {
        round()?;
    }
    ledger.balance()
}

/// A dead driver: every note is told once, and the service comes back, empty.
fn a_dead_driver_is_told_once() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/lost")?);
    queue.apply(&[vnode(&file, note::VNODE), KEvent::read(file.number()).add()])?;
    operator::kill("files")?;
    for _ in 0..2 {
        let event = next(&queue)?;
        ensure(event.is_eof(), "the end of file")?;
        // The other's are acts on a file.
        ensure(event.filter == Filter::VNODE || event.fflags == ENODEV as u32, "the reason")?;
    }
    equal(ready(&queue)?, vec![])?;
    refused(queue.apply(&[KEvent::write(file.number()).add()]), ENODEV)?;
    refused(file.read(&mut [0]), ENODEV)?;
    drop(file);
    let deadline = guest_tests::soon();
    loop {
        match Descriptor::open("/tmp/lost", O_RDONLY) {
            Err(error) if error.errno == ENOENT => return Ok(()),
            Err(error) if error.errno == ENODEV => a_moment(),
            found => return refused(found, ENOENT),
        }
        ensure(rt::clock::now_ns() < deadline, "it is started again")?;
    }
}
