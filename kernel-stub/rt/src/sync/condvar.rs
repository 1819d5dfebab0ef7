//! Waiting for a condition that a [`Mutex`](super::Mutex) guards.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use abi::error::{ETIMEDOUT, Error};
use abi::limits::FOREVER;

use super::MutexGuard;
use crate::sys::{futex_wait, futex_wake};

/// A place to wait for a change of what a mutex guards.
///
/// The word counts notifications. It is read under the lock and compared by the kernel, so a notification between
/// unlocking and sleeping makes the sleep end at once.
#[derive(Debug, Default)]
pub struct Condvar {
    notifications: AtomicU32,
}

impl Condvar {
    /// A place where nobody waits.
    pub const fn new() -> Condvar {
        Condvar { notifications: AtomicU32::new(0) }
    }

    /// Frees the lock, waits for a notification (or for nothing: check the condition again), takes the lock.
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_until(guard, FOREVER);
    }

    /// The same until a deadline; `false` when it passed.
    pub fn wait_until<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline: u64) -> bool {
        let seen = self.notifications.load(Relaxed);
        let slept = MutexGuard::unlocked(guard, || futex_wait(&self.notifications, seen, deadline));
        slept != Err(Error::new(ETIMEDOUT))
    }

    /// Waits until `condition` holds.
    pub fn wait_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    fn notify(&self, count: u32) {
        self.notifications.fetch_add(1, Relaxed);
        let _ = futex_wake(&self.notifications, count);
    }
}
