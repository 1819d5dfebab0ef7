//! Ready threads of one CPU: a first-in-first-out list per priority and a bitmap of the lists that are not empty.
//!
//! Links live in a table of their own ([`Schedulable`], one line per thread index) that the run-queue locks guard: the
//! thread's line belongs to the lock of the CPU that its `cpu` names.

use abi::limits::PRIORITIES;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

const NONE: u32 = u32::MAX;

/// What the scheduler knows of one thread. Plain cells: the run-queue lock of `cpu` orders them.
#[derive(Debug)]
pub struct Schedulable {
    next: AtomicU32,
    prev: AtomicU32,
    queued: AtomicU8,
    priority: AtomicU8,
    cpu: AtomicU8,
    affinity: AtomicU32,
}

impl Default for Schedulable {
    fn default() -> Self {
        Self::new()
    }
}

impl Schedulable {
    /// A thread that may run everywhere, at the lowest priority.
    pub const fn new() -> Self {
        Schedulable {
            next: AtomicU32::new(NONE),
            prev: AtomicU32::new(NONE),
            queued: AtomicU8::new(0),
            priority: AtomicU8::new(0),
            cpu: AtomicU8::new(0),
            affinity: AtomicU32::new(u32::MAX),
        }
    }

    /// Its priority.
    pub fn priority(&self) -> u8 {
        self.priority.load(Relaxed)
    }

    /// Changes the priority; the thread must not be queued.
    pub fn set_priority(&self, priority: u8) {
        self.priority.store(priority.min(PRIORITIES as u8 - 1), Relaxed);
    }

    /// The CPU it runs on, is queued on, or ran on last.
    pub fn cpu(&self) -> u8 {
        self.cpu.load(Relaxed)
    }

    /// Moves a thread that is not queued.
    pub fn set_cpu(&self, cpu: u8) {
        self.cpu.store(cpu, Relaxed);
    }

    /// The CPUs it may run on.
    pub fn affinity(&self) -> u32 {
        self.affinity.load(Relaxed)
    }

    /// Changes the CPUs it may run on.
    pub fn set_affinity(&self, mask: u32) {
        self.affinity.store(mask, Relaxed);
    }

    /// Whether it may run on this CPU.
    pub fn may_run_on(&self, cpu: u8) -> bool {
        self.affinity() >> cpu & 1 != 0
    }

    /// Whether it is in a run queue.
    pub fn is_queued(&self) -> bool {
        self.queued.load(Relaxed) != 0
    }
}

/// The ready threads of one CPU.
#[derive(Debug)]
pub struct RunQueue {
    ready: u64,
    /// Lists whose first thread has slept in the middle of its time slice and resumes it.
    resuming: u64,
    heads: [u32; PRIORITIES],
    tails: [u32; PRIORITIES],
    len: u32,
}

impl Default for RunQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl RunQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        RunQueue { ready: 0, resuming: 0, heads: [NONE; PRIORITIES], tails: [NONE; PRIORITIES], len: 0 }
    }

    /// Threads in it.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether no thread is ready.
    pub const fn is_empty(&self) -> bool {
        self.ready == 0
    }

    /// The highest priority of a ready thread.
    pub const fn highest(&self) -> Option<u8> {
        if self.ready == 0 { None } else { Some(63 - self.ready.leading_zeros() as u8) }
    }

    /// Whether a ready thread should run before one of `priority` that is not queued.
    pub const fn has_above(&self, priority: u8) -> bool {
        // Shifting by 64 is undefined for the operator, hence in two steps.
        self.ready >> priority >> 1 != 0
    }

    /// Whether a thread of exactly this priority is ready.
    pub const fn has_equal(&self, priority: u8) -> bool {
        self.ready >> priority & 1 != 0
    }

    /// Whether a thread of exactly this priority is ready that slept in the middle of its time slice: it goes on before
    /// one that has not slept, or each sleep, however short, would cost it a round.
    pub const fn has_resuming(&self, priority: u8) -> bool {
        self.resuming >> priority & 1 != 0
    }

    /// Appends a thread to the list of its priority.
    pub fn push(&mut self, table: &[Schedulable], index: u32) {
        let thread = &table[index as usize];
        let priority = thread.priority() as usize;
        let tail = self.tails[priority];
        thread.next.store(NONE, Relaxed);
        thread.prev.store(tail, Relaxed);
        match tail {
            NONE => self.heads[priority] = index,
            _ => table[tail as usize].next.store(index, Relaxed),
        }
        self.tails[priority] = index;
        self.mark(thread, priority);
    }

    /// Puts a thread before the others of its priority: it was preempted and keeps its turn.
    pub fn push_front(&mut self, table: &[Schedulable], index: u32) {
        let thread = &table[index as usize];
        let priority = thread.priority() as usize;
        let head = self.heads[priority];
        thread.next.store(head, Relaxed);
        thread.prev.store(NONE, Relaxed);
        match head {
            NONE => self.tails[priority] = index,
            _ => table[head as usize].prev.store(index, Relaxed),
        }
        self.heads[priority] = index;
        self.resuming &= !(1 << priority);
        self.mark(thread, priority);
    }

    /// The same for a thread that slept in the middle of its time slice.
    pub fn push_resuming(&mut self, table: &[Schedulable], index: u32) {
        self.push_front(table, index);
        self.resuming |= 1 << table[index as usize].priority();
    }

    fn mark(&mut self, thread: &Schedulable, priority: usize) {
        thread.queued.store(1, Relaxed);
        self.ready |= 1 << priority;
        self.len += 1;
    }

    /// Takes the first thread of the highest priority.
    pub fn pop(&mut self, table: &[Schedulable]) -> Option<u32> {
        let priority = self.highest()?;
        let index = self.heads[priority as usize];
        self.remove(table, index);
        Some(index)
    }

    /// Takes the first thread, highest priority first, that may run on `cpu`: work for an idle CPU.
    pub fn steal(&mut self, table: &[Schedulable], cpu: u8) -> Option<u32> {
        let mut lists = self.ready;
        while lists != 0 {
            let priority = 63 - lists.leading_zeros() as usize;
            let mut index = self.heads[priority];
            while index != NONE {
                if table[index as usize].may_run_on(cpu) {
                    self.remove(table, index);
                    return Some(index);
                }
                index = table[index as usize].next.load(Relaxed);
            }
            lists &= !(1 << priority);
        }
        None
    }

    /// Takes a thread that is queued here.
    pub fn remove(&mut self, table: &[Schedulable], index: u32) {
        let thread = &table[index as usize];
        let priority = thread.priority() as usize;
        let (next, prev) = (thread.next.load(Relaxed), thread.prev.load(Relaxed));
        match prev {
            NONE => {
                self.heads[priority] = next;
                self.resuming &= !(1 << priority);
            }
            _ => table[prev as usize].next.store(next, Relaxed),
        }
        match next {
            NONE => self.tails[priority] = prev,
            _ => table[next as usize].prev.store(prev, Relaxed),
        }
        if self.heads[priority] == NONE {
            self.ready &= !(1 << priority);
        }
        thread.queued.store(0, Relaxed);
        self.len -= 1;
    }
}
