//! Files in memory: what `/tmp` and `/data` are, with an event for every act on them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod content;
pub mod directory;
pub mod driver;
pub mod node;
pub mod notes;
pub mod quota;
pub mod system;
