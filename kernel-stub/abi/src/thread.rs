//! Options of a new thread.

use crate::limits::{MAX_CPUS, PRIORITIES};

/// The last argument of [`SYS_THREAD_CREATE`](crate::number::SYS_THREAD_CREATE):
/// `affinity << 16 | priority`. An affinity of 0 is every CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct ThreadOptions(pub u64);

impl ThreadOptions {
    /// A thread of this priority that may run on every CPU.
    pub const fn new(priority: u8) -> ThreadOptions {
        ThreadOptions(priority as u64)
    }

    /// The same on these CPUs only (bit n is CPU n).
    pub const fn on(self, affinity: u64) -> ThreadOptions {
        ThreadOptions(self.0 & 0xffff | affinity << 16)
    }

    /// Its priority, if in range.
    pub fn priority(self) -> Option<u8> {
        u8::try_from(self.0 & 0xffff).ok().filter(|&p| usize::from(p) < PRIORITIES)
    }

    /// Its CPU mask, if in range.
    pub const fn affinity(self) -> Option<u64> {
        match self.0 >> 16 {
            0 => Some((1 << MAX_CPUS) - 1),
            mask if mask < 1 << MAX_CPUS => Some(mask),
            _ => None,
        }
    }
}
