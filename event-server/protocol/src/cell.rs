//! The cell: the cache line in which a driver publishes one source.
//!
//! Pages of cells are made by the server, mapped writable by the driver and read-only by clients. A page holds cells of
//! one client's sources only, unless they are for sharing. Zeroed memory is a page of free cells.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::filter::Filters;
use crate::level::{Level, LevelFlags};

/// Bytes of a cell.
pub const CELL_SIZE: usize = 64;
/// Cells in a page.
pub const CELLS_PER_PAGE: usize = 4096 / CELL_SIZE;

/// In place of an interest: there is no watch handle any more.
const ABANDONED: u32 = 1 << 31;
const _: () = assert!(Filters::all().bits() & ABANDONED == 0);

/// Beside the flags of a level's word: whether the arrivals of its direction are odd with the one that the level came with. They are
/// counted in another word, later; from here a count that the driver did not live to make is [made up for](Cell::make_up). No reader's
/// affair, and no flag: [`Level::unpack`] drops it.
const PARITY: u64 = 1 << 15;
const _: () = assert!(LevelFlags::all().bits() as u64 & PARITY == 0);

/// One source's published state.
///
/// Each direction is one word, so that the truth of a filter is a function of a single load.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Cell {
    read: AtomicU64,
    write: AtomicU64,
    activity: AtomicU64,
    occurrences: AtomicU64,
    note_bits: AtomicU32,
    note_data: AtomicU32,
    error: AtomicU32,
    generation: AtomicU32,
    interest: AtomicU32,
    pub(crate) queued: AtomicU32,
    kept: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Cell>() == CELL_SIZE);

/// For the test of the document.
#[cfg(all(test, not(loom)))]
pub(crate) fn fields() -> Vec<crate::document::Field> {
    crate::document::fields!(Cell: read, write, activity, occurrences, note_bits, note_data, error, generation, interest, queued, kept)
}

/// A direction of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// What can be read.
    Read,
    /// What can be written.
    Write,
}

impl Direction {
    /// Filters whose truth the direction's word decides.
    pub const fn filters(self) -> Filters {
        match self {
            Direction::Read => Filters::READ_SIDE,
            Direction::Write => Filters::WRITE_SIDE,
        }
    }
}

/// Reading: everybody's.
impl Cell {
    /// The level of a direction.
    #[inline]
    pub fn level(&self, direction: Direction) -> Level {
        Level::unpack(self.level_word(direction).load(Ordering::Acquire))
    }

    /// Arrivals in the read and write direction, modulo 2^32 (R15: an edge is a change of these).
    #[inline]
    pub fn activity(&self) -> (u32, u32) {
        let word = self.activity_word();
        (word as u32, (word >> 32) as u32)
    }

    #[inline]
    pub(crate) fn activity_word(&self) -> u64 {
        self.activity.load(Ordering::Acquire)
    }

    /// Occurrences ever posted (R25, R28).
    #[inline]
    pub fn occurrences(&self) -> u64 {
        self.occurrences.load(Ordering::Acquire)
    }

    /// Errno of the pending error, 0 for none.
    #[inline]
    pub fn error(&self) -> u32 {
        self.error.load(Ordering::Acquire)
    }

    /// Data that goes with the note bits (`EVFILT_PROC`: the exit status).
    #[inline]
    pub fn note_data(&self) -> u32 {
        self.note_data.load(Ordering::Acquire)
    }

    /// Which use of the cell this is.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Filters that somebody has a note on.
    #[inline]
    pub fn interest(&self) -> Filters {
        Filters::from_bits_truncate(self.interest.load(Ordering::Acquire))
    }

    /// What the driver keeps of a durable source for who is started in its place.
    #[inline]
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Acquire)
    }

    /// Whether the driver of a durable source is gone and may come back.
    #[inline]
    pub fn is_away(&self) -> bool {
        self.level(Direction::Read).flags.contains(LevelFlags::AWAY)
    }

    /// Whether the last watch handle is closed: nobody can be told any more, and the driver may destroy the source.
    #[inline]
    pub fn is_abandoned(&self) -> bool {
        self.interest.load(Ordering::Acquire) == ABANDONED
    }

    #[inline]
    fn level_word(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }
}

/// Writing: the driver's, through [`changed::Publisher`](crate::changed::Publisher).
impl Cell {
    /// Replaces a level and tells whether it rose; an arrival with it is one from here on, though it has still to be counted. Only one
    /// thread writes a cell's levels. The first step of publishing, and alone what a driver leaves that dies behind it.
    #[inline]
    pub fn set_level(&self, direction: Direction, level: Level, arrived: bool) -> bool {
        let word = self.level_word(direction);
        let before = word.load(Ordering::Relaxed);
        let parity = (before ^ if arrived { PARITY } else { 0 }) & PARITY;
        word.store(level.pack() | parity, Ordering::Release);
        level.rose_from(Level::unpack(before))
    }

    /// Counts one arrival, after the level that shows it.
    #[cfg(test)]
    pub(crate) fn arrive(&self, direction: Direction) {
        self.arrive_in([direction == Direction::Read, direction == Direction::Write]);
    }

