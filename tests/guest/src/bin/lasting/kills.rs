//! A driver is killed again and again at random moments, under load.
//!
//! Some go on with durable descriptors of it, each in another way of waiting; some open it anew each time; others pass numbers through
//! pipes and sockets meanwhile. Every number is accounted for.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use abi::error::{EAGAIN, ENODEV, EPIPE};
use guest_tests::bereavement::open_again;
use guest_tests::child::ROLE;
use guest_tests::failure::{ensure, equal};
use guest_tests::looks::{PATIENTLY, pair, pipe};
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome, operator, soon};
use init_protocol::status::ExitStatus;
use libkq::flag::O_RDWR;
use libkq::process_calls::Command;
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, FdSet, KEvent, PollFd, Queue, process,
};
use rt::thread::{Builder, JoinHandle};

use crate::PROGRAM;
use crate::seen::{SERIAL, ask, ask_once, durable, number, until_back};
use crate::serial::{MAKE, NUMBER, TAKE};
use guest_tests::books;

/// Longest time until a kill, in nanoseconds.
const BETWEEN: u64 = 4_000_000;
/// Most rounds with durable descriptors between two kills.
const ROUNDS: u64 = 16;

/// What all have in common.
#[derive(Default)]
struct Load {
    enough: AtomicBool,
    /// Rounds with durable descriptors, ends of ordinary ones, and numbers of the other sources.
    durable: AtomicU64,
    ends: AtomicU64,
    others: AtomicU64,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.enough.load(Ordering::SeqCst)
    }
}

/// What the process under load has been given: where to tell each round, and what ends when it is enough.
const ROUNDS_TOLD: i32 = 8;
const ENOUGH: i32 = 9;

/// Kills so many, with nobody else noticing. The load is another process, which leaves nothing behind.
pub fn under_load(kills: u64, seed: u64) -> Outcome {
    // What is kept for those who come again is there when the books are opened.
    run(3, seed)?;
    let books = books::open()?;
    run(kills, seed)?;
    books.are_balanced()
}

fn run(kills: u64, seed: u64) -> Outcome {
    let (rounds, told) = pipe()?;
    let (enough, stop) = pipe()?;
    let command = Command::new(&format!("bin/{PROGRAM}")).argument(ROLE).argument("load").quota(24 << 20);
    // Drivers go before it.
    let command = command.priority(20);
    let command = command.inherit(told.number(), ROUNDS_TOLD)?.inherit(enough.number(), ENOUGH)?;
    let load = command.spawn()?;
    drop((told, enough));
    let killed = kill(kills, &mut Random::new(seed), &rounds);
    drop(stop);
    // It says itself what was wrong.
    match rt::init::wait(load.pid() as u32)? {
        ExitStatus::Exited(0) => killed?,
        other => return Err(Failure::new(format!("the load {other}"))),
    }
    rt::log!("lasting: {kills} drivers were killed");
    until_back(SERIAL)
}

/// At random moments: of the time while the driver starts now and then, mostly of that in which it serves, however long that takes.
fn kill(kills: u64, random: &mut Random, rounds: &Descriptor) -> Outcome {
    let mut killed = 0;
    while killed < kills {
        let mut awaited = if random.below(4) == 0 { 0 } else { random.below(ROUNDS) as usize };
        while awaited > 0 {
            let mut list = [PollFd::new(rounds.number(), Conditions::IN)];
            ensure(libkq::poll(&mut list, PATIENTLY, None)? == 1, "those with durable descriptors go on")?;
            let count = rounds.read(&mut [0; ROUNDS as usize])?;
            ensure(count > 0, "the load goes on")?;
            awaited = awaited.saturating_sub(count);
        }
        rt::thread::sleep(random.below(BETWEEN));
        if let Some(process) = operator::find(SERIAL)?
            // It may have been found to hang, on a machine that is slow enough.
            && rt::init::kill(process.pid, 9).is_ok()
        {
            killed += 1;
        }
    }
    Ok(())
}

/// The process under load.
pub fn load() -> Outcome {
    let load = Arc::new(Load::default());
    let mut threads: Vec<JoinHandle<Outcome>> = Vec::new();
    for way in [Way::Kevent, Way::Edge, Way::Poll, Way::Select, Way::Epoll, Way::DevPoll, Way::Read] {
        let load = load.clone();
        let goes_on = move || goes_on_with(&load, way).map_err(|failure| failure.within(&format!("{way:?}")));
        threads.push(Builder::new().name("durable").spawn(goes_on)?);
    }
    for _ in 0..2 {
        let load = load.clone();
        threads.push(Builder::new().name("ordinary").spawn(move || opens_anew(&load))?);
    }
    for (reader, writer) in [pipe()?, pair()?] {
        let writes = load.clone();
        threads.push(Builder::new().name("writer").spawn(move || write(&writes, writer))?);
        let reads = load.clone();
        threads.push(Builder::new().name("reader").spawn(move || read(&reads, reader))?);
    }
    loop {
        let mut list = [PollFd::new(ENOUGH, Conditions::IN)];
        let ended = libkq::poll(&mut list, Some(Duration::from_millis(50)), None)? > 0;
        if ended || threads.iter().any(JoinHandle::is_finished) {
            break;
        }
    }
    load.enough.store(true, Ordering::SeqCst);
    threads.into_iter().try_for_each(|thread| thread.join()?)?;
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let (durable, ends, others) = (count(&load.durable), count(&load.ends), count(&load.others));
    rt::log!("lasting: {durable} durable rounds, {ends} ends, {others} numbers of others");
    Ok(())
}

