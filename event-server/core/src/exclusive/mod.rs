//! Exclusive notes (`EV_WAKEONE`, `EPOLLEXCLUSIVE`): of those who sleep for a source, so many are woken as something arrived
//! for.
//!
//! Such a note is never put into an activation ring: it stays on its client's list ([`Slot::keep`]), and whoever looks sees
//! the cell. What is chosen here is only who is woken, in turn among queues and within each among threads:
//!
//! ```text
//! who sleeps                             shard
//! state = PARKED, parked |= bit           the driver's level has reached it
//! fence(SeqCst)                           fence(SeqCst)         (Cell::begin_look)
//! look at the cell: nothing               look at parked
//! wait                                      CAS state PARKED → CHOSEN: lease, signal
//! ```
//! One of them sees the other's store: what arrived is seen by who was about to sleep, or wakes somebody.
//!
//! An arrival for which somebody was chosen is *leased* to that waiter until it comes back from its wait, and looks. It goes to
//! another when the waiter does not come back in time, when its process ends or its note is deleted, and when its client
//! [hands it back](event_protocol::control::client::Request::HandBack). No record says what was leased: what has to be done is
//! in the cell, and who looks finds it. So whenever a waiter may have been chosen in vain, another is if the cell says so,
//! and nothing is lost or told twice.
//!
//! [`Slot::keep`]: event_protocol::slot::Slot::keep

mod due;
mod leases;
mod ring;

use event_protocol::cell::Direction;
use event_protocol::filter::Filters;
use event_protocol::shared::Mapped;

use crate::arena::NONE;
use crate::graph::Graph;
use crate::host::Host;
use crate::source::Seen;
use due::{Due, dues};

pub use due::is_unheard;
pub use leases::{Leases, PATIENCE};

/// The filters that a direction makes true.
const fn side(direction: Direction) -> Filters {
    match direction {
        Direction::Read => Filters::READ_SIDE,
        Direction::Write => Filters::WRITE_SIDE,
    }
}

impl<M: Mapped> Graph<M> {
    /// The event path of a source with exclusive notes, after the others are activated: wakes for what is new in the cell. `told`: a
    /// driver says that there is something.
    #[inline(never)]
    pub fn wake_exclusive<H: Host>(&mut self, index: u32, told: bool, host: &mut H) {
        let Some(source) = self.sources.get_mut(index) else { return };
        let now = Seen::of(&source.cell);
        let before = core::mem::replace(&mut source.exclusive.seen, now);
        let (dues, ahead) = dues(before, now, told, source.exclusive.is_ahead);
        source.exclusive.is_ahead = ahead;
        let Some(mut ring) = self.ring(index) else { return };
        for (direction, due) in [Direction::Read, Direction::Write].into_iter().zip(dues) {
            match due {
                Due::Some(0) => {}
                Due::Some(count) => ring.wake(side(direction), count, host),
                Due::Everybody => ring.wake_everybody(side(direction), |_| true, host),
            }
        }
    }

    /// A source is no more whose exclusive knotes hang elsewhere: all who sleep for it are woken.
    #[cold]
    pub fn wake_view<H: Host>(&mut self, view: u32, hub: u32, host: &mut H) {
        let Some(mut ring) = self.ring(hub) else { return };
        for direction in [Direction::Read, Direction::Write] {
            ring.wake_everybody(side(direction), |knote| knote.view == view, host);
        }
    }

    /// A waiter that was chosen for a source is none, perhaps: another is woken if there is still reason to.
    fn hand_on<H: Host>(&mut self, index: u32, host: &mut H) {
        if let Some(mut ring) = self.ring(index) {
            ring.hand_on(host);
        }
    }

    /// A client has waiters chosen on a queue that are none.
    pub fn hand_back<H: Host>(&mut self, queue: u32, host: &mut H) {
        let mut at = self.queues.get(queue).map_or(NONE, |queue| queue.first_knote);
        while let Some(knote) = self.knotes.get(at) {
            let (next, source, exclusive) = (knote.queue_list.next, knote.source, knote.exclusive);
            if exclusive {
                self.owe(source);
            }
            at = next;
        }
        self.settle(host);
    }

    /// Notes were removed, whose waiters may have been chosen: their sources' others take over.
    pub fn settle<H: Host>(&mut self, host: &mut H) {
        while let Some(source) = self.sources.get_mut(self.first_owed) {
            let index = self.first_owed;
            self.first_owed = source.exclusive.next_owed;
            source.exclusive.is_owed = false;
            self.hand_on(index, host);
        }
        self.first_owed = NONE;
    }

    /// An exclusive knote of a source was removed; [`Graph::settle`] follows.
    pub fn owe(&mut self, index: u32) {
        let first = self.first_owed;
        if let Some(source) = self.sources.get_mut(index)
            && !source.exclusive.is_owed
        {
            source.exclusive.is_owed = true;
            source.exclusive.next_owed = first;
            self.first_owed = index;
        }
    }

    /// When the oldest lease ends of those whose waiters have not come back: monotonic ns.
    #[inline(always)]
    pub fn next_lease(&mut self) -> u64 {
        self.leases.next(&self.queues)
    }

    /// Leases whose time is over by `now` go to others.
    pub fn expire<H: Host>(&mut self, now: u64, host: &mut H) {
        while self.leases.deadline() <= now {
            self.end_lease(host);
        }
    }

    /// Takes the oldest lease back.
    fn end_lease<H: Host>(&mut self, host: &mut H) {
        let Some(lease) = self.leases.take_oldest() else { return };
        if lease.is_owed(&self.queues)
            && let Some((index, _)) = self.source(lease.source)
        {
            self.hand_on(index, host);
        }
    }
}
