//! A process's signals as the service has them.

use process_protocol::{Default, SignalSet, signal};

/// What a process wants of signals, and those that it has not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, core::default::Default)]
pub struct Mailbox {
    ignored: SignalSet,
    told: SignalSet,
    pending: SignalSet,
    /// It may have said something to a service before this one: signals wait until it says it again.
    unknown: bool,
}

/// What becomes of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Nothing.
    Nothing,
    /// It is pending.
    Pending,
    /// The process ends.
    End,
}

impl Mailbox {
    /// Of a process that was there before the service.
    pub fn unknown() -> Mailbox {
        Mailbox { unknown: true, ..Mailbox::default() }
    }

    /// It has had time to say something: gives the signals that have their default action now.
    pub fn presume(&mut self) -> SignalSet {
        if core::mem::take(&mut self.unknown) { self.take() } else { SignalSet::EMPTY }
    }

    /// A signal is sent.
    pub fn send(&mut self, signal: u8) -> Outcome {
        if SignalSet::UNSTOPPABLE.contains(signal) {
            return Outcome::End;
        }
        if self.ignored.contains(signal) {
            return Outcome::Nothing;
        }
        if self.told.contains(signal) || self.unknown {
            self.pending = self.pending.union(SignalSet::of(signal));
            return Outcome::Pending;
        }
        by_default(signal)
    }

    /// From now on these are ignored, and these become pending. What is pending and ignored now comes to nothing. Gives
    /// those that have waited for this and have their default action now.
    pub fn dispose(&mut self, ignored: SignalSet, told: SignalSet) -> SignalSet {
        self.ignored = ignored.without(SignalSet::UNSTOPPABLE);
        self.told = told.without(SignalSet::UNSTOPPABLE);
        self.pending = self.pending.without(ignored);
        if !core::mem::take(&mut self.unknown) {
            return SignalSet::EMPTY;
        }
        let rest = self.pending.without(told);
        self.pending = self.pending.without(rest);
        rest
    }

    /// What is pending.
    pub fn pending(&self) -> SignalSet {
        self.pending
    }

    /// Takes what is pending.
    pub fn take(&mut self) -> SignalSet {
        core::mem::take(&mut self.pending)
    }
}

/// A signal has its default action.
pub fn by_default(signal: u8) -> Outcome {
    match Default::of(signal) {
        Default::End if (1..=signal::LAST).contains(&signal) => Outcome::End,
        _ => Outcome::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use process_protocol::signal::{SIGCHLD, SIGINT, SIGKILL, SIGTERM, SIGTSTP};

    #[test]
    fn a_signal_is_ignored_told_or_has_its_default_action() {
        let mut mailbox = Mailbox::default();
        assert_eq!((mailbox.send(SIGTERM), mailbox.send(SIGCHLD)), (Outcome::End, Outcome::Nothing));
        assert_eq!(mailbox.send(SIGTSTP), Outcome::Nothing, "nobody would continue it");
        mailbox.dispose(SignalSet::of(SIGINT), SignalSet(u64::MAX));
        assert_eq!((mailbox.send(SIGINT), mailbox.send(SIGTERM)), (Outcome::Nothing, Outcome::Pending));
        assert_eq!(mailbox.send(SIGTERM), Outcome::Pending, "signals of one number merge");
        assert_eq!((mailbox.take(), mailbox.take()), (SignalSet::of(SIGTERM), SignalSet::EMPTY));
    }

    #[test]
    fn r57_what_comes_before_a_process_has_said_anything_again_waits() {
        let all = [SIGINT, SIGTERM, SIGCHLD]
            .map(SignalSet::of)
            .into_iter()
            .fold(SignalSet::EMPTY, SignalSet::union);
        let filled = || {
            let mut mailbox = Mailbox::unknown();
            assert_eq!(mailbox.send(SIGKILL), Outcome::End);
            for signal in all.iter() {
                assert_eq!(mailbox.send(signal), Outcome::Pending);
            }
            mailbox
        };
        let mut mailbox = filled();
        let rest = mailbox.dispose(SignalSet::of(SIGINT), SignalSet::of(SIGTERM));
        assert_eq!((rest, mailbox.take()), (SignalSet::of(SIGCHLD), SignalSet::of(SIGTERM)));
        assert_eq!(mailbox.presume(), SignalSet::EMPTY, "it has spoken");
        let mut mailbox = filled();
        assert_eq!((mailbox.presume(), mailbox.take()), (all, SignalSet::EMPTY));
        assert_eq!(mailbox.send(SIGTERM), Outcome::End, "it has nothing to say");
    }

    #[test]
    fn nothing_keeps_a_kill_away() {
        let mut mailbox = Mailbox::default();
        mailbox.dispose(SignalSet(u64::MAX), SignalSet(u64::MAX));
        assert_eq!(mailbox.send(SIGKILL), Outcome::End);
        assert_eq!(mailbox.pending(), SignalSet::EMPTY);
    }

    #[test]
    fn what_is_pending_and_ignored_later_comes_to_nothing() {
        let mut mailbox = Mailbox::default();
        mailbox.dispose(SignalSet::EMPTY, SignalSet::of(SIGTERM).union(SignalSet::of(SIGINT)));
        mailbox.send(SIGTERM);
        mailbox.send(SIGINT);
        mailbox.dispose(SignalSet::of(SIGTERM), SignalSet::of(SIGTERM));
        assert_eq!(mailbox.take(), SignalSet::of(SIGINT));
    }
}
