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

use abi::Handle;
use abi::limits::FOREVER;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
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
use crate::source::{Knote, Note, Own, Seen, Source};

/// How long a waiter may take to come back, in ns.
pub const PATIENCE: u64 = 100_000_000;
/// Leases among which those are not looked for whose waiters have come back.
const LEASES: usize = 512;
/// Arrivals for which as many waiters are woken without asking how many sleep: who wakes them one by one has to come to an end,
/// though they lie down again meanwhile.
const FEW: u32 = 16;

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

/// The leases of a shard, oldest first: not many more than there are waiters that have not come back.
#[derive(Debug)]
pub struct Leases {
    given: VecDeque<Lease>,
    /// With how many of them those are looked for whose waiters have.
    most: usize,
    /// One was given since it was asked last when the next ends.
    is_fresh: bool,
    deadline: u64,
}

impl Default for Leases {
    fn default() -> Leases {
        Leases { given: VecDeque::new(), most: LEASES, is_fresh: false, deadline: FOREVER }
    }
}

impl Leases {
    /// When the oldest has to be looked at: monotonic ns.
    #[inline(always)]
    pub fn deadline(&self) -> u64 {
        self.deadline
    }

    /// How many waiters have not come back; an error: what is wrong. A waiter has one lease at a time.
    pub fn audit<M: Mapped>(&self, queues: &Arena<Queue<M>>) -> Result<u64, String> {
        let first = self.given.front().map_or(FOREVER, |lease| lease.until);
        if self.deadline != first || !self.given.iter().map(|lease| lease.until).is_sorted() {
            return Err(format!("leases end at {first}, and not at {} and in order", self.deadline));
        }
        let owed = self.given.iter().filter(|lease| lease.is_owed(queues));
        let of = |lease: &Lease| (queues.get(lease.queue).map(|queue| queue.client), lease.chosen.number);
        let mut waiters: Vec<_> = owed.map(of).collect();
        let owed = waiters.len();
        waiters.sort_unstable();
        waiters.dedup();
        if waiters.len() < owed {
            return Err(format!("of {owed} leases only {} are different waiters'", waiters.len()));
        }
        Ok(owed as u64)
    }

    fn take_oldest(&mut self) -> Option<Lease> {
        let oldest = self.given.pop_front();
        self.deadline = self.given.front().map_or(FOREVER, |lease| lease.until);
        oldest
    }

    /// Forgets the oldest as far as their waiters have come back: nobody has to wait for the others with a deadline, which costs.
    #[inline(never)]
    fn forget<M: Mapped>(&mut self, queues: &Arena<Queue<M>>) {
        while self.given.front().is_some_and(|lease| !lease.is_owed(queues)) {
            self.given.pop_front();
        }
        self.deadline = self.given.front().map_or(FOREVER, |lease| lease.until);
    }

