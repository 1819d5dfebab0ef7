//! Interfaces: ways to wait for sources.

mod devpoll;
mod epoll;
mod kevent;
mod nested;
mod poll;
mod ring;
mod select;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::ENOENT;
use guest_tests::Outcome;

use crate::source::{Condition, Ending};
use crate::told::{Told, What};

/// How often something is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// As long as it holds.
    Level,
    /// Once for each arrival.
    Edge,
    /// Once, until it is asked for again.
    OneShot,
    /// Once, until it is enabled again.
    Dispatch,
}

impl Trigger {
    /// Its name in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Trigger::Level => "level",
            Trigger::Edge => "edge",
            Trigger::OneShot => "oneshot",
            Trigger::Dispatch => "dispatch",
        }
    }
}

/// What is waited for: a condition of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// The number.
    pub number: i32,
    /// The condition.
    pub condition: Condition,
}

/// A set of wishes, and a way to wait for them.
pub trait Interface: Send + Sync {
    /// Adds a wish.
    fn watch(&self, wish: Wish, trigger: Trigger) -> Outcome;

    /// Asks again for what was told for the last time.
    fn rearm(&self, wish: Wish, trigger: Trigger) -> Outcome;

    /// Removes a wish.
    fn remove(&self, wish: Wish) -> Outcome;

    /// What holds, waiting for the first up to `timeout`.
    fn look(&self, timeout: Option<Duration>) -> Outcome<Vec<Told>>;
}

/// An interface whose set has a number.
pub type Numbered = (Arc<dyn Interface>, i32);

/// Whose words it has for ends and hang-ups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Words {
    /// kevent's: an end is part of the event.
    Kevent,
    /// poll's, which epoll and /dev/poll share: hang-ups and errors are conditions.
    Poll,
    /// select's: what would not block is ready.
    Select,
}

/// What is said of a number that was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// Nothing, from then on.
    Silent,
    /// That it is not open, as long as it is not; then it is another one's (R45).
    Invalid,
    /// Every wait fails with `EBADF` as long as it is not (R47).
    Refused,
}

/// A way to wait, and what is particular about it.
pub struct Way {
    /// Its name in the report.
    pub name: &'static str,
    /// Makes a set without wishes.
    pub make: fn() -> Outcome<Arc<dyn Interface>>,
    /// What it can be asked for.
    pub triggers: &'static [Trigger],
    /// Its words.
    pub words: Words,
    /// What it says of numbers that were closed.
    pub closed: Closed,
    /// Who waits sees what another thread adds (R50): its wishes are not those of one call.
    pub shared: bool,
    /// Removing what is not there is this error.
    pub absent: Option<i32>,
    /// Refuses what is always ready to others (`EPERM`).
    pub refuses_always_ready: bool,
    /// Waits through a set that waits through another.
    pub nested: bool,
}

impl Way {
    /// How it says that a condition has ended.
    pub fn ending(&self, ending: Ending) -> What {
        match self.words {
            Words::Kevent => ending.kevent,
            Words::Poll => ending.poll,
            Words::Select => ending.select,
        }
    }

    const KEVENT: Way = Way {
        name: "kevent",
        make: kevent::make,
        triggers: &[Trigger::Level, Trigger::Edge, Trigger::OneShot, Trigger::Dispatch],
        words: Words::Kevent,
        closed: Closed::Silent,
        shared: true,
        absent: Some(ENOENT),
        refuses_always_ready: false,
        nested: false,
    };

    const EPOLL: Way = Way {
        name: "epoll",
        make: epoll::make,
        triggers: &[Trigger::Level, Trigger::Edge, Trigger::OneShot],
        words: Words::Poll,
        refuses_always_ready: true,
        ..Way::KEVENT
    };

    const POLL: Way = Way {
        name: "poll",
        make: poll::make,
        triggers: &[Trigger::Level],
        words: Words::Poll,
        closed: Closed::Invalid,
        shared: false,
        absent: None,
        ..Way::KEVENT
    };

    const SELECT: Way = Way {
        name: "select",
        make: select::make,
        words: Words::Select,
        closed: Closed::Refused,
        ..Way::POLL
    };

    const DEVPOLL: Way = Way { name: "devpoll", make: devpoll::make, shared: true, ..Way::POLL };
}

/// The interfaces.
pub const NATIVE: &[Way] = &[Way::KEVENT, Way::EPOLL, Way::POLL, Way::SELECT, Way::DEVPOLL];

/// What is made of them: events in a ring of the program's own, and sets in sets.
pub const DERIVED: &[Way] = &[
    Way { name: "ring", make: ring::make, ..Way::KEVENT },
    Way {
        name: "kqueue_in_epoll",
        make: || nested::make(epoll::make, kevent::make_numbered),
        triggers: Way::EPOLL.triggers,
        nested: true,
        ..Way::KEVENT
    },
    Way {
        name: "epoll_in_kqueue",
        make: || nested::make(kevent::make, epoll::make_numbered),
        triggers: Way::KEVENT.triggers,
        nested: true,
        ..Way::EPOLL
    },
    Way {
        name: "devpoll_in_poll",
        make: || nested::make(poll::make, devpoll::make_numbered),
        nested: true,
        ..Way::DEVPOLL
    },
];
