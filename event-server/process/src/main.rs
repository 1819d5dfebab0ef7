//! The event server's process: one pinned thread per CPU, each with a [`Shard`](event_core::shard::Shard), an endpoint
//! and a doorbell.
//!
//! All decisions are the core's; here are messages, handles and memory. The loop of a shard is in `serve`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
rt::entry!(program::main);

#[cfg(target_os = "none")]
mod clients;
#[cfg(target_os = "none")]
mod drivers;
#[cfg(target_os = "none")]
mod lobby;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
mod program;
#[cfg(target_os = "none")]
mod request;
#[cfg(target_os = "none")]
mod serve;
#[cfg(target_os = "none")]
mod setup;
#[cfg(target_os = "none")]
mod trace;
#[cfg(target_os = "none")]
mod world;

#[cfg(not(target_os = "none"))]
fn main() {}
