//! The state of a PROC note: what has happened to its process since it was told last. `kqueue(2)`, `EVFILT_PROC`.

use event_protocol::level::LevelFlags;

use crate::event::flags::EventFlags;
use crate::event::{KEvent, note};

/// What a process service has told and the note has not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Process {
    /// What the note wants to be told: bits of [`note`].
    pub wanted: u32,
    /// The parent, of a child that was followed and has not been told of.
    pub child_of: Option<u32>,
    /// What else has happened.
    pub news: u32,
    /// The wait status, with [`note::EXIT`].
    pub status: i64,
    /// The service is dead: nothing more will come (R57).
    pub gone: bool,
}

/// What becomes of the note when it was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// A child's birth: a note of its own, as it were, which is over.
    Born,
    /// It may have more, and is told as its flags say.
    More,
    /// The process has ended, and the note with it.
    Over,
    /// The service is dead.
    Gone,
}

impl Process {
    /// A note that wants to be told this.
    pub fn new(wanted: u32) -> Process {
        Process { wanted, ..Process::default() }
    }

    /// The note of a child, which wants what its parent's does (R30).
    pub fn of_child(&self, parent: u32) -> Process {
        Process { child_of: Some(parent), ..Process::new(self.wanted) }
    }

    /// Puts down what happened.
    pub fn happened(&mut self, what: u32, data: i64) {
        self.news |= what & (self.wanted | note::TRACKERR);
        if what & note::EXIT != 0 {
            self.status = data;
        }
    }

    /// Whether there is anything to tell.
    pub fn has_news(&self) -> bool {
        self.child_of.is_some() || self.news != 0 || self.gone
    }

    /// The next event. A child's birth carries its parent in data and its end its status, so they are two.
    pub fn take(&mut self, event: &KEvent) -> Option<(KEvent, Told)> {
        if let Some(parent) = self.child_of.take() {
            return Some((KEvent { fflags: note::CHILD, data: i64::from(parent), ..*event }, Told::Born));
        }
        if self.news != 0 {
            let what = core::mem::take(&mut self.news);
            if what & note::EXIT == 0 {
                return Some((KEvent { fflags: what, ..*event }, Told::More));
            }
            let flags = event.flags | EventFlags::EOF | EventFlags::ONESHOT;
            return Some((KEvent { flags, fflags: what, data: self.status, ..*event }, Told::Over));
        }
        let flags = event.flags | EventFlags::EOF;
        let gone = KEvent { flags, fflags: abi::error::ENODEV as u32, ..*event };
        core::mem::take(&mut self.gone).then_some((gone, Told::Gone))
    }
}

/// Whether a stream has records, or never will again.
pub fn is_worth_reading(amount: i64, flags: LevelFlags) -> bool {
    amount > 0 || flags.intersects(LevelFlags::EOF.union(LevelFlags::GONE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::filter::Filter;

    const EVENT: KEvent = KEvent::new(50, Filter::PROC);

    #[test]
    fn r30_a_child_is_told_of_before_its_end() {
        let parent = Process::new(note::EXIT | note::TRACK);
        let mut child = parent.of_child(7);
        child.happened(note::EXIT, 0x300);
        let (birth, told) = child.take(&EVENT).unwrap();
        assert_eq!((birth.fflags, birth.data, told), (note::CHILD, 7, Told::Born));
        let (end, told) = child.take(&EVENT).unwrap();
        assert_eq!((end.fflags, end.data, told), (note::EXIT, 0x300, Told::Over));
        assert!(end.is_eof());
        assert_eq!(child.take(&EVENT), None);
    }

    #[test]
    fn r29_what_was_not_asked_for_is_not_told_but_a_trackerr_is() {
        let mut process = Process::new(note::EXIT);
        process.happened(note::FORK | note::EXEC, 0);
        assert!(!process.has_news());
        process.happened(note::TRACKERR, 0);
        assert_eq!(process.take(&EVENT).unwrap().0.fflags, note::TRACKERR);
    }

    #[test]
    fn r57_a_dead_service_is_told_once_after_what_came_before() {
        let mut process = Process::new(note::FORK);
        process.happened(note::FORK, 0);
        process.gone = true;
        assert_eq!(process.take(&EVENT).unwrap().0.fflags, note::FORK);
        let (gone, told) = process.take(&EVENT).unwrap();
        assert_eq!((gone.fflags, told, gone.is_eof()), (abi::error::ENODEV as u32, Told::Gone, true));
        assert_eq!(process.take(&EVENT), None);
    }
}
