//! The PS/2 controller of PCs (Intel 8042 and what is like it), its keyboard and its mouse.
//!
//! [`controller`] gets at the devices, [`devices`] finds out what they are and switches them on, [`keyboard`] and [`mouse`] make
//! [records](input::record) of what they tell, and [`driver`] gives these to readers.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod controller;
pub mod devices;
pub mod driver;
pub mod keyboard;
pub mod mouse;
