//! Kinds of sources: what can be watched, and who makes it ready.

mod end;
mod file;
mod pipe;
mod sets;
mod socket;
mod template;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use guest_tests::Outcome;

use crate::told::What;

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Something can be read.
    Read,
    /// Something can be written.
    Write,
    /// Urgent data waits.
    Urgent,
}

/// A source, or a pair of them that are each other's peers.
pub trait Source: Send + Sync {
    /// The number under which the condition is watched.
    fn number(&self, condition: Condition) -> i32;

    /// Makes the condition hold, and be news though it held already.
    fn raise(&self, condition: Condition) -> Outcome;

    /// Makes the condition not hold.
    fn lower(&self, condition: Condition) -> Outcome;

    /// Closes the number under which the condition is watched.
    fn close(&self, condition: Condition);

    /// Ends the source as far as the condition is concerned, of which it then says this: the other side goes, or what else
    /// an end is. `None`: it has none.
    fn hang_up(&self, _condition: Condition) -> Outcome<Option<Ending>> {
        Ok(None)
    }

    /// The other side comes again. False: it cannot.
    fn come_back(&self, _condition: Condition) -> Outcome<bool> {
        Ok(false)
    }
}

/// What is told of a source that has ended, to who waits for a condition of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending {
    /// By kevent.
    pub kevent: What,
    /// By poll, epoll and /dev/poll.
    pub poll: What,
    /// By select.
    pub select: What,
}

/// A kind of source.
pub struct Kind {
    /// Its name in the report.
    pub name: &'static str,
    /// Makes one.
    pub make: fn() -> Outcome<Arc<dyn Source>>,
    /// The conditions that come and go.
    pub conditions: &'static [Condition],
    /// Those that it never has, but may be asked for.
    pub never: &'static [Condition],
    /// Always ready but to kevent; epoll refuses it.
    pub always_ready: bool,
}

impl Kind {
    const fn new(
        name: &'static str,
        make: fn() -> Outcome<Arc<dyn Source>>,
        conditions: &'static [Condition],
    ) -> Kind {
        Kind { name, make, conditions, never: &[], always_ready: false }
    }
}

const BOTH: &[Condition] = &[Condition::Read, Condition::Write];

/// All kinds.
pub const KINDS: &[Kind] = &[
    Kind::new("pipe", pipe::pipe, BOTH),
    Kind::new("fifo", pipe::fifo, BOTH),
    Kind::new("stream", socket::stream, &[Condition::Read, Condition::Write, Condition::Urgent]),
    Kind::new("datagram", socket::datagram, BOTH),
    Kind { never: &[Condition::Write], ..Kind::new("listener", socket::listener, &[Condition::Read]) },
    Kind { always_ready: true, ..Kind::new("file", file::file, &[Condition::Read]) },
    Kind::new("template", template::template, BOTH),
    Kind::new("kqueue", sets::kqueue, &[Condition::Read]),
    Kind::new("epoll", sets::epoll, &[Condition::Read]),
    Kind::new("devpoll", sets::devpoll, &[Condition::Read]),
];

/// A number for a name that nobody else has.
fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
