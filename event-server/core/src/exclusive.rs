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

use abi::limits::FOREVER;
use event_protocol::badge::SourceId;
use event_protocol::cell::Direction;
use event_protocol::control::lobby::Stats;
use event_protocol::control::policy::Policy;
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};
use event_protocol::shared::Mapped;

use crate::arena::{Arena, NONE};
use crate::graph::Graph;
use crate::host::Host;
use crate::queue::{Chosen, Queue};
use crate::source::{Knote, Note, Seen, Source};

/// How long a waiter may take to come back, in ns.
pub const PATIENCE: u64 = 100_000_000;
/// Leases that are looked after: of more waiters than that which do not come back at one time, the first are not missed.
const LEASES: usize = 512;
/// What concerns everybody, for good.
const LASTING: LevelFlags =
    LevelFlags::EOF.union(LevelFlags::ERROR).union(LevelFlags::HANGUP).union(LevelFlags::GONE);

/// A waiter that was chosen for an arrival.
#[derive(Clone, Copy, Debug)]
struct Lease {
    source: SourceId,
    queue: u32,
    chosen: Chosen,
    until: u64,
}

impl Lease {
    /// Whether the waiter has not come back.
    fn is_owed<M: Mapped>(&self, queues: &Arena<Queue<M>>) -> bool {
        queues.get(self.queue).is_some_and(|queue| queue.still_owes(self.chosen))
    }
}

/// The leases of a shard, oldest first.
#[derive(Debug)]
pub struct Leases {
    given: heapless::Deque<Lease, LEASES>,
    deadline: u64,
}

impl Default for Leases {
    fn default() -> Leases {
        Leases { given: heapless::Deque::new(), deadline: FOREVER }
    }
}

impl Leases {
    /// When the oldest has to be looked at: monotonic ns.
    #[inline(always)]
    pub fn deadline(&self) -> u64 {
        self.deadline
    }

    fn take_oldest(&mut self) -> Option<Lease> {
        let oldest = self.given.pop_front();
        self.deadline = self.given.front().map_or(FOREVER, |lease| lease.until);
        oldest
    }

    /// One more. Those whose waiters have come back are forgotten on the way, so that there are few.
    fn give<M: Mapped>(&mut self, lease: Lease, queues: &Arena<Queue<M>>) {
        let is_over = |lease: &Lease| !lease.is_owed(queues);
        while self.given.is_full() || self.given.front().is_some_and(is_over) {
            self.given.pop_front();
        }
        // There is room.
        let _ = self.given.push_back(lease);
        self.deadline = self.given.front().map_or(FOREVER, |lease| lease.until);
    }
}

/// How many sleepers what has happened in one direction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    Some(u32),
    Everybody,
}

/// What has happened between two looks. Each arrival brought something, so no more are woken than there is.
fn due(arrivals: u32, before: Level, now: Level) -> Due {
    if !now.flags.difference(before.flags).intersection(LASTING).is_empty() {
        return Due::Everybody;
    }
    let there = match now.flags.contains(LevelFlags::SIGNED) {
        true => now.amount.unsigned_abs(),
        false => now.amount.max(0).unsigned_abs(),
    };
    let others = now.flags.intersects(LASTING.union(LevelFlags::EXCEPT));
    let there = u32::try_from(there).unwrap_or(u32::MAX).max(u32::from(others));
    let came = if arrivals == 0 { u32::from(now.rose_from(before)) } else { arrivals };
    Due::Some(came.min(there))
}

/// The filters that a direction makes true.
const fn side(direction: Direction) -> Filters {
    match direction {
        Direction::Read => Filters::READ_SIDE,
        Direction::Write => Filters::WRITE_SIDE,
    }
}

impl<M: Mapped> Graph<M> {
    /// The event path of a source with exclusive notes, after the others are activated: wakes for what is new in the cell.
    #[inline(never)]
    pub fn wake_exclusive<H: Host>(&mut self, index: u32, host: &mut H) {
        let Some(mut ring) = self.ring(index) else { return };
        let now = Seen::of(&ring.source.cell);
        let before = core::mem::replace(&mut ring.source.exclusive.seen, now);
        let read = now.activity.0.wrapping_sub(before.activity.0);
        let write = now.activity.1.wrapping_sub(before.activity.1);
        for (direction, arrivals, at) in [(Direction::Read, read, 0), (Direction::Write, write, 1)] {
            match due(arrivals, before.levels[at], now.levels[at]) {
                Due::Some(0) => {}
                Due::Some(count) => ring.wake(side(direction), count, host),
                Due::Everybody => ring.wake_everybody(side(direction), host),
            }
        }
    }

    /// A waiter that was chosen for a source is none, perhaps: another is woken if there is still reason to.
    fn hand_on<H: Host>(&mut self, index: u32, host: &mut H) {
        let Some(mut ring) = self.ring(index) else { return };
        let woken = ring.stats.leases;
        for direction in [Direction::Read, Direction::Write] {
            // Who is woken looks at everything.
            if ring.stats.leases == woken {
                ring.wake(side(direction), 1, host);
            }
        }
        ring.stats.handed_on += ring.stats.leases - woken;
    }

    /// A client has waiters chosen on a queue that are none.
    pub fn hand_back<H: Host>(&mut self, queue: u32, host: &mut H) {
        let mut at = self.queues.get(queue).map_or(NONE, |queue| queue.first_knote);
        while let Some(knote) = self.knotes.get(at) {
            let (next, source, exclusive) = (knote.queue_list.next, knote.source, knote.exclusive);
            if exclusive {
                self.hand_on(source, host);
            }
            at = next;
        }
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

    fn ring(&mut self, index: u32) -> Option<Ring<'_, M>> {
        let Graph { sources, knotes, notes, queues, stats, leases, policy, .. } = self;
        let source = sources.get_mut(index).filter(|source| source.exclusive.next != NONE)?;
        let policy = source.exclusive.policy.unwrap_or(*policy);
        Some(Ring { source, knotes, notes, queues, stats, leases, policy })
    }
}

