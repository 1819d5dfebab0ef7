//! How ready a socket is, and what an act changed of that.

use super::Id;
use event_protocol::level::{Level, LevelFlags};

/// How ready a direction of a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ready {
    /// Bytes or connections; space.
    pub amount: usize,
    /// No more will come, or can be sent.
    pub end: bool,
    /// The pending error, 0 for none.
    pub error: i32,
    /// Both directions have ended and nothing is left to read (R18).
    pub hangup: bool,
    /// Urgent data waits.
    pub urgent: bool,
}

impl Ready {
    /// The level that is published of it.
    pub fn level(&self) -> Level {
        let mut level = Level::new(self.amount as i64);
        level.flags.set(LevelFlags::EOF, self.end);
        level.flags.set(LevelFlags::ERROR, self.error != 0);
        level.flags.set(LevelFlags::HANGUP, self.hangup);
        level.flags.set(LevelFlags::EXCEPT, self.urgent);
        level
    }

    /// Whether it has something that was not there before.
    pub fn is_news(&self, before: &Ready) -> bool {
        self.amount > before.amount
            || self.end && !before.end
            || self.error != 0 && before.error == 0
            || self.hangup && !before.hangup
            || self.urgent && !before.urgent
    }
}

/// A socket whose readiness changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Which.
    pub socket: Id,
    /// How ready reading and writing are now; `None` for a direction of which nothing became. Both are told as one change.
    pub ready: [Option<Ready>; 2],
    /// Whether something came, for each: even who only wants news wants to know, and who waits tries again.
    pub news: [bool; 2],
}

impl Change {
    /// All of a socket, as news.
    pub const fn whole(socket: Id, [read, write]: [Ready; 2]) -> Change {
        Change { socket, ready: [Some(read), Some(write)], news: [true; 2] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Ready = Ready { amount: 5, end: true, error: 104, hangup: true, urgent: true };

    #[test]
    fn a_level_says_all_that_is_ready() {
        assert_eq!(Ready::default().level(), Level::new(0));
        let one_by_one = [
            (Ready { end: true, ..Ready::default() }, LevelFlags::EOF),
            (Ready { error: 104, ..Ready::default() }, LevelFlags::ERROR),
            (Ready { hangup: true, ..Ready::default() }, LevelFlags::HANGUP),
            (Ready { urgent: true, ..Ready::default() }, LevelFlags::EXCEPT),
        ];
        for (ready, flag) in one_by_one {
            assert_eq!(ready.level(), Level::new(0).with(flag));
        }
        let all = LevelFlags::EOF | LevelFlags::ERROR | LevelFlags::HANGUP | LevelFlags::EXCEPT;
        assert_eq!(SOME.level(), Level::new(5).with(all));
    }

    #[test]
    fn news_is_what_was_not_there_before() {
        let less = [
            Ready { amount: 4, ..SOME },
            Ready { end: false, ..SOME },
            Ready { error: 0, ..SOME },
            Ready { hangup: false, ..SOME },
            Ready { urgent: false, ..SOME },
        ];
        for before in less {
            assert!(SOME.is_news(&before) && !before.is_news(&SOME), "{before:?}");
        }
        assert!(!SOME.is_news(&SOME));
    }
}
