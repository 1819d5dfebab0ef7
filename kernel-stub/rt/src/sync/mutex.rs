//! Mutual exclusion over a futex: without contention one atomic instruction, no kernel entry.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use abi::limits::FOREVER;

use crate::sys::{futex_wait, futex_wake};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody may sleep: who frees it must wake one.
const CONTENDED: u32 = 2;

/// The lock word, for `lock_api`.
///
/// The states are those of the third mutex in Drepper's "Futexes Are Tricky": a sleeper always leaves `CONTENDED`
/// behind, so who frees a lock knows without a system call whether anybody has to be woken.
#[derive(Debug)]
pub struct RawMutex {
    state: AtomicU32,
}

impl RawMutex {
    #[cold]
    fn lock_slow(&self) {
        while self.state.swap(CONTENDED, Acquire) != FREE {
            // A changed word or a stray wake-up: look again.
            let _ = futex_wait(&self.state, CONTENDED, FOREVER);
        }
    }
}

// SAFETY: `lock` returns and `try_lock` succeeds only after taking the state from FREE, which only `unlock` sets: at most
// one holder at a time.
unsafe impl lock_api::RawMutex for RawMutex {
    // A constant is how `lock_api` builds one in a `static`; every use makes a new lock, as it must.
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: RawMutex = RawMutex { state: AtomicU32::new(FREE) };

    type GuardMarker = lock_api::GuardSend;

    #[inline]
    fn lock(&self) {
        if self.state.compare_exchange(FREE, HELD, Acquire, Relaxed).is_err() {
            self.lock_slow();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.state.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.state.swap(FREE, Release) == CONTENDED {
            let _ = futex_wake(&self.state, 1);
        }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.state.load(Relaxed) != FREE
    }
}

/// A value that one thread at a time may use.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// The right to use it, until dropped.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_not_given_twice() {
        let lock = Mutex::new(1);
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(guard);
        *lock.try_lock().unwrap() += 1;
        assert_eq!(*lock.lock(), 2);
    }
}
