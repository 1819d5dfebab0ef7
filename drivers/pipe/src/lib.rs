//! Pipes and FIFOs: bytes between processes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod conduit;
pub mod driver;
pub mod names;
mod opening;
mod paths;
pub mod pipes;
mod pools;
