//! The program's own driver: `/dev/loop` gives back what is written to it.

use abi::error::Result;
use driver_sdk::{Filters, Setup};
use guest_tests::loopback::Loopback;
use libkq::Descriptor;
use libkq::flag::{O_NONBLOCK, O_RDWR};

const LOOP: &str = "/dev/loop";

/// Runs it.
pub fn run(start: &rt::Start) -> i32 {
    let filters = Filters::READ | Filters::WRITE;
    let setup = Setup { service: "loop", filters, sources: 256, interrupt: None };
    driver_sdk::run(start, setup, Ok(Loopback::new(LOOP)))
}

/// One of its files. It does not wait.
pub fn open_loop() -> Result<Descriptor> {
    Descriptor::open(LOOP, O_RDWR | O_NONBLOCK)
}
