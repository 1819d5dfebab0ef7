//! What poll, select, epoll and /dev/poll ask of a descriptor: several conditions at once, in one note (R52).

use bitflags::bitflags;
use event_protocol::cell::{Cell, Direction};
use event_protocol::filter::Filters;
use event_protocol::level::{self, Level, LevelFlags};

bitflags! {
    /// `POLL*` and the low half of `EPOLL*`, with the numbers of Linux. `poll(2)`.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    #[repr(transparent)]
    pub struct Conditions: u16 {
        /// Something can be read.
        const IN = 0x0001;
        /// Something exceptional waits, such as urgent data.
        const PRI = 0x0002;
        /// Something can be written.
        const OUT = 0x0004;
        /// An error is pending. Told unasked.
        const ERR = 0x0008;
        /// Both directions are finished. Told unasked, and never with [`OUT`](Self::OUT).
        const HUP = 0x0010;
        /// The number is not open. Told unasked (R45).
        const NVAL = 0x0020;
        /// As [`IN`](Self::IN).
        const RDNORM = 0x0040;
        /// As [`PRI`](Self::PRI).
        const RDBAND = 0x0080;
        /// As [`OUT`](Self::OUT).
        const WRNORM = 0x0100;
        /// As [`OUT`](Self::OUT).
        const WRBAND = 0x0200;
        /// `/dev/poll`: the number's entry is removed.
        const REMOVE = 0x1000;
        /// The peer will send no more.
        const RDHUP = 0x2000;
        const _ = !0;
    }
}

impl Conditions {
    /// Whatever can be read.
    pub const READABLE: Conditions = Conditions::IN.union(Conditions::RDNORM);
    /// Whatever can be written.
    pub const WRITABLE: Conditions = Conditions::OUT.union(Conditions::WRNORM).union(Conditions::WRBAND);
    /// Whatever is exceptional.
    pub const URGENT: Conditions = Conditions::PRI.union(Conditions::RDBAND);
    /// What is told unasked (R41).
    pub const UNASKED: Conditions = Conditions::ERR.union(Conditions::HUP);
}

/// A wish about a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interest {
    /// The conditions that are asked for.
    asked: Conditions,
    /// Those of them that the source has.
    wanted: Conditions,
    /// Whether hang-ups and errors are told besides, which select does not do.
    unasked: bool,
    low_water: (u32, u32),
}

/// The conditions that a source has: the others it never tells, whatever its cell says (R22).
fn conditions_of(served: Filters) -> Conditions {
    let mut all = Conditions::empty();
    all.set(Conditions::READABLE.union(Conditions::RDHUP), served.contains(Filters::READ));
    all.set(Conditions::WRITABLE, served.contains(Filters::WRITE));
    all.set(Conditions::URGENT, served.contains(Filters::EXCEPT));
    all
}

impl Interest {
    /// The conditions in `wanted`, and hang-ups and errors: what poll, epoll and /dev/poll ask.
    pub fn new(wanted: Conditions, served: Filters, low_water: (u32, u32)) -> Interest {
        let low_water = match wanted.intersects(Conditions::READABLE) {
            true => low_water,
            // Only the end is of interest, so that no amount is enough.
            false => (u32::MAX, low_water.1),
        };
        let asked = wanted;
        Interest { asked, wanted: wanted & conditions_of(served), unasked: true, low_water }
    }

    /// `IN`, `OUT` and `PRI` as select means them (R47): a direction that would not block, for whatever reason.
    pub fn of_select(wanted: Conditions, served: Filters, low_water: (u32, u32)) -> Interest {
        let asked = wanted;
        Interest { asked, wanted: wanted & conditions_of(served), unasked: false, low_water }
    }

    /// What is asked for, as far as the source has it.
    pub fn wanted(&self) -> Conditions {
        self.wanted
    }

    /// Low-water marks for the slot.
    pub fn low_water(&self) -> (u32, u32) {
        self.low_water
    }

    /// The filters that decide it.
    pub fn filters(&self) -> Filters {
        let mut filters = Filters::empty();
        filters.set(Filters::READ, self.wanted.intersects(Conditions::READABLE.union(Conditions::RDHUP)));
        filters.set(Filters::WRITE, self.wanted.intersects(Conditions::WRITABLE));
        filters.set(Filters::EXCEPT, self.wanted.intersects(Conditions::URGENT));
        if self.unasked {
            return filters.union(Filters::HANGUP);
        }
        // Of a source that has nothing of it, its end alone concerns select (R57).
        if filters.is_empty() { Filters::GONE } else { filters }
    }

    /// What of it holds when no direction has anything but an amount; `None` when that is not so.
    #[inline(always)]
    pub fn plain(&self, cell: &Cell) -> Option<Conditions> {
        let (read, write) = (cell.level(Direction::Read), cell.level(Direction::Write));
        if !read.flags.union(write.flags).is_empty() {
            return None;
        }
        let mut told = Conditions::empty();
        if level::ready(read, self.low_water.0) {
            told = told.union(Conditions::READABLE);
        }
        if level::ready(write, self.low_water.1) {
            told = told.union(Conditions::WRITABLE);
        }
        Some(told.intersection(self.wanted))
    }

    /// What of it holds. Empty exactly when none of its [`filters`](Interest::filters) is true.
    #[inline]
    pub fn told(&self, cell: &Cell) -> Conditions {
        match self.plain(cell) {
            Some(told) => told,
            None => self.told_of(cell.level(Direction::Read), cell.level(Direction::Write)),
        }
    }

