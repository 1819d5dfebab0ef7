//! The same behaviour through every interface that has it: kinds of sources × interfaces × triggers, generated. Runs with the
//! manifest `c`, which has every service.
//!
//! A kind says which conditions it has and how they come and go ([`source`]), an interface how it is asked and what its words
//! mean ([`interface`]), and each cell of their product is checked for all that is promised of it ([`behaviour`]).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod behaviour;
mod interface;
mod source;
mod told;

use alloc::format;
use core::time::Duration;

use behaviour::Cell;
use guest_tests::{Outcome, PATIENCE, Suite};
use interface::{DERIVED, NATIVE, Trigger, Way};
use source::{KINDS, Kind};

const NOW: Option<Duration> = Some(Duration::ZERO);
const PATIENTLY: Option<Duration> = Some(Duration::from_nanos(PATIENCE));

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    for kind in KINDS {
        for way in NATIVE {
            for &trigger in way.triggers {
                let name = format!("matrix_{}_{}_{}", kind.name, way.name, trigger.name());
                suite.test(&name, || check(kind, way, trigger));
            }
        }
        // A line for each of these, for there are many.
        for way in DERIVED {
            let name = format!("matrix_{}_{}", kind.name, way.name);
            suite.test(&name, || way.triggers.iter().try_for_each(|&trigger| check(kind, way, trigger)));
        }
    }
    suite.finish()
}

fn check(kind: &'static Kind, way: &'static Way, trigger: Trigger) -> Outcome {
    for &condition in kind.conditions {
        Cell { kind, way, trigger, condition }.check()?;
    }
    for &condition in kind.never {
        Cell { kind, way, trigger, condition }.check_never()?;
    }
    Ok(())
}
