//! Armed timers in the order in which they are due.

use alloc::collections::{BTreeMap, BTreeSet};

/// Least time in ns between two wake-ups for one timer. A shorter period expires as often as it says, told in bundles:
/// otherwise a timer of one nanosecond would keep its CPU from everybody.
pub const LEAST_WAKE: u64 = 100_000;

/// When a timer expires, in monotonic ns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// First.
    pub first: u64,
    /// Then every so many ns, counted from the first: no drift. `None` is once.
    pub period: Option<u64>,
}

#[derive(Clone, Copy)]
struct Armed {
    /// The next expiration not counted yet.
    next: u64,
    period: Option<u64>,
    /// When it is looked at: its place in `due`.
    look: u64,
}

/// Armed timers by a key of the caller's.
pub struct Queue<K> {
    armed: BTreeMap<K, Armed>,
    due: BTreeSet<(u64, K)>,
}

impl<K: Copy + Ord> Queue<K> {
    /// No timers.
    pub const fn new() -> Queue<K> {
        Queue { armed: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// Starts a timer; one of that key starts anew (R25). A period of 0 is one of 1 ns.
    pub fn arm(&mut self, key: K, schedule: Schedule) {
        self.disarm(key);
        let Schedule { first, period } = schedule;
        let period = period.map(|period| period.max(1));
        self.armed.insert(key, Armed { next: first, period, look: first });
        self.due.insert((first, key));
    }

    /// Stops a timer; false when it did not run.
    pub fn disarm(&mut self, key: K) -> bool {
        let Some(armed) = self.armed.remove(&key) else { return false };
        self.due.remove(&(armed.look, key));
        true
    }

    /// When [`Queue::expire`] has something to do; `u64::MAX` for never.
    pub fn deadline(&self) -> u64 {
        self.due.first().map_or(u64::MAX, |&(look, _)| look)
    }

    /// A timer that is due at `now` and how often it has expired since it was last told. `None`: no more are due.
    pub fn expire(&mut self, now: u64) -> Option<(K, u64)> {
        // A time that never comes does not come.
        let &(look, key) = self.due.first().filter(|&&(look, _)| look <= now && look != u64::MAX)?;
        self.due.remove(&(look, key));
        let armed = self.armed.get_mut(&key)?;
        // Looked at no earlier than it expires: at least once.
        let Some(period) = armed.period else {
            self.armed.remove(&key);
            return Some((key, 1));
        };
        let count = ((now - armed.next) / period).saturating_add(1);
        armed.next =
            count.checked_mul(period).and_then(|span| armed.next.checked_add(span)).unwrap_or(u64::MAX);
        let bundled = if period < LEAST_WAKE { now.saturating_add(LEAST_WAKE) } else { 0 };
        armed.look = armed.next.max(bundled);
        self.due.insert((armed.look, key));
        Some((key, count))
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }
}

impl<K: Copy + Ord> Default for Queue<K> {
    fn default() -> Queue<K> {
        Queue::new()
    }
}
