//! The run-time of all programs: start and end, system calls, heap, threads, locks, clock, log, messages.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//!
//! rt::entry!(main);
//!
//! fn main(start: &rt::Start) -> i32 {
//!     rt::log!("{} starts as process {}", start.arg(0), start.pid());
//!     0
//! }
//! ```
//!
//! Layers, from below: [`sys`] (the kernel's calls with types), [`block`] (a thread's own page), [`sync`] and
//! [`clock`], the heap, [`thread`], [`ipc`] (messages with bytes and handles), [`init`] (init's services).
//!
//! On the host everything compiles, so that the libraries above can be tested there; what enters the kernel does not
//! work, and start, heap and panic handler are the host's.
#![no_std]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

extern crate alloc;

pub mod block;
pub mod clock;
#[cfg(target_os = "none")]
mod heap;
pub mod init;
pub mod ipc;
mod log;
mod panic;
pub mod start;
pub mod sync;
pub mod sys;
pub mod thread;

pub use abi;
pub use clock::hints;
pub use log::LogLine;
pub use start::Start;
pub use sys::Object;

/// Exit status of a program that panicked.
pub const PANIC_STATUS: i64 = 101;
