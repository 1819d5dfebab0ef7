//! Waits that are cancelled (R58).

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::error::EINTR;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::interruption::Interruption;
use libkq::platform::Platform;
use libkq::user_ring::UserRing;
use libkq::{EpollEvent, EpollFlags, EpollSet, Filter, KEvent, Queue, SignalMask, kevent, process};
use rt::sync::{Mutex, OnceLock};
use rt::thread;

use guest_tests::crew::{Crew, until};
use guest_tests::looks::{NOW, PATIENTLY, drain, only, pipe, ready};

pub const TESTS: &[Test] = &[
    ("r58_a_cancelled_wait_loses_no_event", loses_no_event),
    ("r58_a_cancelled_epoll_wait_loses_no_event", epoll_loses_no_event),
    ("r1_changes_of_an_interrupted_call_were_all_made", changes_were_made),
    ("r58_what_a_cancelled_thread_had_taken_is_anothers", taken_is_anothers),
];

/// Threads whose waits are cancelled. To libkq it is what knows of signals.
struct Cancelled(Mutex<Vec<u64>>);

static CANCELLED: OnceLock<Arc<Cancelled>> = OnceLock::new();

impl Interruption for Cancelled {
    fn enter(&self, _: Option<SignalMask>) -> SignalMask {
        SignalMask::empty()
    }

    fn is_due(&self) -> bool {
        self.0.lock().contains(&this_thread())
    }

    fn leave(&self, _: SignalMask) {
        let own = this_thread();
        self.0.lock().retain(|&thread| thread != own);
    }
}

fn cancelled() -> &'static Cancelled {
    CANCELLED.get_or_init(|| {
        let cancelled = Arc::new(Cancelled(Mutex::new(Vec::new())));
        process().set_interruption(cancelled.clone());
        cancelled
    })
}

/// Cancels the wait of a thread: the one that it is in, or its next.
fn cancel(thread: u64) {
    let mut threads = cancelled().0.lock();
    if !threads.contains(&thread) {
        threads.push(thread);
    }
    drop(threads);
    process().interrupt(thread);
}

/// Threads that can be cancelled, and one that does it all the time.
struct Interrupted {
    threads: Arc<Vec<AtomicU64>>,
    stop: Arc<AtomicBool>,
}

impl Interrupted {
    fn new(count: u64) -> Interrupted {
        let threads = (0..count).map(|_| AtomicU64::new(0)).collect();
        Interrupted { threads: Arc::new(threads), stop: Arc::new(AtomicBool::new(false)) }
    }

    fn count(&self) -> u64 {
        self.threads.len() as u64
    }

    fn start(&self) -> Outcome<Crew> {
        Crew::start(1, |_| {
            let (threads, stop) = (self.threads.clone(), self.stop.clone());
            move || {
                while !stop.load(Ordering::SeqCst) {
                    for thread in threads.iter() {
                        cancel(thread.load(Ordering::SeqCst));
                    }
                    thread::sleep(15_000);
                }
                Ok(())
            }
        })
    }
}

fn this_thread() -> u64 {
    process().platform().thread()
}

fn loses_no_event() -> Outcome {
    const ROUNDS: u64 = 150;
    let (queue, (reader, writer)) = (Arc::new(Queue::new()?), pipe()?);
    queue.apply(&[KEvent::read(reader.number()).add().clear(), KEvent::user(1).add().clear()])?;
    let interrupted = Interrupted::new(2 * rt::clock::cpu_count() as u64);
    let (taken, cancelled) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let crew = Crew::start(interrupted.count(), |me| {
        let (queue, taken, cancelled) = (queue.clone(), taken.clone(), cancelled.clone());
        let threads = interrupted.threads.clone();
        move || {
            threads[me as usize].store(this_thread(), Ordering::SeqCst);
            loop {
                let mut events = [KEvent::default()];
                match queue.wait(&mut events, PATIENTLY) {
                    Ok([event]) if event.udata == usize::MAX => return Ok(()),
                    Ok(events) => taken.fetch_add(events.len() as u64, Ordering::SeqCst),
                    Err(error) if error.errno == EINTR => cancelled.fetch_add(1, Ordering::SeqCst),
                    Err(error) => return Err(error.into()),
                };
            }
        }
    })?;
    let interrupter = interrupted.start()?;
    for round in 1..=ROUNDS {
        if round % 2 == 0 {
            writer.write_all(b"x")?;
        } else {
            queue.apply(&[KEvent::user(1).trigger()])?;
        }
        until(|| taken.load(Ordering::SeqCst) >= round)?;
        if round % 2 == 0 {
            drain(&reader, 1)?;
        }
    }
    until(|| cancelled.load(Ordering::SeqCst) > 20)?;
    queue.apply(&[KEvent::user(0).add().trigger().udata(usize::MAX)])?;
    crew.join()?;
    interrupted.stop.store(true, Ordering::SeqCst);
    interrupter.join()?;
    equal(taken.load(Ordering::SeqCst), ROUNDS)
}

