//! The timer driver: every open file is a timer, whose expirations are the occurrences of its source.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod driver;
pub mod queue;
