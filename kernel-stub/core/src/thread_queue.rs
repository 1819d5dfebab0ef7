//! First-in-first-out queues of threads, linked through the threads themselves.

use crate::{
    thread::{NO_THREAD, Thread, Wait},
    thread_table::ThreadTable,
};

/// A queue of threads. A thread is in at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadQueue {
    head: u32,
    tail: u32,
}

impl Default for ThreadQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl ThreadQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        ThreadQueue { head: NO_THREAD, tail: NO_THREAD }
    }

    /// Whether no thread is in it.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.head == NO_THREAD
    }

    /// The thread that has waited longest.
    #[inline(always)]
    pub const fn front(&self) -> Option<u32> {
        if self.head == NO_THREAD { None } else { Some(self.head) }
    }

    /// Appends a thread that from now on waits for `wait`.
    #[inline(always)]
    pub fn push(&mut self, threads: &mut ThreadTable, index: u32, wait: Wait) {
        let tail = self.tail;
        let Some(thread) = threads.at_mut(index) else { return };
        thread.next = NO_THREAD;
        thread.prev = tail;
        thread.wait = wait;
        self.tail = index;
        if tail == NO_THREAD {
            self.head = index;
        } else if let Some(last) = threads.at_mut(tail) {
            last.next = index;
        }
    }

    /// Takes the thread that has waited longest; it waits for nothing now, but may still have a deadline.
    #[inline(always)]
    pub fn pop<'a>(&mut self, threads: &'a mut ThreadTable) -> Option<(u32, &'a mut Thread)> {
        let index = self.front()?;
        let next = threads.at(index)?.next;
        self.head = next;
        if next == NO_THREAD {
            self.tail = NO_THREAD;
        } else if let Some(thread) = threads.at_mut(next) {
            thread.prev = NO_THREAD;
        }
        let thread = threads.at_mut(index)?;
        thread.wait = Wait::Not;
        Some((index, thread))
    }

    /// Takes a thread that is in this queue out of it.
    pub fn remove(&mut self, threads: &mut ThreadTable, index: u32) {
        let Some(thread) = threads.at_mut(index) else { return };
        let (next, prev) = (thread.next, thread.prev);
        thread.next = NO_THREAD;
        thread.prev = NO_THREAD;
        match threads.at_mut(prev) {
            Some(thread) => thread.next = next,
            None => self.head = next,
        }
        match threads.at_mut(next) {
            Some(thread) => thread.prev = prev,
            None => self.tail = prev,
        }
    }
}
