//! The level of one direction of a source: one word, so that readiness never needs a lock or a retry to read.

use bitflags::bitflags;

bitflags! {
    /// Conditions of a direction beside its amount.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct LevelFlags: u16 {
        /// No more will come (read), nobody will take it (write).
        const EOF = 1 << 0;
        /// An error is pending; its number is in the cell's error word.
        const ERROR = 1 << 1;
        /// Both directions are finished.
        const HANGUP = 1 << 2;
        /// Out-of-band data waits.
        const EXCEPT = 1 << 3;
        /// The source is no more: driver dead, device unplugged, destroyed. Set by the server, which then tells every note.
        const GONE = 1 << 4;
        /// The amount is a signed distance, as of a regular file, and any but 0 is ready (R23).
        const SIGNED = 1 << 5;
        /// The driver of a durable source is gone and may come back. Set by the server; the next level of a driver's has it no
        /// longer.
        const AWAY = 1 << 6;
    }
}

impl LevelFlags {
    /// What concerns everybody who waits, for good.
    pub const LASTING: LevelFlags =
        LevelFlags::EOF.union(LevelFlags::ERROR).union(LevelFlags::HANGUP).union(LevelFlags::GONE);
}

/// An amount (48 bits, signed, saturating) and its flags in one word: `amount << 16 | flags`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Level {
    /// Bytes, connections or events that wait (read); space (write).
    pub amount: i64,
    /// Conditions.
    pub flags: LevelFlags,
}

const AMOUNT_MAX: i64 = (1 << 47) - 1;
const AMOUNT_MIN: i64 = -(1 << 47);

impl Level {
    /// A level with an amount only.
    pub const fn new(amount: i64) -> Level {
        Level { amount, flags: LevelFlags::empty() }
    }

    /// The same with these flags as well.
    pub const fn with(self, flags: LevelFlags) -> Level {
        Level { amount: self.amount, flags: self.flags.union(flags) }
    }

    /// As a word; amounts that do not fit saturate.
    pub const fn pack(self) -> u64 {
        let amount = if self.amount > AMOUNT_MAX {
            AMOUNT_MAX
        } else if self.amount < AMOUNT_MIN {
            AMOUNT_MIN
        } else {
            self.amount
        };
        (amount << 16) as u64 | self.flags.bits() as u64
    }

    /// From a word. Every word is a level.
    pub const fn unpack(word: u64) -> Level {
        Level { amount: word as i64 >> 16, flags: LevelFlags::from_bits_truncate(word as u16) }
    }

    /// Whether somebody who saw `before` and was not interested might be now: the only case that a driver must tell.
    pub const fn rose_from(self, before: Level) -> bool {
        let differs = self.amount != before.amount;
        self.amount > before.amount
            || differs && self.flags.contains(LevelFlags::SIGNED)
            || !self.flags.difference(before.flags).is_empty()
    }
}

const ALWAYS: LevelFlags = LevelFlags::EOF.union(LevelFlags::ERROR).union(LevelFlags::GONE);

/// Whether a direction is ready with this low-water mark (R11, R18, R24; a mark below 1 counts as 1, and for a regular
/// file says that it is always ready: `NOTE_FILE_POLL`, R23).
#[inline]
pub const fn ready(level: Level, low_water: u32) -> bool {
    let low = if low_water == 0 { 1 } else { low_water as i64 };
    level.amount >= low
        || level.flags.intersects(ALWAYS)
        || level.flags.contains(LevelFlags::SIGNED) && (level.amount != 0 || low_water == 0)
}

/// Whether out-of-band data waits, or never will.
#[inline]
pub const fn except_ready(level: Level) -> bool {
    level.flags.intersects(LevelFlags::EXCEPT.union(LevelFlags::GONE))
}

/// Whether poll and epoll report it unasked.
#[inline]
pub const fn hangup_ready(level: Level) -> bool {
    level.flags.intersects(LevelFlags::HANGUP.union(LevelFlags::ERROR).union(LevelFlags::GONE))
}

/// R18: end of file and nothing left to read before it.
#[inline]
pub const fn drained(level: Level) -> bool {
    level.flags.intersects(LevelFlags::EOF.union(LevelFlags::GONE)) && level.amount <= 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_keeps_what_fits(amount in AMOUNT_MIN..=AMOUNT_MAX, bits in 0u16..128) {
            let level = Level { amount, flags: LevelFlags::from_bits_truncate(bits) };
            prop_assert_eq!(Level::unpack(level.pack()), level);
        }

        #[test]
        fn every_amount_saturates_and_keeps_its_sign(amount: i64) {
            let got = Level::unpack(Level::new(amount).pack()).amount;
            prop_assert_eq!(got.signum(), amount.signum());
            prop_assert!(got == amount || got == AMOUNT_MAX || got == AMOUNT_MIN);
        }

        /// What was not ready becomes ready only by a rise: otherwise a driver would keep silent too much.
        #[test]
        fn becoming_ready_is_a_rise(a: u64, b: u64, low: u32) {
            let (before, after) = (Level::unpack(a), Level::unpack(b));
            if !ready(before, low) && ready(after, low) {
                prop_assert!(after.rose_from(before));
            }
        }
    }

    #[test]
    fn r18_end_of_file_with_bytes_unread_is_ready_and_not_drained() {
        let level = Level::new(3).with(LevelFlags::EOF);
        assert!(ready(level, 100) && !drained(level));
        assert!(drained(Level::new(0).with(LevelFlags::EOF)));
    }

    #[test]
    fn r23_a_file_is_ready_behind_its_end_too() {
        assert!(ready(Level::new(-5).with(LevelFlags::SIGNED), 1));
        assert!(!ready(Level::new(0).with(LevelFlags::SIGNED), 1));
        assert!(!ready(Level::new(-5), 1));
    }

    #[test]
    fn r23_a_note_with_no_mark_at_all_finds_a_file_always_ready() {
        assert!(ready(Level::new(0).with(LevelFlags::SIGNED), 0));
        assert!(!ready(Level::new(0), 0), "what is no file has a mark of 1");
    }

    #[test]
    fn r24_low_water_mark() {
        assert!(!ready(Level::new(7), 8) && ready(Level::new(8), 8));
        assert!(!ready(Level::new(0), 0), "a mark of 0 counts as 1");
    }
}
