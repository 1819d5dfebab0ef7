//! Many signallers on all CPUs: no bit and no wake-up is lost.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::Rights;
use abi::error::{ETIMEDOUT, Error, Result};
use guest_tests::failure::{ensure, equal};
use guest_tests::{Outcome, Suite, soon};
use rt::clock;
use rt::sys::{Endpoint, Notification, Object};
use rt::thread::{self, Builder, JoinHandle};

rt::entry!(main);

/// Signallers in each test.
const SIGNALLERS: usize = 8;
/// Signals of each of them.
const SIGNALS: u64 = 20_000;

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    suite.table(&[
        ("one_waiter_sees_the_last_of_each", one_waiter_sees_the_last_of_each),
        ("a_receiver_sees_the_last_of_each", a_receiver_sees_the_last_of_each),
        ("several_waiters_lose_nothing", several_waiters_lose_nothing),
        ("each_answered_signal_is_one_wake_up", each_answered_signal_is_one_wake_up),
        ("signals_race_with_deadlines", signals_race_with_deadlines),
    ]);
    suite.finish()
}

/// What each signaller has done: it counts, then it signals, so who was woken by the last signal sees the last count.
type Counts = Arc<[AtomicU64; SIGNALLERS]>;

fn storm(word: &Notification, counts: &Counts) -> Result<Vec<JoinHandle<Result<()>>>> {
    let cpus = clock::cpu_count();
    (0..SIGNALLERS)
        .map(|me| {
            let counts = counts.clone();
            let handle = word.with_badge(Rights::all(), 1 << me)?;
            Builder::new().cpus(1 << (me % cpus)).spawn(move || {
                for _ in 0..SIGNALS {
                    counts[me].fetch_add(1, Ordering::Release);
                    handle.signal(u64::MAX)?;
                }
                Ok(())
            })
        })
        .collect()
}

fn counts() -> Counts {
    Arc::new([const { AtomicU64::new(0) }; SIGNALLERS])
}

/// Looks at the counts of those whose bit came; true when all are at their end.
fn look(bits: u64, seen: &mut [u64; SIGNALLERS], counts: &Counts) -> Outcome<bool> {
    equal(bits >> SIGNALLERS, 0)?;
    for (me, seen) in seen.iter_mut().enumerate() {
        if bits & 1 << me != 0 {
            *seen = counts[me].load(Ordering::Acquire);
        }
    }
    Ok(seen.iter().all(|&count| count == SIGNALS))
}

fn join(signallers: Vec<JoinHandle<Result<()>>>) -> Outcome {
    for signaller in signallers {
        signaller.join()??;
    }
    Ok(())
}

fn one_waiter_sees_the_last_of_each() -> Outcome {
    let (word, counts) = (Notification::create()?, counts());
    let signallers = storm(&word, &counts)?;
    let (mut seen, mut wake_ups) = ([0; SIGNALLERS], 0u64);
    // A lost wake-up is a wait that its deadline ends.
    while !look(word.wait(soon())?, &mut seen, &counts)? {
        wake_ups += 1;
    }
    join(signallers)?;
    ensure(wake_ups < SIGNALLERS as u64 * SIGNALS, "no more wake-ups than signals")?;
    // A bit may be left of a signal whose count was seen before.
    word.poll()?;
    equal(word.poll()?, 0)
}

fn a_receiver_sees_the_last_of_each() -> Outcome {
    thread::spawn(|| {
        let (word, counts) = (Notification::create()?, counts());
        let endpoint = Endpoint::create()?;
        word.bind(None)?;
        let signallers = storm(&word, &counts)?;
        let mut seen = [0; SIGNALLERS];
        loop {
            let received = endpoint.recv(soon())?;
            let bits = received.notification().unwrap_or(u64::MAX);
            if look(bits, &mut seen, &counts)? {
                break;
            }
        }
        join(signallers)
    })?
    .join()?
}

