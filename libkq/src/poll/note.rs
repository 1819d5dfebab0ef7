//! A note of a kept set: there to wake its thread.

use alloc::sync::Arc;

use event_protocol::cell::Cell;
use event_protocol::control::client::View as Interface;
use event_protocol::filter::Filters;
use event_protocol::slot::{Control, Slot, Terms};

use crate::conditions::Interest;
use crate::engine::{After, Sink, View};
use crate::nesting::Inner;
use crate::set::Member;

/// The number under which a set has the note by which it is told that one of its descriptors was closed.
pub const CLOSED: i32 = -1;

/// A note.
pub enum PollNote {
    /// On a descriptor.
    Descriptor {
        /// The number.
        fd: i32,
        /// The shard that knows it.
        home: u32,
        /// What is asked about it.
        interest: Interest,
    },
    /// On a set.
    Set {
        /// The number.
        fd: i32,
        /// The set.
        inner: Arc<dyn Inner>,
        /// Whether it is asked about reading.
        readable: bool,
    },
    /// A descriptor was closed, or not.
    Closed(bool),
}

impl Member for PollNote {
    type Key = i32;
    const INTERFACE: Interface = Interface::Poll;

    fn is_due(&self) -> bool {
        match self {
            PollNote::Descriptor { .. } => false,
            PollNote::Set { inner, readable, .. } => *readable && inner.look().0 > 0,
            PollNote::Closed(closed) => *closed,
        }
    }

    fn inner(&self) -> Option<&Arc<dyn Inner>> {
        match self {
            PollNote::Set { inner, .. } => Some(inner),
            _ => None,
        }
    }

    fn key(&self) -> i32 {
        match self {
            PollNote::Descriptor { fd, .. } | PollNote::Set { fd, .. } => *fd,
            PollNote::Closed(_) => CLOSED,
        }
    }

    fn home(&self) -> u32 {
        match self {
            PollNote::Descriptor { home, .. } => *home,
            PollNote::Closed(_) | PollNote::Set { .. } => 0,
        }
    }

    fn filters(&self) -> Filters {
        match self {
            PollNote::Descriptor { interest, .. } => interest.filters(),
            PollNote::Closed(_) | PollNote::Set { .. } => Filters::empty(),
        }
    }

    fn terms(&self) -> Terms {
        let low_water = match self {
            PollNote::Descriptor { interest, .. } => interest.low_water(),
            PollNote::Closed(_) | PollNote::Set { .. } => (0, 0),
        };
        Terms { control: Control::ENABLED, filters: self.filters(), low_water, wanted_bits: 0 }
    }
}

/// Whether there is something to look for.
#[derive(Debug, Default)]
pub struct Awake(pub bool);

impl Sink for Awake {
    fn is_full(&self) -> bool {
        self.0
    }

    fn is_empty(&self) -> bool {
        !self.0
    }
}

impl View<Awake> for PollNote {
    fn deliver_plain(&self, _cell: &Cell, _sink: &mut Awake) -> bool {
        false
    }

    fn deliver(&mut self, _slot: &Slot, cell: Option<&Cell>, sink: &mut Awake) -> After {
        let found = match (&*self, cell) {
            (PollNote::Descriptor { interest, .. }, Some(cell)) => !interest.told(cell).is_empty(),
            _ => self.is_due(),
        };
        sink.0 |= found;
        // It is looked at again before the next sleep.
        match self {
            _ if found => After::Stay,
            PollNote::Set { .. } => After::Quiet,
            _ => After::Drop,
        }
    }
}
