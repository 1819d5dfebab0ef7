//! The handler of all the tests, which counts, and masks.

use core::sync::atomic::{AtomicU32, Ordering};

use guest_tests::Outcome;
use libkq::signal::{Action, ActionFlags, How, SignalMask, sigaction, sigmask};

pub static CAUGHT: AtomicU32 = AtomicU32::new(0);
pub static LAST: AtomicU32 = AtomicU32::new(0);

pub fn catch(signal: i32) {
    LAST.store(signal as u32, Ordering::SeqCst);
    CAUGHT.fetch_add(1, Ordering::SeqCst);
}

/// How often the handler has run since the last look.
pub fn caught() -> u32 {
    CAUGHT.swap(0, Ordering::SeqCst)
}

/// Sets an action for the time of a test.
pub struct With(i32);

impl With {
    pub fn action(signal: i32, action: Action) -> Outcome<With> {
        caught();
        sigaction(signal, Some(action))?;
        Ok(With(signal))
    }
}

impl Drop for With {
    fn drop(&mut self) {
        // It was set, so it can be unset.
        let _ = sigmask(Some((How::Set, SignalMask::empty())));
        let _ = sigaction(self.0, Some(Action::by_default()));
    }
}

pub fn only(signal: i32) -> SignalMask {
    SignalMask::empty().with(signal as u32)
}

/// A handler's action, without and with `SA_RESTART`: no wait is restarted (R49).
pub fn handlers() -> [Action; 2] {
    [Action::handler(catch), Action::handler(catch).with(ActionFlags::RESTART)]
}
