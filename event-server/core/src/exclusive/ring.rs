//! The exclusive knotes of a source, and whose turn it is among them.

use abi::Handle;
use event_protocol::badge::SourceId;
use event_protocol::cell::Direction;
use event_protocol::control::lobby::Stats;
use event_protocol::control::policy::Policy;
use event_protocol::filter::Filters;
use event_protocol::shared::Mapped;

use super::leases::{Lease, Leases, PATIENCE};
use super::side;
use crate::arena::{Arena, NONE};
use crate::graph::Graph;
use crate::host::Host;
use crate::queue::{Chosen, Queue};
use crate::source::{Knote, Note, Own, Source};

/// Arrivals for which as many waiters are woken without asking how many sleep: who wakes them one by one has to come to an end,
/// though they lie down again meanwhile.
const FEW: u32 = 16;

/// The exclusive knotes of a source.
pub struct Ring<'a, M> {
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

impl<M: Mapped> Graph<M> {
    /// Those of a source; `None`: it has none.
    #[inline(always)]
    pub fn ring(&mut self, index: u32) -> Option<Ring<'_, M>> {
        let Graph { sources, knotes, notes, queues, stats, leases, policy, .. } = self;
        let source = sources.get(index).filter(|source| source.exclusive.next != NONE)?;
        let policy = source.exclusive.policy.unwrap_or(*policy);
        let name = source.id;
        Some(Ring { index, name, sources, knotes, notes, queues, stats, leases, policy })
    }
}

impl<M: Mapped> Ring<'_, M> {
    /// A waiter that was chosen is none, perhaps: another is woken if there is still reason to.
    pub fn hand_on<H: Host>(&mut self, host: &mut H) {
        let woken = self.stats.leases;
        for direction in [Direction::Read, Direction::Write] {
            // Who is woken looks at everything.
            if self.stats.leases == woken {
                self.wake(side(direction), 1, host);
            }
        }
        let others = self.stats.leases - woken;
        self.stats.handed_on += others;
        if others > 0 {
            host.handed_on(self.name);
        }
    }

    /// Wakes for `count` arrivals, as each knote's policy says.
    pub fn wake<H: Host>(&mut self, side: Filters, count: u32, host: &mut H) {
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
        // Where no CPU is better than another, nobody need be asked for theirs.
        let differ = quiet || (0..host.cpus()).any(|cpu| host.is_idle(cpu));
        // How well a sleeper's CPU suits, 0 best.
        let rank = |host: &H, policy, cpu| match policy {
            Policy::All | Policy::OnePerCpu => None,
            Policy::RoundRobin => Some(0),
            Policy::OneThisCpu => Some(u8::from(cpu != here)),
            Policy::OneOtherCpu => Some(u8::from(cpu == here && host.cpus() > 1)),
            Policy::Auto if !differ || quiet && cpu == here => Some(0),
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
    pub fn wake_everybody<H: Host>(&mut self, side: Filters, of: impl Fn(&Knote) -> bool, host: &mut H) {
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
