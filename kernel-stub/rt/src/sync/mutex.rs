//! Mutual exclusion over a futex: without contention one atomic instruction, no kernel entry.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use super::futex;

/// The lock word, for `lock_api`. Who waits gets it in the end, however often others take it: see [`futex`].
#[derive(Debug)]
pub struct RawMutex {
    state: AtomicU32,
}

// SAFETY: `lock` returns and `try_lock` succeeds only after taking the word from free, which only `unlock` makes it, or
// from handed over, which only `unlock` makes it and one thread takes: at most one holder at a time.
unsafe impl lock_api::RawMutex for RawMutex {
    // A constant is how `lock_api` builds one in a `static`; every use makes a new lock, as it must.
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: RawMutex = RawMutex { state: AtomicU32::new(futex::FREE) };

    type GuardMarker = lock_api::GuardSend;

    #[inline]
    fn lock(&self) {
        futex::lock(&self.state);
    }

    #[inline]
    fn try_lock(&self) -> bool {
        futex::try_lock(&self.state)
    }

    #[inline]
    unsafe fn unlock(&self) {
        futex::unlock(&self.state);
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.state.load(Relaxed) != futex::FREE
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
