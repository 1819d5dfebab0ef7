//! The last things that a shard did, shown when it ends or when somebody lied to it.

use heapless::HistoryBuf;

/// Events that are kept.
const KEPT: usize = 64;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A doorbell; the bits.
    Doorbell,
    /// A request; the badge.
    Request,
    /// A last handle was closed; the badge.
    Closed,
    /// A session was ended.
    Ended,
}

/// A ring of events, each with the time stamp counter.
#[derive(Debug, Default)]
pub struct Trace {
    events: HistoryBuf<(u64, Event, u64), KEPT>,
}

impl Trace {
    /// Remembers one.
    #[inline]
    pub fn add(&mut self, event: Event, detail: u64) {
        self.events.write((rt::clock::ticks(), event, detail));
    }

    /// Writes all to the log, the oldest first.
    #[cold]
    pub fn print(&self) {
        for (ticks, event, detail) in self.events.oldest_ordered() {
            rt::log!("event:   {ticks} {event:?} {detail:#x}");
        }
    }
}
