//! The whole system without a machine, against the rules.
//!
//! [`world`] wires what runs in four kinds of processes together: the event server's shards, the hand-offs of the
//! protocol, drivers, and clients that are libkq with its five interfaces. [`rules`] says what a program may see and knows
//! nothing of any of that. [`script`] is random programs for several processes, and [`run`] has the world and the rules
//! do them side by side.

pub mod rules;
pub mod run;
pub mod script;
pub mod world;