    /// Counts one arrival in each of reading and writing that has one, both at once, after the levels that show them: whoever
    /// has seen an arrival has seen its level. Before it, an edge could be told with the level of before, and never again.
    #[inline]
    pub(crate) fn arrive_in(&self, [reading, writing]: [bool; 2]) {
        let (read, write) = self.activity();
        let (read, write) = (read.wrapping_add(u32::from(reading)), write.wrapping_add(u32::from(writing)));
        self.activity.store(u64::from(write) << 32 | u64::from(read), Ordering::Release);
    }

    #[inline]
    pub(crate) fn count(&self, occurrences: u64) {
        let before = self.occurrences.load(Ordering::Relaxed);
        self.occurrences.store(before.wrapping_add(occurrences), Ordering::Release);
    }

    #[inline]
    pub(crate) fn note(&self, bits: u32, data: u32) {
        self.note_data.store(data, Ordering::Relaxed);
        self.note_bits.fetch_or(bits, Ordering::AcqRel);
    }

    /// Keeps a word for who is started in the driver's place, should it die. One word: whatever instruction it dies at, it is the
    /// old one or the new one. To be done before the reply that lets anybody know what it says.
    #[inline]
    pub fn keep(&self, word: u64) {
        self.kept.store(word, Ordering::Release);
    }

    /// Sets the errno that [`LevelFlags::ERROR`] or [`LevelFlags::EOF`] stands for; 0 for none. To be set before the level.
    pub fn set_error(&self, errno: u32) {
        self.error.store(errno, Ordering::Release);
    }
}

/// The server's part.
impl Cell {
    /// Makes the cell that of a new source.
    pub fn begin(&self, generation: u32) {
        for word in [&self.read, &self.write, &self.activity, &self.occurrences, &self.kept] {
            word.store(0, Ordering::Relaxed);
        }
        for word in [&self.note_bits, &self.note_data, &self.error, &self.interest, &self.queued] {
            word.store(0, Ordering::Relaxed);
        }
        self.generation.store(generation, Ordering::Release);
    }

    /// Shows what another cell shows, whose driver writes neither of them meanwhile.
    pub fn copy(&self, other: &Cell) {
        let words = [
            (&self.read, &other.read),
            (&self.write, &other.write),
            (&self.occurrences, &other.occurrences),
            (&self.activity, &other.activity),
        ];
        self.error.store(other.error(), Ordering::Relaxed);
        for (own, other) in words {
            own.store(other.load(Ordering::Acquire), Ordering::Release);
        }
    }

    /// Says which filters somebody wants.
    ///
    /// ```text
    /// server (a note is added)           driver (publishes)
    /// interest = filters                 level = ready
    /// fence(SeqCst)                      fence(SeqCst)
    /// look at level                      look at interest
    /// ```
    /// One of them sees the other's store: the server finds the level ready, or the driver tells.
    pub fn set_interest(&self, filters: Filters) {
        self.interest.store(filters.bits(), Ordering::Release);
        crate::atomic::fence(Ordering::SeqCst);
    }

    /// Says that nobody can be interested any more.
    pub fn abandon(&self) {
        self.interest.store(ABANDONED, Ordering::Release);
    }

    /// Takes the accumulated note bits, to be folded into each note.
    #[inline]
    pub fn take_note_bits(&self) -> u32 {
        match self.note_bits.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.note_bits.swap(0, Ordering::AcqRel),
        }
    }

    /// The source is no more (R57): both directions end with this errno, and everybody sees an edge.
    pub fn end(&self, errno: u32) {
        self.error.store(errno, Ordering::Relaxed);
        for direction in [Direction::Read, Direction::Write] {
            let Level { amount, flags } = self.level(direction);
            let flags = flags.difference(LevelFlags::AWAY);
            let level = Level { amount, flags }.with(LevelFlags::EOF.union(LevelFlags::GONE));
            self.set_level(direction, level, true);
        }
        self.arrive_in([true; 2]);
    }

    /// The source's driver is gone: counts the arrivals whose levels it stored and which it did not live to count. Nobody was told of
    /// them by an edge yet, and whoever looks from here on is.
    ///
    /// ```text
    /// driver                             shard (the driver is gone)
    /// level, its parity flipped          activity is odd, the parity even, or the other way round:
    ///   dies                               activity + 1
    /// activity + 1
    /// ```
    pub fn make_up(&self) {
        let (read, write) = self.activity();
        let is_owed = |direction, activity: u32| {
            let word = self.level_word(direction).load(Ordering::Acquire);
            (word & PARITY != 0) != (activity & 1 != 0)
        };
        let owed = [is_owed(Direction::Read, read), is_owed(Direction::Write, write)];
        if owed != [false; 2] {
            self.arrive_in(owed);
        }
    }

    /// The source's driver is gone, and may come back: nothing is ready, and nothing is said to be over. What has arrived and
    /// was counted stays as it is. Returns the levels of reading and writing that were there.
    pub fn leave(&self) -> [Level; 2] {
        let before = [Direction::Read, Direction::Write].map(|direction| self.level(direction));
        self.error.store(0, Ordering::Relaxed);
        for direction in [Direction::Read, Direction::Write] {
            self.set_level(direction, Level::new(0).with(LevelFlags::AWAY), false);
        }
        before
    }

    /// Takes the cell off the changed ring: what is published from here on is told again.
    #[inline]
    pub fn begin_look(&self) {
        self.queued.swap(0, Ordering::AcqRel);
        crate::atomic::fence(Ordering::SeqCst);
    }
}
