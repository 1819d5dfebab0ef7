//! The timer queue and its times.

use abi::error::{EINVAL, Error};
use abi::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use driver_sdk::Arm;
use proptest::prelude::*;
use std::collections::BTreeMap;
use timer::driver::schedule;
use timer::queue::{LEAST_WAKE, Queue, Schedule};

fn expired(queue: &mut Queue<u8>, now: u64) -> Vec<(u8, u64)> {
    std::iter::from_fn(|| queue.expire(now)).collect()
}

#[test]
fn r25_a_periodic_timer_does_not_drift_however_late_it_is_looked_at() {
    let mut queue = Queue::new();
    queue.arm(1, Schedule { first: 1_000_000, period: Some(1_000_000) });
    assert_eq!(expired(&mut queue, 999_999), []);
    assert_eq!(expired(&mut queue, 1_400_000), [(1, 1)]);
    assert_eq!(queue.deadline(), 2_000_000, "not 2.4");
    assert_eq!(expired(&mut queue, 5_900_000), [(1, 4)], "those missed are counted");
    assert_eq!(queue.deadline(), 6_000_000);
}

#[test]
fn r25_arming_again_starts_anew() {
    let mut queue = Queue::new();
    queue.arm(1, Schedule { first: 100, period: Some(100_000) });
    queue.arm(1, Schedule { first: 900, period: None });
    assert_eq!(queue.len(), 1);
    assert_eq!(expired(&mut queue, 500), []);
    assert_eq!(expired(&mut queue, 900), [(1, 1)]);
    assert!(queue.is_empty());
    assert_eq!(queue.deadline(), u64::MAX);
}

#[test]
fn r26_huge_times_never_come_and_do_not_overflow() {
    let arm = Arm { first: i64::MAX, period: Some(i64::MAX), absolute: false, clock: CLOCK_MONOTONIC as u32 };
    let far = schedule(&arm, u64::MAX - 5, 0).unwrap();
    assert_eq!(far.first, u64::MAX);
    let mut queue = Queue::new();
    queue.arm(1, far);
    queue.arm(2, Schedule { first: 10, period: Some(u64::MAX) });
    assert_eq!(expired(&mut queue, 10), [(2, 1)]);
    assert_eq!(expired(&mut queue, u64::MAX), []);
}

#[test]
fn r26_negative_times_are_invalid() {
    let monotonic = Arm { first: 1, period: Some(1), absolute: false, clock: CLOCK_MONOTONIC as u32 };
    assert!(schedule(&monotonic, 0, 0).is_ok());
    let invalid = Err(Error::new(EINVAL));
    assert_eq!(schedule(&Arm { first: -1, ..monotonic }, 0, 0), invalid);
    assert_eq!(schedule(&Arm { first: i64::MIN, absolute: true, ..monotonic }, 0, 0), invalid);
    assert_eq!(schedule(&Arm { period: Some(-1), ..monotonic }, 0, 0), invalid);
    assert_eq!(schedule(&Arm { clock: 99, ..monotonic }, 0, 0), invalid);
}

#[test]
fn r26_absolute_times_in_the_past_are_now() {
    let (now, offset) = (5_000, 1_000_000);
    let arm = |first, clock: usize| Arm { first, period: None, absolute: true, clock: clock as u32 };
    assert_eq!(schedule(&arm(10, CLOCK_MONOTONIC), now, offset).unwrap().first, now);
    assert_eq!(schedule(&arm(7_000, CLOCK_MONOTONIC), now, offset).unwrap().first, 7_000);
    assert_eq!(schedule(&arm(10, CLOCK_REALTIME), now, offset).unwrap().first, now);
    assert_eq!(schedule(&arm(1_007_000, CLOCK_REALTIME), now, offset).unwrap().first, 7_000);
}

#[test]
fn r26_a_period_of_nothing_counts_and_leaves_the_cpu_to_others() {
    let mut queue = Queue::new();
    queue.arm(1, Schedule { first: 1000, period: Some(0) });
    assert_eq!(expired(&mut queue, 1000), [(1, 1)]);
    assert_eq!(queue.deadline(), 1000 + LEAST_WAKE);
    assert_eq!(expired(&mut queue, 1000 + LEAST_WAKE), [(1, LEAST_WAKE)]);
}

#[derive(Clone, Debug)]
enum Step {
    Arm(u8, u64, Option<u64>),
    Disarm(u8),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let period = prop::option::of(prop_oneof![0u64..10, LEAST_WAKE..LEAST_WAKE * 9, Just(u64::MAX)]);
    prop_oneof![
        (0u8..5, 0u64..1_000_000, period).prop_map(|(key, after, period)| Step::Arm(key, after, period)),
        (0u8..5).prop_map(Step::Disarm),
        (0u64..LEAST_WAKE * 3).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Against timers that are looked at one by one: never early, never more or fewer, none forgotten.
    #[test]
    fn counts_are_those_of_the_model(steps in prop::collection::vec(step(), 0..100)) {
        let mut queue = Queue::new();
        // first, period, expirations told
        let mut model: BTreeMap<u8, (u64, Option<u64>, u64)> = BTreeMap::new();
        let due = |now: u64, &(first, period, _): &(u64, Option<u64>, u64)| match (now.checked_sub(first), period) {
            (None, _) => 0,
            (Some(_), None) => 1,
            (Some(late), Some(period)) => late / period.max(1) + 1,
        };
        let mut now = 0;
        for step in steps {
            match step {
                Step::Arm(key, after, period) => {
                    queue.arm(key, Schedule { first: now + after, period });
                    model.insert(key, (now + after, period, 0));
                }
                Step::Disarm(key) => {
                    let ran = model.remove(&key).is_some_and(|timer| timer.1.is_some() || timer.2 == 0);
                    prop_assert_eq!(queue.disarm(key), ran);
                }
                Step::Pass(span) => {
                    now += span;
                    for (key, count) in expired(&mut queue, now) {
                        let timer = model.get_mut(&key).expect("only what is armed expires");
                        prop_assert!(count > 0);
                        timer.2 += count;
                        prop_assert_eq!(timer.2, due(now, timer));
                    }
                    prop_assert!(queue.deadline() > now);
                    // Only timers below the least period may owe something, and no longer than that period.
                    for timer in model.values() {
                        if timer.1.is_none_or(|period| period >= LEAST_WAKE) {
                            prop_assert_eq!(timer.2, due(now, timer));
                        } else {
                            prop_assert!(timer.2 >= due(now.saturating_sub(LEAST_WAKE), timer));
                        }
                    }
                }
            }
        }
    }
}
