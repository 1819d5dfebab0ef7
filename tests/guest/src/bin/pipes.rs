//! Pipes and FIFOs on the machine, through kevent, poll and select. Runs with the manifest `pipes`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, ENXIO, EPIPE, Error, Result};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use event_protocol::descriptor::{PIPE_BUF, Setting};
use guest_tests::books;
use guest_tests::child::{self, Role, ends_well};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::{Failure, Outcome, PATIENCE, Suite, a_moment};
use init_protocol::status::ExitStatus;
use libkq::control::{Control, ControlReply};
use libkq::process_calls::Command;
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollOp, EpollSet, EventFlags, FdSet, Filter, KEvent,
    PollFd, Queue,
};
use rt::init;
use rt::thread::{Builder, JoinHandle};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Bytes that a pipe holds.
const CAPACITY: usize = 65536;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(role) = child::role(start) {
        return match play(role) {
            Ok(()) => 0,
            Err(failure) => {
                rt::log!("{role}: {failure}");
                1
            }
        };
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(&[
        ("bytes_come_out_as_they_went_in", bytes_come_out),
        ("r18_end_of_file_and_then_the_hang_up", end_of_file),
        ("r19_end_of_file_clears_when_a_writer_comes", a_writer_comes),
        ("r21_writable_from_pipe_buf_on_and_data_is_space", writable),
        ("r21_no_readers_are_an_end_and_a_later_add_epipe", no_readers),
        ("r24_two_queues_two_marks", two_marks),
        ("r15_writes_are_edges_for_readers_and_reads_for_writers", edges),
        ("r47_select_knows_a_fifo_without_writers", select_of_a_fifo),
        ("a_blocked_reader_is_woken", blocked_reader),
        ("an_oversize_write_ends", oversize_write),
        ("small_writes_are_not_torn", small_writes),
        ("opening_a_fifo_waits_for_the_other_side", opening),
        ("fifo_names", names),
        ("another_process_reads_and_watches", another_process),
        ("r33_an_epoll_set_travels_to_a_child_and_a_kqueue_does_not", a_set_travels),
        ("r33_a_child_has_what_was_meant_for_it_under_its_numbers", twins_travel),
        ("a_killed_writer_is_an_end", killed_writer),
        ("who_is_killed_while_opening_is_nobody", killed_opener),
        ("r31_closing_and_opening_leaves_nothing", leaves_nothing),
        ("r57_a_killed_driver_is_an_end", killed_driver),
    ]);
    suite.finish()
}

fn pipe() -> Result<(Descriptor, Descriptor)> {
    Descriptor::pipe()
}

/// Events of a queue that are there now.
fn now(queue: &Queue) -> Result<Vec<KEvent>> {
    let mut events = [KEvent::default(); 8];
    Ok(queue.wait(&mut events, Some(Duration::ZERO))?.to_vec())
}

/// The one event of a queue, waited for.
fn one(queue: &Queue) -> Outcome<KEvent> {
    let mut events = [KEvent::default(); 8];
    match queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE)))? {
        [event] => Ok(*event),
        other => Err(Failure::new(format!("{} events: {other:?}", other.len()))),
    }
}

/// The event that tells of the end. A driver hears of a close soon after it; until then what was true is told.
fn end(queue: &Queue) -> Outcome<KEvent> {
    let deadline = guest_tests::soon();
    loop {
        let event = one(queue)?;
        if event.is_eof() {
            return Ok(event);
        }
        ensure(rt::clock::now_ns() < deadline, "the end is told")?;
    }
}

