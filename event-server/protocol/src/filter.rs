//! Filters as a mask: what a source serves, what a note wants, what is true now.

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

/// A set of filters. One that came in a message may have bits that are no filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filters(u32);

bitflags! {
    impl Filters: u32 {
        /// `EVFILT_READ`: data to read, a connection to accept, end of file.
        const READ = 1 << 0;
        /// `EVFILT_WRITE`: space to write.
        const WRITE = 1 << 1;
        /// `EVFILT_EXCEPT`: out-of-band data.
        const EXCEPT = 1 << 2;
        /// `EVFILT_VNODE`: note bits of a file.
        const VNODE = 1 << 3;
        /// `EVFILT_PROC`: note bits of a process.
        const PROC = 1 << 4;
        /// `EVFILT_SIGNAL`: counted attempts.
        const SIGNAL = 1 << 5;
        /// `EVFILT_TIMER`: counted expirations.
        const TIMER = 1 << 6;
        /// Hang-up or error, which poll and epoll report unasked (R41).
        const HANGUP = 1 << 7;
        /// The source is no more, and nothing else (R57): what select asks of one that has nothing of its sets.
        const GONE = 1 << 8;
    }
}

impl Filters {
    /// Filters whose truth is in the word of the read direction.
    pub const READ_SIDE: Filters = Filters::READ.union(Filters::EXCEPT).union(Filters::HANGUP);
    /// Filters whose truth is in the word of the write direction.
    pub const WRITE_SIDE: Filters = Filters::WRITE.union(Filters::HANGUP);
    /// Filters that count occurrences.
    pub const COUNTED: Filters = Filters::SIGNAL.union(Filters::TIMER);
    /// Filters that accumulate note bits.
    pub const NOTED: Filters = Filters::VNODE.union(Filters::PROC);
}
