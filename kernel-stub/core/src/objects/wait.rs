//! Waits: deadlines, ends of waits, and threads whose wait an operation has ended on the side.

use super::Objects;
use crate::{
    futex,
    thread::{Outcome, Wait},
};
use abi::limits::FOREVER;

impl Objects {
    /// Drops the deadline of a thread that has one.
    #[cold]
    pub(crate) fn drop_deadline(&mut self, index: u32) {
        if let Some(slot) = self.threads.at(index).and_then(|thread| thread.deadline) {
            self.deadlines[slot.cpu as usize].remove(&mut self.threads, slot.cpu, slot.position);
        }
    }

    /// Gives a waiting thread a deadline on a CPU's timer. Returns whether it is now the earliest there.
    pub fn set_deadline(&mut self, thread: u32, cpu: u8, at: u64) -> bool {
        if at == FOREVER {
            return false;
        }
        let queue = &mut self.deadlines[cpu as usize];
        queue.insert(&mut self.threads, cpu, thread, at);
        queue.earliest() == Some(at)
    }

    /// Ends a wait of a thread that is in no queue any more.
    #[inline(always)]
    pub fn end_wait(&mut self, index: u32) {
        let Some(thread) = self.threads.at_mut(index) else { return };
        thread.wait = Wait::Not;
        if thread.deadline.is_some() {
            self.drop_deadline(index);
        }
    }

    /// Takes a thread out of whatever it waits in.
    pub fn cancel_wait(&mut self, index: u32) {
        let Some(thread) = self.threads.at(index) else { return };
        let process = thread.process;
        match thread.wait {
            Wait::Not | Wait::Reply { .. } => {}
            Wait::Call { endpoint, .. } => {
                if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
                    endpoint.callers.remove(&mut self.threads, index);
                }
            }
            Wait::Recv { endpoint } => {
                if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
                    endpoint.receivers.remove(&mut self.threads, index);
                }
            }
            Wait::Notification { notification } => {
                if let Some(notification) = self.notifications.get_mut(notification) {
                    notification.waiters.remove(&mut self.threads, index);
                }
            }
            Wait::Futex { address } => {
                self.futexes[futex::bucket(process, address)].remove(&mut self.threads, index);
            }
        }
        self.end_wait(index);
    }

    /// Puts a thread whose wait has ended on the list that the kernel makes ready.
    pub fn wake_later(&mut self, index: u32, outcome: Outcome) {
        if let Some(thread) = self.threads.at_mut(index) {
            thread.outcome = outcome;
        }
        self.woken.push(&mut self.threads, index, Wait::Not);
        self.unsettled = true;
    }

    /// The next thread to make ready, with what its wait ended with.
    pub fn next_woken(&mut self) -> Option<(u32, Outcome)> {
        self.woken.pop(&mut self.threads).map(|(index, thread)| (index, thread.outcome))
    }
}
