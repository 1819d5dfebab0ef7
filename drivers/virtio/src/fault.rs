//! What a device does wrong.

use abi::error::{EIO, Error};
use core::fmt;

/// Why a device cannot be used, or no longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Its capabilities do not say where a structure is.
    NoStructure(&'static str),
    /// A structure is smaller than it has to be, or in no BAR.
    BadStructure(&'static str),
    /// It does not come out of its reset.
    NoReset,
    /// It refuses the features that it offered, or has none of today's.
    Features,
    /// It has no such queue, or one of no size.
    NoQueue(u16),
    /// It says that it needs a reset.
    NeedsReset,
    /// It has used more than it was given.
    TooMuchUsed,
    /// It has used a chain that it was not given.
    NotGiven(u32),
    /// It has written more than there was room for.
    TooLong(u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fault::NoStructure(what) => write!(f, "the device has no {what}"),
            Fault::BadStructure(what) => write!(f, "the device's {what} is in no possible place"),
            Fault::NoReset => write!(f, "the device does not come out of its reset"),
            Fault::Features => write!(f, "the device refuses the features"),
            Fault::NoQueue(queue) => write!(f, "the device has no queue {queue}"),
            Fault::NeedsReset => write!(f, "the device asks to be reset"),
            Fault::TooMuchUsed => write!(f, "the device has used more than it was given"),
            Fault::NotGiven(head) => write!(f, "the device has used {head}, which it was not given"),
            Fault::TooLong(length) => write!(f, "the device says it wrote {length} bytes, more than fit"),
        }
    }
}

impl From<Fault> for Error {
    fn from(_: Fault) -> Error {
        Error::new(EIO)
    }
}
