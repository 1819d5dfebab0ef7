//! Threads that are killed in their waits (R44): what they were woken for is told to another, and their notes go.

use alloc::vec::Vec;

use abi::flag::O_RDWR;
use abi::status::Waits;
use guest_tests::failure::equal;
use guest_tests::suite::Test;
use guest_tests::{Outcome, books, until_it_waits};
use libkq::{Conditions, EpollEvent, EpollFlags, EpollOp, KEvent, PollFd, process};
use rt::clock;
use rt::thread::{Builder, JoinHandle};

use guest_tests::crew::until;
use guest_tests::looks::{NOW, PATIENTLY, pipe};

pub const TESTS: &[Test] = &[
    ("r44_a_thread_killed_in_kevent_takes_no_wake_up_away", || killed_in(QUEUE, QUEUE)),
    ("r44_a_thread_killed_in_epoll_wait_takes_no_wake_up_away", || killed_in(EPOLL, EPOLL)),
    ("r44_a_thread_killed_in_dp_poll_takes_no_wake_up_away", || killed_in(DEVPOLL, DEVPOLL)),
    ("r44_a_thread_killed_in_poll_of_a_queue_takes_no_wake_up_away", || killed_in(QUEUE, POLL_OF_QUEUE)),
    ("r44_a_thread_killed_in_poll_of_a_file_leaves_no_notes", killed_in_poll),
];

/// A way to wait for a file: the set that is made, and how many events a wait for it was told.
#[derive(Clone, Copy)]
struct Way {
    make: fn(i32) -> libkq::Result<i32>,
    wait: fn(i32) -> libkq::Result<usize>,
}

const QUEUE: Way = Way {
    make: |file| {
        let queue = libkq::kqueue()?;
        libkq::kevent(queue, &[KEvent::read(file).add()], &mut [], NOW)?;
        Ok(queue)
    },
    wait: |queue| libkq::kevent(queue, &[], &mut [KEvent::default()], PATIENTLY),
};

const EPOLL: Way = Way {
    make: |file| {
        let set = libkq::epoll_create1(0)?;
        libkq::epoll_ctl(set, EpollOp::Add, file, EpollEvent::new(EpollFlags::IN, 0))?;
        Ok(set)
    },
    wait: |set| libkq::epoll_wait(set, &mut [EpollEvent::default()], PATIENTLY),
};

const DEVPOLL: Way = Way {
    make: |file| {
        let set = libkq::open("/dev/poll", O_RDWR)?;
        process().devpoll_write(set, &[PollFd::new(file, Conditions::IN)])?;
        Ok(set)
    },
    wait: |set| process().devpoll_poll(set, &mut [PollFd::default()], PATIENTLY, None),
};

const POLL_OF_QUEUE: Way = Way { make: QUEUE.make, wait: poll };

fn poll(file: i32) -> libkq::Result<usize> {
    libkq::poll(&mut [PollFd::new(file, Conditions::IN)], PATIENTLY, None)
}

/// Threads that wait so for `file`, one CPU after the other. What a killed thread has on its stack stays there for good, so they
/// have numbers only.
fn waiting(
    count: u64,
    wait: fn(i32) -> libkq::Result<usize>,
    file: i32,
) -> Outcome<Vec<JoinHandle<Outcome>>> {
    let cpus = clock::cpu_count() as u64;
    let body = move || equal(wait(file)?, 1);
    let threads = (0..count).map(|me| Builder::new().cpus(1 << (me % cpus)).spawn(body));
    let threads: Vec<JoinHandle<Outcome>> = threads.collect::<libkq::Result<_>>()?;
    threads.iter().try_for_each(|thread| until_it_waits(thread.thread(), Waits::Notification))?;
    Ok(threads)
}

/// One that lives and several that are killed wait, and then an event comes.
fn killed_in(living: Way, dying: Way) -> Outcome {
    const ROUNDS: u64 = 12;
    let before = books::settled()?;
    for round in 0..ROUNDS {
        let (reader, writer) = pipe()?;
        let set = (living.make)(reader.number())?;
        // Whose turn it is to be woken differs.
        let mut threads = waiting(round % 4, dying.wait, set)?;
        let survivor = waiting(1, living.wait, set)?;
        threads.extend(waiting(3 - round % 4, dying.wait, set)?);
        threads.iter().try_for_each(|thread| thread.thread().kill())?;
        writer.write_all(b"x")?;
        survivor.into_iter().try_for_each(|thread| thread.join()?)?;
        libkq::close(set)?;
    }
    until(|| books::settled() == Ok(before))
}

fn killed_in_poll() -> Outcome {
    let (reader, writer) = pipe()?;
    let before = books::settled()?;
    for _ in 0..4 {
        let threads = waiting(3, poll, reader.number())?;
        equal(books::settled()?, before + 3)?;
        threads.iter().try_for_each(|thread| thread.thread().kill())?;
        until(|| books::settled() == Ok(before))?;
    }
    writer.write_all(b"x")?;
    equal(poll(reader.number())?, 1)
}
