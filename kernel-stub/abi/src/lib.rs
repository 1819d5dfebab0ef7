//! What the kernel and its users agree on, declared once: call numbers, handles, rights, messages, shared pages, limits.
//!
//! Errors, clocks and the result encoding are [`redox_syscall`](syscall)'s (re-exported as [`error`] and [`flag`]). A
//! call that Redox has with the same meaning keeps Redox's number; all others live in the class
//! [`number::CLASS_NATIVE`].
#![no_std]
#![forbid(unsafe_code)]

pub mod counters;
pub mod handle;
pub mod hints;
pub mod limits;
pub mod memory;
pub mod message;
pub mod number;
pub mod start;
pub mod status;
pub mod thread;

pub use handle::{Handle, Rights};
pub use message::{IpcBuffer, Message, Tag, TransferSlot};
pub use syscall::{error, flag};

/// Encodes a result for the result register as Redox does: a value, or the negated errno.
pub fn mux(result: error::Result<u64>) -> u64 {
    match result {
        Ok(value) => value,
        Err(error) => (-i64::from(error.errno)) as u64,
    }
}

/// Decodes a result register. Only the values -4095 to -1 are errors, so that addresses and handles with a high bit in
/// their low half are never mistaken for one.
pub fn demux(value: u64) -> error::Result<u64> {
    match value as i64 {
        errno @ -4095..=-1 => Err(error::Error::new(-errno as i32)),
        _ => Ok(value),
    }
}
