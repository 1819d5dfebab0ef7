//! The rules, written down as data: what each process has open, what each file has to say, and what each note was told.
//!
//! Nothing here knows of messages, rings, slots, lists or threads. An event is due when its note is true, and a delivery
//! does to the note what its flags say.

pub mod devpoll;
pub mod epoll;
pub mod kqueue;
pub mod level;
pub mod process;

use event_protocol::cell::Direction;

use level::File;
use process::{Process, What};

/// All files that ever were, by their numbers.
pub type Files = Vec<File>;

/// The errors of which a call must give one.
pub type Refusal = Vec<i32>;

/// Refuses when there is a reason.
pub fn refuse(errors: Vec<i32>) -> Result<(), Refusal> {
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// A set that may lie in another.
pub trait Set {
    /// What it watches besides files.
    fn inner(&self) -> Vec<u64>;

    /// How many of its notes are true.
    fn pending(&self, process: &Process, files: &Files) -> usize;
}

/// Everything.
#[derive(Default, Debug)]
pub struct Rules {
    /// Files.
    pub files: Files,
    /// Processes; `None`: dead.
    pub processes: Vec<Option<Process>>,
    /// Nanoseconds.
    pub now: u64,
}

impl Rules {
    fn sets(&mut self) -> impl Iterator<Item = &mut What> {
        self.processes.iter_mut().flatten().flat_map(Process::sets)
    }

    /// Something arrived in a direction of a file.
    pub fn arrived(&mut self, file: usize, direction: Direction) {
        for process in self.processes.iter_mut().flatten() {
            process.arrived(file, direction);
        }
    }

    /// A file is no more: that is news for everybody (R57).
    pub fn gone(&mut self, file: usize) {
        self.files[file].gone = true;
        self.files[file].reasons.iter_mut().for_each(|reasons| *reasons += 1);
        self.arrived(file, Direction::Read);
        self.arrived(file, Direction::Write);
    }

    /// Something happened to a file.
    pub fn note(&mut self, file: usize, bits: u32) {
        for what in self.sets() {
            let What::Kqueue(queue) = what else { continue };
            for note in queue.notes.values_mut() {
                if let kqueue::Watched::Vnode(own, wanted, seen) = &mut note.watched
                    && *own == file
                {
                    *seen |= bits & *wanted;
                }
            }
        }
    }

    /// A signal was sent to a process (R28).
    pub fn attempt(&mut self, process: usize, signal: usize) {
        let Some(process) = &mut self.processes[process] else { return };
        for what in process.sets() {
            let What::Kqueue(queue) = what else { continue };
            for (&(ident, _), note) in &mut queue.notes {
                if let kqueue::Watched::Signal(count) = &mut note.watched
                    && ident == signal
                {
                    *count += 1;
                }
            }
        }
    }

    /// Time passes.
    pub fn pass(&mut self, ns: u64) {
        self.now += ns;
        let now = self.now;
        for what in self.sets() {
            if let What::Kqueue(queue) = what {
                queue.notes.values_mut().for_each(|note| note.pass(now));
            }
        }
    }
}

impl Process {
    fn arrived(&mut self, file: usize, direction: Direction) {
        let watching: Vec<u64> = self.of_file(file);
        for what in self.sets() {
            match what {
                What::Kqueue(queue) => {
                    let notes = queue.notes.values_mut().filter(|note| note.file() == Some(file));
                    notes.for_each(|note| note.arrived(direction));
                }
                What::Epoll(set) => {
                    let items = set.items.iter_mut().filter(|((own, _), _)| watching.contains(own));
                    items.for_each(|(_, item)| item.arrived(direction));
                }
                _ => {}
            }
        }
    }
}
