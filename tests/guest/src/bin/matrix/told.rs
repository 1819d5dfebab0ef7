//! What the interfaces say, in words that they share.

use bitflags::bitflags;
use libkq::{Conditions, EpollEvent, Filter, KEvent, PollFd};

use crate::source::Condition;

bitflags! {
    /// What holds of a source.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct What: u8 {
        /// It can be read.
        const READ = 1;
        /// It can be written.
        const WRITE = 2;
        /// Urgent data waits.
        const URGENT = 4;
        /// It has ended.
        const END = 8;
        /// An error is pending.
        const ERROR = 16;
        /// The number is not open.
        const CLOSED = 32;
        /// Something that no interface should say.
        const NONSENSE = 64;
    }
}

impl What {
    /// That a condition holds.
    pub const fn of(condition: Condition) -> What {
        match condition {
            Condition::Read => What::READ,
            Condition::Write => What::WRITE,
            Condition::Urgent => What::URGENT,
        }
    }
}

/// What is said of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// The number.
    pub number: i32,
    /// What holds.
    pub what: What,
}

impl Told {
    /// What an event of poll or /dev/poll says.
    pub fn of_poll(entry: &PollFd) -> Told {
        Told { number: entry.fd, what: what(entry.revents) }
    }

    /// What an event of epoll says, whose data is the number.
    pub fn of_epoll(event: &EpollEvent) -> Told {
        let known = event.events().bits() >> 16 == 0;
        let nonsense = if known { What::empty() } else { What::NONSENSE };
        Told { number: event.data() as i32, what: what(event.events().conditions()) | nonsense }
    }

    /// What an event of a kqueue says, whose udata is the number too.
    pub fn of_kevent(event: &KEvent) -> Told {
        let mut what = match event.filter {
            Filter::READ => What::READ,
            Filter::WRITE => What::WRITE,
            Filter::EXCEPT => What::URGENT,
            _ => What::NONSENSE,
        };
        what.set(What::END, event.is_eof());
        what.set(What::ERROR, event.is_eof() && event.fflags != 0);
        what.set(What::NONSENSE, event.ident != event.udata);
        Told { number: event.udata as i32, what }
    }
}

fn what(conditions: Conditions) -> What {
    let words = [
        (Conditions::IN, What::READ),
        (Conditions::OUT, What::WRITE),
        (Conditions::PRI, What::URGENT),
        (Conditions::HUP, What::END),
        (Conditions::ERR, What::ERROR),
        (Conditions::NVAL, What::CLOSED),
    ];
    let mut what = What::empty();
    let mut rest = conditions;
    for (condition, word) in words {
        what.set(word, conditions.contains(condition));
        rest.remove(condition);
    }
    what.set(What::NONSENSE, !rest.is_empty());
    what
}
