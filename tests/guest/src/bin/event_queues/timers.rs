//! Timers and timeouts.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EINVAL, ENOENT};
use guest_tests::books;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{next, ready};
use guest_tests::suite::Test;
use guest_tests::{Outcome, soon};
use libkq::event::note;
use libkq::{Filter, KEvent, Queue};
use rt::clock;

pub const TESTS: &[Test] = &[
    ("r25_timers_count_and_are_never_early", timers_count_and_are_never_early),
    ("r25_a_timer_does_not_drift", a_timer_does_not_drift),
    ("r25_adding_again_begins_anew", adding_again_begins_anew),
    ("r26_zero_is_one_unit", zero_is_one_unit),
    ("r26_huge_and_negative_periods_and_times", huge_and_negative_periods),
    ("r48_a_timeout_is_never_early", a_timeout_is_never_early),
    ("r59_a_timer_that_nobody_reads_is_one_note", a_timer_that_nobody_reads),
];

fn timers_count_and_are_never_early() -> Outcome {
    let queue = Queue::new()?;
    const PERIOD: u64 = 2_000_000;
    let begin = clock::now_ns();
    queue.apply(&[KEvent::timer(5).every(Duration::from_nanos(PERIOD))])?;
    let mut count = 0;
    while count < 20 {
        let event = next(&queue)?;
        equal((event.ident, event.filter), (5, Filter::TIMER))?;
        count += event.data as u64;
        ensure(clock::now_ns() >= begin + count * PERIOD, "no expiration is early")?;
    }
    rt::thread::sleep(10 * PERIOD);
    // Expirations are counted while nobody looks.
    let due = (clock::now_ns() - begin) / PERIOD - 1;
    while count < due {
        count += next(&queue)?.data as u64;
        ensure(clock::now_ns() >= begin + count * PERIOD, "no expiration is early")?;
    }
    Ok(())
}

fn a_timer_does_not_drift() -> Outcome {
    const PERIOD: u64 = 200_000;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::timer(5).every(Duration::from_nanos(PERIOD))])?;
    // It began no later than this.
    let (begin, deadline) = (clock::now_ns(), soon());
    rt::thread::sleep(3000 * PERIOD);
    // One look tells of all that has expired, unless the driver is just at it. Who begins each period at the end of the one
    // before is behind by more with each, and never up to date again.
    let mut count = 0;
    loop {
        let due = (clock::now_ns() - begin) / PERIOD;
        count += ready(&queue)?.iter().map(|event| event.data as u64).sum::<u64>();
        if count >= due {
            return Ok(());
        }
        ensure(clock::now_ns() < deadline, "it is up to date at some time")?;
        rt::thread::sleep(20 * PERIOD + PERIOD / 2);
    }
}

fn adding_again_begins_anew() -> Outcome {
    const PERIOD: u64 = 3_000_000;
    let period = Duration::from_nanos(PERIOD);
    let queue = Queue::new()?;
    let expired = || -> Outcome {
        queue.apply(&[KEvent::timer(5).every(period)])?;
        equal(next(&queue)?.ident, 5)?;
        rt::thread::sleep(5 * PERIOD);
        Ok(())
    };
    // What was counted is dropped.
    expired()?;
    queue.apply(&[KEvent::timer(5).every(Duration::from_secs(3600))])?;
    equal(ready(&queue)?, vec![])?;
    rt::thread::sleep(2 * PERIOD);
    equal(ready(&queue)?, vec![])?;
    // The first period begins with the call, not with one before it.
    expired()?;
    rt::thread::sleep(PERIOD / 2);
    let begin = clock::now_ns();
    queue.apply(&[KEvent::timer(5).every(period)])?;
    let event = next(&queue)?;
    ensure(clock::now_ns() >= begin + event.data as u64 * PERIOD, "all of it has passed")?;
    // The same of one that runs once, and then is no more.
    expired()?;
    let begin = clock::now_ns();
    queue.apply(&[KEvent::timer(5).after(period)])?;
    equal(next(&queue)?.data, 1)?;
    ensure(clock::now_ns() >= begin + PERIOD, "all of it has passed")?;
    rt::thread::sleep(3 * PERIOD);
    equal(ready(&queue)?, vec![])?;
    refused(queue.apply(&[KEvent::timer(5).delete()]), ENOENT)
}

