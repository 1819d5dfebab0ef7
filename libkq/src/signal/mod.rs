//! Signals: actions, masks, pending signals, waits for them. `signal(7)`.
//!
//! A signal goes to the process service, which decides by what the process has said of it: it comes to nothing, ends the
//! process, or becomes pending. A program that has said nothing costs nothing: the first handler or blocked signal starts
//! a thread that waits for what is pending and interrupts a thread that waits and lets it through.
//!
//! **Where handlers run**: at the library's calls, and nowhere else. When a call that waits is interrupted (`EINTR`, never
//! restarted: R49) or over, after a look that does not wait, on entering `read` and `write`, when a signal that was pending is unblocked, in [`raise`], and
//! where the program says [`boundary`]. A program that computes is not interrupted, so a handler may do whatever the program
//! may. See `docs/signals.md`.

mod action;
mod machine;
mod state;
#[cfg(test)]
mod tests;

pub use crate::interruption::SignalMask;
pub use action::{Action, ActionFlags, Disposition};
pub use process_protocol::signal::*;
pub use state::{How, Outside, Signals};

use core::time::Duration;

use abi::error::{EINTR, Error, Result};
use abi::limits::FOREVER;

pub(crate) use machine::{signals, signals_if_any};

/// Sets what becomes of a signal, and gives what would have become of it. `sigaction(2)`. `EINVAL`: no signal, or one that
/// cannot be caught or ignored.
pub fn sigaction(signal: i32, new: Option<Action>) -> Result<Action> {
    signals().action(signal, new)
}

/// Changes which signals the calling thread blocks, and gives those that it has blocked. Pending ones that are unblocked
/// have been handled before this returns. `pthread_sigmask(3)`.
pub fn sigmask(change: Option<(How, SignalMask)>) -> Result<SignalMask> {
    signals().change_mask(change)
}

/// Signals that wait to be unblocked. `sigpending(2)`.
pub fn sigpending() -> SignalMask {
    signals_if_any().map_or(SignalMask::empty(), Signals::pending)
}

/// Sends the process itself a signal, whose handler, if nothing blocks it, has run before this returns. `raise(3)`.
pub fn raise(signal: i32) -> Result<()> {
    crate::process_calls::kill(crate::process_calls::getpid(), signal)
}

/// Waits with another mask until a handler has run. Always `EINTR`. `sigsuspend(2)`.
pub fn suspend(mask: SignalMask) -> Error {
    match signals().sleep_until(FOREVER, Some(mask)) {
        Ok(()) => Error::new(EINTR),
        Err(error) => error,
    }
}

/// Sleeps; `EINTR` when a handler has run before the time was over. `nanosleep(2)`.
pub fn sleep(time: Duration) -> Result<()> {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(FOREVER);
    signals().sleep_until(rt::clock::now_ns().saturating_add(nanoseconds), None)
}

/// Runs what is due, if anything is: to be called where a call of the library begins or ends.
#[inline]
pub fn boundary() {
    if let Some(signals) = signals_if_any() {
        signals.deliver();
    }
}

/// A write failed with `EPIPE`: the writer is told by `SIGPIPE` besides.
#[cold]
pub fn broken_pipe() {
    // A process without the service has no signals either.
    let _ = raise(i32::from(SIGPIPE));
}
