//! kevent on the machine: real driver, real event server, threads on all CPUs. Runs with the manifest `queues`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod closes;
mod costs;
mod deaths;
mod levels;
mod once;
mod timers;
mod triggers;
mod user_rings;

use guest_tests::Suite;
use libkq::flag::{O_NONBLOCK, O_RDWR};
use libkq::{Descriptor, Result};

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::of_lookers(start);
    suite.table(levels::TESTS);
    suite.table(timers::TESTS);
    suite.table(once::TESTS);
    suite.table(triggers::TESTS);
    suite.table(closes::TESTS);
    suite.table(costs::TESTS);
    suite.table(user_rings::TESTS);
    // Last: nothing can wait after it.
    suite.table(deaths::TESTS);
    suite.finish()
}

/// A file of the template driver, which gives back what is written to it. It does not wait.
fn open_template() -> Result<Descriptor> {
    Descriptor::open(template::driver::PATH, O_RDWR | O_NONBLOCK)
}