/// A timer of so many units, which `fflags` names.
fn timer(ident: usize, data: i64, fflags: u32) -> KEvent {
    KEvent { data, fflags, ..KEvent::timer(ident).add() }
}

/// The units, by name and in nanoseconds.
const UNITS: [(u32, u64); 5] = [
    (note::NSECONDS, 1),
    (note::USECONDS, 1_000),
    (0, 1_000_000),
    (note::MSECONDS, 1_000_000),
    (note::SECONDS, 1_000_000_000),
];

fn zero_is_one_unit() -> Outcome {
    let queue = Queue::new()?;
    for (name, unit) in UNITS {
        let begin = clock::now_ns();
        queue.apply(&[timer(1, 0, name).oneshot()])?;
        let event = next(&queue)?;
        ensure(clock::now_ns() >= begin + unit, "a unit has passed")?;
        equal((event.ident, event.data), (1, 1))?;
        refused(queue.apply(&[KEvent::timer(1).delete()]), ENOENT)?;
    }
    let (begin, mut count) = (clock::now_ns(), 0);
    queue.apply(&[timer(2, 0, note::MSECONDS)])?;
    while count < 5 {
        count += next(&queue)?.data as u64;
        ensure(clock::now_ns() >= begin + count * 1_000_000, "so many units have passed")?;
    }
    Ok(())
}

fn huge_and_negative_periods() -> Outcome {
    let queue = Queue::new()?;
    for (name, _) in UNITS {
        for fflags in [name, name | note::ABSTIME] {
            for data in [-1, i64::MIN] {
                refused(queue.apply(&[timer(1, data, fflags)]), EINVAL)?;
            }
            refused(queue.apply(&[KEvent::timer(1).delete()]), ENOENT)?;
        }
    }
    let huge: Vec<KEvent> = UNITS
        .iter()
        .enumerate()
        .flat_map(|(at, (name, _))| {
            let ident = 10 * at;
            [
                timer(ident, i64::MAX, *name),
                timer(ident + 1, i64::MAX, *name).oneshot(),
                timer(ident + 2, i64::MAX, *name | note::ABSTIME),
                // The least that does not fit in nanoseconds, and would be early by what is left of it.
                timer(ident + 3, i64::MAX / 2 + 2, *name),
            ]
        })
        .collect();
    queue.apply(&huge)?;
    // A time that is past is told at once, and while it is, nothing else.
    for round in 0..3 {
        queue.apply(&[timer(5, round, note::NSECONDS | note::ABSTIME)])?;
        let event = next(&queue)?;
        equal((event.ident, event.data), (5, 1))?;
    }
    rt::thread::sleep(5_000_000);
    equal(ready(&queue)?, vec![])?;
    // All of them are there, and wait.
    let deletes: Vec<KEvent> = huge.iter().map(|change| KEvent::timer(change.ident).delete()).collect();
    Ok(queue.apply(&deletes)?)
}

fn a_timeout_is_never_early() -> Outcome {
    let queue = Queue::new()?;
    let mut events = [KEvent::default()];
    for micros in [1, 50, 400, 3000] {
        let timeout = Duration::from_micros(micros);
        let begin = clock::now_ns();
        equal(queue.wait(&mut events, Some(timeout))?.len(), 0)?;
        ensure(clock::now_ns() - begin >= timeout.as_nanos() as u64, "the timeout has passed")?;
    }
    Ok(())
}

fn a_timer_that_nobody_reads() -> Outcome {
    const TIMES: u64 = 5_000_000;
    let queue = Queue::new()?;
    let begin = clock::now_ns();
    queue.apply(&[timer(6, 1, note::NSECONDS)])?;
    let before = books::notes()?;
    rt::thread::sleep(TIMES + 2_000_000);
    equal(books::notes()?, before)?;
    let (mut told, deadline) = (0, soon());
    // One event for all of them; those of the last moments may be on their way.
    for look in 0.. {
        let events = ready(&queue)?;
        ensure(events.len() <= 1, "one event")?;
        told += events.iter().map(|event| event.data as u64).sum::<u64>();
        ensure(told <= clock::now_ns() - begin, "none is early")?;
        if look == 0 {
            ensure(told > 1_000_000, "a million in one event")?;
        }
        if told >= TIMES {
            break;
        }
        ensure(clock::now_ns() < deadline, "all are told")?;
    }
    queue.apply(&[KEvent::timer(6).delete()])?;
    equal(ready(&queue)?, vec![])
}
