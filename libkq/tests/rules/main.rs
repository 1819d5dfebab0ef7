//! The rules of kevent, each by its number, on one thread.

mod changes;
mod closes;
mod delivery;
mod failures;
mod filters;
mod setting;
mod timers;
#[path = "../world/mod.rs"]
mod world;
