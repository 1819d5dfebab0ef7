//! The outside, as the engine needs it: the kernel's messages and the event server's sources.

use crate::driver::Opening;
use crate::files::FileId;
use abi::error::Result;
use abi::message::WORDS;
use event_protocol::badge::SourceId;
use event_protocol::cell::Direction;
use event_protocol::descriptor::Opened;
use event_protocol::level::Level;
use event_protocol::trace::Trace;

/// A source, by a small number that the engine gives it: no two have the same at one time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SourceKey(pub u32);

impl SourceKey {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The cells of sources. One that is none (any more) is left alone.
pub trait Sources {
    /// Publishes the level of a direction, and whether something arrived.
    fn publish(&mut self, source: SourceKey, direction: Direction, level: Level, arrived: bool);
    /// Publishes the levels of reading and writing, each with whether something arrived, as one change.
    fn publish_both(&mut self, source: SourceKey, levels: [(Level, bool); 2]);
    /// Counts occurrences.
    fn post(&mut self, source: SourceKey, occurrences: u64);
    /// Posts note bits.
    fn note(&mut self, source: SourceKey, bits: u32, data: u32);
    /// Keeps a word in the cell for who comes after this driver.
    fn keep(&mut self, source: SourceKey, word: u64);
    /// Sets the errno that goes with the level that is published next.
    fn set_error(&mut self, source: SourceKey, errno: u32);
    /// Whether nobody can watch it any more.
    fn is_abandoned(&self, source: SourceKey) -> bool;
    /// Destroys the source; its users see `errno`.
    fn retire(&mut self, source: SourceKey, errno: i32);
    /// The monotonic clock, in ns.
    fn clock(&self) -> u64;
    /// Realtime minus monotonic time, in ns.
    fn realtime_offset(&self) -> u64;
}

/// What came or goes with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carried<H> {
    /// A handle to something of another process.
    Handle(H),
    /// A descriptor of this driver's own: its badge.
    Own(u64),
}

/// Messages, and the making of sources.
pub trait Link: Sources {
    /// A handle of the kernel's; dropping it closes it.
    type Handle;

    /// Where the engine tells what it does.
    fn trace(&self) -> &Trace;

    /// The process that shows this ticket: what quotas are counted by, however many sessions it has.
    fn identity(&self, ticket: &Self::Handle) -> Result<u64>;

    /// Whether a ticket is one of the event server's, and its client lives.
    fn is_alive(&mut self, ticket: &Self::Handle) -> bool;

    /// Whether a handle that came may be kept and given on.
    fn can_travel(&self, handle: &Self::Handle) -> bool;

    /// Makes a source for a client; its watch handle is kept for the answer. Only what succeeds is ever
    /// [retired](Sources::retire). With bytes that are kept of it, it is durable.
    fn create(
        &mut self,
        source: SourceKey,
        opening: &Opening,
        ticket: Self::Handle,
        kept: Option<&[u8]>,
    ) -> Result<()>;

    /// Lets one more client watch what `source` is about: there is one source for all who come after the first, `others` if the
    /// file has it, which goes by that number from here on. The client's watch handle is kept for the answer. What is made shows
    /// what `source` shows, which is to be published first whenever both are.
    fn share(&mut self, source: SourceKey, others: SourceKey, ticket: Self::Handle) -> Result<()>;

    /// A name of this session that no other session of the driver's ever had; `None` when nobody comes after it, so that nothing can
    /// be durable.
    fn lineage(&self) -> Option<u64>;

    /// Goes on with a source that was left, by the event server's name for it, and gives its client this descriptor.
    fn claim(&mut self, source: SourceKey, left: SourceId, descriptor: Self::Handle) -> Result<()>;

    /// Makes a descriptor handle. When all duplicates of it are closed the engine is told, once for each that was made.
    fn mint(&mut self, file: FileId) -> Result<Self::Handle>;

    /// Answers with the descriptor, if it is new, and the watch handle of a source, if it has one. An error: the caller got
    /// at most that error.
    fn reply_opened(
        &mut self,
        token: u64,
        descriptor: Option<Self::Handle>,
        source: Option<SourceKey>,
        opened: Opened,
    ) -> Result<()>;

    /// Answers. ESRCH: the caller no longer waits, and got nothing.
    fn reply(&mut self, token: u64, words: [u64; WORDS], bytes: &[u8]) -> Result<()>;

    /// Answers with duplicates of handles. An error: the caller got at most that error.
    fn reply_message(
        &mut self,
        token: u64,
        words: [u64; WORDS],
        bytes: &[u8],
        handles: &[&Self::Handle],
    ) -> Result<()>;
}
