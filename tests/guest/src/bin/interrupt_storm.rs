//! A device that interrupts without end: it hurts nobody who does not listen, and does not stop who does.
//!
//! The device is channel 0 of the 8254 interval timer (Intel data sheet 231164), whose interrupt 0 is global line 2.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use driver_sdk::Ports;
use guest_tests::failure::{ensure, equal};
use guest_tests::measure::instructions_are_counted;
use guest_tests::{Failure, Outcome, Suite, soon};
use rt::clock::{after, hints, now_ns};
use rt::sys::{Irq, Notification};

rt::entry!(main);

const PIT: Ports = Ports::new(0x40, 4);
const MS: u64 = 1_000_000;

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    suite.table(&[
        ("a_line_that_nobody_acknowledges_falls_silent", unacknowledged),
        ("a_storm_leaves_the_others_running", storm),
        ("a_line_without_a_listener_is_quiet", closed),
    ]);
    suite.finish()
}

/// Rate generator at 1,193,182 Hz / `divisor`.
fn start_device(divisor: u16) {
    PIT.write(3, 0x34);
    PIT.write(0, divisor as u8);
    PIT.write(0, (divisor >> 8) as u8);
}

/// Mode 0 without a count: the output stays low.
fn stop_device() {
    PIT.write(3, 0x30);
}

fn line() -> Result<&'static Irq, Failure> {
    static LINE: rt::sync::OnceLock<Option<Irq>> = rt::sync::OnceLock::new();
    let line = LINE.get_or_init(|| rt::start::start().object("irq:pit"));
    line.as_ref().ok_or_else(|| Failure::new("no interrupt line was granted"))
}

fn interrupts() -> u64 {
    hints().cpus.iter().map(|cpu| cpu.interrupts.load(Relaxed)).sum()
}

fn unacknowledged() -> Outcome {
    let bell = Notification::create()?;
    line()?.bind(&bell, 4)?;
    start_device(119);
    let heard = bell.wait(soon());
    // An edge that came before the line was masked is still delivered, if late.
    let silent = (0..4).find_map(|_| {
        let before = interrupts();
        rt::thread::sleep(100 * MS);
        (bell.poll() == Ok(0)).then(|| interrupts() - before)
    });
    stop_device();
    equal(heard?, 4)?;
    let taken = silent.ok_or(Failure::new("a masked line goes on signalling"))?;
    // At 10 kHz there would have been a thousand; the CPUs' own timers need a few.
    ensure(taken < 200, "a masked line interrupts nobody")
}

fn storm() -> Outcome {
    let bell = Notification::create()?;
    line()?.bind(&bell, 1)?;
    let (served, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let driver = {
        let (served, over) = (served.clone(), over.clone());
        rt::thread::spawn(move || -> Outcome {
            while !over.load(Relaxed) {
                if bell.wait(after(100 * MS)).is_ok() {
                    served.fetch_add(1, Relaxed);
                }
                line()?.ack()?;
            }
            Ok(())
        })?
    };
    // 100 kHz: more than an emulated CPU can serve.
    start_device(12);
    let (begin, deadline) = (now_ns(), soon());
    for _ in 0..20 {
        rt::thread::sleep(5 * MS);
    }
    let long = instructions_are_counted() && now_ns() - begin >= 5000 * MS;
    while served.load(Relaxed) <= 100 && now_ns() < deadline {
        rt::thread::sleep(5 * MS);
    }
    stop_device();
    over.store(true, Relaxed);
    driver.join()??;
    ensure(served.load(Relaxed) > 100, "the driver hears the storm")?;
    ensure(!long, "a thread of the driver's priority keeps its appointments")
}

fn closed() -> Outcome {
    let bell = Notification::create()?;
    line()?.bind(&bell, 1)?;
    start_device(119);
    let heard = bell.wait(soon());
    // The line keeps signalling a notification that nobody has a handle to; nobody acknowledges, so it stays masked.
    drop(bell);
    let before = interrupts();
    rt::thread::sleep(50 * MS);
    let taken = interrupts() - before;
    stop_device();
    equal(heard?, 1)?;
    ensure(taken < 200, "a line without a listener is quiet")
}
