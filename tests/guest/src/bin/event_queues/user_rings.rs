//! Rings that threads of a process share, some of which die.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::status::Waits;
use guest_tests::crew::until;
use guest_tests::failure::equal;
use guest_tests::looks::{NOW, PATIENTLY};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment, until_it_waits};
use libkq::KEvent;
use libkq::machine::Machine;
use libkq::user_ring::UserRing;
use rt::thread::Builder;

pub const TESTS: &[Test] = &[
    ("r58_what_a_dead_thread_did_not_commit_reaches_another", a_dead_threads_event_reaches_another),
    ("r58_who_is_killed_in_its_wait_swallows_nothing", who_is_killed_in_its_wait_swallows_nothing),
];

/// A ring over a queue in which event 3 is when it is triggered.
fn ring() -> Outcome<(i32, Arc<UserRing<Machine>>)> {
    let kq = libkq::kqueue()?;
    Ok((kq, Arc::new(UserRing::new(libkq::process().queue(kq)?, 4)?)))
}

fn trigger(kq: i32) -> Outcome {
    Ok(libkq::kevent(kq, &[KEvent::user(3).add().oneshot().trigger()], &mut [], NOW).map(drop)?)
}

/// A thread that takes an event from the ring, waiting for it, and commits it.
fn taker(ring: &Arc<UserRing<Machine>>) -> Outcome<rt::thread::JoinHandle<Outcome>> {
    let ring = ring.clone();
    Ok(Builder::new().spawn(move || {
        let taken = ring.take(libkq::process(), PATIENTLY)?.ok_or(Failure::new("nothing came"))?;
        equal(taken.event().ident, 3)?;
        Ok(taken.commit()?)
    })?)
}

/// Killed between the claim and the commit, or at its end.
fn a_dead_threads_event_reaches_another() -> Outcome {
    for round in 0..8 {
        let (kq, ring) = ring()?;
        trigger(kq)?;
        let claimed = Arc::new(AtomicBool::new(false));
        let (says, takes, ends) = (claimed.clone(), ring.clone(), round % 4 == 3);
        let dying = Builder::new().spawn(move || {
            let taken = takes.take(libkq::process(), PATIENTLY);
            core::mem::forget(taken);
            says.store(true, Ordering::SeqCst);
            if !ends {
                rt::thread::sleep(u64::MAX);
            }
        })?;
        until(|| claimed.load(Ordering::SeqCst))?;
        let other = taker(&ring)?;
        if round % 2 == 0 {
            a_moment();
        }
        if !ends {
            until_it_waits(dying.thread(), Waits::Futex)?;
            dying.thread().kill()?;
        }
        other.join()??;
        libkq::close(kq)?;
    }
    Ok(())
}

fn who_is_killed_in_its_wait_swallows_nothing() -> Outcome {
    for round in 0..8 {
        let (kq, ring) = ring()?;
        let threads = [taker(&ring)?, taker(&ring)?, taker(&ring)?];
        threads.iter().try_for_each(|thread| until_it_waits(thread.thread(), Waits::Notification))?;
        for (at, thread) in threads.iter().enumerate() {
            if at != round % 3 {
                thread.thread().kill()?;
            }
        }
        trigger(kq)?;
        threads.into_iter().nth(round % 3).ok_or(Failure::new("there are three"))?.join()??;
        libkq::close(kq)?;
    }
    Ok(())
}
