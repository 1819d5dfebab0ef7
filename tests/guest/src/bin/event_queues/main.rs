//! kevent on the machine: real driver, real event server, threads on all CPUs. Runs with the manifest `queues`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod closes;
mod costs;
mod deaths;
mod driver;
mod levels;
mod once;
mod timers;
mod triggers;
mod user_rings;

use guest_tests::Suite;
use guest_tests::child;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if child::role(start) == Some("loop") {
        return driver::run(start);
    }
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