fn several_waiters_lose_nothing() -> Outcome {
    const WAITERS: usize = 4;
    let (word, counts) = (Arc::new(Notification::create()?), counts());
    let taken: Counts = self::counts();
    let done = Arc::new(AtomicBool::new(false));
    let waiters = (0..WAITERS)
        .map(|_| {
            let (word, counts, taken, done) = (word.clone(), counts.clone(), taken.clone(), done.clone());
            thread::spawn(move || -> Outcome<u64> {
                let mut wake_ups = 0;
                while !done.load(Ordering::Acquire) {
                    let bits = word.wait(soon())?;
                    wake_ups += 1;
                    for me in (0..SIGNALLERS).filter(|me| bits & 1 << me != 0) {
                        let count = counts[me].load(Ordering::Acquire);
                        taken[me].fetch_max(count, Ordering::AcqRel);
                    }
                }
                Ok(wake_ups)
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let signallers = storm(&word, &counts)?;
    join(signallers)?;
    let deadline = soon();
    // Whichever of them took the last bit of a signaller has seen its last count.
    while taken.iter().any(|count| count.load(Ordering::Acquire) != SIGNALS) {
        ensure(clock::now_ns() < deadline, "some waiter sees the last signal of each")?;
        thread::sleep(100_000);
    }
    done.store(true, Ordering::Release);
    for waiter in &waiters {
        while !waiter.is_finished() {
            word.signal(1 << (SIGNALLERS - 1))?;
            thread::sleep(100_000);
        }
    }
    for waiter in waiters {
        waiter.join()??;
    }
    Ok(())
}

fn each_answered_signal_is_one_wake_up() -> Outcome {
    const ROUNDS: u64 = 1000;
    let cpus = clock::cpu_count();
    let pairs = (0..4)
        .map(|pair| {
            let (there, back) = (Arc::new(Notification::create()?), Arc::new(Notification::create()?));
            let (heard, answer) = (there.clone(), back.clone());
            let follower = Builder::new().cpus(1 << (pair % cpus)).spawn(move || -> Outcome {
                for round in 1..=ROUNDS {
                    equal(heard.wait(soon())?, round)?;
                    answer.signal(round)?;
                }
                Ok(())
            })?;
            let leader = Builder::new().cpus(1 << ((pair + 1) % cpus)).spawn(move || -> Outcome {
                for round in 1..=ROUNDS {
                    equal(there.signal_and_wait(round, &back, soon())?, round)?;
                }
                Ok(())
            })?;
            Ok([leader, follower])
        })
        .collect::<Result<Vec<_>>>()?;
    for player in pairs.into_iter().flatten() {
        player.join()??;
    }
    Ok(())
}

fn signals_race_with_deadlines() -> Outcome {
    const SENT: u64 = 500;
    let word = Arc::new(Notification::create()?);
    let sender = word.clone();
    let last = clock::cpu_count() - 1;
    // One bit at a time, and the next one only when it was taken: the sum of what was taken is exact, whether a wait ended
    // by the signal, by the deadline, or by both at once.
    let taken = Arc::new(AtomicU64::new(0));
    let told = taken.clone();
    let signaller = Builder::new().cpus(1 << last).spawn(move || -> Outcome {
        for round in 0..SENT {
            sender.signal(1)?;
            let deadline = soon();
            while told.load(Ordering::Acquire) <= round {
                ensure(clock::now_ns() < deadline, "every signal is taken")?;
                thread::yield_now();
            }
            thread::sleep(round * 7919 % 60_000);
        }
        Ok(())
    })?;
    let mut round = 0u64;
    while taken.load(Ordering::Relaxed) < SENT {
        round += 1;
        match word.wait(clock::after(round * 104_729 % 60_000)) {
            Ok(bits) => {
                equal(bits, 1)?;
                taken.fetch_add(1, Ordering::Release);
            }
            Err(error) => equal(error, Error::new(ETIMEDOUT))?,
        }
        ensure(!signaller.is_finished() || taken.load(Ordering::Relaxed) == SENT, "the signaller goes on")?;
    }
    signaller.join()??;
    equal(word.poll()?, 0)
}
