//! The last things that a shard did, shown when it ends or when somebody lied to it.

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
#[derive(Debug)]
pub struct Trace {
    events: [(u64, Event, u64); KEPT],
    /// Events ever added.
    count: usize,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace { events: [(0, Event::Ended, 0); KEPT], count: 0 }
    }
}

impl Trace {
    /// Remembers one.
    #[inline(always)]
    pub fn add(&mut self, event: Event, detail: u64) {
        self.events[self.count % KEPT] = (rt::clock::ticks(), event, detail);
        self.count += 1;
    }

    /// Writes all to the log, the oldest first.
    #[cold]
    pub fn print(&self) {
        for at in self.count.saturating_sub(KEPT)..self.count {
            let (ticks, event, detail) = self.events[at % KEPT];
            rt::log!("event:   {ticks} {event:?} {detail:#x}");
        }
    }
}