    /// One more. Those whose waiters have come back are forgotten on the way, so that there are few.
    fn give<M: Mapped>(&mut self, lease: Lease, queues: &Arena<Queue<M>>) {
        self.is_fresh = true;
        self.forget(queues);
        if self.given.len() >= self.most {
            self.given.retain(|lease| lease.is_owed(queues));
            self.most = LEASES.max(2 * self.given.len());
        }
        if self.given.try_reserve(1).is_err() {
            // No memory: the oldest is not missed, if it does not come back.
            self.given.pop_front();
        }
        if self.given.len() < self.given.capacity() {
            self.given.push_back(lease);
        }
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
    if !now.flags.difference(before.flags).intersection(LevelFlags::LASTING).is_empty() {
        return Due::Everybody;
    }
    let there = match now.flags.contains(LevelFlags::SIGNED) {
        true => now.amount.unsigned_abs(),
        false => now.amount.max(0).unsigned_abs(),
    };
    let others = now.flags.intersects(LevelFlags::LASTING.union(LevelFlags::EXCEPT));
    let there = u32::try_from(there).unwrap_or(u32::MAX).max(u32::from(others));
    let came = if arrivals == 0 { u32::from(now.rose_from(before)) } else { arrivals };
    Due::Some(came.min(there))
}

/// Whether something has come since a cell was looked at.
pub fn is_unheard(before: Seen, now: Seen) -> bool {
    let read = now.activity.0.wrapping_sub(before.activity.0);
    let write = now.activity.1.wrapping_sub(before.activity.1);
    [(read, 0), (write, 1)]
        .iter()
        .any(|&(came, at)| due(came, before.levels[at], now.levels[at]) != Due::Some(0))
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
        let Some(source) = self.sources.get_mut(index) else { return };
        let now = Seen::of(&source.cell);
        let before = core::mem::replace(&mut source.exclusive.seen, now);
        let Some(mut ring) = self.ring(index) else { return };
        let read = now.activity.0.wrapping_sub(before.activity.0);
        let write = now.activity.1.wrapping_sub(before.activity.1);
        for (direction, arrivals, at) in [(Direction::Read, read, 0), (Direction::Write, write, 1)] {
            match due(arrivals, before.levels[at], now.levels[at]) {
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
        let Some(mut ring) = self.ring(index) else { return };
        let woken = ring.stats.leases;
        for direction in [Direction::Read, Direction::Write] {
            // Who is woken looks at everything.
            if ring.stats.leases == woken {
                ring.wake(side(direction), 1, host);
            }
        }
        let others = ring.stats.leases - woken;
        ring.stats.handed_on += others;
        if others > 0 {
            host.handed_on(ring.name);
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
        // Who was chosen just now cannot have come back.
        if self.leases.deadline != FOREVER && !core::mem::take(&mut self.leases.is_fresh) {
            self.leases.forget(&self.queues);
        }
        self.leases.deadline
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
        let source = sources.get(index).filter(|source| source.exclusive.next != NONE)?;
        let policy = source.exclusive.policy.unwrap_or(*policy);
        let name = source.id;
        Some(Ring { index, name, sources, knotes, notes, queues, stats, leases, policy })
    }
}

/// The exclusive knotes of a source.
struct Ring<'a, M> {
    index: u32,
    name: SourceId,
    sources: &'a mut Arena<Source<M>>,
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
        let Some(source) = self.sources.get(self.index) else { return };
        let mut own = source.exclusive.own;
        *own.of(Some(self.policy)) += own.none;
        let Own { all, per_cpu, one, .. } = own;
        if all > 0 {
            self.wake_all(side, host);
        }
        if per_cpu > 0 {
            self.wake_one_per_cpu(side, host);
        }
        if one > 0 {
            let count = if count > FEW { count.min(self.sleepers()) } else { count };
            for _ in 0..count {
                if !self.wake_one(side, host) {
                    return;
                }
            }
        }
    }

    /// Wakes one by the policies that choose one; false: nobody sleeps.
    fn wake_one<H: Host>(&mut self, side: Filters, host: &mut H) -> bool {
        let (here, quiet) = (host.cpu(), host.is_quiet());
        // How well a sleeper's CPU suits, 0 best.
        let rank = |host: &H, policy, cpu| match policy {
            Policy::All | Policy::OnePerCpu => None,
            Policy::RoundRobin => Some(0),
            Policy::OneThisCpu => Some(u8::from(cpu != here)),
            Policy::OneOtherCpu => Some(u8::from(cpu == here && host.cpus() > 1)),
            Policy::Auto if quiet && cpu == here => Some(0),
            Policy::Auto if host.is_idle(cpu) => Some(u8::from(quiet)),
            Policy::Auto => Some(2),
        };
        let Some((at, waiter)) = self.best(side, |policy, cpu| rank(host, policy, cpu)) else { return false };
        // It may have left meanwhile: whoever is there then.
        self.wake_of(at, host, |queue, _| queue.choose_this(waiter)).is_some()
            || self.wake_first(side, host, |host, policy, cpu| rank(host, policy, cpu).is_some())
    }

    /// The first of those whose CPU suits best: its knote and its number.
    fn best(&self, side: Filters, rank: impl Fn(Policy, u32) -> Option<u8>) -> Option<(u32, u32)> {
        let (mut best, mut least) = (None, u8::MAX);
        let first = self.first();
        let mut at = first;
        while let Some(knote) = self.knotes.get(at) {
            let policy = self.policy_of(knote);
            if let Some(queue) = self.queues.get(knote.queue)
                && let Some((rank, waiter)) =
                    queue.best_parked(|cpu| rank(policy, cpu).filter(|rank| *rank < least))
                && self.is_true(knote, side)
            {
                (best, least) = (Some((at, waiter)), rank);
            }
            at = knote.source_list.next;
            if least == 0 || at == first {
                break;
            }
        }
        best
    }

    /// Wakes the next whose policy and CPU `fits` likes.
    fn wake_first<H: Host>(
        &mut self,
        side: Filters,
        host: &mut H,
        fits: impl Fn(&H, Policy, u32) -> bool,
    ) -> bool {
        let first = self.first();
        let mut at = first;
        while let Some(knote) = self.knotes.get(at) {
            let (policy, next) = (self.policy_of(knote), knote.source_list.next);
            if self.is_true(knote, side)
                && self
                    .wake_of(at, host, |queue, host| queue.choose_on(|cpu| fits(host, policy, cpu)))
                    .is_some()
            {
                return true;
            }
            at = next;
            if at == first {
                break;
            }
        }
        false
    }

    /// Wakes one on each CPU.
    fn wake_one_per_cpu<H: Host>(&mut self, side: Filters, host: &mut H) {
        let everywhere = u64::MAX >> (u64::BITS - host.cpus().clamp(1, u64::BITS));
        let bit = |cpu: u32| 1u64 << (cpu & (u64::BITS - 1));
        let mut woken = 0;
        let first = self.first();
        let mut at = first;
        while let Some(knote) = self.knotes.get(at) {
            let next = knote.source_list.next;
            if self.policy_of(knote) == Policy::OnePerCpu && self.is_true(knote, side) {
                for _ in 0..host.cpus() {
                    let chosen =
                        self.wake_of(at, host, |queue, _| queue.choose_on(|cpu| woken & bit(cpu) == 0));
                    let Some(chosen) = chosen else { break };
                    woken |= bit(chosen.cpu);
                }
            }
            at = next;
            if woken & everywhere == everywhere || at == first {
                break;
            }
        }
    }

    /// One of each queue whose policy is that.
    fn wake_all<H: Host>(&mut self, side: Filters, host: &mut H) {
        let first = self.first();
        let mut at = first;
        while let Some(knote) = self.knotes.get(at) {
            let next = knote.source_list.next;
            if self.policy_of(knote) == Policy::All && self.is_true(knote, side) {
                self.wake_of(at, host, |queue, _| queue.choose_on(|_| true));
            }
            at = next;
            if at == first {
                break;
            }
        }
    }

    /// Everybody: what has happened is for all of them.
    fn wake_everybody<H: Host>(&mut self, side: Filters, of: impl Fn(&Knote) -> bool, host: &mut H) {
        let first = self.first();
        let mut at = first;
        while let Some(knote) = self.knotes.get(at) {
            let next = knote.source_list.next;
            if of(knote) && self.is_true(knote, side) {
                // Each once, whatever they do meanwhile.
                for _ in 0..self.queues.get(knote.queue).map_or(0, Queue::sleepers) {
                    if self.wake_of(at, host, |queue, _| queue.choose_on(|_| true)).is_none() {
                        break;
                    }
                }
            }
            at = next;
            if at == first {
                break;
            }
        }
    }

    /// Who sleeps, as far as anybody knows.
    fn sleepers(&self) -> u32 {
        let first = self.first();
        let (mut sum, mut at) = (0u32, first);
        while let Some(knote) = self.knotes.get(at) {
            sum = sum.saturating_add(self.queues.get(knote.queue).map_or(0, Queue::sleepers));
            at = knote.source_list.next;
            if at == first {
                break;
            }
        }
        sum
    }

    /// By what a knote's waiters are chosen.
    fn policy_of(&self, knote: &Knote) -> Policy {
        knote.policy.unwrap_or(self.policy)
    }

    /// Whose turn it is.
    fn first(&self) -> u32 {
        self.sources.get(self.index).map_or(NONE, |source| source.exclusive.next)
    }

    /// Whether a note of a knote is true in a direction: whom it wakes finds something.
    fn is_true(&self, knote: &Knote, side: Filters) -> bool {
        let (Some(queue), Some(view)) = (self.queues.get(knote.queue), self.sources.get(knote.view)) else {
            return false;
        };
        let mut at = knote.first_note;
        while let Some(note) = self.notes.get(at) {
            if queue.active(note, &view.cell).intersects(side) {
                return true;
            }
            at = note.next;
        }
        false
    }

    /// Wakes whom `choose` chooses of a knote's queue, and it is the next knote's turn.
    fn wake_of<H: Host>(
        &mut self,
        at: u32,
        host: &mut H,
        choose: impl FnOnce(&mut Queue<M>, &H) -> Option<(Chosen, Handle)>,
    ) -> Option<Chosen> {
        let knote = self.knotes.get(at)?;
        let (chosen, notification) = choose(self.queues.get_mut(knote.queue)?, host)?;
        // The others' turn, and of this queue another thread's.
        if let Some(source) = self.sources.get_mut(self.index) {
            source.exclusive.next = knote.source_list.next;
        }
        self.stats.wakes += 1;
        self.stats.leases += 1;
        let until = host.now().saturating_add(PATIENCE);
        self.leases.give(Lease { source: self.name, queue: knote.queue, chosen, until }, self.queues);
        host.signal(notification);
        Some(chosen)
    }
}
