//! Files in memory on the machine: what kevent, poll, select and epoll say of them. Runs with the manifest `descriptors`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::error::{
    EBADF, EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENODEV, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY, EPERM, EXDEV,
};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::looks::{PATIENTLY, next, ready};
use guest_tests::operator;
use guest_tests::{Failure, Outcome, Suite, a_moment, child};
use libkq::control::Whence;
use libkq::event::note;
use libkq::flag::{O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use libkq::{Conditions, Descriptor, EpollFlags, EpollSet, FdSet, Filter, KEvent, PollFd, Queue, process};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Acts on a file that has two names and is open.
const SHARED: &str = "/tmp/shared";

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, play) {
        return status;
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(&[
        ("r23_data_is_the_distance_to_the_end", data_is_the_distance),
        ("r23_a_blocked_kevent_sees_growth", a_blocked_kevent_sees_growth),
        ("r23_file_poll_is_always_ready", file_poll_is_always_ready),
        ("r23_an_edge_is_growth", an_edge_is_growth),
        ("regular_files_are_always_ready_to_poll_and_select", always_ready),
        ("epoll_refuses_files", epoll_refuses_files),
        ("vnode_notes_of_a_file", vnode_notes_of_a_file),
        ("vnode_notes_of_a_directory", vnode_notes_of_a_directory),
        ("vnode_notes_of_another_process", vnode_notes_of_another_process),
        ("r53_two_queues_on_one_file_are_independent", two_queues),
        ("unlinked_files_live_on", unlinked_files_live_on),
        ("names_say_what_is_wrong", names_say_what_is_wrong),
        ("opening_as_asked", opening_as_asked),
        ("positions_and_lengths", positions_and_lengths),
        ("listings_are_whole_though_names_come_and_go", listings),
        ("r55_a_greedy_process_gets_enospc", a_greedy_process),
        ("nothing_is_left_over", nothing_is_left_over),
        ("r57_a_dead_driver_is_told_once", a_dead_driver_is_told_once),
    ]);
    suite.finish()
}

fn play(role: &str) -> Outcome {
    match role {
        "acts" => {
            let file = Descriptor::open(SHARED, O_WRONLY)?;
            file.write_all(b"by another process")?;
            drop(file);
            Ok(process().chmod(SHARED, 0o600)?)
        }
        _ => Err(Failure::new("no such role")),
    }
}

fn make(path: &str) -> Outcome<Descriptor> {
    Ok(Descriptor::open(path, O_RDWR | O_CREAT | O_TRUNC | 0o644)?)
}

fn vnode(file: &Descriptor, bits: u32) -> KEvent {
    KEvent { fflags: bits, ..KEvent::new(file.number() as usize, Filter::VNODE) }.add().clear()
}

/// Waits until these bits have been told, and no others.
#[track_caller]
fn noted(queue: &Queue, expected: u32) -> Outcome {
    let mut told = 0;
    while told & expected != expected {
        let mut events = [KEvent::default(); 4];
        let events = queue.wait(&mut events, PATIENTLY)?;
        if events.is_empty() {
            return Err(Failure::new(format!("told {told:#x}, expected {expected:#x}")));
        }
        told |= events.iter().fold(0, |bits, event| bits | event.fflags);
    }
    equal(told, expected)
}

fn data_is_the_distance() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/distance")?);
    let reader = Descriptor::open("/tmp/distance", O_RDONLY)?;
    queue.apply(&[KEvent::read(reader.number()).add(), KEvent::write(file.number()).add()])?;
    file.write_all(b"0123456789")?;
    let of_reader = |queue: &Queue| -> Outcome<i64> {
        loop {
            let event = next(queue)?;
            if event.filter == Filter::READ {
                return Ok(event.data);
            }
        }
    };
    equal(of_reader(&queue)?, 10)?;
    equal(reader.read(&mut [0; 4])?, 4)?;
    equal(of_reader(&queue)?, 6)?;
    process().seek(reader.number(), 3, Whence::End)?;
    equal(of_reader(&queue)?, -3)?;
    process().seek(reader.number(), 0, Whence::End)?;
    let left = ready(&queue)?;
    ensure(left.iter().all(|event| event.filter == Filter::WRITE), "at the end nothing is to be read")?;
    equal(left.len(), 1)?;
    process().unlink("/tmp/distance")?;
    Ok(())
}

