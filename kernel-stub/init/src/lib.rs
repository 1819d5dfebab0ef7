//! The first process, as a state machine: what is to be started, who may ask for what, who waits for whom, and what
//! happens when something ends.
//!
//! [`Init`] decides; everything it does to the machine goes through a [`System`]. The program beside this library is a
//! `System` of real processes and a loop that receives; the tests are a `System` of imagined ones.
//!
//! Principles:
//! - init never waits for anybody: it receives, decides and answers. Requests that wait (`Wait`, `Connect`) are a token in
//!   a list, and lists have limits for each process.
//! - A process's end ends its descendants. So nobody is an orphan, what a program was lent comes back when it ends, and a
//!   restarted server never meets the children of its predecessor.
//! - Only the badge says who asks; it was minted here and cannot be passed on.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod backoff;
pub mod check;
pub mod document;
mod giving;
mod init;
mod observing;
mod power;
mod processes;
pub mod read;
mod requests;
mod services;
mod spawning;
pub mod system;
mod traces;
mod waiting;
pub mod watchdog;

pub use init::Init;
pub use system::System;