fn read(file: &Descriptor, most: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let count = file.read(&mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn fill(file: &Descriptor, bytes: usize) -> Result<()> {
    file.write_all(&vec![b'.'; bytes])
}

fn drain(file: &Descriptor, bytes: usize) -> Outcome {
    let mut left = bytes;
    while left > 0 {
        let got = read(file, left)?.len();
        ensure(got > 0, "there is more to read")?;
        left -= got;
    }
    Ok(())
}

fn polled(file: &Descriptor, events: Conditions) -> Result<Conditions> {
    let mut list = [PollFd::new(file.number(), events)];
    libkq::poll(&mut list, Some(Duration::ZERO), None)?;
    Ok(list[0].revents)
}

fn start(body: impl FnOnce() -> Outcome + Send + 'static) -> Result<JoinHandle<Outcome>> {
    Builder::new().name("other").spawn(body)
}

/// A FIFO, unlinked at the end.
struct Fifo(String);

impl Fifo {
    fn new(name: &str) -> Result<Fifo> {
        let path = format!("/run/fifo/{name}");
        libkq::process().mkfifo(&path, 0o600)?;
        Ok(Fifo(path))
    }

    fn open(&self, flags: usize) -> Result<Descriptor> {
        Descriptor::open(&self.0, flags)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // A test that unlinked it has nothing left to unlink.
        _ = libkq::process().unlink(&self.0);
    }
}

fn bytes_come_out() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    equal(now(&queue)?, vec![])?;
    writer.write_all(b"hello")?;
    equal(one(&queue)?.data, 5)?;
    equal(read(&reader, 3)?, b"hel".to_vec())?;
    equal(one(&queue)?.data, 2)?;
    equal(reader.control(Control::Available)?, ControlReply::Available(2))?;
    equal(read(&reader, 30)?, b"lo".to_vec())?;
    equal(now(&queue)?, vec![])
}

fn end_of_file() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    writer.write_all(b"abc")?;
    drop(writer);
    let event = end(&queue)?;
    equal((event.data, event.fflags), (3, 0))?;
    ensure(!event.flags.contains(EventFlags::NODATA), "there is data")?;
    equal(polled(&reader, Conditions::IN)?, Conditions::IN)?;
    equal(read(&reader, 9)?, b"abc".to_vec())?;
    let event = one(&queue)?;
    equal((event.is_eof(), event.data), (true, 0))?;
    ensure(event.flags.contains(EventFlags::NODATA), "there is no data any more")?;
    ensure(polled(&reader, Conditions::empty())?.contains(Conditions::HUP), "the hang-up is told unasked")?;
    equal(read(&reader, 9)?, vec![])
}

fn a_writer_comes() -> Outcome {
    let fifo = Fifo::new("r19")?;
    let reader = fifo.open(O_RDONLY | O_NONBLOCK)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add().clear()])?;
    equal(now(&queue)?, vec![])?;
    drop(fifo.open(O_WRONLY)?);
    ensure(one(&queue)?.is_eof(), "the writer is gone")?;
    equal(now(&queue)?, vec![])?;
    let writer = fifo.open(O_WRONLY)?;
    equal(polled(&reader, Conditions::IN)?, Conditions::empty())?;
    refused(read(&reader, 1), EAGAIN)?;
    writer.write_all(b"x")?;
    let event = one(&queue)?;
    equal((event.is_eof(), event.data), (false, 1))?;
    drop(writer);
    let event = one(&queue)?;
    equal((event.is_eof(), event.data), (true, 1))
}

fn writable() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::write(writer.number()).add()])?;
    equal(one(&queue)?.data, CAPACITY as i64)?;
    fill(&writer, CAPACITY - PIPE_BUF)?;
    equal(one(&queue)?.data, PIPE_BUF as i64)?;
    fill(&writer, 1)?;
    equal(now(&queue)?, vec![])?;
    equal(polled(&writer, Conditions::OUT)?, Conditions::empty())?;
    drain(&reader, 1)?;
    equal(one(&queue)?.data, PIPE_BUF as i64)?;
    equal(polled(&writer, Conditions::OUT)?, Conditions::OUT)?;
    refused(queue.apply(&[KEvent::write(reader.number()).add()]), EINVAL)
}

fn no_readers() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::write(writer.number()).add()])?;
    drop(reader);
    end(&queue)?;
    refused(writer.write_all(b"x"), EPIPE)?;
    ensure(polled(&writer, Conditions::OUT)?.contains(Conditions::ERR), "an error, told unasked")?;
    let other = Queue::new()?;
    refused(other.apply(&[KEvent::write(writer.number()).add()]), EPIPE)
}

