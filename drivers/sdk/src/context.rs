//! What a driver can do while it answers.

use crate::driver::own;
use crate::files::FileId;
use crate::link::Sources;
use crate::watches::Watches;
use alloc::vec::Vec;
use event_protocol::cell::Direction;
use event_protocol::level::Level;

/// Requests that waited and are looked at again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    /// Those in a queue of the driver's.
    Queue(Direction, u64),
    /// Those that wait for this direction of a file, in whatever queue.
    File(FileId, Direction),
    /// Those of a file that stands for nothing any more.
    Gone(FileId),
}

/// The driver's side of publishing: cheap when nothing changes and nobody is interested. All who watch a file are told the
/// same.
pub struct Context<'a> {
    pub(crate) sources: &'a mut dyn Sources,
    pub(crate) watches: &'a mut Watches,
    pub(crate) wakes: &'a mut Vec<Wake>,
    /// Whether any request waits.
    pub(crate) awaited: bool,
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
    /// the amount is no higher than before. Requests that wait for this direction of the file are tried again if the level
    /// rose or something arrived.
    ///
    /// A file that is not open, or not open yet, has no level: its first one is told with its [`Opening`](crate::Opening).
    pub fn publish(&mut self, file: FileId, direction: Direction, level: Level, arrived: bool) {
        if self.watches.publish(self.sources, file, direction, own(level), arrived) && self.awaited {
            self.again(Wake::File(file, direction));
        }
    }

    /// Publishes the levels of reading and writing, each with whether something arrived, as one change: an end of both is told
    /// as that, and not by halves.
    pub fn publish_both(&mut self, file: FileId, levels: [(Level, bool); 2]) {
        let levels = levels.map(|(level, arrived)| (own(level), arrived));
        let news = self.watches.publish_both(self.sources, file, levels);
        for (direction, news) in [Direction::Read, Direction::Write].into_iter().zip(news) {
            if news && self.awaited {
                self.again(Wake::File(file, direction));
            }
        }
    }

    /// Keeps a word of a durable file for [who is started](crate::Driver::restore) in this driver's place, should it die: in memory
    /// that outlives it, at the price of a store. It is the old word or the new one, whatever instruction the driver dies at. To be
    /// done before the reply that lets anybody know what it says; clients can read it.
    pub fn keep(&mut self, file: FileId, word: u64) {
        self.watches.keep(self.sources, file, word);
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
    /// `errno`. Requests on it, those that wait too, fail with `errno` from here on (ENODEV if that is 0), and the driver hears
    /// no more of it than its [`close`](crate::Driver::close).
    pub fn retire(&mut self, file: FileId, errno: i32) {
        self.watches.retire(self.sources, file, errno);
        // Always: this request may be about to wait.
        self.again(Wake::Gone(file));
    }

    /// Requests that wait in a queue can go on, though no level says so: each is tried again, in the order in which they
    /// came, until one has to wait still. For opens, and for what waits for something else than its own file's level.
    pub fn wake(&mut self, direction: Direction, queue: u64) {
        self.again(Wake::Queue(direction, queue));
    }

    fn again(&mut self, wake: Wake) {
        if !self.wakes.contains(&wake) {
            self.wakes.push(wake);
        }
    }
}