    #[cold]
    fn told_of(&self, read: Level, write: Level) -> Conditions {
        let mut told = Conditions::empty();
        let flags = read.flags.union(write.flags);
        let readable = level::ready(read, self.low_water.0);
        told.set(Conditions::READABLE, readable);
        told.set(Conditions::WRITABLE, level::ready(write, self.low_water.1));
        told.set(Conditions::URGENT, level::except_ready(read));
        told.set(Conditions::RDHUP, read.flags.intersects(LevelFlags::EOF.union(LevelFlags::GONE)));
        if !self.unasked {
            // R57.
            let gone = flags.contains(LevelFlags::GONE);
            return if gone { self.asked } else { told.intersection(self.wanted) };
        }
        told.set(Conditions::ERR, flags.contains(LevelFlags::ERROR));
        // R18: hung up is said when nothing is left to read before it.
        let left = read.amount > 0 && readable && self.wanted.intersects(Conditions::READABLE);
        let hung_up = flags.contains(LevelFlags::GONE) || flags.contains(LevelFlags::HANGUP) && !left;
        if hung_up {
            told.insert(Conditions::HUP);
            told.remove(Conditions::WRITABLE);
        }
        told.intersection(self.wanted.union(Conditions::UNASKED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_protocol::slot::{Control, Slot, Terms};
    use proptest::prelude::*;

    fn level(amount: i64, bits: u16) -> Level {
        let mut flags = LevelFlags::from_bits_truncate(bits);
        // Who hung up has ended; files are not asked this way.
        if flags.contains(LevelFlags::HANGUP) {
            flags |= LevelFlags::EOF;
        }
        Level { amount, flags: flags.difference(LevelFlags::SIGNED) }
    }

    proptest! {
        /// The server decides by filters and we by conditions: a note that is true must have something to tell, and
        /// one that tells something must be true. Otherwise a wait would spin, or sleep for ever.
        #[test]
        fn a_note_is_true_exactly_when_it_has_something_to_tell(
            read in (-1i64..9, 0u16..32), write in (-1i64..9, 0u16..32), wanted in 0u16..0x400,
            select: bool, rdhup: bool, served in 1u32..8
        ) {
            let served = Filters::from_bits_truncate(served);
            let (mut read, mut write) = (level(read.0, read.1), level(write.0, write.1));
            // What is gone is so in both directions.
            let gone = (read.flags | write.flags) & LevelFlags::GONE;
            (read.flags, write.flags) = (read.flags | gone, write.flags | gone);
            let world = crate::conditions::tests::cell(read, write);
            let mut wanted = Conditions::from_bits_retain(wanted);
            wanted.set(Conditions::RDHUP, rdhup && !select);
            let interest = match select {
                true => Interest::of_select(wanted & Conditions::from_bits_retain(7), served, (1, 4)),
                false => Interest::new(wanted, served, (1, 4)),
            };
            prop_assume!(!select || wanted.bits() & 7 != 0);
            let slot = Slot::default();
            let (filters, low_water) = (interest.filters(), interest.low_water());
            slot.begin(1, Terms { control: Control::ENABLED, filters, low_water, wanted_bits: 0 }, world.cell(0).unwrap());
            let told = interest.told(world.cell(0).unwrap());
            prop_assert_eq!(told.is_empty(), slot.active(world.cell(0).unwrap()).is_empty(), "{:?}", told);
            prop_assert!(!told.contains(Conditions::HUP) || !told.intersects(Conditions::WRITABLE));
            prop_assert!((wanted | Conditions::UNASKED).contains(told));
        }
    }

    /// A page whose first cell has these levels, published as a driver does.
    fn cell(read: Level, write: Level) -> event_protocol::shared::Region<event_protocol::shared::Owned> {
        use event_protocol::badge::SourceId;
        use event_protocol::changed::{Publisher, memory_size};
        use event_protocol::shared::{Owned, Region};
        let page = Region::new(Owned::new(4096));
        let ring = Region::new(Owned::new(memory_size(64).unwrap()));
        let mut publisher = Publisher::new();
        page.cell(0).unwrap().begin(1);
        for (direction, level) in [(Direction::Read, read), (Direction::Write, write)] {
            let changed = ring.changed(64).unwrap();
            let _ = publisher.publish(
                changed,
                page.cell(0).unwrap(),
                SourceId::new(0, 0, 1),
                direction,
                level,
                true,
            );
        }
        page
    }

    fn poll(wanted: Conditions, read: Level, write: Level) -> Conditions {
        Interest::new(wanted, Filters::all(), (1, 1)).told(cell(read, write).cell(0).unwrap())
    }

    #[test]
    fn r18_hung_up_is_said_when_drained() {
        let ended = LevelFlags::EOF | LevelFlags::HANGUP;
        let both = Conditions::IN | Conditions::HUP;
        assert_eq!(poll(Conditions::IN, Level::new(3).with(ended), Level::default()), Conditions::IN);
        assert_eq!(poll(Conditions::IN, Level::new(0).with(ended), Level::default()), both);
        assert_eq!(poll(Conditions::empty(), Level::new(3).with(ended), Level::default()), Conditions::HUP);
    }

    #[test]
    fn r20_half_closed_is_readable_and_writable() {
        let all = Conditions::IN | Conditions::OUT | Conditions::RDHUP;
        assert_eq!(poll(all, Level::new(0).with(LevelFlags::EOF), Level::new(9)), all);
        assert_eq!(
            poll(Conditions::RDHUP, Level::new(5), Level::new(9)),
            Conditions::empty(),
            "bytes are no end"
        );
    }

    #[test]
    fn r41_errors_and_hang_ups_are_told_unasked() {
        let error = Level::new(0).with(LevelFlags::ERROR);
        assert_eq!(poll(Conditions::empty(), error, Level::default()), Conditions::ERR);
        let gone = Level::new(0).with(LevelFlags::GONE | LevelFlags::EOF);
        assert_eq!(poll(Conditions::OUT, gone, gone), Conditions::HUP);
    }
}
