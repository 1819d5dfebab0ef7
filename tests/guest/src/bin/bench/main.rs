//! What things cost: lines `name value unit`; [`guest_tests::measure`] states the method.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod arrival;
mod driver;
mod harvest;
mod interface;
mod kernel;
mod pipes;
mod policies;
mod registration;
mod scan;
mod source;
mod wakeup;

use guest_tests::Outcome;
use guest_tests::child;

const PROGRAM: &str = env!("CARGO_BIN_NAME");

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let result = match child::role(start) {
        Some(role) => kernel::play(role, start),
        None if start.arg(1) == "policies" => policies::all(start),
        None => all(start.arg(1)),
    };
    child::status(PROGRAM, result)
}

/// Runs those whose name contains the filter.
fn all(filter: &str) -> Outcome {
    // A span is measured on one CPU, and nothing of it may run on another.
    rt::sys::set_affinity(1)?;
    let tables = [kernel::FIGURES, pipes::FIGURES, harvest::FIGURES, scan::FIGURES, registration::FIGURES];
    for (name, figure) in tables.into_iter().chain([arrival::FIGURES]).flatten() {
        if name.contains(filter) {
            figure(name)?;
        }
    }
    wakeup::all(filter)
}
