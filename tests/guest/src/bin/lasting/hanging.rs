//! Drivers that hang, and such as only seem to. The driver `serial` has its watchdog's time to come round.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::error::EIO;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Outcome, operator, soon};
use rt::thread::Builder;

use crate::seen::{SERIAL, ask, ask_once, durable, number, until_back};
use crate::serial::{CALL, MAKE, SPIN, WORK};

/// The driver's `watchdog_ms`, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;

pub const TESTS: &[Test] = &[
    ("a_driver_that_loops_for_ever_is_found", || hangs(SPIN)),
    ("a_driver_that_waits_for_an_answer_for_ever_is_found", || hangs(CALL)),
    ("a_driver_that_is_slow_lives", a_driver_that_is_slow_lives),
    ("a_driver_that_has_no_turn_lives", a_driver_that_has_no_turn_lives),
];

fn hung() -> Outcome<u64> {
    Ok(rt::init::counters()?.hung)
}

/// It is ended and started again by nobody but init; who asked is told, and its descriptor goes on.
fn hangs(how: u8) -> Outcome {
    let file = durable(SERIAL)?;
    ask(&file, MAKE, 1)?;
    let before = hung()?;
    refused(ask_once(&file, how, 0), EIO)?;
    equal(hung()?, before + 1)?;
    ask(&file, MAKE, 2)?;
    equal(number(&file, 1)?, 1)
}

/// It never listens when init looks, and works for most of its time before it comes round, again and again.
fn a_driver_that_is_slow_lives() -> Outcome {
    until_back(SERIAL)?;
    let (before, pid) = (hung()?, operator::find(SERIAL)?.map(|process| process.pid));
    let file = durable(SERIAL)?;
    let done = Arc::new(AtomicBool::new(false));
    let (stop, number) = (done.clone(), file.number());
    // With two that ask there is always something to do.
    let other = Builder::new().spawn(move || -> Outcome {
        let file = libkq::Descriptor::from_number(libkq::dup(number)?);
        while !stop.load(Ordering::SeqCst) {
            ask_once(&file, WORK, PATIENCE / 8)?;
        }
        Ok(())
    })?;
    for _ in 0..6 {
        ask_once(&file, WORK, PATIENCE / 8)?;
    }
    done.store(true, Ordering::SeqCst);
    other.join()??;
    equal((hung()?, operator::find(SERIAL)?.map(|process| process.pid)), (before, pid))
}

/// Better threads have its CPU, all of them, for longer than it has, while it works.
fn a_driver_that_has_no_turn_lives() -> Outcome {
    until_back(SERIAL)?;
    let (before, pid) = (hung()?, operator::find(SERIAL)?.map(|process| process.pid));
    let file = durable(SERIAL)?;
    let number = file.number();
    let asker = Builder::new().spawn(move || {
        let mut asked = [WORK; 9];
        asked[1..].copy_from_slice(&(PATIENCE / 4).to_le_bytes());
        libkq::write(number, &asked)
    })?;
    (0..3).for_each(|_| guest_tests::a_moment());
    let spinners = (0..rt::clock::cpu_count()).map(|cpu| {
        Builder::new().cpus(1 << cpu).spawn(|| {
            let end = rt::clock::after(PATIENCE + PATIENCE / 2);
            while rt::clock::now_ns() < end {
                core::hint::spin_loop();
            }
        })
    });
    let spinners = spinners.collect::<Result<alloc::vec::Vec<_>, _>>()?;
    spinners.into_iter().try_for_each(|spinner| spinner.join())?;
    equal(asker.join()??, 9)?;
    ensure(rt::clock::now_ns() < soon(), "time passes")?;
    equal((hung()?, operator::find(SERIAL)?.map(|process| process.pid)), (before, pid))
}
