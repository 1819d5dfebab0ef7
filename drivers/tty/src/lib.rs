//! The terminal driver: a [16550](uart), a [line discipline](terminal), and the [programs](driver) that share them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod driver;
pub mod echo;
pub mod input;
pub mod mode;
pub mod output;
pub mod terminal;
pub mod uart;
