//! Lies of a peer.

use abi::error::{EPROTO, Error};
use core::fmt;

/// What a peer wrote into shared memory that it cannot have meant honestly. It ends that peer's session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The other end's ring index is further from ours than the ring is long.
    RingIndex {
        /// Our private index.
        own: u32,
        /// The index that the peer published.
        peer: u32,
        /// Entries of the ring.
        capacity: u32,
    },
    /// A ring that cannot be full by protocol is full: entries were not consumed before their note was used again.
    RingFull {
        /// Entries of the ring.
        capacity: u32,
    },
    /// A view outside of the mapped memory, or not aligned.
    Range {
        /// Byte offset asked for.
        offset: usize,
        /// Bytes asked for.
        length: usize,
        /// Bytes mapped.
        mapped: usize,
    },
    /// A value that names nothing of the peer's.
    Reference(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::RingIndex { own, peer, capacity } => {
                write!(f, "ring index {peer} is not within {capacity} of {own}")
            }
            Fault::RingFull { capacity } => write!(f, "ring of {capacity} is full though it cannot be"),
            Fault::Range { offset, length, mapped } => {
                write!(f, "{length} bytes at {offset} are not aligned within {mapped}")
            }
            Fault::Reference(value) => write!(f, "{value:#x} names nothing of the session"),
        }
    }
}

impl core::error::Error for Fault {}

impl From<Fault> for Error {
    fn from(_: Fault) -> Error {
        Error::new(EPROTO)
    }
}
