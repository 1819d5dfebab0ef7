//! The driver of docs/first-driver.md: its text is the source.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

/// A metronome: every open file beats for itself.
pub mod driver {
    include!(concat!(env!("OUT_DIR"), "/logic.rs"));
}
