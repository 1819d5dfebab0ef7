//! A virtio network card (Virtual I/O Device 1.2, 5.1) and what is spoken over it: TCP and UDP over IPv4, as sockets.
//!
//! ```text
//!   driver     TCP and UDP as an address family                  Family of the sdk
//!   sockets    what a socket is and does; shares
//!   stack      smoltcp: IPv4, TCP, UDP; DHCP; which packet is for which socket
//!   port       what goes to this machine itself turns round here; neighbours (ARP)
//!   card       virtio
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod address;
pub mod card;
pub mod driver;
pub mod heading;
pub mod neighbors;
pub mod port;
pub mod ports;
pub mod socket;
pub mod sockets;
pub mod stack;
