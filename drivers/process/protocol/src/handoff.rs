//! From the thread that brings a signal to a thread that waits.
//!
//! ```text
//! waiting thread                        who brings the signal
//! mask, waiting = true  (Release)       pending |= signal     (AcqRel)
//! fence(SeqCst)                         fence(SeqCst)
//! look at pending                       look at waiting, mask
//!   lets one through: does not sleep      waits and lets it through: interrupt it
//! ```
//! One of them sees the other's store, so no signal is slept through. A thread that does not wait finds what is pending at
//! its next call, and takes each signal alone: [`Pending::take`] gives it to one.

use crate::SignalSet;
use crate::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Signals of a process that no thread has taken.
#[derive(Debug)]
pub struct Pending(AtomicU64);

impl Pending {
    /// None.
    #[cfg(not(loom))]
    pub const fn new() -> Pending {
        Pending(AtomicU64::new(0))
    }

    /// None.
    #[cfg(loom)]
    pub fn new() -> Pending {
        Pending(AtomicU64::new(0))
    }

    /// What is pending.
    pub fn get(&self) -> SignalSet {
        SignalSet(self.0.load(Ordering::Acquire))
    }

    /// Makes signals pending. The caller looks for a thread to interrupt next: [`Gate::is_open_to`].
    pub fn post(&self, signals: SignalSet) {
        self.0.fetch_or(signals.0, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// Takes the lowest of `wanted`: nobody else gets it.
    pub fn take(&self, wanted: SignalSet) -> Option<u8> {
        loop {
            let signal = self.get().intersection(wanted).first()?;
            let bit = SignalSet::of(signal).0;
            if self.0.fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
                return Some(signal);
            }
        }
    }

    /// Drops signals that have come to nothing.
    pub fn forget(&self, signals: SignalSet) {
        self.0.fetch_and(!signals.0, Ordering::AcqRel);
    }
}

impl core::default::Default for Pending {
    fn default() -> Self {
        Pending::new()
    }
}

/// What signals a thread lets through, and whether it waits. Only the thread itself writes it.
#[derive(Debug)]
pub struct Gate {
    mask: AtomicU64,
    waiting: AtomicBool,
}

impl Gate {
    /// Of a thread that blocks these.
    #[cfg(not(loom))]
    pub const fn new(mask: SignalSet) -> Gate {
        Gate { mask: AtomicU64::new(mask.0), waiting: AtomicBool::new(false) }
    }

    /// Of a thread that blocks these.
    #[cfg(loom)]
    pub fn new(mask: SignalSet) -> Gate {
        Gate { mask: AtomicU64::new(mask.0), waiting: AtomicBool::new(false) }
    }

    /// What it blocks.
    pub fn mask(&self) -> SignalSet {
        SignalSet(self.mask.load(Ordering::Acquire))
    }

    /// Replaces what it blocks.
    pub fn set_mask(&self, mask: SignalSet) {
        self.mask.store(mask.0, Ordering::Release);
    }

    /// Begins a wait with this mask (R49: in one step as far as signals are concerned, since none is looked at in
    /// between). Returns the mask before.
    pub fn begin_wait(&self, mask: Option<SignalSet>) -> SignalSet {
        let before = self.mask();
        if let Some(mask) = mask {
            self.set_mask(mask);
        }
        self.waiting.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        before
    }

    /// Ends it. The mask stays.
    pub fn end_wait(&self) {
        self.waiting.store(false, Ordering::Release);
        // Who interrupts sees that it waits no longer, or it sees what is pending.
        fence(Ordering::SeqCst);
    }

    /// Whether it waits and lets some of these through.
    pub fn is_open_to(&self, signals: SignalSet) -> bool {
        self.waiting.load(Ordering::Acquire) && !signals.without(self.mask()).is_empty()
    }
}
