//! Local sockets: streams, datagrams and records between processes, with descriptors travelling in them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod driver;
pub mod inbox;
pub mod names;
pub mod socket;
pub mod sockets;