fn epoll_loses_no_event() -> Outcome {
    const ROUNDS: u64 = 80;
    let (set, (reader, writer), (end, ender)) = (Arc::new(EpollSet::new()?), pipe()?, pipe()?);
    set.add(reader.number(), EpollFlags::IN | EpollFlags::ET, 1)?;
    set.add(end.number(), EpollFlags::IN, 2)?;
    let interrupted = Interrupted::new(2 * rt::clock::cpu_count() as u64);
    let taken = Arc::new(AtomicU64::new(0));
    let crew = Crew::start(interrupted.count(), |me| {
        let (set, taken, threads) = (set.clone(), taken.clone(), interrupted.threads.clone());
        move || {
            threads[me as usize].store(this_thread(), Ordering::SeqCst);
            loop {
                let mut events = [EpollEvent::default()];
                match set.wait(&mut events, PATIENTLY) {
                    Ok([event]) if event.data() == 2 => return Ok(()),
                    Ok(events) => _ = taken.fetch_add(events.len() as u64, Ordering::SeqCst),
                    Err(error) if error.errno == EINTR => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    })?;
    let interrupter = interrupted.start()?;
    for round in 1..=ROUNDS {
        writer.write_all(b"x")?;
        until(|| taken.load(Ordering::SeqCst) >= round)?;
        drain(&reader, 1)?;
    }
    ender.write_all(b"x")?;
    crew.join()?;
    interrupted.stop.store(true, Ordering::SeqCst);
    interrupter.join()?;
    equal(taken.load(Ordering::SeqCst), ROUNDS)
}

fn changes_were_made() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    let me = this_thread();
    for round in 0..20 {
        let waits = Arc::new(AtomicBool::new(true));
        let interrupter = {
            let waits = waits.clone();
            thread::spawn(move || {
                while waits.load(Ordering::SeqCst) {
                    cancel(me);
                    thread::sleep(10_000);
                }
            })?
        };
        let changes = [KEvent::user(round).add().udata(round), KEvent::read(reader.number()).add().oneshot()];
        let call = kevent(queue.number(), &changes, &mut [KEvent::default(); 2], PATIENTLY);
        waits.store(false, Ordering::SeqCst);
        interrupter.join()?;
        cancelled().leave(SignalMask::empty());
        refused(call, EINTR)?;
        // All of them, and none of them twice.
        queue.apply(&[KEvent::user(round).trigger().udata(round)])?;
        writer.write_all(b"x")?;
        let mut filters: Vec<Filter> = ready(&queue)?.iter().map(|event| event.filter).collect();
        filters.sort_unstable();
        equal(filters, vec![Filter::USER, Filter::READ])?;
        queue.apply(&[KEvent::user(round).delete()])?;
        drain(&reader, 1)?;
    }
    // A call without room does not wait, so it is not cancelled.
    cancel(me);
    equal(kevent(queue.number(), &[KEvent::user(99).add().trigger()], &mut [], PATIENTLY)?, 0)?;
    cancelled().leave(SignalMask::empty());
    equal(only(&queue)?.ident, 99)
}

fn taken_is_anothers() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    let ring = Arc::new(UserRing::new(process().queue(queue.number())?, 4)?);
    queue.apply(&[KEvent::read(reader.number()).add().clear()])?;
    for round in 0..10 {
        writer.write_all(b"x")?;
        // A thread takes the event and is cancelled before it is done with it.
        let theirs = ring.clone();
        let lost = thread::spawn(move || -> libkq::Result<(u64, usize)> {
            let taken = theirs.take(process(), PATIENTLY)?;
            let ident = taken.as_ref().map_or(0, |taken| taken.event().ident);
            match round % 2 {
                // Unwound: it gives it back itself.
                0 => drop(taken),
                // Never heard of again.
                _ => core::mem::forget(taken),
            }
            Ok((this_thread(), ident))
        })?;
        let (thread, ident) = lost.join()??;
        equal(ident, reader.number() as usize)?;
        if round % 2 == 1 {
            // It may be known already that the thread is no more.
            ensure(ring.recover(thread) <= 1, "it had taken one event")?;
        }
        let again = ring.take(process(), PATIENTLY)?;
        equal(again.as_ref().map(|taken| taken.event().ident), Some(ident))?;
        again.map_or(Ok(()), |taken| taken.commit())?;
        ensure(ring.take(process(), NOW)?.is_none(), "committed once")?;
        drain(&reader, 1)?;
        a_moment();
    }
    Ok(())
}
