//! The PCI bus driver: [what there is](enumeration) and [whose it is](bus), and [what comes and
//! goes](hotplug) while the machine runs.
//!
//! Configuration space is what a device says of itself, and a device may lie: everything that is read there is checked, and a
//! function that makes no sense is one that [nobody can have](fault::Fault). Source: PCI Local Bus Specification 3.0, chapter
//! 6; PCI Express Base Specification, 7.5 (extended access, function level reset).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bar;
pub mod bus;
pub mod capability;
pub mod config;
pub mod enumeration;
pub mod fault;
pub mod hotplug;
pub mod message;
pub mod place;
pub mod port;
pub mod routing;
