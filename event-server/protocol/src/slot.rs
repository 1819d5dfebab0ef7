//! Note slots: the shared part of one note, in the memory of its queue.
//!
//! The client owns every word but `queued` and `note_bits`, which the server shares. What the server reads here concerns
//! only this client. That a note exists, and on which source, is the server's own knowledge.
//!
//! A note is in an activation ring or in the client's ready list exactly while `queued` is 1:
//!
//! ```text
//! shard                                 client (harvests a note that is not true)
//! look at the cell: true                queued.swap(0)      (AcqRel)
//! queued.swap(1)          (AcqRel)      look at the cell    (Acquire)
//!   was 0: push                           true: queued.swap(1), was 0: back to the list
//! ```
//! If the shard's swap found 1, the client's swap comes later and the client sees what the shard saw.
//!
//! Enabling needs no message:
//!
//! ```text
//! client                                shard
//! control = ENABLED                     (the driver's level has reached it)
//! fence(SeqCst)                         fence(SeqCst)       (Cell::begin_look)
//! look at the cell                      look at control
//! ```
//! One of them acts; both may, and the `queued` word lets one win.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::cell::{Cell, Direction};
use crate::filter::Filters;
use crate::level;
use bitflags::bitflags;

/// Bytes of a slot.
pub const SLOT_SIZE: usize = 64;

bitflags! {
    /// How a note behaves.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Control: u32 {
        /// It may fire. Cleared by `EV_DISABLE` and when `EV_DISPATCH` or `EPOLLONESHOT` has delivered.
        const ENABLED = 1 << 0;
        /// It reports arrivals, not the level (`EV_CLEAR`, `EPOLLET`).
        const EDGE = 1 << 1;
    }
}

/// What the client says of a note.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// Behaviour.
    pub control: Control,
    /// The filters it reports.
    pub filters: Filters,
    /// Low-water marks of reading and writing; 0 counts as 1.
    pub low_water: (u32, u32),
    /// Note bits that it wants (VNODE, PROC).
    pub wanted_bits: u32,
}

/// A note's shared words.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Slot {
    queued: AtomicU32,
    generation: AtomicU32,
    control: AtomicU32,
    filters: AtomicU32,
    low_water: AtomicU64,
    seen_activity: AtomicU64,
    seen_occurrences: AtomicU64,
    note_bits: AtomicU32,
    wanted_bits: AtomicU32,
    /// Client's own: the next slot of its ready list.
    pub next: AtomicU32,
    /// Client's own: where it finds the cell.
    pub cell: AtomicU32,
    /// How often note bits were folded into it.
    folds: AtomicU32,
    reserved: u32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Slot>() == SLOT_SIZE);

/// What has arrived at a note: another value after each arrival that its filters are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arrivals {
    activity: u64,
    occurrences: u64,
    folds: u32,
    /// What is no arrival by count: hang-ups, and the end of the source.
    ends: u32,
}

/// Both sides.
impl Slot {
    /// Makes the note queued; true for the one who has to put it into a ring or list.
    #[inline]
    pub fn try_queue(&self) -> bool {
        self.queued.swap(1, Ordering::AcqRel) == 0
    }

    /// Whether it is in a ring or list.
    pub fn is_queued(&self) -> bool {
        self.queued.load(Ordering::Acquire) != 0
    }

    /// Which of the note's filters are true now. The one predicate that the server activates and clients harvest by.
    #[inline(always)]
    pub fn active(&self, cell: &Cell) -> Filters {
        let control = self.control.load(Ordering::Relaxed);
        if control & Control::ENABLED.bits() == 0 {
            return Filters::empty();
        }
        self.condition_as(control, cell, || cell.activity_word())
    }

    /// [`Slot::active`] by an activity that was read before, and is [marked](Slot::see_activity) as seen by who tells: what arrives since
    /// is told the next time, and not this time and the next (R60).
    #[inline]
    pub fn active_at(&self, cell: &Cell, (read, write): (u32, u32)) -> Filters {
        let control = self.control.load(Ordering::Relaxed);
        if control & Control::ENABLED.bits() == 0 {
            return Filters::empty();
        }
        self.condition_as(control, cell, || u64::from(write) << 32 | u64::from(read))
    }

    /// [`Slot::active`] of a note whether enabled or not (R8).
    #[inline]
    pub fn condition(&self, cell: &Cell) -> Filters {
        self.condition_as(self.control.load(Ordering::Relaxed), cell, || cell.activity_word())
    }

