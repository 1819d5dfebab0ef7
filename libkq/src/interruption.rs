//! Signals as far as waits are concerned: masks, and the hook by which signals interrupt.
//!
//! A wait asks [`Interruption::is_due`] after it has announced itself and before each sleep. Whoever brings a signal first
//! makes it pending, so that `is_due` says so, and then calls [`Process::interrupt`](crate::process::Process::interrupt)
//! with the number of the thread:
//!
//! ```text
//! waiting thread                        who brings the signal
//! seat = this thread                    the signal is pending
//! fence(SeqCst)                         fence(SeqCst)
//! is_due?                               a seat of the thread?
//! no: sleep                               yes: interrupted, and a wake-up
//! ```
//! One of them sees the other's store, so no signal is slept through. A thread that does not wait has no seat: it finds
//! what is pending at its next call.

use crate::platform::Platform;

/// Highest signal number.
pub const SIGNALS: u32 = 64;

/// A set of signals, 1 to [`SIGNALS`]: `sigset_t`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SignalMask(pub u64);

impl SignalMask {
    /// No signal.
    pub const fn empty() -> SignalMask {
        SignalMask(0)
    }

    /// Every signal.
    pub const fn all() -> SignalMask {
        SignalMask(u64::MAX)
    }

    /// The same with a signal besides; a number that is no signal changes nothing.
    pub const fn with(self, signal: u32) -> SignalMask {
        SignalMask(self.0 | SignalMask::bit(signal))
    }

    /// The same without a signal.
    pub const fn without(self, signal: u32) -> SignalMask {
        SignalMask(self.0 & !SignalMask::bit(signal))
    }

    /// Whether a signal is in it.
    pub const fn contains(self, signal: u32) -> bool {
        self.0 & SignalMask::bit(signal) != 0
    }

    const fn bit(signal: u32) -> u64 {
        if signal >= 1 && signal <= SIGNALS { 1 << (signal - 1) } else { 0 }
    }
}

/// What knows the calling thread's signals. A process has at most one.
pub trait Interruption: Send + Sync {
    /// The calling thread begins a call that may wait: with this mask for the time of the call, or with its own. Swaps in
    /// one step (R49). Returns what [`leave`](Interruption::leave) puts back.
    fn enter(&self, mask: Option<SignalMask>) -> SignalMask;

    /// Whether a signal is pending that the calling thread's mask lets through and that is not ignored.
    fn is_due(&self) -> bool;

    /// Handlers of what is due for the calling thread run.
    fn run_handlers(&self) {}

    /// The call is over. Handlers of what is due run, with the call's mask; then `before` is the thread's mask again.
    fn leave(&self, before: SignalMask);
}

/// A call that may wait, between [`Interruption::enter`] and [`Interruption::leave`].
pub(crate) struct Call<'a> {
    interruption: Option<&'a dyn Interruption>,
    before: SignalMask,
}

impl<'a> Call<'a> {
    pub fn enter(interruption: Option<&'a dyn Interruption>, mask: Option<SignalMask>) -> Call<'a> {
        let before = interruption.map_or(SignalMask::empty(), |interruption| interruption.enter(mask));
        Call { interruption, before }
    }

    pub fn interruption(&self) -> Option<&'a dyn Interruption> {
        self.interruption
    }

    pub fn is_due(&self) -> bool {
        self.interruption.is_some_and(Interruption::is_due)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(interruption) = self.interruption {
            interruption.leave(self.before);
        }
    }
}

/// Ends a thread's wait with `EINTR`, if it waits now.
pub(crate) fn interrupt<P: Platform>(platform: &P, thread: u64) {
    let (_, seats) = platform.waiters();
    for number in seats.interrupt(thread) {
        platform.wake(number);
    }
}

/// The monotonic time at which a wait ends: `None` waits for ever, and so does what is beyond the clock (R48).
pub(crate) fn deadline<P: Platform>(platform: &P, timeout: Option<core::time::Duration>) -> u64 {
    timeout.map_or(abi::limits::FOREVER, |timeout| {
        let distance = u64::try_from(timeout.as_nanos()).unwrap_or(abi::limits::FOREVER);
        platform.now().saturating_add(distance)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r49_a_mask_holds_signals_and_nothing_else() {
        let mask = SignalMask::empty().with(2).with(64).with(0).with(65);
        assert!(mask.contains(2) && mask.contains(64) && !mask.contains(0) && !mask.contains(65));
        assert_eq!(mask.without(2), SignalMask::empty().with(64));
        assert_eq!(mask.0, 1 << 63 | 1 << 1);
    }
}
