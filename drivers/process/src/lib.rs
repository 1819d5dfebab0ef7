//! Processes and signals as sources: who was started, who ended, who was signalled.
//!
//! init knows every process and tells this service of each birth and end, in order. What follows from it for those who
//! watch is put down when it happens: a child that is followed is watched from its birth on, whether or not anybody has
//! looked by then, and nothing of it is lost (R30).
//!
//! [`Service`](service::Service) is all of it without files; [`mod@driver`] makes files of it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod driver;
pub mod mailbox;
pub mod processes;
pub mod service;
pub mod stream;
