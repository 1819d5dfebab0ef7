//! What init and everybody else agree on: how a program is told who it is ([`start`]), what is started at boot
//! ([`manifest`]), what can be asked of init while the system runs ([`request`]), and how a service knows who calls
//! ([`caller`]).
//!
//! Documents are `postcard`: no self-description, so both sides are built from this crate. A change of any type here
//! raises [`VERSION`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod caller;
pub mod limits;
pub mod manifest;
pub mod request;
pub mod start;
pub mod status;

/// Version of the documents and requests; [`Request::Version`](request::Request::Version) tells what init has.
pub const VERSION: u32 = 4;