    #[inline(always)]
    fn condition_as(&self, control: u32, cell: &Cell, activity: impl FnOnce() -> u64) -> Filters {
        let wanted = Filters::from_bits_retain(self.filters.load(Ordering::Relaxed));
        // All ones in a half says that everything is news in that direction: the note is not edge-triggered, or
        // something arrived. The arrival is counted after the level is stored and read before it: an edge is told with
        // its level, or with a later one.
        let mut news = u64::MAX;
        if control & Control::EDGE.bits() != 0 {
            news = activity() ^ self.seen_activity.load(Ordering::Relaxed);
        }
        let low_water = self.low_water.load(Ordering::Relaxed);
        let mut active = Filters::empty();
        if wanted.intersects(Filters::READ_SIDE) {
            let read = cell.level(Direction::Read);
            if news as u32 != 0 && level::ready(read, low_water as u32) {
                active = active.union(Filters::READ);
            }
            if wanted.intersects(Filters::EXCEPT.union(Filters::HANGUP)) {
                if news as u32 != 0 && level::except_ready(read) {
                    active = active.union(Filters::EXCEPT);
                }
                if news != 0 && level::hangup_ready(read) {
                    active = active.union(Filters::HANGUP);
                }
            }
        }
        if wanted.intersects(Filters::WRITE_SIDE) {
            let write = cell.level(Direction::Write);
            if news >> 32 != 0 && level::ready(write, (low_water >> 32) as u32) {
                active = active.union(Filters::WRITE);
            }
            if news != 0 && level::hangup_ready(write) {
                active = active.union(Filters::HANGUP);
            }
        }
        if wanted.intersects(Filters::COUNTED.union(Filters::NOTED).union(Filters::GONE)) {
            active = active.union(self.counted_noted_or_gone(cell));
        }
        active.intersection(wanted)
    }

    /// Occurrences and note bits are news by their nature.
    fn counted_noted_or_gone(&self, cell: &Cell) -> Filters {
        let mut active = Filters::empty();
        let gone = cell.level(Direction::Read).flags.contains(level::LevelFlags::GONE);
        if gone || cell.occurrences() != self.seen_occurrences.load(Ordering::Relaxed) {
            active |= Filters::COUNTED;
        }
        if gone || self.note_bits.load(Ordering::Acquire) != 0 {
            active |= Filters::NOTED;
        }
        active.set(Filters::GONE, gone);
        active
    }

    /// Which use of the slot this is.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }
}

