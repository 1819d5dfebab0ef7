//! Publishing: how a driver tells its shard which cells changed.
//!
//! One ring per driver session with a shard. An entry is a source id. Each cell is in the ring at most once (its `queued`
//! word), so a ring as long as the session has cells cannot overflow, and a source that fires a million times with no
//! reader costs one entry (R59).
//!
//! A cell is not lost between publish and look:
//!
//! ```text
//! driver                                shard
//! level = new           (Release)       pop
//! queued.swap(1)        (AcqRel)        queued.swap(0)     (AcqRel)
//!   was 0: push                         look at the level  (Acquire)
//! ```
//! If the driver's swap found 1, the shard's swap comes later, reads what the driver's released, and sees the level.
//!
//! The doorbell is not lost between push and sleep:
//!
//! ```text
//! driver                                shard
//! tail = n + 1          (Release)       armed.swap(1)      (AcqRel)
//! armed.swap(0)         (AcqRel)        look at the tail   (Acquire)
//!   was 1: ring the doorbell              not empty: go on; empty: sleep
//! ```
//! If the driver's swap found 0, the shard's swap comes later and it sees the tail.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::badge::SourceId;
use crate::cell::{Cell, Direction};
use crate::fault::Fault;
use crate::filter::Filters;
use crate::level::Level;
use crate::ring::{Consumer, Producer, Ring, RingHeader};

/// Beginning of a driver session's memory: the ring header, the `armed` word, then the entries.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct ChangedHeader {
    ring: RingHeader,
    /// 1 while the shard sleeps, or is about to: the next push rings the doorbell.
    armed: AtomicU32,
    reserved: [u32; 15],
}

/// Byte offset of the entries in a driver session's memory.
pub const ENTRIES_OFFSET: usize = 192;
#[cfg(not(loom))]
const _: () = assert!(size_of::<ChangedHeader>() == ENTRIES_OFFSET);

/// For the test of the document.
#[cfg(all(test, not(loom)))]
pub(crate) fn fields() -> Vec<crate::document::Field> {
    crate::document::fields!(ChangedHeader: ring, armed, reserved)
}

/// Bytes of the memory of a session with so many cells, in whole pages. `None` unless it is a power of two within
/// [`MAX_CELLS`](crate::control::limits::MAX_CELLS).
pub const fn memory_size(cells: u32) -> Option<usize> {
    if !cells.is_power_of_two() || cells > crate::control::limits::MAX_CELLS {
        return None;
    }
    Some((ENTRIES_OFFSET + 8 * cells as usize).next_multiple_of(4096))
}

/// A session's ring in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    ring: Ring<'a>,
    armed: &'a AtomicU32,
}

impl<'a> Changed<'a> {
    /// A view; `None` when the number of entries is not a power of two.
    #[inline]
    pub fn new(header: &'a ChangedHeader, entries: &'a [AtomicU64]) -> Option<Changed<'a>> {
        Some(Changed { ring: Ring::new(&header.ring, entries)?, armed: &header.armed })
    }

    /// A ring whose number of entries [`Changed::new`] has accepted before.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) const fn checked(header: &'a ChangedHeader, entries: &'a [AtomicU64]) -> Changed<'a> {
        Changed { ring: Ring::checked(&header.ring, entries), armed: &header.armed }
    }

    /// The server's first act on it: the shard sleeps.
    pub fn begin(&self) {
        self.armed.store(1, Ordering::Release);
    }
}

/// What a publish asks of the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Told {
    /// Nothing: nobody is interested, or the shard will look anyway.
    Nothing,
    /// Signal the doorbell: the shard may sleep.
    Ring,
}

/// The driver's end.
#[derive(Debug, Default)]
pub struct Publisher {
    producer: Producer,
}

impl Publisher {
    /// The publisher of a fresh session.
    pub const fn new() -> Publisher {
        Publisher { producer: Producer::new() }
    }

