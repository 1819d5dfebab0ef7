//! Who was chosen for an arrival and has not come back yet.

use abi::limits::FOREVER;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use event_protocol::badge::SourceId;
use event_protocol::shared::Mapped;

use crate::account::cost;
use crate::arena::Arena;
use crate::queue::{Chosen, Queue};

/// How long a waiter may take to come back, in ns.
pub const PATIENCE: u64 = 100_000_000;
/// Leases among which those are not looked for whose waiters have come back.
const LEASES: usize = 512;
/// A waiter that was chosen for an arrival.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// Where it came.
    pub source: SourceId,
    /// The waiter's queue.
    pub queue: u32,
    /// The waiter.
    pub chosen: Chosen,
    /// When another is to be chosen, if it has not come back.
    pub until: u64,
}

const _: () = assert!(size_of::<Lease>() as u64 <= cost::LEASE);

impl Lease {
    /// Whether the waiter has not come back.
    pub fn is_owed<M: Mapped>(&self, queues: &Arena<Queue<M>>) -> bool {
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

    /// When the oldest ends of those whose waiters have not come back.
    #[inline(always)]
    pub fn next<M: Mapped>(&mut self, queues: &Arena<Queue<M>>) -> u64 {
        // Who was chosen just now cannot have come back.
        if self.deadline != FOREVER && !core::mem::take(&mut self.is_fresh) {
            self.forget(queues);
        }
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

    /// The oldest is over.
    pub fn take_oldest(&mut self) -> Option<Lease> {
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
    pub fn give<M: Mapped>(&mut self, lease: Lease, queues: &Arena<Queue<M>>) {
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