/// The server's side.
impl Slot {
    /// Folds a source's note bits into the note.
    #[inline]
    pub fn fold(&self, bits: u32) {
        let wanted = bits & self.wanted_bits.load(Ordering::Relaxed);
        if wanted != 0 {
            self.note_bits.fetch_or(wanted, Ordering::AcqRel);
            self.folds.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// The client's side, under its queue's lock.
impl Slot {
    /// Makes the slot that of a new note, before the server is asked for it. A note starts with what is there now as
    /// news: edge-triggered notes fire at once when ready, counting ones count from here.
    pub fn begin(&self, generation: u32, terms: Terms, cell: &Cell) {
        let (read, write) = cell.activity();
        let unseen = u64::from(write.wrapping_sub(1)) << 32 | u64::from(read.wrapping_sub(1));
        self.seen_activity.store(unseen, Ordering::Relaxed);
        self.seen_occurrences.store(cell.occurrences(), Ordering::Relaxed);
        self.note_bits.store(0, Ordering::Relaxed);
        self.queued.store(0, Ordering::Relaxed);
        self.set_terms(terms);
        self.generation.store(generation, Ordering::Release);
    }

    /// The note is exclusive: it stays on the client's list whether true or not, so that whoever looks sees it, and the shard,
    /// which finds it queued, wakes one of those who sleep for it instead of telling each. After [`Slot::begin`].
    pub fn keep(&self) {
        self.queued.store(1, Ordering::Release);
    }

    /// The note is deleted: entries with its generation are nobody's. To be done before the server is told.
    pub fn retire(&self) {
        self.control.store(0, Ordering::Relaxed);
        self.generation.store(0, Ordering::Release);
    }

    /// The terms.
    pub fn terms(&self) -> Terms {
        let low_water = self.low_water.load(Ordering::Relaxed);
        Terms {
            control: Control::from_bits_truncate(self.control.load(Ordering::Relaxed)),
            filters: Filters::from_bits_truncate(self.filters.load(Ordering::Relaxed)),
            low_water: (low_water as u32, (low_water >> 32) as u32),
            wanted_bits: self.wanted_bits.load(Ordering::Relaxed),
        }
    }

    /// Changes the terms (R6). The caller looks at the cell afterwards: [`Slot::requeue_if_active`].
    ///
    /// Widening `filters` needs the server besides, whose interest in the source follows its own record.
    pub fn set_terms(&self, terms: Terms) {
        let low_water = u64::from(terms.low_water.1) << 32 | u64::from(terms.low_water.0);
        self.low_water.store(low_water, Ordering::Relaxed);
        self.wanted_bits.store(terms.wanted_bits, Ordering::Relaxed);
        self.filters.store(terms.filters.bits(), Ordering::Relaxed);
        self.control.store(terms.control.bits(), Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Enables or disables (R8, R16); after enabling, [`Slot::requeue_if_active`].
    pub fn set_enabled(&self, enabled: bool) {
        let mut control = Control::from_bits_truncate(self.control.load(Ordering::Relaxed));
        control.set(Control::ENABLED, enabled);
        self.control.store(control.bits(), Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Looks at the cell; true when the note is active, was not queued, and is now for the caller to put on its list.
    #[inline(always)]
    pub fn requeue_if_active(&self, cell: &Cell) -> bool {
        !self.active(cell).is_empty() && self.try_queue()
    }

    /// Takes the note off the ready list and looks again; true when it must go back at once.
    #[inline(always)]
    pub fn settle(&self, cell: &Cell) -> bool {
        self.queued.swap(0, Ordering::AcqRel);
        self.requeue_if_active(cell)
    }

    /// Marks the arrivals of the delivered directions as seen (R15): the same edge is not reported again. `activity` was
    /// read before the level that was reported.
    #[inline]
    pub fn see_activity(&self, activity: (u32, u32), delivered: Filters) {
        let seen = self.seen_activity.load(Ordering::Relaxed);
        let (mut read, mut write) = (seen as u32, (seen >> 32) as u32);
        if delivered.intersects(Filters::READ_SIDE) {
            read = activity.0;
        }
        if delivered.intersects(Filters::WRITE_SIDE) {
            write = activity.1;
        }
        self.seen_activity.store(u64::from(write) << 32 | u64::from(read), Ordering::Relaxed);
    }

    /// Takes the occurrences since the last call (R25). After the source is gone and all are counted it is 0.
    #[inline]
    pub fn take_occurrences(&self, cell: &Cell) -> u64 {
        let now = cell.occurrences();
        now.wrapping_sub(self.seen_occurrences.swap(now, Ordering::Relaxed))
    }

    /// Drops what was counted and not yet delivered (R25: re-ADD restarts).
    pub fn restart_occurrences(&self, cell: &Cell) {
        self.seen_occurrences.store(cell.occurrences(), Ordering::Relaxed);
    }

    /// Takes the folded note bits.
    #[inline]
    pub fn take_note_bits(&self) -> u32 {
        self.note_bits.swap(0, Ordering::AcqRel)
    }

    /// Puts note bits back that were taken and are not done with.
    pub fn put_back_note_bits(&self, bits: u32) {
        self.note_bits.fetch_or(bits, Ordering::AcqRel);
    }

    /// What has arrived, whether or not it was told. To be read before the level.
    pub fn arrivals(&self, cell: &Cell) -> Arrivals {
        let wanted = Filters::from_bits_retain(self.filters.load(Ordering::Relaxed));
        let activity = cell.activity_word();
        let (read, write) = (cell.level(Direction::Read), cell.level(Direction::Write));
        let reading = wanted.intersects(Filters::READ.union(Filters::EXCEPT));
        let of = |wanted: bool, half: u64| if wanted { half } else { 0 };
        let mut ends = u32::from(read.flags.contains(level::LevelFlags::GONE));
        if wanted.contains(Filters::HANGUP) {
            ends |= u32::from(level::hangup_ready(read)) << 1 | u32::from(level::hangup_ready(write)) << 2;
        }
        Arrivals {
            activity: activity
                & (of(reading, u64::from(u32::MAX)) | of(wanted.contains(Filters::WRITE), u64::MAX << 32)),
            occurrences: of(wanted.intersects(Filters::COUNTED), cell.occurrences()),
            folds: self.folds.load(Ordering::Acquire),
            ends,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::level::{Level, LevelFlags};
    use proptest::prelude::*;

    fn slot(cell: &Cell, control: Control, filters: Filters) -> Slot {
        let slot = Slot::default();
        slot.begin(1, Terms { control, filters, low_water: (4, 512), wanted_bits: 0b110 }, cell);
        slot
    }

    fn cell(read: Level, write: Level) -> Cell {
        let cell = Cell::default();
        cell.set_level(Direction::Read, read, false);
        cell.set_level(Direction::Write, write, false);
        cell
    }

    proptest! {
        /// Against the filters written out one by one.
        #[test]
        fn each_filter_is_its_own_condition(
            read: u64, write: u64, wanted in 0u32..512, edge: bool, arrived: (bool, bool), occurred: bool, bits: u32
        ) {
            let (read, write) = (Level::unpack(read), Level::unpack(write));
            let cell = cell(read, write);
            let mut control = Control::ENABLED;
            control.set(Control::EDGE, edge);
            let wanted = Filters::from_bits_truncate(wanted);
            let slot = slot(&cell, control, wanted);
            slot.see_activity(cell.activity(), Filters::all());
            for (arrived, direction) in [(arrived.0, Direction::Read), (arrived.1, Direction::Write)] {
                if arrived {
                    cell.arrive(direction);
                }
            }
            cell.count(u64::from(occurred));
            slot.fold(bits);
            let (read_news, write_news) = (!edge || arrived.0, !edge || arrived.1);
            let hangup = level::hangup_ready(read) && wanted.intersects(Filters::READ_SIDE)
                || level::hangup_ready(write) && wanted.intersects(Filters::WRITE_SIDE);
            let gone = read.flags.contains(LevelFlags::GONE);
            let mut expected = Filters::empty();
            expected.set(Filters::READ, read_news && level::ready(read, 4));
            expected.set(Filters::EXCEPT, read_news && level::except_ready(read));
            expected.set(Filters::WRITE, write_news && level::ready(write, 512));
            expected.set(Filters::HANGUP, (read_news || write_news) && hangup);
            expected.set(Filters::COUNTED, gone || occurred);
            expected.set(Filters::GONE, gone);
            expected.set(Filters::NOTED, gone || bits & 0b110 != 0);
            prop_assert_eq!(slot.active(&cell), expected & wanted);
        }
    }

    #[test]
    fn r9_a_note_that_is_added_disabled_is_silent_and_r8_true_when_enabled() {
        let cell = cell(Level::new(9), Level::default());
        let slot = slot(&cell, Control::EDGE, Filters::READ);
        assert!(!slot.requeue_if_active(&cell));
        slot.set_enabled(true);
        assert!(slot.requeue_if_active(&cell) && !slot.requeue_if_active(&cell), "queued once");
    }

    #[test]
    fn r15_an_edge_of_one_direction_is_not_one_of_the_other() {
        let cell = cell(Level::new(9), Level::new(9999));
        let both = Filters::READ | Filters::WRITE;
        let slot = slot(&cell, Control::ENABLED | Control::EDGE, both);
        assert_eq!(slot.active(&cell), both);
        slot.see_activity(cell.activity(), Filters::READ);
        assert_eq!(slot.active(&cell), Filters::WRITE);
        cell.arrive(Direction::Read);
        slot.see_activity(cell.activity(), Filters::WRITE);
        assert_eq!(slot.active(&cell), Filters::READ);
    }

    #[test]
    fn r25_occurrences_are_counted_from_the_last_look() {
        let cell = Cell::default();
        cell.count(5);
        let slot = slot(&cell, Control::ENABLED, Filters::TIMER);
        assert!(slot.active(&cell).is_empty());
        cell.count(3);
        assert_eq!((slot.active(&cell), slot.take_occurrences(&cell)), (Filters::TIMER, 3));
        cell.count(1);
        slot.restart_occurrences(&cell);
        assert_eq!((slot.active(&cell), slot.take_occurrences(&cell)), (Filters::empty(), 0));
    }

    #[test]
    fn note_bits_that_nobody_wanted_are_dropped() {
        let cell = Cell::default();
        let slot = slot(&cell, Control::ENABLED, Filters::VNODE);
        slot.fold(0b1001);
        assert!(slot.active(&cell).is_empty());
        slot.fold(0b0111);
        assert_eq!((slot.active(&cell), slot.take_note_bits()), (Filters::VNODE, 0b110));
    }

    #[test]
    fn r57_the_end_of_a_source_is_an_edge_for_every_filter() {
        let cell = Cell::default();
        for filter in Filters::all().iter() {
            let slot = slot(&cell, Control::ENABLED | Control::EDGE, filter);
            slot.see_activity(cell.activity(), Filters::all());
            cell.end(19);
            assert_eq!(slot.active(&cell), filter);
            cell.begin(2);
        }
    }
}