    /// Publishes the level of a direction; `arrived` says that something new came, which edge-triggered notes report
    /// even if the amount is no higher than before. To be done before the reply that lets anybody know of the change.
    #[inline]
    pub fn publish(
        &mut self,
        changed: Changed<'_>,
        cell: &Cell,
        source: SourceId,
        direction: Direction,
        level: Level,
        arrived: bool,
    ) -> Result<Told, Fault> {
        let rose = cell.set_level(direction, level, arrived);
        if arrived {
            cell.arrive_in([direction == Direction::Read, direction == Direction::Write]);
        }
        if !rose && !arrived {
            // Harvests look again, so a level that only fell concerns nobody (R11).
            return Ok(Told::Nothing);
        }
        self.tell(changed, cell, source, direction.filters())
    }

    /// Publishes the levels of reading and of writing, each with whether something arrived, as one change: whoever is woken for
    /// one sees the other too. The levels are two words, so a look of its own accord may come between them; reading is first.
    pub fn publish_both(
        &mut self,
        changed: Changed<'_>,
        cell: &Cell,
        source: SourceId,
        levels: [(Level, bool); 2],
    ) -> Result<Told, Fault> {
        let both = [Direction::Read, Direction::Write].into_iter().zip(levels);
        let mut filters = Filters::empty();
        for (direction, (level, arrived)) in both {
            if cell.set_level(direction, level, arrived) || arrived {
                filters = filters.union(direction.filters());
            }
        }
        cell.arrive_in(levels.map(|(_, arrived)| arrived));
        if filters.is_empty() { Ok(Told::Nothing) } else { self.tell(changed, cell, source, filters) }
    }

    /// Posts occurrences of a filter that counts (TIMER, SIGNAL).
    #[inline]
    pub fn post(
        &mut self,
        changed: Changed<'_>,
        cell: &Cell,
        source: SourceId,
        occurrences: u64,
    ) -> Result<Told, Fault> {
        cell.count(occurrences);
        self.tell(changed, cell, source, Filters::COUNTED)
    }

    /// Posts note bits (VNODE, PROC).
    #[inline]
    pub fn note(
        &mut self,
        changed: Changed<'_>,
        cell: &Cell,
        source: SourceId,
        bits: u32,
        data: u32,
    ) -> Result<Told, Fault> {
        cell.note(bits, data);
        self.tell(changed, cell, source, Filters::NOTED)
    }

    #[inline]
    fn tell(
        &mut self,
        changed: Changed<'_>,
        cell: &Cell,
        source: SourceId,
        filters: Filters,
    ) -> Result<Told, Fault> {
        // Pairs with Cell::set_interest.
        fence(Ordering::SeqCst);
        if !cell.interest().intersects(filters) || cell.queued.swap(1, Ordering::AcqRel) != 0 {
            return Ok(Told::Nothing);
        }
        self.producer.push(changed.ring, source.0)?;
        Ok(match changed.armed.swap(0, Ordering::AcqRel) {
            0 => Told::Nothing,
            _ => Told::Ring,
        })
    }
}

/// The shard's end.
#[derive(Debug, Default)]
pub struct Drain {
    consumer: Consumer,
}

impl Drain {
    /// The drain of a fresh session.
    pub const fn new() -> Drain {
        Drain { consumer: Consumer::new() }
    }

    /// The next source that changed. The caller finds its cell, calls [`Cell::begin_look`] and looks at it.
    #[inline]
    pub fn pop(&mut self, changed: Changed<'_>) -> Result<Option<SourceId>, Fault> {
        Ok(self.consumer.pop(changed.ring)?.map(SourceId))
    }

    /// Announces that the shard will sleep; true when it may, false when more came in between.
    #[inline]
    pub fn arm(&mut self, changed: Changed<'_>) -> bool {
        changed.armed.swap(1, Ordering::AcqRel);
        self.consumer.is_empty(changed.ring)
    }
}