fn a_blocked_kevent_sees_growth() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/grows")?);
    let reader = Descriptor::open("/tmp/grows", O_RDONLY)?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    for round in 1..=3 {
        let writer = file.duplicate()?;
        let thread = rt::thread::Builder::new().spawn(move || {
            a_moment();
            writer.write_all(b"more").is_ok()
        })?;
        equal(next(&queue)?.data, 4)?;
        ensure(thread.join() == Ok(true), "the writer wrote")?;
        equal(reader.read(&mut [0; 9])?, 4)?;
        equal(process().stat(reader.number())?.size, 4 * round)?;
        equal(ready(&queue)?, vec![])?;
    }
    Ok(process().unlink("/tmp/grows")?)
}

fn file_poll_is_always_ready() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/file-poll")?);
    queue.apply(&[KEvent::read(file.number()).add()])?;
    equal(ready(&queue)?, vec![])?;
    queue.apply(&[KEvent { fflags: note::FILE_POLL, ..KEvent::read(file.number()) }.add()])?;
    let is = |data| {
        equal(
            ready(&queue)?.iter().map(|event| (event.filter, event.data)).collect(),
            vec![(Filter::READ, data)],
        )
    };
    // At the end, before it and beyond it, as often as one looks.
    equal(next(&queue)?.data, 0)?;
    for (place, data) in [(0, 0), (-2, 2), (7, -7)] {
        file.write_all(b"abc")?;
        process().seek(file.number(), place, Whence::End)?;
        for _ in 0..3 {
            is(data)?;
        }
        process().seek(file.number(), 0, Whence::End)?;
    }
    Ok(process().unlink("/tmp/file-poll")?)
}

fn an_edge_is_growth() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/edge")?);
    let reader = Descriptor::open("/tmp/edge", O_RDONLY)?;
    file.write_all(b"abcd")?;
    queue.apply(&[KEvent::read(reader.number()).add().clear()])?;
    equal(next(&queue)?.data, 4)?;
    equal(ready(&queue)?, vec![])?;
    process().write_at(file.number(), b"AB", 0)?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    file.write_all(b"e")?;
    equal(next(&queue)?.data, 5)?;
    Ok(process().unlink("/tmp/edge")?)
}

fn always_ready() -> Outcome {
    let file = make("/tmp/ready")?;
    let mut list = [PollFd::new(file.number(), Conditions::IN | Conditions::OUT | Conditions::PRI)];
    equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
    equal(list[0].revents, Conditions::IN | Conditions::OUT)?;
    let (mut read, mut write) = (FdSet::new(), FdSet::new());
    read.insert(file.number());
    write.insert(file.number());
    let sets = [Some(&mut read), Some(&mut write), None];
    equal(libkq::select(file.number() + 1, sets, PATIENTLY, None)?, 2)?;
    Ok(process().unlink("/tmp/ready")?)
}

fn epoll_refuses_files() -> Outcome {
    let (set, file) = (EpollSet::new()?, make("/tmp/epoll")?);
    refused(set.add(file.number(), EpollFlags::IN, 1), EPERM)?;
    let directory = Descriptor::open("/tmp", O_RDONLY | O_DIRECTORY)?;
    refused(set.add(directory.number(), EpollFlags::IN, 1), EPERM)?;
    Ok(process().unlink("/tmp/epoll")?)
}

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

fn unlinked_files_live_on() -> Outcome {
    let file = make("/tmp/gone")?;
    process().unlink("/tmp/gone")?;
    refused(Descriptor::open("/tmp/gone", O_RDONLY), ENOENT)?;
    file.write_all(b"still here")?;
    let mut buffer = [0; 16];
    equal(process().read_at(file.number(), &mut buffer, 0)?.count, 10)?;
    let stat = process().stat(file.number())?;
    equal((stat.links, stat.size), (0, 10))
}

