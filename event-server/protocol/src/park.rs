//! Parking: how a client's thread sleeps until a note of a queue becomes true, and how it is chosen to be woken.
//!
//! ```text
//! client                                shard
//! state = PARKED                        push, pending |= bit
//! parked |= bit                         fence(SeqCst)         (QueueHeader::tell)
//! fence(SeqCst)                         look at parked
//! look at pending, at the ready list      CAS state PARKED → CHOSEN: signal
//! nothing: wait
//! ```
//! One of them sees the other's store: no wake-up is lost.
//!
//! A waiter that comes back for another reason (a deadline, an interruption) must win its word back. If its CAS from
//! PARKED to IDLE fails, it was chosen for an activation: it harvests, or hands the wake-up on with [`choose`], as it
//! also does when it harvested and put something back (R13). So each wake-up is in exactly one hand.
//!
//! The kernel's notification remembers a signal, so one may come late, for a wait that is over: a waiter loops until
//! its state says that it was chosen.

use crate::atomic::{AtomicU32, Ordering, fence};
use crate::parked::{PARKED_WORDS, Parked};

/// Waiters in a session: bits of parked words, of which [`NO_WAITER`](crate::parked::NO_WAITER) is none.
pub const MAX_WAITERS: usize = 64 * PARKED_WORDS;
/// Offset of the waiters in a session's memory. The page before them is reserved for leases.
pub const WAITERS_OFFSET: usize = 4096;
/// Bytes of a session's memory.
pub const SESSION_SIZE: usize = WAITERS_OFFSET + MAX_WAITERS * size_of::<Waiter>();

const IDLE: u32 = 0;
const PARKED: u32 = 1;
const CHOSEN: u32 = 2;

/// One thread that can wait, in its session's memory.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Waiter {
    state: AtomicU32,
    cpu: AtomicU32,
    /// How often it was announced: tells one wait from a later one.
    turn: AtomicU32,
    reserved: [u32; 13],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Waiter>() == 64);
#[cfg(not(loom))]
const _: () = assert!(SESSION_SIZE == 9 * 4096);

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum End {
    /// Nobody chose it.
    Withdrawn,
    /// It was chosen: it owes a harvest, or another waiter the wake-up.
    Chosen,
}

impl Waiter {
    /// Client: announces that this thread (its number in the session, below [`MAX_WAITERS`]; the CPU it runs on) sleeps
    /// next. It looks once more before it does.
    #[inline]
    pub fn announce(&self, parked: &Parked, number: u32, cpu: u32) {
        self.cpu.store(cpu, Ordering::Relaxed);
        self.turn.store(self.turn.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.state.store(PARKED, Ordering::Release);
        parked.add(number);
        fence(Ordering::SeqCst);
    }

    /// Client: whether it was chosen, in a wait.
    #[inline]
    pub fn is_chosen(&self) -> bool {
        self.state.load(Ordering::Acquire) == CHOSEN
    }

    /// Whether it is announced, and nobody has chosen it yet.
    pub fn is_parked(&self) -> bool {
        self.state.load(Ordering::Acquire) == PARKED
    }

    /// Client: ends the wait, whatever ended it.
    #[inline]
    pub fn withdraw(&self, parked: &Parked, number: u32) -> End {
        // Who is chosen stays so: only then there is nothing to win.
        let won = !self.is_chosen()
            && self.state.compare_exchange(PARKED, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok();
        parked.remove(number);
        if won {
            return End::Withdrawn;
        }
        self.state.store(IDLE, Ordering::Release);
        End::Chosen
    }

    /// Where it parked: a hint for the choice.
    pub fn cpu(&self) -> u32 {
        self.cpu.load(Ordering::Relaxed)
    }

    /// Which wait of this record it is.
    pub fn turn(&self) -> u32 {
        self.turn.load(Ordering::Relaxed)
    }

    /// Whether it was chosen in this wait, and has not come back.
    pub fn still_owes(&self, turn: u32) -> bool {
        self.is_chosen() && self.turn() == turn
    }

    /// Chooses this one if it is parked; true for the one who must signal it.
    #[inline]
    pub fn try_choose(&self) -> bool {
        self.state.compare_exchange(PARKED, CHOSEN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// Chooses one parked waiter, beginning after number `last` so that none starves. The caller signals it.
#[inline]
pub fn choose(parked: &Parked, waiters: &[Waiter], last: u32) -> Option<u32> {
    parked.find(last, |number| waiters.get(number as usize).is_some_and(Waiter::try_choose))
}
