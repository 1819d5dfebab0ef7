//! Events of which each wakes one of many, who are killed meanwhile: none is lost, and none is told twice.
//! Arguments: a filter of tests, how many events under kills, how many kills, a seed.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod crew;
mod ledger;
mod moments;
mod storm;
mod worker;

use guest_tests::random::Random;
use guest_tests::{Suite, child};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Events and kills, unless the arguments say otherwise.
const EVENTS: u64 = 20_000;
const KILLS: u64 = 60;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, |_| worker::play(start)) {
        return status;
    }
    let events = start.arg(2).parse().unwrap_or(EVENTS);
    let kills = start.arg(3).parse().unwrap_or(KILLS);
    let seed = Random::seed(start.arg(4));
    let mut suite = Suite::new(start);
    suite.test("a_sleeper_killed_at_any_moment_after_it_was_chosen", moments::sweep);
    suite.test("sleepers_killed_at_random", || storm::under_kills(events, kills, seed));
    suite.finish()
}
