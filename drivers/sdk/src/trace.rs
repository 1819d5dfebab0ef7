//! The last things that a driver did, kept at the price of a few stores and shown when it ends.

use core::fmt;

/// Entries kept.
pub const LENGTH: usize = 32;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Event {
    /// Nothing yet.
    #[default]
    None,
    /// A request: its label.
    Request(u32),
    /// A request was refused: the errno.
    Refused(i32),
    /// A request has to wait.
    Waits,
    /// A waiting request was answered or told an error.
    Answered,
    /// A reader was gone when its data came: the bytes it would have got.
    Undelivered(u32),
    /// The last descriptor was closed.
    Closed,
    /// The device interrupted.
    Interrupt,
    /// The deadline passed.
    Expired,
    /// The machine is about to be powered off.
    PowerOff,
}

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Monotonic ns.
    pub time: u64,
    /// Badge of the file concerned, 0 for none.
    pub file: u64,
    /// What happened.
    pub event: Event,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns, file {:#x}: {:?}", self.time, self.file, self.event)
    }
}

/// The ring.
#[derive(Default)]
pub struct Trace {
    entries: [Entry; LENGTH],
    next: usize,
}

impl Trace {
    /// Adds an entry in place of the oldest.
    #[inline]
    pub fn record(&mut self, time: u64, file: u64, event: Event) {
        self.entries[self.next % LENGTH] = Entry { time, file, event };
        self.next = self.next.wrapping_add(1);
    }

    /// The entries, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        let (new, old) = self.entries.split_at(self.next % LENGTH);
        old.iter().chain(new).copied().filter(|entry| entry.event != Event::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_in_their_order() {
        let mut trace = Trace::default();
        assert_eq!(trace.iter().count(), 0);
        for time in 0..50 {
            trace.record(time, 0, Event::Interrupt);
            assert_eq!(trace.iter().last().map(|entry| entry.time), Some(time));
        }
        assert!(trace.iter().map(|entry| entry.time).eq(18..50));
    }
}