fn two_marks() -> Outcome {
    let (reader, writer) = pipe()?;
    let (low, high) = (Queue::new()?, Queue::new()?);
    low.apply(&[KEvent::read(reader.number()).add().low_water(2)])?;
    high.apply(&[KEvent::read(reader.number()).add().low_water(5)])?;
    writer.write_all(b"12")?;
    equal(one(&low)?.data, 2)?;
    equal(now(&high)?, vec![])?;
    writer.write_all(b"345")?;
    equal(one(&high)?.data, 5)?;
    drain(&reader, 4)?;
    equal((now(&low)?, now(&high)?), (vec![], vec![]))?;
    // A mark below PIPE_BUF is the note's own, too.
    let space = Queue::new()?;
    fill(&writer, CAPACITY - 11)?;
    space.apply(&[KEvent::write(writer.number()).add().low_water(10)])?;
    equal(one(&space)?.data, 10)?;
    fill(&writer, 1)?;
    equal(now(&space)?, vec![])
}

fn edges() -> Outcome {
    let (reader, writer) = pipe()?;
    let (reads, writes) = (Queue::new()?, Queue::new()?);
    reads.apply(&[KEvent::read(reader.number()).add().clear()])?;
    writes.apply(&[KEvent::write(writer.number()).add().clear()])?;
    equal(one(&writes)?.data, CAPACITY as i64)?;
    for size in 1..4 {
        writer.write_all(b"x")?;
        equal(one(&reads)?.data, size)?;
        equal(now(&reads)?, vec![])?;
        equal(now(&writes)?, vec![])?;
    }
    drain(&reader, 1)?;
    equal(one(&writes)?.data, CAPACITY as i64 - 2)?;
    equal((now(&writes)?, now(&reads)?), (vec![], vec![]))
}

fn select_of_a_fifo() -> Outcome {
    let fifo = Fifo::new("select")?;
    let reader = fifo.open(O_RDONLY | O_NONBLOCK)?;
    let readable_in = |time: Duration| -> Outcome<bool> {
        let mut set = FdSet::new();
        set.insert(reader.number());
        let nfds = reader.number() + 1;
        let count = libkq::select(nfds, [Some(&mut set), None, None], Some(time), None)?;
        equal(count == 1, set.contains(reader.number()))?;
        Ok(count == 1)
    };
    let readable = || readable_in(Duration::ZERO);
    equal(readable()?, false)?;
    equal(polled(&reader, Conditions::IN)?, Conditions::empty())?;
    let writer = fifo.open(O_WRONLY)?;
    equal(readable()?, false)?;
    writer.write_all(b"x")?;
    equal(readable()?, true)?;
    drain(&reader, 1)?;
    equal(readable()?, false)?;
    drop(writer);
    equal(readable_in(Duration::from_nanos(PATIENCE))?, true)?;
    ensure(polled(&reader, Conditions::IN)?.contains(Conditions::HUP), "and poll says why")?;
    let _writer = fifo.open(O_WRONLY)?;
    equal(readable()?, false)
}

fn blocked_reader() -> Outcome {
    let (reader, writer) = pipe()?;
    let waits = start(move || equal(read(&reader, 10)?, b"late".to_vec()))?;
    a_moment();
    writer.write_all(b"late")?;
    waits.join()?
}

fn oversize_write() -> Outcome {
    const LENGTH: usize = 300_000;
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    let writes = start(move || {
        let bytes: Vec<u8> = (0..LENGTH).map(|n| (n % 251) as u8).collect();
        writer.write_all(&bytes)?;
        Ok(())
    })?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    let mut seen = 0;
    loop {
        let event = one(&queue)?;
        let bytes = read(&reader, 5000)?;
        let right = bytes.iter().enumerate().all(|(at, &byte)| byte == ((seen + at) % 251) as u8);
        ensure(right, "the bytes come in their order")?;
        seen += bytes.len();
        if bytes.is_empty() {
            ensure(event.is_eof(), "an empty read is the end")?;
            break;
        }
    }
    equal(seen, LENGTH)?;
    writes.join()?
}

