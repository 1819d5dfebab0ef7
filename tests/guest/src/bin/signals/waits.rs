//! Waits that end when a signal is caught, and the masks that they are given.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use abi::error::{ECHILD, EINTR};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, PATIENCE, a_moment};
use libkq::process_calls::{WaitFlags, WaitStatus, getpid, kill, waitpid};
use libkq::signal::{Action, How, SIGCHLD, SignalMask, raise, sigmask, sigpending, sleep, suspend};
use libkq::{Conditions, Descriptor, EpollEvent, EpollFlags, EpollOp, FdSet, KEvent, PollFd, Queue};

use crate::children::{start, wait};
use crate::handler::{CAUGHT, LAST, With, catch, caught, handlers, only};
use crate::{USR1, USR2};

pub const TESTS: &[Test] = &[
    ("r49_a_waiting_kevent_is_interrupted", a_waiting_kevent_is_interrupted),
    ("r1_changes_are_applied_though_the_wait_is_interrupted", changes_are_applied_though_interrupted),
    ("r49_a_signal_of_another_thread_interrupts_one", a_signal_interrupts_one_thread),
    ("r49_suspend_swaps_the_mask", suspend_swaps_the_mask),
    ("r49_a_mask_of_the_call_lets_a_pending_signal_through", the_calls_mask_lets_through),
    ("r49_a_mask_of_the_call_keeps_a_signal_away", the_calls_mask_keeps_away),
    ("r49_every_interface_is_interrupted", every_interface_is_interrupted),
    ("sleep_is_interrupted_and_never_early", sleep_is_interrupted),
    ("a_childs_end_is_sigchld_and_interrupts", a_childs_end_is_sigchld),
];

fn a_waiting_kevent_is_interrupted() -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::user(1).add()])?;
    for round in 0..20 {
        let _with = With::action(USR1, handlers()[round % 2])?;
        let child = start("signals-later", "")?;
        let mut events = [KEvent::default()];
        refused(queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE))), EINTR)?;
        equal(caught(), 1)?;
        wait(&child)?;
    }
    Ok(())
}

fn changes_are_applied_though_interrupted() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let queue = Queue::new()?;
    let child = start("signals-later", "")?;
    let mut events = [KEvent::default()];
    let patiently = Some(Duration::from_nanos(PATIENCE));
    refused(libkq::kevent(queue.number(), &[KEvent::user(5).add()], &mut events, patiently), EINTR)?;
    equal(caught(), 1)?;
    // Only a note that is there can be triggered.
    queue.apply(&[KEvent::user(5).trigger()])?;
    equal(queue.wait(&mut events, patiently)?.len(), 1)?;
    wait(&child).map(drop)
}

fn a_signal_interrupts_one_thread() -> Outcome {
    static HERE: AtomicU32 = AtomicU32::new(0);
    static INTERRUPTED: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicBool = AtomicBool::new(false);
    let _with = With::action(USR1, Action::handler(catch))?;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            rt::thread::spawn(|| -> Outcome {
                let queue = Queue::new()?;
                queue.apply(&[KEvent::user(1).add()])?;
                HERE.fetch_add(1, Ordering::SeqCst);
                while !DONE.load(Ordering::SeqCst) {
                    let mut events = [KEvent::default()];
                    match queue.wait(&mut events, Some(Duration::from_millis(20))) {
                        Ok(_) => {}
                        Err(error) if error.errno == EINTR => _ = INTERRUPTED.fetch_add(1, Ordering::SeqCst),
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(())
            })
        })
        .collect::<abi::error::Result<_>>()?;
    while HERE.load(Ordering::SeqCst) < 4 {
        a_moment();
    }
    // The main thread blocks it, so one of the others handles it.
    sigmask(Some((How::Block, only(USR1))))?;
    for round in 1..=10 {
        kill(getpid(), USR1)?;
        let end = rt::clock::after(PATIENCE);
        while CAUGHT.load(Ordering::SeqCst) < round && rt::clock::now_ns() < end {
            a_moment();
        }
        equal(CAUGHT.load(Ordering::SeqCst), round)?;
    }
    DONE.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join()??;
    }
    ensure(INTERRUPTED.load(Ordering::SeqCst) <= 10, "one thread is interrupted for one signal")
}

fn suspend_swaps_the_mask() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    sigmask(Some((How::Block, only(USR1))))?;
    for _ in 0..20 {
        // Pending or on its way: no moment in between may lose it.
        let child = start("signals", "1")?;
        equal(suspend(SignalMask::empty()).errno, EINTR)?;
        equal((caught(), sigmask(None)?), (1, only(USR1)))?;
        wait(&child)?;
    }
    Ok(())
}

/// The waits that have a mask: for a number to be readable, which it never is.
type Wait = fn(i32, Option<Duration>, Option<SignalMask>) -> libkq::Result<usize>;

