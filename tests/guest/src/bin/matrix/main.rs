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
mod waiter;

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
    // Beside most drivers, so that a call of theirs need not wake another CPU: there are many.
    if let Err(error) = rt::sys::set_affinity(1) {
        rt::log!("no place: {error}");
        return 1;
    }
    let mut suite = Suite::new(start);
    for kind in KINDS {
        for way in NATIVE {
            for &trigger in way.triggers {
                let name = format!("matrix_{}_{}_{}", kind.name, way.name, trigger.name());
                suite.test(&name, || check(kind, way, trigger));
            }
        }
        // Of these a line for each kind, and of its conditions the first.
        for way in DERIVED {
            let name = format!("matrix_{}_{}", kind.name, way.name);
            let cell = |&trigger| Cell { kind, way, trigger, condition: kind.conditions[0] };
            suite.test(&name, || way.triggers.iter().map(cell).try_for_each(|cell| cell.check()));
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