fn small_writes() -> Outcome {
    const WRITERS: u8 = 4;
    const EACH: usize = 200;
    const SIZE: usize = 600;
    let (reader, writer) = pipe()?;
    let mut threads = Vec::new();
    for letter in 0..WRITERS {
        let writer = writer.duplicate()?;
        threads.push(start(move || {
            (0..EACH).try_for_each(|_| writer.write_all(&[letter; SIZE]))?;
            Ok(())
        })?);
    }
    drop(writer);
    let (mut counts, mut message) = ([0; WRITERS as usize], Vec::new());
    loop {
        let bytes = read(&reader, SIZE - message.len())?;
        if bytes.is_empty() {
            break;
        }
        message.extend(bytes);
        if message.len() == SIZE {
            let letter = message[0];
            ensure(message.iter().all(|&byte| byte == letter), "a message is of one writer")?;
            counts[letter as usize] += 1;
            message.clear();
        }
    }
    equal((counts, message.len()), ([EACH; WRITERS as usize], 0))?;
    threads.into_iter().try_for_each(|thread| thread.join()?)
}

fn opening() -> Outcome {
    let fifo = Fifo::new("opening")?;
    refused(fifo.open(O_WRONLY | O_NONBLOCK).map(drop), ENXIO)?;
    for reads in [true, false] {
        let path = fifo.0.clone();
        let (mine, others) = if reads { (O_RDONLY, O_WRONLY) } else { (O_WRONLY, O_RDONLY) };
        let waits = start(move || {
            let file = Descriptor::open(&path, others)?;
            if reads { Ok(file.write_all(b"met")?) } else { equal(read(&file, 9)?, b"met".to_vec()) }
        })?;
        a_moment();
        let file = fifo.open(mine)?;
        if reads {
            equal(read(&file, 9)?, b"met".to_vec())?;
        } else {
            file.write_all(b"met")?;
        }
        waits.join()??;
    }
    let both = fifo.open(O_RDWR)?;
    both.write_all(b"self")?;
    equal(read(&both, 9)?, b"self".to_vec())
}

fn names() -> Outcome {
    let fifo = Fifo::new("name")?;
    refused(libkq::process().mkfifo(&fifo.0, 0o600), EEXIST)?;
    refused(Descriptor::open("/run/fifo/none", O_RDONLY).map(drop), ENOENT)?;
    let file = fifo.open(O_RDWR)?;
    libkq::process().unlink(&fifo.0)?;
    refused(fifo.open(O_RDWR).map(drop), ENOENT)?;
    file.write_all(b"still here")?;
    equal(read(&file, 20)?, b"still here".to_vec())?;
    equal(file.control(Control::Get(Setting::SendBuffer))?, ControlReply::Number(CAPACITY as i64))
}

/// Starts another process with these descriptors under these numbers.
fn with(role: &'static str, files: &[(&Descriptor, i32)]) -> Outcome<init::Child> {
    let given: Result<Vec<_>> =
        files.iter().map(|(file, number)| libkq::inheritance::give(file.number(), *number)).collect();
    let mut given = given?;
    let names: Vec<String> = given.iter().map(|(name, _)| name.clone()).collect();
    let transfers = given.drain(..).map(|(_, transfer)| transfer);
    let handles = names.iter().map(String::as_str).zip(transfers).collect();
    Ok(Role::new(PROGRAM, role).quota(16 << 20).spawn(handles)?)
}