const WAITS: [(&str, Wait); 4] = [
    ("ppoll", |idle, timeout, mask| libkq::poll(&mut [PollFd::new(idle, Conditions::IN)], timeout, mask)),
    ("pselect", |idle, timeout, mask| {
        let mut read = FdSet::from_iter([idle]);
        libkq::select(idle + 1, [Some(&mut read), None, None], timeout, mask)
    }),
    ("epoll_pwait", |idle, timeout, mask| {
        let set = libkq::epoll_create1(0)?;
        libkq::epoll_ctl(set, EpollOp::Add, idle, EpollEvent::new(EpollFlags::IN, 1))?;
        let mut events = [EpollEvent::default()];
        let waited = match mask {
            Some(mask) => libkq::epoll_pwait(set, &mut events, timeout, mask),
            None => libkq::epoll_wait(set, &mut events, timeout),
        };
        libkq::close(set)?;
        waited
    }),
    ("DP_PPOLL", |idle, timeout, mask| {
        let set = libkq::open("/dev/poll", libkq::flag::O_RDWR)?;
        libkq::process().devpoll_write(set, &[PollFd::new(idle, Conditions::IN)])?;
        let waited = libkq::process().devpoll_poll(set, &mut [PollFd::default()], timeout, mask);
        libkq::close(set)?;
        waited
    }),
];

fn named(name: &str, outcome: Outcome) -> Outcome {
    outcome.map_err(|failure| Failure::new(alloc::format!("{name}: {failure}")))
}

fn the_calls_mask_lets_through() -> Outcome {
    let (idle, _writer) = Descriptor::pipe()?;
    let patiently = Some(Duration::from_nanos(PATIENCE));
    for action in handlers() {
        let _with = With::action(USR1, action)?;
        sigmask(Some((How::Block, only(USR1))))?;
        for (name, wait) in WAITS {
            raise(USR1)?;
            let waited = wait(idle.number(), patiently, Some(SignalMask::empty()));
            named(name, refused(waited, EINTR))?;
            named(
                name,
                equal((caught(), sigmask(None)?, sigpending()), (1, only(USR1), SignalMask::empty())),
            )?;
            // Without a mask of its own the thread's decides, and with one that has it blocked, that.
            for mask in [None, Some(only(USR1))] {
                raise(USR1)?;
                named(name, equal(wait(idle.number(), Some(Duration::from_millis(2)), mask)?, 0))?;
                named(name, equal((caught(), sigpending()), (0, only(USR1))))?;
                sigmask(Some((How::Unblock, only(USR1))))?;
                sigmask(Some((How::Block, only(USR1))))?;
                named(name, equal(caught(), 1))?;
            }
        }
    }
    Ok(())
}

fn the_calls_mask_keeps_away() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let (idle, _writer) = Descriptor::pipe()?;
    for (name, wait) in WAITS {
        let child = start("signals-later", "")?;
        let begin = rt::clock::now_ns();
        named(name, equal(wait(idle.number(), Some(Duration::from_millis(60)), Some(only(USR1)))?, 0))?;
        ensure(rt::clock::now_ns() - begin >= 60_000_000, "it sleeps on")?;
        self::wait(&child)?;
        raise(0)?;
        named(name, equal((caught(), sigmask(None)?), (1, SignalMask::empty())))?;
    }
    Ok(())
}

fn every_interface_is_interrupted() -> Outcome {
    let (idle, _writer) = Descriptor::pipe()?;
    for ((name, wait), action) in WAITS.into_iter().flat_map(|wait| handlers().map(|action| (wait, action))) {
        let _with = With::action(USR1, action)?;
        for mask in [None, Some(only(USR2))] {
            let child = start("signals-later", "")?;
            named(name, refused(wait(idle.number(), None, mask), EINTR))?;
            named(name, equal(caught(), 1))?;
            self::wait(&child)?;
        }
    }
    Ok(())
}

fn sleep_is_interrupted() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let begin = rt::clock::now_ns();
    sleep(Duration::from_millis(5))?;
    ensure(rt::clock::now_ns() - begin >= 5_000_000, "never early")?;
    let child = start("signals-later", "")?;
    refused(sleep(Duration::from_nanos(PATIENCE)), EINTR)?;
    equal(caught(), 1)?;
    wait(&child).map(drop)
}

fn a_childs_end_is_sigchld() -> Outcome {
    let _with = With::action(i32::from(SIGCHLD), Action::handler(catch))?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::user(1).add()])?;
    let child = start("ends", "3")?;
    let mut events = [KEvent::default()];
    refused(queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE))), EINTR)?;
    equal((caught(), LAST.load(Ordering::SeqCst)), (1, u32::from(SIGCHLD)))?;
    equal(waitpid(-1, WaitFlags::NOHANG)?, Some((child.pid(), WaitStatus(0x300))))?;
    refused(waitpid(child.pid(), WaitFlags::empty()), ECHILD)
}
