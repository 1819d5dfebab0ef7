//! A word that threads can sleep on, and the lock built of one.
//!
//! The lock is generic over the word, so that `tests/loom.rs` runs the very same code in every interleaving.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use abi::limits::FOREVER;

use crate::sys::{futex_wait, futex_wake};

/// A word that threads can sleep on.
pub trait Futex {
    /// Its value.
    fn load(&self) -> u32;

    /// Replaces `current` by `new`, with the order of taking a lock.
    fn acquire(&self, current: u32, new: u32) -> bool;

    /// Replaces `current` by `new`, with the order of freeing a lock.
    fn release(&self, current: u32, new: u32) -> bool;

    /// Sleeps while the word is `value`. True when [`wake`](Futex::wake) ended the sleep.
    fn wait(&self, value: u32) -> bool;

    /// Wakes the one that has slept longest; false when nobody sleeps.
    fn wake(&self) -> bool;
}

impl Futex for AtomicU32 {
    #[inline]
    fn load(&self) -> u32 {
        AtomicU32::load(self, Relaxed)
    }

    #[inline]
    fn acquire(&self, current: u32, new: u32) -> bool {
        self.compare_exchange(current, new, Acquire, Relaxed).is_ok()
    }

    #[inline]
    fn release(&self, current: u32, new: u32) -> bool {
        self.compare_exchange(current, new, Release, Relaxed).is_ok()
    }

    fn wait(&self, value: u32) -> bool {
        futex_wait(self, value, FOREVER).is_ok()
    }

    fn wake(&self) -> bool {
        futex_wake(self, 1).is_ok_and(|woken| woken != 0)
    }
}

/// Nobody has the lock.
pub const FREE: u32 = 0;
/// Somebody has it, or it is on its way to who was woken for it.
const HELD: u32 = 1;
/// Somebody may sleep: who frees the lock must wake one.
const SLEEPERS: u32 = 1 << 1;
/// Somebody was woken and came too late: who frees the lock must not free it but hand it over.
const STARVING: u32 = 1 << 2;
/// Handed over to who is woken now, and to nobody who comes just then.
const HANDED: u32 = 1 << 3;

/// Takes the lock if it is free.
#[inline]
pub fn try_lock(word: &impl Futex) -> bool {
    word.acquire(FREE, HELD)
}

/// Waits for the lock and takes it.
#[inline]
pub fn lock(word: &impl Futex) {
    if !try_lock(word) {
        lock_slowly(word);
    }
}

/// Frees the lock.
#[inline]
pub fn unlock(word: &impl Futex) {
    if !word.release(HELD, FREE) {
        unlock_slowly(word);
    }
}

/// A free lock goes to whoever comes first, which keeps it busy, but a thread that frees and takes it in a loop would keep
/// those away that have to be woken first. So a thread that was woken in vain says so, and from then on the lock is
/// handed to sleepers, the longest first, until one that was unlucky has had it: nobody is overtaken for ever.
#[cold]
fn lock_slowly(word: &impl Futex) {
    let (mut slept, mut woken, mut unlucky) = (false, false, false);
    loop {
        let seen = word.load();
        let takes = seen & HELD == 0 || woken && seen & HANDED != 0;
        if takes {
            // Others may sleep: only who wakes them can tell.
            let others = if slept { SLEEPERS } else { 0 };
            let kept = if unlucky { seen & SLEEPERS } else { seen & (SLEEPERS | STARVING) };
            if word.acquire(seen, HELD | kept | others) {
                return;
            }
            continue;
        }
        unlucky |= woken;
        let announced = seen | SLEEPERS | if unlucky { STARVING } else { 0 };
        if announced == seen || word.acquire(seen, announced) {
            woken = word.wait(announced);
            slept = true;
        }
    }
}

#[cold]
fn unlock_slowly(word: &impl Futex) {
    loop {
        let seen = word.load();
        if seen & STARVING != 0 {
            if word.release(seen, seen | HANDED) {
                return hand_over(word);
            }
        } else if word.release(seen, FREE) {
            if seen & SLEEPERS != 0 {
                word.wake();
            }
            return;
        }
    }
}

/// Wakes the one that the lock is handed to. If nobody sleeps (those that said so have seen the word change first) the
/// lock is freed, and who began to sleep on the handed word is woken to see it.
fn hand_over(word: &impl Futex) {
    if word.wake() {
        return;
    }
    loop {
        let seen = word.load();
        if seen & HANDED == 0 {
            return;
        }
        if word.release(seen, FREE) {
            word.wake();
            return;
        }
    }
}
