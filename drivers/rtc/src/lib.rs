//! The real-time clock of PCs (MC146818A and what is like it), path [`/dev/rtc`](driver::PATH).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod chip;
pub mod driver;
