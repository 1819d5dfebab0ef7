//! The lock in every interleaving. Run with `RUSTFLAGS="--cfg loom" cargo test -p rt --release --test loom`.
#![cfg(loom)]

use std::collections::VecDeque;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use rt::sync::futex::{FREE, Futex, lock, unlock};

/// A word with the kernel's part: it compares and queues under one lock, and wakes the longest sleeper.
struct Word {
    value: AtomicU32,
    sleepers: Mutex<Sleepers>,
    woken: Condvar,
}

#[derive(Default)]
struct Sleepers {
    next: u32,
    queue: VecDeque<u32>,
}

impl Futex for Word {
    fn load(&self) -> u32 {
        self.value.load(Relaxed)
    }

    fn acquire(&self, current: u32, new: u32) -> bool {
        self.value.compare_exchange(current, new, Acquire, Relaxed).is_ok()
    }

    fn release(&self, current: u32, new: u32) -> bool {
        self.value.compare_exchange(current, new, Release, Relaxed).is_ok()
    }

    fn wait(&self, value: u32) -> bool {
        let mut sleepers = self.sleepers.lock().unwrap();
        if self.value.load(Relaxed) != value {
            return false;
        }
        let me = sleepers.next;
        sleepers.next += 1;
        sleepers.queue.push_back(me);
        while sleepers.queue.contains(&me) {
            sleepers = self.woken.wait(sleepers).unwrap();
        }
        true
    }

    fn wake(&self) -> bool {
        let woken = self.sleepers.lock().unwrap().queue.pop_front().is_some();
        self.woken.notify_all();
        woken
    }
}

/// What the lock guards: loom reports two threads that have it at once.
struct Guarded {
    word: Word,
    count: UnsafeCell<u32>,
}

impl Guarded {
    fn new() -> Guarded {
        let word = Word {
            value: AtomicU32::new(FREE),
            sleepers: Mutex::new(Sleepers::default()),
            woken: Condvar::new(),
        };
        Guarded { word, count: UnsafeCell::new(0) }
    }

    fn add(&self) {
        lock(&self.word);
        // SAFETY: under the lock; loom checks that nobody else is here.
        self.count.with_mut(|count| unsafe { *count += 1 });
        unlock(&self.word);
    }
}

/// Preemptions that a long run of the tests adds to each model's bound.
fn deeper() -> usize {
    std::env::var("KQ_LOOM_DEEPER").map_or(0, |more| more.parse().unwrap())
}

/// A thread that is never woken is a deadlock, which loom reports.
fn contend(threads: u32, times: u32, preemptions: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions + deeper());
    model.check(move || {
        let guarded = Arc::new(Guarded::new());
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let guarded = guarded.clone();
                thread::spawn(move || (0..times).for_each(|_| guarded.add()))
            })
            .collect();
        (0..times).for_each(|_| guarded.add());
        for other in others {
            other.join().unwrap();
        }
        guarded.add();
        // SAFETY: all others have ended.
        assert_eq!(guarded.count.with(|count| unsafe { *count }), threads * times + 1);
        assert_eq!(guarded.word.load(), FREE, "with nobody waiting the lock is free");
    });
}

#[test]
fn two_threads_never_have_the_lock_at_once_and_both_get_it() {
    contend(2, 2, 4);
}

#[test]
fn three_threads_never_have_the_lock_at_once_and_all_get_it() {
    contend(3, 1, 3);
}

#[test]
fn a_lock_that_is_handed_over_arrives() {
    contend(3, 2, 2);
}
