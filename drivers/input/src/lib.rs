//! Keyboards, mice and tablets: what they tell, as [records](record) for [any number of readers](readers).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod driver;
pub mod readers;
pub mod record;
