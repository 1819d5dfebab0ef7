//! User events and their triggers.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use guest_tests::Outcome;
use guest_tests::crew::Crew;
use guest_tests::failure::equal;
use guest_tests::looks::{next, ready};
use guest_tests::suite::Test;
use libkq::event::note;
use libkq::{Filter, KEvent, Queue};
use rt::clock;

pub const TESTS: &[Test] = &[
    ("r27_triggers_between_two_looks_are_one_event", triggers_are_one_event),
    ("r27_each_queue_has_its_own_state", each_queue_has_its_own_state),
    ("r27_triggers_from_all_cpus_arrive", triggers_from_all_cpus_arrive),
];

/// A change of the user event 9.
fn user(fflags: u32) -> KEvent {
    KEvent { fflags, ..KEvent::user(9) }
}

fn triggers_are_one_event() -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[user(0).add().clear()])?;
    for _ in 0..3 {
        for bits in [1, 4, 0x0300_0000] {
            queue.apply(&[user(note::FFOR | note::TRIGGER | bits)])?;
        }
        let events = ready(&queue)?;
        equal(events.len(), 1)?;
        equal((events[0].ident, events[0].filter, events[0].fflags), (9, Filter::USER, 5))?;
        equal(ready(&queue)?, vec![])?;
    }
    // What is done to the bits, and that nothing of it is a trigger.
    for change in [note::FFCOPY | 0b1100, note::FFAND | 0b0110, note::FFNOP | 0b1111] {
        queue.apply(&[user(change)])?;
        equal(ready(&queue)?, vec![])?;
    }
    queue.apply(&[user(note::TRIGGER | 0b1000_0000)])?;
    equal(ready(&queue)?.iter().map(|event| event.fflags).collect(), vec![0b0100])?;
    queue.apply(&[user(note::FFOR | 0b1), user(note::FFCOPY | note::TRIGGER | 0x00ff_fff0)])?;
    equal(ready(&queue)?.iter().map(|event| event.fflags).collect(), vec![0x00ff_fff0])
}

fn each_queue_has_its_own_state() -> Outcome {
    let (queue, other) = (Queue::new()?, Queue::new()?);
    for each in [&queue, &other] {
        each.apply(&[user(0).add().clear()])?;
    }
    queue.apply(&[user(note::FFOR | note::TRIGGER | 1)])?;
    equal(ready(&other)?, vec![])?;
    equal(ready(&queue)?.len(), 1)?;
    queue.apply(&[user(note::FFOR | 2)])?;
    other.apply(&[user(note::FFOR | note::TRIGGER | 4)])?;
    equal(ready(&other)?.iter().map(|event| event.fflags).collect(), vec![4])?;
    equal(ready(&queue)?, vec![])?;
    other.apply(&[user(0).delete()])?;
    queue.apply(&[user(note::TRIGGER)])?;
    equal(ready(&queue)?.iter().map(|event| event.fflags).collect(), vec![2])
}

fn triggers_from_all_cpus_arrive() -> Outcome {
    const TRIGGERS: u64 = 2_000;
    let queue = Arc::new(Queue::new()?);
    let senders = clock::cpu_count() as u64;
    let changes: Vec<KEvent> = (0..senders).map(|me| KEvent::user(me as usize).add().clear()).collect();
    queue.apply(&changes)?;
    let counts: Arc<Vec<AtomicU64>> = Arc::new((0..senders).map(|_| AtomicU64::new(0)).collect());
    let threads = Crew::on_each_cpu(1, |me| {
        let (queue, counts) = (queue.clone(), counts.clone());
        move || -> Outcome {
            for _ in 0..TRIGGERS {
                counts[me as usize].fetch_add(1, Ordering::SeqCst);
                queue.apply(&[KEvent::user(me as usize).trigger()])?;
            }
            Ok(())
        }
    })?;
    // Who is woken by the last trigger of each sees the last count of each.
    let mut seen = vec![0; senders as usize];
    while seen.iter().any(|&count| count < TRIGGERS) {
        let event = next(&queue)?;
        seen[event.ident] = counts[event.ident].load(Ordering::SeqCst);
    }
    threads.join()
}
