//! The last things that a driver did, kept at the price of a few stores and shown when it ends.

use crate::report::INSPECT;
use core::fmt;
use event_protocol::descriptor::label;

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
        write!(f, "{} ns, file {:#x}: ", self.time, self.file)?;
        match self.event {
            Event::Request(label) => match name(label) {
                Some(name) => write!(f, "Request({name})"),
                None => write!(f, "Request({label:#x})"),
            },
            event => write!(f, "{event:?}"),
        }
    }
}

/// What a request is called.
fn name(label: u32) -> Option<&'static str> {
    Some(match label {
        label::OPEN => "open",
        label::READ => "read",
        label::WRITE => "write",
        label::CONTROL => "control",
        label::WATCH => "watch",
        label::SEND => "send",
        label::RECEIVE => "receive",
        label::PATH => "path",
        INSPECT => "inspect",
        _ => return None,
    })
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
    use alloc::format;

    #[test]
    fn a_request_is_told_by_its_name() {
        let said = |label| format!("{}", Entry { time: 5, file: 1, event: Event::Request(label) });
        assert_eq!(said(label::READ), "5 ns, file 0x1: Request(read)");
        assert_eq!(said(INSPECT), "5 ns, file 0x1: Request(inspect)");
        assert_eq!(said(0x99), "5 ns, file 0x1: Request(0x99)");
        let refused = Entry { time: 5, file: 1, event: Event::Refused(2) };
        assert_eq!(format!("{refused}"), "5 ns, file 0x1: Refused(2)");
    }

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
