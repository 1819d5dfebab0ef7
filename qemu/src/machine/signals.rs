//! Signals that ask the tool to end: heard in the console's loop, so that QEMU and the terminal are put in order first.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    flag, low_level,
};

use crate::failure::{Failure, Result};

/// While it lives, the signals are caught.
#[derive(Debug)]
pub struct Signals {
    wake: UnixStream,
    last: Arc<AtomicUsize>,
    registered: Vec<SigId>,
}

impl Signals {
    /// Begins to catch.
    pub fn catch() -> Result<Signals> {
        Signals::register().map_err(|error| Failure::new("catch signals", error, "run it again"))
    }

    fn register() -> io::Result<Signals> {
        let (wake, signalled) = UnixStream::pair()?;
        let mut signals = Signals { wake, last: Arc::default(), registered: Vec::new() };
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            // The number first: whoever is woken finds it.
            let number = flag::register_usize(signal, Arc::clone(&signals.last), signal as usize)?;
            signals.registered.push(number);
            signals.registered.push(low_level::pipe::register(signal, signalled.try_clone()?)?);
        }
        Ok(signals)
    }

    /// The signal that came, if any.
    pub fn came(&self) -> Option<i32> {
        Some(self.last.load(Ordering::SeqCst) as i32).filter(|&signal| signal != 0)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}
