//! Ticks of the time stamp counter as time.

use abi::hints::HintsPage;
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;

/// What makes time since boot of ticks, as the kernel's hint page has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// Ticks at boot.
    pub base: u64,
    /// Nanoseconds are ticks since boot times this,
    pub mul: u64,
    /// shifted right by this.
    pub shift: u32,
}

impl Clock {
    /// The machine's.
    pub fn of(hints: &HintsPage) -> Clock {
        Clock {
            base: hints.tsc_base.load(Relaxed),
            mul: hints.tsc_mul.load(Relaxed),
            shift: hints.tsc_shift.load(Relaxed),
        }
    }

    /// When that was. Ticks of before boot are nobody's: they are the first moment.
    pub fn time(self, ticks: u64) -> Time {
        let elapsed = u128::from(ticks.saturating_sub(self.base));
        Time((elapsed * u128::from(self.mul)).checked_shr(self.shift).unwrap_or(0) as u64)
    }
}

/// Nanoseconds since boot, shown in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Time(pub u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_microseconds_since_boot() {
        let clock = Clock { base: 100, mul: 1 << 31, shift: 32 };
        assert_eq!(std::format!("{}", clock.time(100 + 2 * 1_234_007)), "1234.007");
        assert_eq!(clock.time(99), Time(0));
        assert_eq!(Clock { shift: 128, ..clock }.time(u64::MAX), Time(0));
    }
}
