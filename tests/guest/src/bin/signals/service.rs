//! Many signals, and the service that carries them dies.

use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EINTR, ENODEV};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::operator;
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, PATIENCE, a_moment, child};
use libkq::event::note::EXIT;
use libkq::process_calls::{Child, Command, WaitFlags, WaitStatus, getpid, waitpid};
use libkq::signal::{Action, SIGKILL, SIGUSR1, SignalMask, raise, sigpending, sleep};
use libkq::{Filter, KEvent, Queue};

use crate::children::{start, wait};
use crate::handler::{With, catch, caught};
use crate::{PROGRAM, USR1};

pub const TESTS: &[Test] = &[
    ("no_signal_is_lost_in_a_storm", no_signal_is_lost_in_a_storm),
    ("r57_a_service_that_dies_comes_back", a_service_that_dies_comes_back),
];

/// Children on all CPUs signal while the parent waits: each burst is seen at least once, and never slept through.
fn no_signal_is_lost_in_a_storm() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::user(1).add()])?;
    let children: Vec<Child> = (0..4).map(|_| start("signals", "200")).collect::<Outcome<_>>()?;
    let mut left = children.len();
    let end = rt::clock::after(PATIENCE);
    while left > 0 {
        ensure(rt::clock::now_ns() < end, "the storm passes")?;
        let mut events = [KEvent::default()];
        match queue.wait(&mut events, Some(Duration::from_millis(10))) {
            Ok(_) => {}
            Err(error) if error.errno == EINTR => {}
            Err(error) => return Err(error.into()),
        }
        while let Ok(Some((_, status))) = waitpid(-1, WaitFlags::NOHANG) {
            equal(status, WaitStatus(0))?;
            left -= 1;
        }
    }
    raise(0)?;
    ensure(caught() > 0, "the handler ran")?;
    equal(sigpending(), SignalMask::empty())
}

/// The saboteur of the manifest ends the service when it sees a process of this name.
fn a_service_that_dies_comes_back() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let service = || -> Outcome<Option<u32>> { Ok(operator::find("process")?.map(|service| service.pid)) };
    let queue = Queue::new()?;
    queue
        .apply(&[KEvent::process(getpid(), EXIT).add(), KEvent::new(SIGUSR1.into(), Filter::SIGNAL).add()])?;
    let before = service()?;
    let bomb = Command::new(PROGRAM).name("bomb").argument(child::ROLE).argument("sleeps").spawn()?;
    // R57: each note is told once.
    let mut filters = Vec::new();
    while filters.len() < 2 {
        let mut events = [KEvent::default(); 4];
        match queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE))) {
            Ok([]) => return Err(Failure::new("a dead service is not told of")),
            Ok(events) => {
                for event in events {
                    ensure(event.is_eof(), "the end of the service")?;
                    filters.push(event.filter);
                }
            }
            Err(error) if error.errno == EINTR => {}
            Err(error) => return Err(error.into()),
        }
    }
    filters.sort_unstable();
    equal(filters, [Filter::SIGNAL, Filter::PROC].to_vec())?;
    let end = rt::clock::after(PATIENCE);
    while service()?.is_none_or(|pid| Some(pid) == before) {
        ensure(rt::clock::now_ns() < end, "the service is started again")?;
        a_moment();
    }
    // It is told of the handler again, sooner or later.
    loop {
        match raise(USR1) {
            Ok(()) => break,
            Err(error) if error.errno == ENODEV => a_moment(),
            Err(error) => return Err(error.into()),
        }
    }
    while caught() == 0 {
        ensure(rt::clock::now_ns() < end, "the handler runs again")?;
        refused(sleep(Duration::from_nanos(PATIENCE)), EINTR)?;
    }
    // It knows the processes that there are, and new notes have a new stream.
    queue.apply(&[KEvent::process(bomb.pid(), EXIT).add()])?;
    bomb.kill(i32::from(SIGKILL))?;
    let mut events = [KEvent::default()];
    loop {
        match queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE))) {
            Ok(events) => {
                equal(events.first().map(|event| (event.ident, event.data)), Some((bomb.pid() as usize, 9)))?;
                return wait(&bomb).map(drop);
            }
            Err(error) if error.errno == EINTR => {}
            Err(error) => return Err(error.into()),
        }
    }
}
