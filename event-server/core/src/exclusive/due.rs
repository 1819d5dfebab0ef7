//! For how many sleepers is what has happened.

use event_protocol::level::{Level, LevelFlags};

use crate::source::Seen;

/// How many sleepers what has happened in one direction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    Some(u32),
    Everybody,
}

/// What has happened between two looks. Each arrival brought something, so no more are woken than there is. `rose`: it was told that the level
/// rose, though it need not be more than at the look before.
#[inline(always)]
fn due(arrivals: u32, before: Level, now: Level, rose: bool) -> Due {
    if !now.flags.difference(before.flags).intersection(LevelFlags::LASTING).is_empty() {
        return Due::Everybody;
    }
    let there = match now.flags.contains(LevelFlags::SIGNED) {
        true => now.amount.unsigned_abs(),
        false => now.amount.max(0).unsigned_abs(),
    };
    let others = now.flags.intersects(LevelFlags::LASTING.union(LevelFlags::EXCEPT));
    let there = u32::try_from(there).unwrap_or(u32::MAX).max(u32::from(others));
    let came = if arrivals == 0 { u32::from(rose || now.rose_from(before)) } else { arrivals };
    Due::Some(came.min(there))
}

/// What is due of reading and of writing after a look, when a driver told of something or not, and whether it was ahead of what is told.
///
/// A level that falls is told to nobody, and so it may have risen to less than was seen, or to the very same. What nothing else explains
/// was such a rise, but for what the look before has counted already: the driver may have told of one arrival more just after that.
#[inline(always)]
pub fn dues(before: Seen, now: Seen, told: bool, ahead: bool) -> ([Due; 2], bool) {
    let read = now.activity.0.wrapping_sub(before.activity.0);
    let write = now.activity.1.wrapping_sub(before.activity.1);
    let differs = |at: usize| now.levels[at] != before.levels[at];
    let of = |arrivals, other, at: usize| match arrivals {
        // Nothing at all, which is so of one direction mostly.
        0 if !differs(at) && (other > 0 || ahead || !told || differs(1 - at)) => Due::Some(0),
        _ => due(arrivals, before.levels[at], now.levels[at], told),
    };
    ([of(read, write, 0), of(write, read, 1)], read.max(write) > 1)
}

/// Whether something has come since a cell was looked at.
pub fn is_unheard(before: Seen, now: Seen) -> bool {
    dues(before, now, false, false).0 != [Due::Some(0); 2]
}
