//! Futexes: threads that wait for a word of their address space.

use crate::{
    Objects,
    arena::Id,
    process::Process,
    thread::{Outcome, Wait},
};

/// Number of queues that all futexes hash to.
pub const BUCKETS: usize = 64;

/// The queue of a word.
pub fn bucket(process: Id<Process>, address: u64) -> usize {
    let mixed = (address >> 2 ^ u64::from(process.index()) << 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 58) as usize % BUCKETS
}

impl Objects {
    /// Makes the thread wait for a wake of this word. The kernel has checked the word under the same lock.
    pub fn wait_futex(&mut self, thread: u32, process: Id<Process>, address: u64) {
        self.futexes[bucket(process, address)].push(&mut self.threads, thread, Wait::Futex { address });
    }

    /// Wakes up to `count` threads that wait for this word, longest first, and returns how many.
    pub fn wake_futex(&mut self, process: Id<Process>, address: u64, count: u32) -> u32 {
        let queue = bucket(process, address);
        let mut woken = 0;
        let mut next = self.futexes[queue].front();
        while let Some(index) = next
            && woken < count
        {
            let Some(thread) = self.threads.at(index) else { break };
            next = Some(thread.next).filter(|&next| next != crate::thread::NO_THREAD);
            if thread.process == process && thread.wait == (Wait::Futex { address }) {
                self.futexes[queue].remove(&mut self.threads, index);
                self.end_wait(index);
                self.wake_later(index, Outcome::Success);
                woken += 1;
            }
        }
        woken
    }
}
