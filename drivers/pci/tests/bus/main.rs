//! The bus: whose a function is, what its owner gets, and what comes and goes.

mod board;
mod hotplug;
mod owners;
#[path = "../space/mod.rs"]
mod space;
