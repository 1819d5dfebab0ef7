//! Signals on the machine: actions, masks, waits that end with EINTR. Runs with the manifest `processes`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod actions;
mod children;
mod handler;
mod service;
mod waits;

use guest_tests::{Suite, child};
use libkq::signal::{SIGTERM, SIGUSR1, SIGUSR2};

use crate::children::{play, sabotage};

const PROGRAM: &str = concat!("bin/", env!("CARGO_BIN_NAME"));
const USR1: i32 = SIGUSR1 as i32;
const USR2: i32 = SIGUSR2 as i32;
const TERM: i32 = SIGTERM as i32;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if child::role(start) == Some("saboteur") {
        return sabotage().map_or(99, |()| 0);
    }
    if let Some(role) = child::role(start) {
        return play(role, start.arg(3)).map_or(99, |()| 0);
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(actions::TESTS);
    suite.table(waits::TESTS);
    suite.table(service::TESTS);
    suite.finish()
}
