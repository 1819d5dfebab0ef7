//! Notifications: a word of bits, and threads that wait for it to be other than zero.

use crate::{
    Objects,
    arena::Id,
    quota::Charge,
    thread::{Outcome, Wait},
    thread_queue::ThreadQueue,
};
use abi::error::{EBUSY, EINVAL, ESRCH, Error, Result};

/// A notification.
pub struct Notification {
    /// Bits signalled and not yet taken.
    pub word: u64,
    /// Threads that wait, while `word` is 0.
    pub waiters: ThreadQueue,
    /// The thread whose receives hear it.
    pub bound: Option<u32>,
    /// Handles and interrupt lines.
    pub references: u32,
    /// First of its exit watches.
    pub first_watch: u32,
    /// What it costs.
    pub charge: Option<Charge>,
}

impl Objects {
    /// ORs bits into the word. Returns the thread that this wakes, with what to put in its registers.
    #[inline(always)]
    pub fn signal(&mut self, id: Id<Notification>, bits: u64) -> Option<(u32, Outcome)> {
        let notification = self.notifications.get_mut(id)?;
        if let Some((waiter, thread)) = notification.waiters.pop(&mut self.threads) {
            // A thread waits only while the word is zero, so the bits are all there is.
            if thread.deadline.is_some() {
                self.drop_deadline(waiter);
            }
            return Some((waiter, Outcome::Bits(bits)));
        }
        if let Some(bound) = notification.bound
            && let Some(thread) = self.threads.at_mut(bound)
            && let Wait::Recv { endpoint } = thread.wait
        {
            thread.wait = Wait::Not;
            let timed = thread.deadline.is_some();
            if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
                if endpoint.receivers.front() == Some(bound) {
                    endpoint.receivers.pop(&mut self.threads);
                } else {
                    endpoint.receivers.remove(&mut self.threads, bound);
                }
            }
            if timed {
                self.drop_deadline(bound);
            }
            return Some((bound, Outcome::NotificationMessage(bits)));
        }
        notification.word |= bits;
        None
    }

    /// ORs bits into the word if no thread would hear it at once; otherwise does nothing and says `false`.
    #[inline(always)]
    pub fn signal_unheard(&mut self, id: Id<Notification>, bits: u64) -> bool {
        match self.notifications.get_mut(id) {
            Some(notification) if notification.waiters.is_empty() && notification.bound.is_none() => {
                notification.word |= bits;
                true
            }
            _ => false,
        }
    }

    /// Takes the bits, if there are any.
    #[inline(always)]
    pub fn poll_notification(&mut self, id: Id<Notification>) -> u64 {
        self.notifications.get_mut(id).map_or(0, |notification| core::mem::take(&mut notification.word))
    }

    /// Takes the bits, or makes the thread wait for some (`None`).
    #[inline(always)]
    pub fn wait_notification(&mut self, thread: u32, id: Id<Notification>) -> Result<Option<u64>> {
        let notification = self.notifications.get_mut(id).ok_or(Error::new(EINVAL))?;
        if notification.word != 0 {
            return Ok(Some(core::mem::take(&mut notification.word)));
        }
        notification.waiters.push(&mut self.threads, thread, Wait::Notification { notification: id });
        Ok(None)
    }

    /// Binds a notification to a thread: `EBUSY` when one of them is bound already, `ESRCH` when the thread has ended.
    pub fn bind_notification(&mut self, id: Id<Notification>, thread: u32) -> Result<()> {
        let notification = self.notifications.get_mut(id).ok_or(Error::new(EINVAL))?;
        let target = self.threads.at_mut(thread).filter(|thread| !thread.dead).ok_or(Error::new(ESRCH))?;
        if notification.bound.is_some() || target.bound.is_some() {
            return Err(Error::new(EBUSY));
        }
        notification.bound = Some(thread);
        target.bound = Some(id);
        Ok(())
    }

    /// Drops one reference; the last one frees the notification. Threads that still wait get an error.
    pub fn release_notification(&mut self, id: Id<Notification>) {
        let Some(notification) = self.notifications.get_mut(id) else { return };
        notification.references -= 1;
        if notification.references > 0 {
            return;
        }
        while let Some(waiter) = self.notifications.get(id).and_then(|n| n.waiters.front()) {
            self.cancel_wait(waiter);
            self.wake_later(waiter, Outcome::Error(EINVAL));
        }
        if let Some(notification) = self.notifications.get(id) {
            self.drop_watches(notification.first_watch);
        }
        if let Some(notification) = self.notifications.remove(id)
            && let Some(thread) = notification.bound.and_then(|bound| self.threads.at_mut(bound))
        {
            thread.bound = None;
        }
    }
}
