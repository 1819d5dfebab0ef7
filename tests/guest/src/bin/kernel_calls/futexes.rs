//! Waiting for a word.

use core::sync::atomic::AtomicU32;

use abi::error::{EAGAIN, EINVAL, ETIMEDOUT};
use abi::number::SYS_FUTEX;
use alloc::sync::Arc;
use alloc::vec::Vec;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::{Outcome, a_moment, raw, soon};
use rt::clock;
use rt::sync::{Condvar, Mutex};
use rt::sys::{futex_wait, futex_wake};
use rt::thread;

use crate::Test;

pub const TESTS: &[Test] = &[
    ("another_value_is_eagain", another_value_is_eagain),
    ("a_futex_wait_never_ends_early", a_futex_wait_never_ends_early),
    ("a_wake_wakes_as_many_as_asked", a_wake_wakes_as_many_as_asked),
    ("a_wake_without_waiters_is_zero", a_wake_without_waiters_is_zero),
    ("an_unknown_operation_is_einval", an_unknown_operation_is_einval),
    ("a_misaligned_word_is_einval", a_misaligned_word_is_einval),
    ("a_mutex_excludes", a_mutex_excludes),
    ("a_condition_variable_loses_no_turn", a_condition_variable_loses_no_turn),
];

fn another_value_is_eagain() -> Outcome {
    let word = AtomicU32::new(5);
    refused(futex_wait(&word, 4, soon()), EAGAIN)?;
    refused(futex_wait(&word, 4, 0), EAGAIN)
}

fn a_futex_wait_never_ends_early() -> Outcome {
    let word = AtomicU32::new(5);
    for wait in [0, 10, 100_000, 6_000_000] {
        let deadline = clock::after(wait);
        refused(futex_wait(&word, 5, deadline), ETIMEDOUT)?;
        ensure(clock::now_ns() >= deadline, "a futex wait never times out early")?;
    }
    Ok(())
}

fn a_wake_wakes_as_many_as_asked() -> Outcome {
    let word = Arc::new(AtomicU32::new(0));
    let waiters = (0..5)
        .map(|_| {
            let word = word.clone();
            thread::spawn(move || futex_wait(&word, 0, soon()))
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    let mut woken = 0;
    let deadline = soon();
    while woken < 5 {
        let now = futex_wake(&word, 2)?;
        ensure(now <= 2, "no more are woken than asked")?;
        woken += now;
        ensure(clock::now_ns() < deadline, "all are woken at last")?;
        a_moment();
    }
    for waiter in waiters {
        waiter.join()??;
    }
    equal(futex_wake(&word, 1)?, 0)
}

fn a_wake_without_waiters_is_zero() -> Outcome {
    let word = AtomicU32::new(0);
    equal(futex_wake(&word, 0)?, 0)?;
    equal(futex_wake(&word, u32::MAX)?, 0)
}

fn an_unknown_operation_is_einval() -> Outcome {
    let word = AtomicU32::new(0);
    for operation in [2, 3, 4, u64::MAX] {
        refused(raw(SYS_FUTEX, [word.as_ptr() as u64, operation, 0, 0, 0, 0]), EINVAL)?;
    }
    Ok(())
}

fn a_misaligned_word_is_einval() -> Outcome {
    let words = [0u32; 4];
    for offset in 1..4 {
        let address = words.as_ptr() as u64 + offset;
        refused(raw(SYS_FUTEX, [address, 0, 0, 0, 0, 0]), EINVAL)?;
    }
    Ok(())
}

fn a_mutex_excludes() -> Outcome {
    let count = Arc::new(Mutex::new((0u64, false)));
    let workers = (0..4)
        .map(|_| {
            let count = count.clone();
            thread::spawn(move || {
                let mut alone = true;
                for round in 0..500 {
                    let mut guard = count.lock();
                    alone &= !guard.1;
                    guard.1 = true;
                    if round % 50 == 0 {
                        thread::yield_now();
                    }
                    guard.0 += 1;
                    guard.1 = false;
                }
                alone
            })
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    for worker in workers {
        ensure(worker.join()?, "nobody else was in")?;
    }
    equal(count.lock().0, 2000)
}

fn a_condition_variable_loses_no_turn() -> Outcome {
    let turn = Arc::new((Mutex::new(0u32), Condvar::new()));
    let players = (0..3u32)
        .map(|me| {
            let turn = turn.clone();
            thread::spawn(move || {
                for _ in 0..200 {
                    let mut now = turn.0.lock();
                    turn.1.wait_while(&mut now, |now| *now % 3 != me);
                    *now += 1;
                    drop(now);
                    turn.1.notify_all();
                }
            })
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    for player in players {
        player.join()?;
    }
    equal(*turn.0.lock(), 600)?;
    let mut guard = turn.0.lock();
    let deadline = clock::after(2_000_000);
    ensure(!turn.1.wait_until(&mut guard, deadline), "nobody notifies any more")?;
    ensure(clock::now_ns() >= deadline, "a condition wait never times out early")
}