fn names_say_what_is_wrong() -> Outcome {
    let files = process();
    files.mkdir("/data/d", 0o700)?;
    drop(make("/data/d/f")?);
    refused(files.mkdir("/data/d", 0o700), EEXIST)?;
    refused(files.mkdir("/data/none/d", 0o700), ENOENT)?;
    refused(files.mkdir("/data/d/f/d", 0o700), ENOTDIR)?;
    refused(files.rmdir("/data/d"), ENOTEMPTY)?;
    refused(files.rmdir("/data/d/f"), ENOTDIR)?;
    refused(files.unlink("/data/d"), EISDIR)?;
    refused(files.unlink("/data/none"), ENOENT)?;
    refused(files.rename("/data/d/f", "/tmp/f"), EXDEV)?;
    refused(files.link("/data/d/f", "/tmp/f"), EXDEV)?;
    refused(files.link("/data/d", "/data/e"), EPERM)?;
    refused(files.link("/data/d/f", "/data/d/f"), EEXIST)?;
    refused(files.rename("/data/d", "/data/d/e"), EINVAL)?;
    refused(files.rename("/data/d/f", "/data/d"), EISDIR)?;
    refused(files.stat_path(&format!("/data/{}", "n".repeat(256))), ENAMETOOLONG)?;
    equal(files.stat_path("/data/d")?.links, 2)?;
    files.unlink("/data/d/f")?;
    Ok(files.rmdir("/data/d")?)
}

fn opening_as_asked() -> Outcome {
    let file = make("/tmp/open")?;
    refused(Descriptor::open("/tmp/open", O_RDWR | O_CREAT | O_EXCL), EEXIST)?;
    refused(Descriptor::open("/tmp/open", O_RDONLY | O_DIRECTORY), ENOTDIR)?;
    refused(Descriptor::open("/tmp", O_RDWR), EISDIR)?;
    file.write_all(b"some text")?;
    let append = Descriptor::open("/tmp/open", O_WRONLY | O_APPEND)?;
    refused(append.read(&mut [0]), EBADF)?;
    process().seek(append.number(), 0, Whence::Start)?;
    append.write_all(b" more")?;
    equal(process().stat(file.number())?.size, 14)?;
    drop(Descriptor::open("/tmp/open", O_WRONLY | O_TRUNC)?);
    equal(process().stat(file.number())?.size, 0)?;
    Ok(process().unlink("/tmp/open")?)
}

fn positions_and_lengths() -> Outcome {
    let file = make("/tmp/holes")?;
    process().seek(file.number(), 10_000, Whence::Start)?;
    file.write_all(b"end")?;
    let stat = process().stat(file.number())?;
    equal((stat.size, stat.mode), (10_003, 0o644))?;
    ensure(stat.modified > 0 && stat.modified >= stat.accessed, "times are the clock's")?;
    let mut buffer = [1; 8];
    equal(process().read_at(file.number(), &mut buffer, 9_997)?.count, 6)?;
    equal(&buffer[..6], &[0, 0, 0, b'e', b'n', b'd'])?;
    refused(process().seek(file.number(), -1, Whence::Start), EINVAL)?;
    process().truncate(file.number(), 4)?;
    equal(process().seek(file.number(), 0, Whence::End)?, 4)?;
    equal(process().seek(file.number(), 0, Whence::Current)?, 4)?;
    Ok(process().unlink("/tmp/holes")?)
}

fn listings() -> Outcome {
    process().mkdir("/tmp/list", 0o700)?;
    let name = |number: u32| format!("/tmp/list/{number:0100}");
    for number in 0..100 {
        drop(make(&name(number))?);
    }
    let directory = Descriptor::open("/tmp/list", O_RDONLY | O_DIRECTORY)?;
    let (first, cookie) = process().read_directory(directory.number(), 0)?;
    let cookie = cookie.ok_or(Failure::new("all in one answer"))?;
    // Half of those that are to come go, and new ones come.
    for number in (50..100).step_by(2) {
        process().unlink(&name(number))?;
    }
    drop(make("/tmp/list/new")?);
    let mut names: Vec<String> = first.into_iter().map(|entry| entry.name).collect();
    let mut at = Some(cookie);
    while let Some(cookie) = at {
        let (more, next) = process().read_directory(directory.number(), cookie)?;
        names.extend(more.into_iter().map(|entry| entry.name));
        at = next;
    }
    names.sort();
    let all = names.len();
    names.dedup();
    equal(names.len(), all)?;
    for number in (0..50).chain((51..100).step_by(2)) {
        ensure(names.contains(&format!("{number:0100}")), "a name that stayed was listed")?;
        process().unlink(&name(number))?;
    }
    ensure(names.iter().any(|name| name == "new"), "a name that came was listed")?;
    process().unlink("/tmp/list/new")?;
    Ok(process().rmdir("/tmp/list")?)
}

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
