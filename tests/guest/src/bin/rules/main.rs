//! The rules of the five interfaces, each by its number, on real drivers and on a driver of the program's own that does
//! what drivers should not. Runs with the manifest `rules`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod among_processes;
mod cancelled;
mod changes;
mod delivery;
mod devpoll;
mod disabled;
mod drivers;
mod ends;
mod epoll;
mod inheritance;
mod killed;
mod liar;
mod nested;
mod odd;
mod old_bugs;
mod poll_select;
mod wake_ups;

use alloc::vec::Vec;

use guest_tests::child::{self, Role};
use guest_tests::{Failure, Outcome, Suite};
use libkq::Descriptor;
use rt::init;

const PROGRAM: &str = env!("CARGO_BIN_NAME");

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    match child::role(start) {
        Some("odd") => return odd::run(start),
        Some("liar") => return liar::run(),
        Some(role) => return play(role),
        None => {}
    }
    let mut suite = Suite::of_lookers(start);
    let families = [
        changes::TESTS,
        disabled::TESTS,
        delivery::TESTS,
        poll_select::TESTS,
        epoll::TESTS,
        wake_ups::TESTS,
        among_processes::TESTS,
        devpoll::TESTS,
        nested::TESTS,
        inheritance::TESTS,
        ends::TESTS,
        old_bugs::TESTS,
        cancelled::TESTS,
        killed::TESTS,
        drivers::TESTS,
    ];
    families.iter().for_each(|tests| suite.table(tests));
    suite.finish()
}

/// Children that play a part.
fn play(role: &str) -> i32 {
    let families = [inheritance::play, ends::play, wake_ups::play, among_processes::play];
    let played = families.iter().find_map(|play| play(role)).unwrap_or(Err(Failure::new("no such part")));
    child::status(role, played)
}

/// Starts another process with these descriptors under these numbers.
fn with(role: &'static str, files: &[(&Descriptor, i32)]) -> Outcome<init::Child> {
    with_quota(role, 16 << 20, files)
}

/// The same with so many bytes.
fn with_quota(role: &'static str, quota: u64, files: &[(&Descriptor, i32)]) -> Outcome<init::Child> {
    let mut given = files
        .iter()
        .map(|(file, number)| libkq::inheritance::give(file.number(), *number))
        .collect::<libkq::Result<Vec<_>>>()?;
    let names: Vec<_> = given.iter().map(|(name, _)| name.clone()).collect();
    let handles = given.drain(..).zip(&names).map(|((_, handle), name)| (name.as_str(), handle)).collect();
    Ok(Role::new(PROGRAM, role).quota(quota).spawn(handles)?)
}
