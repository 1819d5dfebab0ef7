//! What programs and the service for processes and signals share: the paths that it opens, what can be asked of the files,
//! the records that are read from them, and what a signal is.
//!
//! | path | what it is | read | filters |
//! |---|---|---|---|
//! | [`SELF`] | the caller's signals: [`Request`]s as [`Control::Private`](PRIVATE) | waits for a signal: the pending [`SignalSet`], 8 bytes, which stay pending until [`Request::Take`] | READ |
//! | [`SIGNAL`]`N` | attempts to send signal N to the caller | | SIGNAL: attempts are occurrences |
//! | [`WATCH`] | a stream of what happens to the processes that it watches: [`Request::Watch`] | [`Record`]s | READ: records that wait |
//!
//! The service knows its callers: the file belongs to the process that opened it.
//!
//! **Who may**: a process may watch and signal the processes of its own family (the program of the boot manifest that it
//! descends from, and all that descend from it) and itself; an operator may all. `EPERM` otherwise, `ESRCH` when there is
//! no such process.
#![cfg_attr(not(any(test, loom)), no_std)]
#![forbid(unsafe_code)]

mod atomic;
pub mod handoff;
pub mod note;
mod record;
mod request;
pub mod signal;

pub use record::Record;
pub use request::Request;
pub use signal::{Default, SignalSet};

/// Name of the service.
pub const SERVICE: &str = "process";
/// The caller's signals.
pub const SELF: &str = "/dev/process/self";
/// Attempts to send a signal to the caller: a number follows.
pub const SIGNAL: &str = "/dev/process/signal/";
/// A stream of what happens to processes.
pub const WATCH: &str = "/dev/process/watch";
/// Number of the private control that carries a [`Request`]; the answer is 8 bytes, the [`SignalSet`] of
/// [`Request::Take`].
pub const PRIVATE: u32 = u32::from_be_bytes(*b"PROC");

/// Processes that the streams of one process watch together, tracked ones included (R55).
pub const MAX_WATCHED: usize = 4096;
/// Processes that all streams watch together.
pub const MAX_WATCHED_BY_ALL: usize = 8 * MAX_WATCHED;
