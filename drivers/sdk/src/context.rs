//! What a driver can do while it answers.

use crate::files::FileId;
use crate::link::Sources;
use crate::watches::Watches;
use alloc::vec::Vec;
use event_protocol::cell::Direction;
use event_protocol::level::Level;

/// Queues whose waiting requests are to be tried again.
pub(crate) type Wakes = Vec<(Direction, u64)>;

/// The driver's side of publishing: cheap when nothing changes and nobody is interested. All who watch a file are told the
/// same.
pub struct Context<'a> {
    pub(crate) sources: &'a mut dyn Sources,
    pub(crate) watches: &'a mut Watches,
    pub(crate) wakes: &'a mut Wakes,
    pub(crate) now: u64,
    pub(crate) caller: u32,
    pub(crate) client: u64,
}

impl Context<'_> {
    /// Monotonic time in ns at which the driver heard what it is being told.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The process that asks: of a driver that [knows its callers](crate::Driver::KNOWS_CALLERS), and on its service handle;
    /// otherwise 0.
    pub fn caller(&self) -> u32 {
        self.caller
    }

    /// Whose quotas a file counts against that is being opened; otherwise 0.
    pub fn client(&self) -> u64 {
        self.client
    }

    /// The monotonic clock in ns: later than [`Context::now`] by what the driver has done since.
    pub fn clock(&self) -> u64 {
        self.sources.clock()
    }

    /// What to add to the monotonic time to get that since 1970, in ns.
    pub fn realtime_offset(&self) -> u64 {
        self.sources.realtime_offset()
    }

    /// Publishes the level of a direction. `arrived`: something new came, which edge-triggered notes report even when
    /// the amount is no higher than before.
    pub fn publish(&mut self, file: FileId, direction: Direction, level: Level, arrived: bool) {
        self.watches.publish(self.sources, file, direction, level, arrived);
    }

    /// Publishes the levels of reading and writing, each with whether something arrived, as one change: an end of both is told
    /// as that, and not by halves.
    pub fn publish_both(&mut self, file: FileId, levels: [(Level, bool); 2]) {
        self.watches.publish_both(self.sources, file, levels);
    }

    /// Sets the errno that goes with [`LevelFlags::ERROR`](crate::LevelFlags::ERROR) and
    /// [`LevelFlags::EOF`](crate::LevelFlags::EOF), 0 for none: before the level is published.
    pub fn set_error(&mut self, file: FileId, errno: i32) {
        self.watches.set_error(self.sources, file, errno.unsigned_abs());
    }

    /// Counts occurrences for the filters that count (TIMER, SIGNAL).
    pub fn post(&mut self, file: FileId, occurrences: u64) {
        let Context { sources, watches, .. } = self;
        watches.each(file, |source| sources.post(source, occurrences));
    }

    /// Posts note bits for the filters that accumulate (VNODE, PROC).
    pub fn note(&mut self, file: FileId, bits: u32, data: u32) {
        let Context { sources, watches, .. } = self;
        watches.each(file, |source| sources.note(source, bits, data));
    }

    /// What the file stood for is gone, the file itself is still open (R57): its notes fire once with end of file and
    /// `errno`.
    pub fn retire(&mut self, file: FileId, errno: i32) {
        self.watches.retire(self.sources, file, errno);
    }

    /// Requests that wait in a queue can go on: each is tried again, in the order in which they came, until one has to
    /// wait still.
    pub fn wake(&mut self, direction: Direction, queue: u64) {
        if !self.wakes.contains(&(direction, queue)) {
            self.wakes.push((direction, queue));
        }
    }
}
