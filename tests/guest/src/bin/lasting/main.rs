//! Drivers that die, hang and come back, while programs go on with their durable descriptors. Runs with the manifest `lasting`, whose
//! drivers are this program too. Arguments: a filter of tests, how many drivers are killed under load, a seed.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod calls;
mod given;
mod hanging;
mod kills;
mod seen;
mod serial;
mod strangers;

use guest_tests::child;
use guest_tests::random::Random;
use guest_tests::{Outcome, Suite};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Drivers killed under load, unless the second argument says otherwise.
const KILLS: u64 = 50;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    match child::role(start) {
        Some("driver") => return serial::run(start, start.arg(3)),
        Some("heir") => return status(given::heir()),
        Some("load") => return status(kills::load()),
        Some("namesake") => return status(strangers::namesake()),
        _ => {}
    }
    let kills = start.arg(2).parse().unwrap_or(KILLS);
    let seed = Random::seed(start.arg(3));
    let mut suite = Suite::new(start);
    suite.table(seen::TESTS);
    suite.table(calls::TESTS);
    suite.table(given::TESTS);
    suite.table(strangers::TESTS);
    suite.table(hanging::TESTS);
    suite.test("drivers_killed_under_load_cost_nobody_an_event", || kills::under_load(kills, seed));
    suite.finish()
}

/// What a part that was played ends with.
fn status(played: Outcome) -> i32 {
    match played {
        Ok(()) => 0,
        Err(failure) => {
            rt::log!("lasting: {failure}");
            1
        }
    }
}
