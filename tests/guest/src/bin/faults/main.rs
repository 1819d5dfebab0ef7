//! Faults: parties of the filter protocol are struck at each of its steps, under each interface; a driver stops in the midst of what it
//! does; processes say and write whatever. Runs with the manifest `faults`. Arguments: a filter of tests, a filter of cases,
//! milliseconds of fuzzers, a seed.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod bystander;
mod case;
mod client;
mod driver;
mod fuzzer;
mod halting;
mod lasting;
mod noise;
mod step;
mod stopping;
mod way;
mod words;

use alloc::format;

use bystander::{Bystander, SOURCES};
use guest_tests::failure::equal;
use guest_tests::ledger::Ledger;
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome, Suite, books, child, peers};
use rt::clock;
use step::{Case, INTERFACES, PARTIES, STEPS, impossible, product};

const PROGRAM: &str = env!("CARGO_BIN_NAME");

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    match child::role(start) {
        Some("driver") => return child::status("driver", driver::run(start)),
        Some("struck") => return driver::run_lasting(start),
        Some("client") => return child::status("client", client::run(start)),
        Some("fuzzer") => return child::status("fuzzer", fuzzer::run(start)),
        Some("halting") => return halting::run(start),
        _ => {}
    }
    let mut suite = Suite::new(start);
    let cases = start.arg(2);
    suite.test("r57_whoever_is_struck_at_any_step_the_others_run_on", || matrix(cases));
    suite.test(
        "r56_a_driver_that_stops_in_the_midst_is_ended_by_its_watchdog",
        halting::is_ended_by_its_watchdog,
    );
    let (milliseconds, seed) = (start.arg(3).parse().unwrap_or(0), Random::seed(start.arg(4)));
    suite.test("r56_what_fuzzers_say_and_write_leaves_the_rest_untouched", || {
        noise::others_are_untouched(milliseconds, seed)
    });
    suite.finish()
}

/// All cases whose name has `filter` in it.
fn matrix(filter: &str) -> Outcome {
    let shards = peers::shards()?;
    let mut bystander = Bystander::new()?;
    let mut play = |number: u64, case: Case| {
        let cpus = clock::cpu_count() as u64;
        let on = |cpu: u64| 1 << (cpu % cpus);
        // Every shard has its turn, and client and driver are on one CPU and on two.
        let (shard, cpus) = (number as u32 % shards, [on(number), on(number + number / cpus)]);
        let played = match case.step.is_lasting() {
            true => lasting::play(case, shard, cpus[1], &mut bystander),
            false => case::play(case, shard, cpus, &mut bystander),
        };
        played.map_err(|failure| failure.within(&format!("{case}")))
    };
    // What tables grow to is there when the books are opened.
    for (number, case) in product().filter(is_possible).step_by(40).enumerate() {
        play(number as u64, case)?;
    }
    let (books, ledger) = (books::open_beside(SOURCES)?, Ledger::open()?);
    let (mut played, mut left_out, mut unasked, mut failed) = (0, 0, 0, 0);
    for case in product() {
        if let Some(why) = impossible(case.party, case.step) {
            left_out += 1;
            if case.interface == INTERFACES[0] {
                rt::log!("faults: none of {:?} at {:?}: {why}", case.party, case.step);
            }
            continue;
        }
        if !format!("{case}").contains(filter) {
            unasked += 1;
            continue;
        }
        played += 1;
        let balanced = || books.are_balanced().and_then(|()| ledger.balance());
        let balanced = || balanced().map_err(|failure| failure.within(&format!("after {case}")));
        if let Err(failure) = play(played, case).and_then(|()| balanced()) {
            failed += 1;
            rt::log!("faults: {failure}");
        }
    }
    let all = (PARTIES.len() * STEPS.len() * INTERFACES.len()) as u64;
    equal(played + left_out + unasked, all)?;
    rt::log!(
        "faults: {played} cases, and {left_out} of {all} that cannot be, {unasked} not asked for; {} events of others",
        bystander.events()
    );
    if failed > 0 { Err(Failure::new(format!("{failed} cases failed"))) } else { Ok(()) }
}

fn is_possible(case: &Case) -> bool {
    impossible(case.party, case.step).is_none()
}
