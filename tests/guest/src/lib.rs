//! What the guest test programs share.
//!
//! A program runs as the machine's essential application and tells its results in the kernel's log, one line each:
//! `test NAME ok`, `test NAME FAILED why`, at last `tests done N`. Its exit status is 0 or 1. Measurements are lines
//! `name value unit`.
#![no_std]

extern crate alloc;

pub mod bereavement;
pub mod books;
pub mod child;
pub mod crew;
pub mod echo;
pub mod failure;
mod kernel;
pub mod ledger;
pub mod looks;
pub mod loopback;
pub mod measure;
pub mod mini;
pub mod operator;
pub mod peers;
pub mod random;
pub mod records;
pub mod region;
pub mod shared;
pub mod suite;
pub mod witness;

pub use failure::{Failure, Outcome};
pub use kernel::{IpcPage, raw, raw_registers, thread_in};
pub use suite::Suite;

/// Nanoseconds after which a wait that should end is a failure: no test may hang. Where time passes as on the host, a host
/// that is slow, or stands still for a while, must not use it up.
pub const PATIENCE: u64 = 120_000_000_000;

/// Nanoseconds that are enough for another thread to have got into its wait. No result may depend on it: it only makes
/// the interesting order of things likely.
pub const A_MOMENT: u64 = 3_000_000;

/// The deadline of a wait that should end.
pub fn soon() -> u64 {
    rt::clock::after(PATIENCE)
}

/// Waits until this is what a thread waits for. Then it has none of the program's locks, and may be killed.
#[track_caller]
pub fn until_it_waits(thread: &rt::sys::Thread, waits: abi::status::Waits) -> Outcome {
    let deadline = soon();
    while thread.status()?.waits != waits as u64 {
        failure::ensure(rt::clock::now_ns() < deadline, "it gets into its wait")?;
        a_moment();
    }
    Ok(())
}

/// Lets the others go on for [`A_MOMENT`].
pub fn a_moment() {
    rt::thread::sleep(A_MOMENT);
}
