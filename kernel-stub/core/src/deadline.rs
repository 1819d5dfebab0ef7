//! Deadlines of waiting threads: a binary heap per CPU that knows where each thread is in it.

use crate::{thread::DeadlineSlot, thread_table::ThreadTable};
use alloc::vec::Vec;

/// The deadlines that one CPU's timer serves, earliest first.
#[derive(Default)]
pub struct DeadlineQueue {
    heap: Vec<(u64, u32)>,
}

impl DeadlineQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        DeadlineQueue { heap: Vec::new() }
    }

    /// Makes room for `threads` deadlines, so that insertion never allocates.
    pub fn reserve(&mut self, threads: usize) {
        self.heap.reserve(threads.saturating_sub(self.heap.len()));
    }

    /// The earliest deadline.
    pub fn earliest(&self) -> Option<u64> {
        self.heap.first().map(|&(at, _)| at)
    }

    /// The thread with the earliest deadline, if that is not after `now`.
    pub fn due(&self, now: u64) -> Option<u32> {
        self.heap.first().filter(|&&(at, _)| at <= now).map(|&(_, thread)| thread)
    }

    /// Adds a thread that has no deadline yet.
    pub fn insert(&mut self, threads: &mut ThreadTable, cpu: u8, index: u32, at: u64) {
        self.heap.push((at, index));
        self.sift_up(threads, cpu, self.heap.len() - 1);
    }

    /// Removes the deadline at a position.
    pub fn remove(&mut self, threads: &mut ThreadTable, cpu: u8, position: u32) {
        let position = position as usize;
        if position >= self.heap.len() {
            return;
        }
        let (_, index) = self.heap.swap_remove(position);
        if let Some(thread) = threads.at_mut(index) {
            thread.deadline = None;
        }
        if position < self.heap.len() {
            self.sift_up(threads, cpu, position);
            self.sift_down(threads, cpu, position);
        }
    }

    fn note(&self, threads: &mut ThreadTable, cpu: u8, position: usize) {
        if let Some(thread) = threads.at_mut(self.heap[position].1) {
            thread.deadline = Some(DeadlineSlot { cpu, position: position as u32 });
        }
    }

    fn sift_up(&mut self, threads: &mut ThreadTable, cpu: u8, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.heap[parent].0 <= self.heap[position].0 {
                break;
            }
            self.heap.swap(parent, position);
            self.note(threads, cpu, position);
            position = parent;
        }
        self.note(threads, cpu, position);
    }

    fn sift_down(&mut self, threads: &mut ThreadTable, cpu: u8, mut position: usize) {
        loop {
            let left = 2 * position + 1;
            let Some(&(mut least, _)) = self.heap.get(left) else { break };
            let mut child = left;
            if let Some(&(right, _)) = self.heap.get(left + 1)
                && right < least
            {
                child = left + 1;
                least = right;
            }
            if self.heap[position].0 <= least {
                break;
            }
            self.heap.swap(position, child);
            self.note(threads, cpu, position);
            position = child;
        }
        self.note(threads, cpu, position);
    }
}
