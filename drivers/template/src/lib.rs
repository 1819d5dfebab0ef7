//! The template driver: what is written to an open file is read from it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod driver;
