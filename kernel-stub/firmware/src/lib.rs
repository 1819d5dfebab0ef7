//! Reads what the firmware left in memory: the PVH start information and the ACPI tables that name CPUs and interrupt
//! controllers.
//!
//! Pure and without allocation, over a [`PhysicalMemory`]. A table is an allegation until checked: every length is
//! compared with what is there, every loop has a bound, every checksum is verified.
#![no_std]
#![forbid(unsafe_code)]

pub mod acpi;
pub mod madt;
pub mod mcfg;
pub mod memory;
pub mod pvh;

pub use memory::{Error, PhysicalMemory};
