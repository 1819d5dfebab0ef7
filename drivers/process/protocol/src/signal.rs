//! Signals: numbers, sets, default actions. signal(7); the numbers are those of `redox_syscall`, which are Linux's.

use abi::flag;
use serde::{Deserialize, Serialize};

/// Highest number.
pub const LAST: u8 = 64;

/// Hangup.
pub const SIGHUP: u8 = 1;
/// Interrupt from the keyboard.
pub const SIGINT: u8 = 2;
/// Quit from the keyboard.
pub const SIGQUIT: u8 = 3;
/// Illegal instruction.
pub const SIGILL: u8 = 4;
/// Breakpoint.
pub const SIGTRAP: u8 = 5;
/// Abort.
pub const SIGABRT: u8 = 6;
/// Bus error.
pub const SIGBUS: u8 = 7;
/// Arithmetic error.
pub const SIGFPE: u8 = 8;
/// Ends the process, whatever it wants.
pub const SIGKILL: u8 = 9;
/// The program's own.
pub const SIGUSR1: u8 = 10;
/// Memory that is not there.
pub const SIGSEGV: u8 = 11;
/// The program's own.
pub const SIGUSR2: u8 = 12;
/// A write that nobody will read.
pub const SIGPIPE: u8 = 13;
/// A timer.
pub const SIGALRM: u8 = 14;
/// Wish that the process ends.
pub const SIGTERM: u8 = 15;
/// A child has ended.
pub const SIGCHLD: u8 = flag::SIGCHLD as u8;
/// Continue.
pub const SIGCONT: u8 = 18;
/// Stop, whatever it wants.
pub const SIGSTOP: u8 = 19;
/// Stop from the keyboard.
pub const SIGTSTP: u8 = flag::SIGTSTP as u8;
/// Read from the terminal in the background.
pub const SIGTTIN: u8 = flag::SIGTTIN as u8;
/// Write to the terminal in the background.
pub const SIGTTOU: u8 = flag::SIGTTOU as u8;
/// Urgent data.
pub const SIGURG: u8 = 23;
/// The window's size has changed.
pub const SIGWINCH: u8 = 28;

/// What becomes of a signal that nobody has said anything about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Default {
    /// The process ends; its wait status says so.
    End,
    /// Nothing.
    Nothing,
}

impl Default {
    /// Of this signal. The signals that stop come to nothing: there is no job control, so every process is in an orphaned
    /// process group, for which POSIX has it so.
    pub const fn of(signal: u8) -> Default {
        match signal {
            SIGCHLD | SIGCONT | SIGURG | SIGWINCH | SIGTSTP | SIGTTIN | SIGTTOU => Default::Nothing,
            _ => Default::End,
        }
    }
}

/// A set of signals, 1 to [`LAST`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, core::default::Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// None.
    pub const EMPTY: SignalSet = SignalSet(0);
    /// Those that cannot be caught, blocked or ignored.
    pub const UNSTOPPABLE: SignalSet = SignalSet::of(SIGKILL).union(SignalSet::of(SIGSTOP));

    /// This one; what is no signal is the empty set.
    pub const fn of(signal: u8) -> SignalSet {
        match signal {
            1..=LAST => SignalSet(1 << (signal - 1)),
            _ => SignalSet(0),
        }
    }

    /// Either's.
    pub const fn union(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 | other.0)
    }

    /// Those that are not the other's.
    pub const fn without(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & !other.0)
    }

    /// Those of both.
    pub const fn intersection(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & other.0)
    }

    /// Whether this one is in it.
    pub const fn contains(self, signal: u8) -> bool {
        self.0 & SignalSet::of(signal).0 != 0
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lowest.
    pub const fn first(self) -> Option<u8> {
        match self.0 {
            0 => None,
            set => Some(set.trailing_zeros() as u8 + 1),
        }
    }

    /// Each, the lowest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=LAST).filter(move |&signal| self.contains(signal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_signal_is_in_no_set() {
        for number in [0, 65, 128, 255] {
            assert!(SignalSet::of(number).is_empty() && !SignalSet(u64::MAX).contains(number));
        }
        assert_eq!(SignalSet::of(64).first(), Some(64));
    }

    proptest! {
        #[test]
        fn a_set_is_its_signals(set: u64) {
            let set = SignalSet(set);
            let again = set.iter().fold(SignalSet::EMPTY, |all, signal| all.union(SignalSet::of(signal)));
            prop_assert_eq!(again, set);
            prop_assert_eq!(set.first(), set.iter().next());
        }
    }
}
