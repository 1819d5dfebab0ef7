//! An entry of a /dev/poll set: all conditions of one number.

use alloc::sync::Arc;

use event_protocol::cell::Cell;
use event_protocol::control::client::View as Interface;
use event_protocol::filter::Filters;
use event_protocol::slot::{Control, Slot, Terms};

use crate::conditions::{Conditions, Interest};
use crate::engine::{After, Sink, View};
use crate::nesting::Inner;
use crate::poll::PollFd;
use crate::set::Member;

/// An entry.
pub struct Entry {
    fd: i32,
    wanted: Conditions,
    state: State,
    inner: Option<Arc<dyn Inner>>,
}

/// What a number stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// A file that can be watched.
    Live {
        /// Which.
        description: u64,
        /// The shard that knows it.
        home: u32,
        /// What is asked.
        interest: Interest,
    },
    /// Another set.
    Set,
    /// A file that is always ready.
    Always,
    /// A file whose driver is gone (R57).
    Gone,
    /// Nothing.
    Invalid,
}

impl Entry {
    /// An entry.
    pub fn new(fd: i32, wanted: Conditions, state: State) -> Entry {
        Entry { fd, wanted, state, inner: None }
    }

    /// An entry on another set.
    pub fn on_set(fd: i32, wanted: Conditions, inner: Arc<dyn Inner>) -> Entry {
        Entry { fd, wanted, state: State::Set, inner: Some(inner) }
    }

    /// What holds of one that no server knows.
    fn told(&self) -> Conditions {
        match self.state {
            State::Live { .. } => Conditions::empty(),
            State::Set if self.inner.as_ref().is_none_or(|inner| inner.look().0 == 0) => Conditions::empty(),
            State::Set => self.wanted.intersection(Conditions::READABLE),
            State::Always => self.wanted.intersection(Conditions::READABLE.union(Conditions::WRITABLE)),
            State::Gone => Conditions::HUP,
            State::Invalid => Conditions::NVAL,
        }
    }

    /// What is asked.
    pub fn wanted(&self) -> Conditions {
        self.wanted
    }

    /// Whether the number is not open.
    pub fn is_invalid(&self) -> bool {
        self.state == State::Invalid
    }

    /// Asks for something else about the same file; false when it is another.
    pub fn change(&mut self, wanted: Conditions, state: State) -> bool {
        let same = match (&self.state, &state) {
            (State::Live { description, .. }, State::Live { description: new, .. }) => description == new,
            _ => false,
        };
        if same {
            (self.wanted, self.state) = (wanted, state);
        }
        same
    }
}

impl Member for Entry {
    type Key = i32;
    const INTERFACE: Interface = Interface::DevPoll;

    fn is_due(&self) -> bool {
        !self.told().is_empty()
    }

    fn inner(&self) -> Option<&Arc<dyn Inner>> {
        self.inner.as_ref()
    }

    fn key(&self) -> i32 {
        self.fd
    }

    fn home(&self) -> u32 {
        match self.state {
            State::Live { home, .. } => home,
            _ => 0,
        }
    }

    fn filters(&self) -> Filters {
        match self.state {
            State::Live { interest, .. } => interest.filters(),
            _ => Filters::empty(),
        }
    }

    fn terms(&self) -> Terms {
        let low_water = match self.state {
            State::Live { interest, .. } => interest.low_water(),
            _ => (0, 0),
        };
        Terms { control: Control::ENABLED, filters: self.filters(), low_water, wanted_bits: 0 }
    }
}

/// Where entries are put.
pub struct Found<'a> {
    list: &'a mut [PollFd],
    used: usize,
    invalid: bool,
}

impl<'a> Found<'a> {
    /// An empty list.
    #[inline]
    pub fn new(list: &'a mut [PollFd]) -> Found<'a> {
        Found { list, used: 0, invalid: false }
    }

    /// Entries that were put.
    #[inline]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether no entry can be put at all.
    #[inline]
    pub fn has_no_room(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether an entry whose number is not open was put.
    #[inline]
    pub fn has_invalid(&self) -> bool {
        self.invalid
    }

    /// Takes all back: levels can be told again.
    pub fn forget(&mut self) {
        (self.used, self.invalid) = (0, false);
    }

    #[inline(always)]
    fn put(&mut self, entry: PollFd) -> bool {
        match self.list.get_mut(self.used) {
            Some(place) => {
                *place = entry;
                self.used += 1;
                true
            }
            None => false,
        }
    }
}

impl Sink for Found<'_> {
    #[inline]
    fn is_full(&self) -> bool {
        self.used == self.list.len()
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.used == 0
    }
}

impl View<Found<'_>> for Entry {
    #[inline(always)]
    fn deliver_plain(&self, cell: &Cell, sink: &mut Found<'_>) -> bool {
        let State::Live { interest, .. } = &self.state else { return false };
        match interest.plain(cell) {
            Some(told) if !told.is_empty() => {
                sink.put(PollFd { fd: self.fd, events: self.wanted, revents: told })
            }
            _ => false,
        }
    }

    fn deliver(&mut self, _slot: &Slot, cell: Option<&Cell>, sink: &mut Found<'_>) -> After {
        let told = match (&self.state, cell) {
            (State::Live { interest, .. }, Some(cell)) => interest.told(cell),
            _ => self.told(),
        };
        sink.invalid |= self.is_invalid();
        if told.is_empty() {
            return if self.inner.is_some() { After::Quiet } else { After::Drop };
        }
        sink.put(PollFd { fd: self.fd, events: self.wanted, revents: told });
        After::Stay
    }
}
