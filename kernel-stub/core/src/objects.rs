//! All objects of the system and the operations on them. The kernel holds one lock around this.

mod create;
mod end;
mod handles;
mod wait;

use crate::{
    arena::{Arena, Id},
    deadline::DeadlineQueue,
    endpoint::{Badge, Endpoint},
    futex,
    irq::Irq,
    notification::Notification,
    object::{Garbage, Memory},
    process::Process,
    quota::Charge,
    thread_queue::ThreadQueue,
    thread_table::ThreadTable,
    watch::Watch,
};
use abi::{
    error::{ESRCH, Error, Result},
    limits::MAX_CPUS,
};
use alloc::vec::Vec;

/// Threads in the system: the index fits a reply token.
pub const MAX_THREADS: u32 = 4096;

/// Every object, and the threads between two waits.
pub struct Objects {
    /// Threads.
    pub threads: ThreadTable,
    /// Processes.
    pub processes: Arena<Process>,
    /// Endpoints.
    pub endpoints: Arena<Endpoint>,
    /// Badges of endpoints.
    pub badges: Arena<Badge>,
    /// Notifications.
    pub notifications: Arena<Notification>,
    /// Memory objects.
    pub memories: Arena<Memory>,
    /// Interrupt lines.
    pub irqs: Arena<Irq>,
    /// Queues of futex waiters.
    pub futexes: [ThreadQueue; futex::BUCKETS],
    /// Deadlines by CPU.
    pub deadlines: [DeadlineQueue; MAX_CPUS],
    /// Threads whose wait an operation ended on the side, for the kernel to make ready: [`Objects::next_woken`].
    pub woken: ThreadQueue,
    /// What the kernel has to free.
    pub garbage: Vec<Garbage>,
    /// `woken` or `garbage` is not empty: one thing to look at before the lock is given up.
    pub unsettled: bool,
    /// Calls so far: reply tokens never repeat.
    pub calls: u64,
    /// Handles in all processes.
    pub handle_count: u64,
    /// Watches that have not fired.
    pub watches: Arena<Watch>,
}

impl Default for Objects {
    fn default() -> Self {
        Self::new()
    }
}

impl Objects {
    /// No objects.
    pub const fn new() -> Self {
        Objects {
            threads: ThreadTable::new(MAX_THREADS),
            processes: Arena::new(1 << 16),
            endpoints: Arena::new(1 << 20),
            badges: Arena::new(1 << 24),
            notifications: Arena::new(1 << 20),
            memories: Arena::new(1 << 20),
            irqs: Arena::new(256),
            futexes: [const { ThreadQueue::new() }; futex::BUCKETS],
            deadlines: [const { DeadlineQueue::new() }; MAX_CPUS],
            woken: ThreadQueue::new(),
            garbage: Vec::new(),
            unsettled: false,
            calls: 0,
            handle_count: 0,
            watches: Arena::new(1 << 20),
        }
    }

    /// A process that has not gone: `ESRCH`.
    pub fn process(&self, id: Id<Process>) -> Result<&Process> {
        self.processes.get(id).ok_or(Error::new(ESRCH))
    }

    /// The same for change.
    pub fn process_mut(&mut self, id: Id<Process>) -> Result<&mut Process> {
        self.processes.get_mut(id).ok_or(Error::new(ESRCH))
    }

    /// Charges the account of a process.
    pub fn charge(&self, process: Id<Process>, amount: u64) -> Result<Charge> {
        self.process(process)?.account.charge(amount)
    }

    fn discard(&mut self, garbage: Garbage) {
        self.garbage.push(garbage);
        self.unsettled = true;
    }
}