/// How to wait for a number.
#[derive(Clone, Copy, Debug)]
enum Way {
    Kevent,
    Edge,
    Poll,
    Select,
    Epoll,
    DevPoll,
    Read,
}

/// Makes a number, waits for it, reads it and takes it, however often the driver dies meanwhile. One whole round more than it must, so
/// that each was there after the last kill.
fn goes_on_with(load: &Load, way: Way) -> Outcome {
    let file = durable(SERIAL)?;
    let fd = file.number();
    let (queue, set) = (Queue::new()?, EpollSet::new()?);
    match way {
        Way::Kevent => queue.apply(&[KEvent::read(fd).add()])?,
        Way::Edge => queue.apply(&[KEvent::read(fd).add().clear()])?,
        Way::Epoll => set.add(fd, EpollFlags::IN | EpollFlags::ET, 0)?,
        _ => {}
    }
    let polled = Descriptor::open("/dev/poll", O_RDWR)?;
    process().devpoll_write(polled.number(), &[PollFd::new(fd, Conditions::IN)])?;
    let mut round = 0;
    let mut last = false;
    while !last {
        last = !load.goes_on();
        ask(&file, MAKE, round + 1)?;
        let (mut events, mut items) = ([KEvent::default(); 2], [EpollEvent::default(); 2]);
        match way {
            Way::Kevent | Way::Edge => {
                let told = queue.wait(&mut events, PATIENTLY)?;
                equal(told.len(), 1)?;
                ensure(!told[0].is_eof() && told[0].data == 1, "one number, and no end")?;
            }
            Way::Poll => {
                let mut list = [PollFd::new(fd, Conditions::IN)];
                equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
                equal(list[0].revents, Conditions::IN)?;
            }
            Way::Select => {
                let mut reading: FdSet = [fd].into_iter().collect();
                equal(libkq::select(fd + 1, [Some(&mut reading), None, None], PATIENTLY, None)?, 1)?;
            }
            Way::Epoll => {
                let told = set.wait(&mut items, PATIENTLY)?;
                equal(told.len(), 1)?;
                equal(told[0].events(), EpollFlags::IN)?;
            }
            Way::DevPoll => {
                let mut list = [PollFd::default(); 2];
                equal(process().devpoll_poll(polled.number(), &mut list, PATIENTLY, None)?, 1)?;
                equal(list[0].revents, Conditions::IN)?;
            }
            Way::Read => {}
        }
        equal(number(&file, round)?, round)?;
        round += 1;
        ask(&file, TAKE, round)?;
        load.durable.fetch_add(1, Ordering::Relaxed);
        // Who counts them does not mind one less.
        let _ = libkq::write(ROUNDS_TOLD, b".");
    }
    Ok(())
}

/// An ordinary descriptor ends with its driver: it is told so once, and another can be opened.
fn opens_anew(load: &Load) -> Outcome {
    while load.goes_on() {
        let file = open_again("/dev/serial", O_RDWR)?;
        let queue = Queue::new()?;
        match queue.apply(&[KEvent::read(file.number()).add().clear()]) {
            // It has died since.
            Err(error) if [ENODEV, EPIPE].contains(&error.errno) => continue,
            added => added?,
        }
        let mut events = [KEvent::default(); 2];
        let mut made = 0;
        loop {
            match ask_once(&file, MAKE, made + 1) {
                Err(error) if error.errno == ENODEV => {}
                asked => asked?,
            }
            let told = queue.wait(&mut events, PATIENTLY)?;
            equal(told.len(), 1)?;
            if told[0].is_eof() {
                equal(told[0].fflags, ENODEV as u32)?;
                break;
            }
            made += 1;
            if !load.goes_on() {
                return Ok(());
            }
        }
        equal(queue.wait(&mut events, Some(Duration::ZERO))?.len(), 0)?;
        load.ends.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn write(load: &Load, writer: Descriptor) -> Outcome {
    let mut next = 0_u64;
    while load.goes_on() {
        match libkq::write(writer.number(), &next.to_le_bytes()) {
            Ok(count) => {
                equal(count, NUMBER)?;
                next += 1;
            }
            Err(error) if error.errno == EAGAIN => rt::thread::sleep(1_000_000),
            Err(error) => return Err(error.into()),
        }
        if next.is_multiple_of(64) {
            rt::thread::sleep(1_000_000);
        }
    }
    Ok(())
}

/// Numbers come one after the other, each once, until the writer is gone.
fn read(load: &Load, reader: Descriptor) -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add().clear()])?;
    let (mut next, deadline) = (0_u64, soon());
    let mut events = [KEvent::default(); 2];
    loop {
        equal(queue.wait(&mut events, PATIENTLY)?.len(), 1)?;
        loop {
            let mut bytes = [0; NUMBER];
            match reader.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(count) => equal((count, u64::from_le_bytes(bytes)), (NUMBER, next))?,
                Err(error) if error.errno == EAGAIN => break,
                Err(error) => return Err(error.into()),
            }
            next += 1;
            load.others.fetch_add(1, Ordering::Relaxed);
        }
        if !load.goes_on() && rt::clock::now_ns() > deadline.saturating_add(soon()) {
            return Err(Failure::new("the writer does not end"));
        }
    }
}
