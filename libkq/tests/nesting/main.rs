//! Sets that are watched by sets (R37, R38).

mod chains;
mod edges;
mod setting;
mod sleepers;
#[path = "../world/mod.rs"]
mod world;
