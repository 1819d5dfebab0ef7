//! What can be asked of the service's files.

use serde::{Deserialize, Serialize};

use crate::SignalSet;

/// A request on an open file, as the `postcard` document of a private control. `EINVAL`: not on this file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// [`SELF`](crate::SELF): sends a signal; number 0 only asks whether it could be sent. A process that has ended and
    /// has not been waited for can be sent any, to no effect. `ESRCH`, `EPERM`: see [the rule](crate); `EINVAL`: no signal;
    /// `ENOSYS`: `SIGSTOP`, since nothing stops processes here.
    Kill {
        /// To whom.
        pid: u32,
        /// Which.
        signal: u8,
    },
    /// [`SELF`](crate::SELF): says what becomes of signals from now on.
    Dispose {
        /// These come to nothing.
        ignored: SignalSet,
        /// Of the others these become pending, for the process to take; the rest have their default action.
        told: SignalSet,
    },
    /// [`SELF`](crate::SELF): takes what is pending.
    Take,
    /// [`SELF`](crate::SELF): a signal that was taken has its default action now.
    Default {
        /// Which.
        signal: u8,
    },
    /// [`WATCH`](crate::WATCH): tells what happens to a process from now on, or changes what of it is told. The end of one
    /// that has ended already is told at once (R29). `ESRCH`, `EPERM`: see [the rule](crate); `ENOMEM`: over
    /// [`MAX_WATCHED`](crate::MAX_WATCHED) or [`MAX_WATCHED_BY_ALL`](crate::MAX_WATCHED_BY_ALL); `EINVAL`: bits beyond [`note::ASKED`](crate::note::ASKED).
    Watch {
        /// Which.
        pid: u32,
        /// What is told: bits of [`note`](crate::note).
        what: u32,
    },
    /// [`WATCH`](crate::WATCH): tells nothing more of a process, what has not been read included. `ENOENT`: it is not watched.
    Unwatch {
        /// Which.
        pid: u32,
    },
}
