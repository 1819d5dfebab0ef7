//! The outside, as the engine needs it: the kernel's messages and the event server's sources.

use crate::driver::Opening;
use crate::files::FileId;
use abi::error::Result;
use abi::message::WORDS;
use event_protocol::cell::Direction;
use event_protocol::descriptor::Opened;
use event_protocol::level::Level;

/// The cells of the driver's open files. A file that has none (any more) is left alone.
pub trait Sources {
    /// See [`Context::publish`](crate::Context::publish).
    fn publish(&mut self, file: FileId, direction: Direction, level: Level, arrived: bool);
    /// See [`Context::post`](crate::Context::post).
    fn post(&mut self, file: FileId, occurrences: u64);
    /// See [`Context::note`](crate::Context::note).
    fn note(&mut self, file: FileId, bits: u32, data: u32);
    /// Destroys the source; its users see `errno`. Nothing happens when it has none.
    fn retire(&mut self, file: FileId, errno: i32);
    /// The monotonic clock, in ns.
    fn clock(&self) -> u64;
    /// Realtime minus monotonic time, in ns.
    fn realtime_offset(&self) -> u64;
}

/// Messages, and the making of sources.
pub trait Link: Sources {
    /// What a client shows when it opens something: who it is.
    type Ticket;

    /// Who that is: what quotas are counted by.
    fn identity(&self, ticket: &Self::Ticket) -> Result<u64>;

    /// Makes the source of a file that is about to be opened for a client.
    fn create(&mut self, file: FileId, opening: &Opening, ticket: Self::Ticket) -> Result<()>;

    /// Answers an open with the descriptor and watch handles. When that fails the descriptor's badge is closed, as at
    /// its last close.
    fn reply_opened(&mut self, token: u64, file: FileId, opened: Opened) -> Result<()>;

    /// Answers. ESRCH: the caller no longer waits, and got nothing.
    fn reply(&mut self, token: u64, words: [u64; WORDS], bytes: &[u8]) -> Result<()>;
}