/// The exclusive knotes of a source.
struct Ring<'a, M> {
    source: &'a mut Source<M>,
    knotes: &'a Arena<Knote>,
    notes: &'a Arena<Note>,
    queues: &'a mut Arena<Queue<M>>,
    stats: &'a mut Stats,
    leases: &'a mut Leases,
    /// Of knotes that have none themselves.
    policy: Policy,
}

impl<M: Mapped> Ring<'_, M> {
    /// Wakes for `count` arrivals, as each knote's policy says.
    fn wake<H: Host>(&mut self, side: Filters, count: u32, host: &mut H) {
        let mut ones = true;
        if self.source.exclusive.choosy == 0 {
            match self.policy {
                Policy::All => self.wake_all(side, host),
                Policy::OnePerCpu => self.wake_one_per_cpu(side, host),
                _ => {}
            }
            ones = !matches!(self.policy, Policy::All | Policy::OnePerCpu);
        } else {
            self.wake_all(side, host);
            self.wake_one_per_cpu(side, host);
        }
        if ones {
            for _ in 0..count {
                if !self.wake_one(side, host) {
                    return;
                }
            }
        }
    }

    /// Wakes one by the policies that choose one; false: nobody sleeps.
    fn wake_one<H: Host>(&mut self, side: Filters, host: &mut H) -> bool {
        let here = host.cpu();
        let quiet = host.is_quiet();
        let (one, auto) = (|policy| !matches!(policy, Policy::All | Policy::OnePerCpu), Policy::Auto);
        // First those on a CPU that the policy prefers, then those on one that it likes, then anybody.
        let best = |host: &H, policy, cpu| match policy {
            Policy::OneThisCpu => cpu == here,
            Policy::OneOtherCpu => cpu != here,
            Policy::Auto if quiet => cpu == here,
            Policy::Auto => host.is_idle(cpu),
            _ => true,
        };
        self.wake_if(side, host, |host, policy, cpu| one(policy) && best(host, policy, cpu))
            || quiet && self.wake_if(side, host, |host, policy, cpu| policy == auto && host.is_idle(cpu))
            || self.wake_if(side, host, |_, policy, _| one(policy))
    }

    fn wake_one_per_cpu<H: Host>(&mut self, side: Filters, host: &mut H) {
        for number in 0..host.cpus() {
            self.wake_if(side, host, |_, policy, cpu| policy == Policy::OnePerCpu && cpu == number);
        }
    }

    /// One of each queue whose policy is that.
    fn wake_all<H: Host>(&mut self, side: Filters, host: &mut H) {
        let first = self.source.exclusive.next;
        let mut at = first;
        while let Some(knote) = self.knotes.get(at) {
            if knote.policy.unwrap_or(self.policy) == Policy::All && self.is_true(knote, side) {
                self.wake_of(knote.queue, host, |_, _| true);
            }
            at = knote.source_list.next;
            if at == first {
                break;
            }
        }
    }

    /// Everybody: what has happened is for all of them.
    fn wake_everybody<H: Host>(&mut self, side: Filters, host: &mut H) {
        let first = self.source.exclusive.next;
        let mut at = first;
        while let Some(knote) = self.knotes.get(at) {
            if self.is_true(knote, side) {
                while self.wake_of(knote.queue, host, |_, _| true) {}
            }
            at = knote.source_list.next;
            if at == first {
                break;
            }
        }
    }

    /// Wakes the next of those whose policy and CPU `fits` likes.
    fn wake_if<H: Host>(
        &mut self,
        side: Filters,
        host: &mut H,
        fits: impl Fn(&H, Policy, u32) -> bool,
    ) -> bool {
        let first = self.source.exclusive.next;
        let mut at = first;
        while let Some(knote) = self.knotes.get(at) {
            let policy = knote.policy.unwrap_or(self.policy);
            let next = knote.source_list.next;
            if self.is_true(knote, side)
                && self.wake_of(knote.queue, host, |host, cpu| fits(host, policy, cpu))
            {
                // The others' turn, and of this queue another thread's.
                self.source.exclusive.next = next;
                return true;
            }
            at = next;
            if at == first {
                break;
            }
        }
        false
    }

    /// Whether a note of a knote is true in a direction: whom it wakes finds something.
    fn is_true(&self, knote: &Knote, side: Filters) -> bool {
        let Some(queue) = self.queues.get(knote.queue) else { return false };
        let mut at = knote.first_note;
        while let Some(note) = self.notes.get(at) {
            if queue.active(note, &self.source.cell).intersects(side) {
                return true;
            }
            at = note.next;
        }
        false
    }

    fn wake_of<H: Host>(&mut self, index: u32, host: &mut H, fits: impl Fn(&H, u32) -> bool) -> bool {
        let Some(queue) = self.queues.get_mut(index) else { return false };
        let Some((chosen, notification)) = queue.choose_on(|cpu| fits(host, cpu)) else { return false };
        self.stats.wakes += 1;
        self.stats.leases += 1;
        let until = host.now().saturating_add(PATIENCE);
        self.leases.give(Lease { source: self.source.id, queue: index, chosen, until }, self.queues);
        host.signal(notification);
        true
    }
}
