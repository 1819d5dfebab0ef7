//! What a TIMER change asks for, in nanoseconds. `kqueue(2)`, `EVFILT_TIMER`.

use abi::error::{EINVAL, Error, Result};

use crate::event::note;

/// When a timer fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schedule {
    /// First after this many nanoseconds, then again and again.
    Every(u64),
    /// Once, after this many nanoseconds.
    Once(u64),
    /// Once, at this real time in nanoseconds since 1970; at once when it is past.
    At(u64),
}

impl Schedule {
    /// Reads `data` in the unit that `fflags` names. Zero is one unit, huge saturates; negative, unknown bits and two
    /// units at once are `EINVAL` (R26).
    pub fn new(fflags: u32, data: i64, oneshot: bool) -> Result<Schedule> {
        let unit = match fflags & !note::ABSTIME {
            note::SECONDS => 1_000_000_000,
            0 | note::MSECONDS => 1_000_000,
            note::USECONDS => 1_000,
            note::NSECONDS => 1,
            _ => return Err(Error::new(EINVAL)),
        };
        let count = u64::try_from(data).map_err(|_| Error::new(EINVAL))?;
        Ok(if fflags & note::ABSTIME != 0 {
            Schedule::At(count.saturating_mul(unit))
        } else if oneshot {
            Schedule::Once(count.max(1).saturating_mul(unit))
        } else {
            Schedule::Every(count.max(1).saturating_mul(unit))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r26_zero_is_one_unit() {
        assert_eq!(Schedule::new(0, 0, false), Ok(Schedule::Every(1_000_000)));
        assert_eq!(Schedule::new(note::SECONDS, 0, true), Ok(Schedule::Once(1_000_000_000)));
    }

    #[test]
    fn r26_huge_saturates() {
        assert_eq!(Schedule::new(note::SECONDS, i64::MAX, false), Ok(Schedule::Every(u64::MAX)));
        assert_eq!(Schedule::new(note::NSECONDS, i64::MAX, false), Ok(Schedule::Every(i64::MAX as u64)));
    }

    #[test]
    fn r26_negative_unknown_and_double_units_are_refused() {
        let refused = Err(Error::new(EINVAL));
        assert_eq!(Schedule::new(0, -1, false), refused);
        assert_eq!(Schedule::new(note::ABSTIME, i64::MIN, false), refused);
        assert_eq!(Schedule::new(note::SECONDS | note::USECONDS, 1, false), refused);
        assert_eq!(Schedule::new(0x20, 1, false), refused);
    }

    #[test]
    fn r26_absolute_time_zero_is_in_the_past_and_not_one_unit() {
        assert_eq!(Schedule::new(note::ABSTIME | note::NSECONDS, 0, false), Ok(Schedule::At(0)));
    }
}
