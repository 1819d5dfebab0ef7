//! Ends, and sets that watch them, in another process.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EBADF, EBUSY, EEXIST, EINVAL, ENOENT, Result};
use guest_tests::child::{self, Role, ends_well};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, PATIENCE};
use init_protocol::status::ExitStatus;
use libkq::process_calls::Command;
use libkq::{Descriptor, EpollEvent, EpollFlags, EpollOp, EpollSet, KEvent, Queue};
use rt::init;

use crate::PROGRAM;
use crate::ends::{pipe, read};

pub const TESTS: &[Test] = &[
    ("another_process_reads_and_watches", another_process),
    ("r33_an_epoll_set_travels_to_a_child_and_a_kqueue_does_not", a_set_travels),
    ("r33_a_child_has_what_was_meant_for_it_under_its_numbers", twins_travel),
];

/// Starts another process with these descriptors under these numbers.
pub fn with(role: &'static str, files: &[(&Descriptor, i32)]) -> Outcome<init::Child> {
    let given: Result<Vec<_>> =
        files.iter().map(|(file, number)| libkq::inheritance::give(file.number(), *number)).collect();
    let mut given = given?;
    let names: Vec<String> = given.iter().map(|(name, _)| name.clone()).collect();
    let transfers = given.drain(..).map(|(_, transfer)| transfer);
    let handles = names.iter().map(String::as_str).zip(transfers).collect();
    Ok(Role::new(PROGRAM, role).quota(16 << 20).spawn(handles)?)
}

fn another_process() -> Outcome {
    let ((child_reads, writer), (reader, child_writes)) = (pipe()?, pipe()?);
    let child = with("echoes", &[(&child_reads, 5), (&child_writes, 6)])?;
    drop((child_reads, child_writes));
    for text in [b"one".as_slice(), b"two", &[7; 1000]] {
        writer.write_all(text)?;
        let mut back = Vec::new();
        while back.len() < text.len() {
            let bytes = read(&reader, 1000)?;
            ensure(!bytes.is_empty(), "the child is there")?;
            back.extend(bytes);
        }
        equal(back.as_slice(), text)?;
    }
    drop(writer);
    ends_well(&child)?;
    equal(read(&reader, 1)?, vec![])
}

/// The number of the set in the child, and of the pipe by which it says what it was told.
pub const SET: i32 = 40;
const REPORT: i32 = 41;

/// What a set tells now, or waits for: the data of its items, which are numbers of descriptors here.
fn told(set: i32, timeout: Duration) -> Result<Vec<i32>> {
    let mut events = [EpollEvent::default(); 16];
    let count = libkq::epoll_wait(set, &mut events, Some(timeout))?;
    let mut told: Vec<i32> = events[..count].iter().map(|event| event.data() as i32).collect();
    told.sort_unstable();
    Ok(told)
}

/// The first part of what the parent says is for the level, the next for the edge; the one-shot was told before.
pub fn has_a_set() -> Outcome {
    let report = |what: &[u8]| libkq::write(REPORT, what);
    let patience = Duration::from_nanos(PATIENCE);
    let start = rt::start::start();
    let number = |at| start.arg(at).parse::<i32>().map_err(|_| Failure::new("a number"));
    let (level, edge, oneshot, kqueue) = (number(3)?, number(4)?, number(5)?, number(6)?);
    refused(libkq::kevent(kqueue, &[], &mut [KEvent::default()], Some(Duration::ZERO)), EBADF)?;
    equal(told(SET, Duration::ZERO)?, vec![])?;
    report(b"1")?;
    equal(told(SET, patience)?, vec![level])?;
    // The descriptors are here too.
    equal(libkq::read(level, &mut [0; 9])?, 3)?;
    report(b"2")?;
    equal(told(SET, patience)?, vec![edge])?;
    equal(told(SET, Duration::ZERO)?, vec![])?;
    // Armed again, it tells what has been there all the while.
    let event = EpollEvent::new(EpollFlags::IN, oneshot as u64);
    libkq::epoll_ctl(SET, EpollOp::Modify, oneshot, event)?;
    equal(told(SET, patience)?, vec![oneshot])?;
    libkq::epoll_ctl(SET, EpollOp::Delete, level, EpollEvent::default())?;
    refused(libkq::epoll_ctl(SET, EpollOp::Delete, level, EpollEvent::default()), ENOENT)?;
    report(b"3")?;
    Ok(())
}

