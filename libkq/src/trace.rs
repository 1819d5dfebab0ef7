//! What programs did last, while they run: [`Look`] at one of a process's traces (docs/event-server.md, "Traces").

pub use crate::machine::Look;
pub use event_protocol::trace::{Clock, Entry, Event, Writer};

/// What time the entries of this machine's traces are of.
pub fn clock() -> Clock {
    Clock::of(rt::hints())
}
