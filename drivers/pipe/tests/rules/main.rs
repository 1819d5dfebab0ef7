//! Pipes and FIFOs behind the real engine.

mod bench;
mod ends;
#[path = "../../../sdk/tests/fake/mod.rs"]
mod fake;
mod names;
mod openings;
mod sizes;
mod transfers;
