//! First-in-first-out queues of threads, linked through the threads themselves.

use crate::{
    arena::Arena,
    thread::{NO_THREAD, Thread},
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
    pub const fn is_empty(&self) -> bool {
        self.head == NO_THREAD
    }

    /// The thread that has waited longest.
    pub const fn front(&self) -> Option<u32> {
        if self.head == NO_THREAD { None } else { Some(self.head) }
    }

    /// Appends a thread.
    pub fn push(&mut self, threads: &mut Arena<Thread>, index: u32) {
        let tail = self.tail;
        if let Some(thread) = threads.at_mut(index) {
            thread.next = NO_THREAD;
            thread.prev = tail;
        }
        match threads.at_mut(tail) {
            Some(last) if tail != NO_THREAD => last.next = index,
            _ => self.head = index,
        }
        self.tail = index;
    }

    /// Takes the thread that has waited longest.
    pub fn pop(&mut self, threads: &mut Arena<Thread>) -> Option<u32> {
        let index = self.front()?;
        self.remove(threads, index);
        Some(index)
    }

    /// Takes a thread that is in this queue out of it.
    pub fn remove(&mut self, threads: &mut Arena<Thread>, index: u32) {
        let Some(thread) = threads.at_mut(index) else { return };
        let (next, prev) = (thread.next, thread.prev);
        thread.next = NO_THREAD;
        thread.prev = NO_THREAD;
        match prev {
            NO_THREAD => self.head = next,
            _ => {
                if let Some(thread) = threads.at_mut(prev) {
                    thread.next = next;
                }
            }
        }
        match next {
            NO_THREAD => self.tail = prev,
            _ => {
                if let Some(thread) = threads.at_mut(next) {
                    thread.prev = prev;
                }
            }
        }
    }
}
