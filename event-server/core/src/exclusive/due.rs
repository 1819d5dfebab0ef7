//! For how many sleepers is what has happened.

use event_protocol::level::{Level, LevelFlags};

use crate::source::Seen;

/// How many sleepers what has happened in one direction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    Some(u32),
    Everybody,
}

/// What has happened between two looks. Each arrival brought something, so no more are woken than there is.
pub fn due(arrivals: u32, before: Level, now: Level) -> Due {
    if !now.flags.difference(before.flags).intersection(LevelFlags::LASTING).is_empty() {
        return Due::Everybody;
    }
    let there = match now.flags.contains(LevelFlags::SIGNED) {
        true => now.amount.unsigned_abs(),
        false => now.amount.max(0).unsigned_abs(),
    };
    let others = now.flags.intersects(LevelFlags::LASTING.union(LevelFlags::EXCEPT));
    let there = u32::try_from(there).unwrap_or(u32::MAX).max(u32::from(others));
    let came = if arrivals == 0 { u32::from(now.rose_from(before)) } else { arrivals };
    Due::Some(came.min(there))
}

/// Whether something has come since a cell was looked at.
pub fn is_unheard(before: Seen, now: Seen) -> bool {
    let read = now.activity.0.wrapping_sub(before.activity.0);
    let write = now.activity.1.wrapping_sub(before.activity.1);
    [(read, 0), (write, 1)]
        .iter()
        .any(|&(came, at)| due(came, before.levels[at], now.levels[at]) != Due::Some(0))
}