fn play(role: &str) -> Outcome {
    match role {
        "echoes" => {
            // Both ends came from another process: each is watched here with a source of its own.
            let (from, to) = (Descriptor::from_number(5), Descriptor::from_number(6));
            let queue = Queue::new()?;
            queue.apply(&[KEvent::read(5).add(), KEvent::write(6).add().clear()])?;
            let mut seen_space = false;
            loop {
                let mut events = [KEvent::default(); 4];
                for event in queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE)))? {
                    seen_space |= event.filter == Filter::WRITE;
                    if event.filter == Filter::READ {
                        let bytes = read(&from, 1000)?;
                        if bytes.is_empty() {
                            return ensure(event.is_eof() && seen_space, "the end is told, and space was");
                        }
                        to.write_all(&bytes)?;
                    }
                }
            }
        }
        "has_a_set" => return has_a_set(),
        "has_twins" => return has_twins(),
        "has_nothing" => {
            refused(libkq::dup(SET), EBADF)?;
            return equal(rt::start::start().data().len(), 0);
        }
        "sleeps" => rt::thread::sleep(PATIENCE),
        "opens" => drop(Descriptor::open("/run/fifo/killed", O_RDONLY)?),
        _ => return Err(Failure::new("no such part")),
    }
    Ok(())
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
const SET: i32 = 40;
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
fn has_a_set() -> Outcome {
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
fn has_twins() -> Outcome {
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

fn killed_writer() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    let child = with("sleeps", &[(&writer, 6)])?;
    drop(writer);
    a_moment();
    equal(now(&queue)?, vec![])?;
    init::kill(child.pid, 9)?;
    ensure(one(&queue)?.is_eof(), "the last writer is dead")?;
    init::wait_until(child.pid, guest_tests::soon())?;
    Ok(())
}

fn killed_opener() -> Outcome {
    let fifo = Fifo::new("killed")?;
    let child = with("opens", &[])?;
    for _ in 0..20 {
        a_moment();
    }
    init::kill(child.pid, 9)?;
    init::wait_until(child.pid, guest_tests::soon())?;
    // A writer waits for a living reader.
    let path = fifo.0.clone();
    let waits = start(move || Ok(Descriptor::open(&path, O_WRONLY)?.write_all(b"to the living")?))?;
    for _ in 0..5 {
        a_moment();
    }
    let reader = fifo.open(O_RDONLY)?;
    equal(read(&reader, 20)?, b"to the living".to_vec())?;
    waits.join()?
}

fn leaves_nothing() -> Outcome {
    let round = |unread: bool| -> Outcome {
        let pipes: Result<Vec<_>> = (0..30).map(|_| pipe()).collect();
        let (pipes, queue) = (pipes?, Queue::new()?);
        for (reader, writer) in &pipes {
            queue.apply(&[KEvent::read(reader.number()).add(), KEvent::write(writer.number()).add()])?;
            if unread {
                writer.write_all(b"left unread")?;
            }
        }
        Ok(())
    };
    let kept = || Ok::<_, Error>([books::notes()?, books::sum(|stats| stats.sources)?]);
    // Heaps and tables grow to what they need.
    for unread in [true, false, true] {
        round(unread)?;
    }
    books::settled()?;
    let (ledger, before) = (Ledger::open()?, kept()?);
    // So many that what one of them left would be seen.
    for at in 0..15 {
        round(at % 3 == 0)?;
    }
    let deadline = guest_tests::soon();
    loop {
        let now = kept()?;
        if now == before {
            return ledger.balance();
        }
        if rt::clock::now_ns() > deadline {
            return Err(Failure::new(format!("notes and sources: {before:?} before, {now:?} now")));
        }
        a_moment();
    }
}

fn killed_driver() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add(), KEvent::write(writer.number()).add().clear()])?;
    ensure(!one(&queue)?.is_eof(), "there is space")?;
    let all = init::list(0)?;
    let driver = all.iter().find(|process| process.name == "pipe" && process.ended.is_none());
    init::kill(driver.ok_or(Failure::new("the driver is not there"))?.pid, 9)?;
    let (mut seen, deadline) = (Vec::new(), guest_tests::soon());
    while seen.len() < 2 {
        let mut events = [KEvent::default(); 2];
        for event in queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE)))? {
            ensure(event.is_eof(), "both ends end")?;
            equal(event.fflags, ENODEV as u32)?;
            ensure(!seen.contains(&event.filter), "each is told once")?;
            seen.push(event.filter);
        }
        ensure(rt::clock::now_ns() < deadline, "both are told")?;
    }
    a_moment();
    equal(now(&queue)?, vec![])?;
    refused(writer.write_all(b"x"), ENODEV)?;
    refused(read(&reader, 1), ENODEV)?;
    let deadline = guest_tests::soon();
    loop {
        if let Ok((reader, writer)) = pipe() {
            writer.write_all(b"again")?;
            return equal(read(&reader, 9)?, b"again".to_vec());
        }
        ensure(rt::clock::now_ns() < deadline, "it is started again")?;
        a_moment();
    }
}