fn a_set_travels() -> Outcome {
    let (set, queue) = (EpollSet::new()?, Queue::new()?);
    let (level, edge, oneshot) = (pipe()?, pipe()?, pipe()?);
    let (reports, report) = pipe()?;
    let add = |file: &Descriptor, flags| set.add(file.number(), flags, file.number() as u64);
    add(&level.0, EpollFlags::IN)?;
    add(&edge.0, EpollFlags::IN | EpollFlags::ET)?;
    add(&oneshot.0, EpollFlags::IN | EpollFlags::ONESHOT)?;
    // More than one message carries.
    let others: Vec<_> = (0..6).map(|_| pipe()).collect::<Result<_>>()?;
    others.iter().try_for_each(|(reader, _)| add(reader, EpollFlags::IN))?;
    oneshot.1.write_all(b"once")?;
    equal(told(set.number(), Duration::from_nanos(PATIENCE))?, vec![oneshot.0.number()])?;
    let command = || Command::new("bin/pipes").argument(child::ROLE).argument("has_a_set").quota(16 << 20);
    refused(command().inherit(queue.number(), SET).map(drop), EINVAL)?;
    let numbers = [&level.0, &edge.0, &oneshot.0].map(Descriptor::number);
    let command = numbers.into_iter().fold(command(), Command::argument).argument(queue.number());
    let child = command.inherit(set.number(), SET)?.inherit(report.number(), REPORT)?.spawn()?;
    // A child that fails is an end, and not a silence.
    drop(report);
    equal(read(&reports, 1)?, b"1".to_vec())?;
    level.1.write_all(b"one")?;
    equal(read(&reports, 1)?, b"2".to_vec())?;
    edge.1.write_all(b"two")?;
    equal(read(&reports, 1)?, b"3".to_vec())?;
    equal(init::wait_until(child.pid() as u32, guest_tests::soon())?, ExitStatus::Exited(0))?;
    // What the child did with its set is nothing to this one.
    level.1.write_all(b"one")?;
    equal(told(set.number(), Duration::ZERO)?, vec![numbers[0], numbers[1]])
}

/// Two numbers of the child are one open file, as in its parent; its set knows it by the one that is not closed.
pub fn has_twins() -> Outcome {
    let (first, second) = (30, rt::start::start().arg(3).parse().map_err(|_| Failure::new("a number"))?);
    let event = EpollEvent::new(EpollFlags::IN, 7);
    refused(libkq::epoll_ctl(SET, EpollOp::Add, second, event), EEXIST)?;
    refused(libkq::epoll_ctl(SET, EpollOp::Modify, first, event), ENOENT)?;
    libkq::epoll_ctl(SET, EpollOp::Modify, second, event)?;
    libkq::close(first)?;
    equal(told(SET, Duration::ZERO)?, vec![7])?;
    libkq::close(second)?;
    equal(told(SET, Duration::ZERO)?, vec![])
}

fn twins_travel() -> Outcome {
    let (set, (reader, writer), other) = (EpollSet::new()?, pipe()?, pipe()?);
    let twin = reader.duplicate()?;
    set.add(twin.number(), EpollFlags::IN, 1)?;
    writer.write_all(b"there")?;
    let command = |role| Command::new("bin/pipes").argument(child::ROLE).argument(role).quota(16 << 20);
    let with_set = |role| command(role).inherit(set.number(), SET);
    refused(with_set("has_twins")?.inherit(other.0.number(), SET).map(drop), EBUSY)?;
    let ends = |command: Command| {
        let child = command.spawn()?;
        equal(init::wait_until(child.pid() as u32, guest_tests::soon())?, ExitStatus::Exited(0))
    };
    ends(with_set("has_twins")?.inherit(reader.number(), 30)?.argument(twin.number()))?;
    // What was meant for a program that init was never asked for is not the next one's.
    let too_long = "x".repeat(1 << 16);
    ensure(with_set("has_twins")?.argument(too_long).spawn().is_err(), "no message is that long")?;
    ends(command("has_nothing"))
}
