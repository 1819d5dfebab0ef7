//! Many descriptors in one process, through each interface. Runs with the manifest `pipes`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EMFILE, ENOMEM, Error, Result};
use abi::flag::O_RDWR;
use guest_tests::child::{self, Role, ends_well};
use guest_tests::failure::{ensure, equal};
use guest_tests::{Failure, Outcome, Suite};
use libkq::process::MAX_DESCRIPTORS;
use libkq::{Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, KEvent, PollFd, Queue};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
const NOW: Option<Duration> = Some(Duration::ZERO);
/// Pipes, with two descriptors each.
const MANY: usize = 10_000;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, |_| small_quota()) {
        return status;
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(&[
        ("ten_thousand_pipes_in_every_interface", every_interface),
        ("r55_numbers_and_notes_up_to_the_limit", up_to_the_limit),
        ("r55_a_set_that_cannot_grow_is_enomem", cannot_grow),
    ]);
    suite.finish()
}

/// One set of each interface, all asked about the same reading ends.
struct Sets {
    kqueue: Queue,
    epoll: EpollSet,
    devpoll: Descriptor,
    list: Vec<PollFd>,
}

impl Sets {
    fn new(fds: &[i32]) -> Result<Sets> {
        let sets = Sets {
            kqueue: Queue::new()?,
            epoll: EpollSet::new()?,
            devpoll: Descriptor::open("/dev/poll", O_RDWR)?,
            list: fds.iter().map(|&fd| PollFd::new(fd, Conditions::IN)).collect(),
        };
        let changes: Vec<KEvent> = fds.iter().map(|&fd| KEvent::read(fd).add()).collect();
        sets.kqueue.apply(&changes)?;
        fds.iter().try_for_each(|&fd| sets.epoll.add(fd, EpollFlags::IN, fd as u64))?;
        libkq::process().devpoll_write(sets.devpoll.number(), &sets.list)?;
        Ok(sets)
    }

    /// What each of them finds now, lowest first: kevent, epoll, /dev/poll and poll.
    fn find(&mut self) -> Result<[Vec<i32>; 4]> {
        let mut events = [KEvent::default(); 16];
        let kqueue = self.kqueue.wait(&mut events, NOW)?.iter().map(|event| event.ident as i32).collect();
        let mut events = [EpollEvent::default(); 16];
        let epoll = self.epoll.wait(&mut events, NOW)?.iter().map(|event| event.data() as i32).collect();
        let mut events = [PollFd::default(); 16];
        let count = libkq::process().devpoll_poll(self.devpoll.number(), &mut events, NOW, None)?;
        let devpoll = events[..count].iter().map(|event| event.fd).collect();
        libkq::poll(&mut self.list, NOW, None)?;
        let poll = self.list.iter().filter(|entry| !entry.revents.is_empty()).map(|entry| entry.fd).collect();
        let mut found = [kqueue, epoll, devpoll, poll];
        found.iter_mut().for_each(|found: &mut Vec<i32>| found.sort_unstable());
        Ok(found)
    }

    fn finds(&mut self, what: &str, expected: &[i32]) -> Outcome {
        for (interface, found) in ["kevent", "epoll", "/dev/poll", "poll"].iter().zip(self.find()?) {
            if found != expected {
                return Err(Failure::new(format!("{what}: {interface} finds {found:?}, not {expected:?}")));
            }
        }
        Ok(())
    }
}

fn every_interface() -> Outcome {
    let mut pipes = Vec::new();
    for _ in 0..MANY {
        pipes.push(Descriptor::pipe()?);
    }
    let fds: Vec<i32> = pipes.iter().map(|(reader, _)| reader.number()).collect();
    let mut sets = Sets::new(&fds)?;
    sets.finds("empty", &[])?;
    let chosen = [0, 1, 255, 256, MANY / 2, MANY - 1];
    for &at in &chosen {
        pipes[at].1.write_all(b".")?;
    }
    let mut expected: Vec<i32> = chosen.iter().map(|&at| fds[at]).collect();
    sets.finds("filled", &expected)?;
    sets.finds("filled still", &expected)?;
    // R31, R32: a pipe of them goes.
    let last = pipes.swap_remove(MANY / 2).0.number();
    sets.list.retain(|entry| entry.fd != last);
    expected.retain(|&fd| fd != last);
    let removed = PollFd::new(last, Conditions::REMOVE);
    libkq::process().devpoll_write(sets.devpoll.number(), &[removed])?;
    sets.finds("closed", &expected)?;
    for (reader, _) in pipes.iter().filter(|(reader, _)| expected.contains(&reader.number())) {
        equal(&reader.read(&mut [0; 4])?, &1)?;
    }
    sets.finds("drained", &[])?;
    drop(pipes);
    for entry in &sets.list {
        let removed = PollFd::new(entry.fd, Conditions::REMOVE);
        libkq::process().devpoll_write(sets.devpoll.number(), &[removed])?;
    }
    sets.list.clear();
    sets.finds("none left", &[])
}

/// As many numbers as there are, each with a note, on one open file: one byte makes all of them true.
fn up_to_the_limit() -> Outcome {
    let (reader, writer) = Descriptor::pipe()?;
    let queue = Queue::new()?;
    let mut numbers = Vec::new();
    let end = loop {
        match reader.duplicate() {
            Ok(number) => numbers.push(number),
            Err(error) => break error,
        }
    };
    equal(&end, &Error::new(EMFILE))?;
    ensure(numbers.len() + 16 > MAX_DESCRIPTORS, "there are as many numbers as is said")?;
    let changes: Vec<KEvent> = numbers.iter().map(|fd| KEvent::read(fd.number()).add().clear()).collect();
    queue.apply(&changes)?;
    writer.write_all(b".")?;
    let mut events = alloc::vec![KEvent::default(); 1024];
    let mut told = alloc::vec![false; MAX_DESCRIPTORS];
    loop {
        let events = queue.wait(&mut events, NOW)?;
        if events.is_empty() {
            break;
        }
        for event in events {
            ensure(!core::mem::replace(&mut told[event.ident], true), "an edge is told once")?;
        }
    }
    equal(&told.iter().filter(|&&told| told).count(), &numbers.len())?;
    // First, so that its notes go all at once.
    drop(queue);
    drop(numbers);
    reader.duplicate().map(drop)?;
    Ok(())
}

fn cannot_grow() -> Outcome {
    ends_well(&Role::new(PROGRAM, "small").quota(3 << 20).spawn(Vec::new())?)
}

/// A process with too little memory for so many notes: it is told, and goes on with those that it has.
fn small_quota() -> Outcome {
    let (reader, writer) = Descriptor::pipe()?;
    let queue = Queue::new()?;
    let mut numbers = Vec::new();
    let end = loop {
        let number = match reader.duplicate() {
            Ok(number) => number,
            Err(error) => break error,
        };
        let added = queue.apply(&[KEvent::read(number.number()).add()]);
        match added {
            Ok(()) => numbers.push(number),
            Err(error) => break error,
        }
    };
    equal(&end, &Error::new(ENOMEM))?;
    ensure(numbers.len() > 1000, "there was room for some")?;
    writer.write_all(b".")?;
    let mut events = [KEvent::default(); 16];
    equal(&queue.wait(&mut events, NOW)?.len(), &events.len())?;
    equal(&reader.read(&mut [0; 4])?, &1)?;
    equal(&queue.wait(&mut events, NOW)?.len(), &0)?;
    // What goes makes room for another.
    drop(numbers.pop());
    let number = reader.duplicate()?;
    queue.apply(&[KEvent::read(number.number()).add()])?;
    Ok(())
}
