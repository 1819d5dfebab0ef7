//! A process: numbers, what they stand for, and the sets among that.

use std::collections::BTreeMap;

use super::devpoll::DevPoll;
use super::epoll::Epoll;
use super::kqueue::Kqueue;
use super::{Files, Set};

/// Sets in a chain (R37).
const DEPTH: usize = 5;

/// What an open description is.
#[derive(Clone, Debug)]
pub enum What {
    /// A file.
    File(usize),
    /// A kqueue.
    Kqueue(Kqueue),
    /// An epoll set.
    Epoll(Epoll),
    /// A /dev/poll set.
    DevPoll(DevPoll),
}

/// A process.
#[derive(Clone, Default, Debug)]
pub struct Process {
    /// The open description of each number.
    pub table: BTreeMap<i32, u64>,
    descriptions: BTreeMap<u64, What>,
    next: u64,
}

impl Process {
    /// What an open description is.
    pub fn what(&self, description: u64) -> &What {
        &self.descriptions[&description]
    }

    /// Whether it is still open.
    pub fn is_open(&self, description: u64) -> bool {
        self.descriptions.contains_key(&description)
    }

    /// All sets.
    pub fn sets(&mut self) -> impl Iterator<Item = &mut What> {
        self.descriptions.values_mut()
    }

    /// The open descriptions of a file.
    pub fn of_file(&self, file: usize) -> Vec<u64> {
        let of = |what: &What| matches!(what, What::File(own) if *own == file);
        self.descriptions.iter().filter(|(_, what)| of(what)).map(|(&description, _)| description).collect()
    }

    /// The lowest free number.
    pub fn lowest(&self) -> i32 {
        (0..).find(|fd| !self.table.contains_key(fd)).unwrap_or(0)
    }

    /// Gives something new the lowest free number.
    pub fn open(&mut self, what: What) -> i32 {
        let fd = self.lowest();
        self.next += 1;
        self.descriptions.insert(self.next, what);
        self.table.insert(fd, self.next);
        fd
    }

    /// A second number.
    pub fn dup(&mut self, fd: i32) -> Option<i32> {
        let &description = self.table.get(&fd)?;
        let number = self.lowest();
        self.table.insert(number, description);
        Some(number)
    }

    /// The same, with a number of the caller's choice (R31).
    pub fn dup2(&mut self, fd: i32, number: i32) -> Option<i32> {
        let &description = self.table.get(&fd)?;
        if fd != number {
            let replaced = self.table.insert(number, description);
            if let Some(replaced) = replaced {
                self.closed(number, replaced);
            }
        }
        Some(number)
    }

    /// Closes a number.
    pub fn close(&mut self, fd: i32) -> bool {
        let Some(description) = self.table.remove(&fd) else { return false };
        self.closed(fd, description);
        true
    }

    /// R31, R32: what hangs on a number goes with it, and what hangs on its description with the last.
    fn closed(&mut self, fd: i32, description: u64) {
        let last = !self.table.values().any(|&other| other == description);
        for what in self.descriptions.values_mut() {
            match what {
                What::Kqueue(queue) => queue.closed(fd),
                What::DevPoll(set) => set.closed(fd),
                What::Epoll(set) if last => set.closed(description),
                _ => {}
            }
        }
        if last {
            self.descriptions.remove(&description);
        }
    }

    fn set(&self, description: u64) -> Option<&dyn Set> {
        match self.descriptions.get(&description)? {
            What::File(_) => None,
            What::Kqueue(queue) => Some(queue),
            What::Epoll(set) => Some(set),
            What::DevPoll(set) => Some(set),
        }
    }

    /// How many notes of a set are true.
    pub fn pending(&self, set: u64, files: &Files) -> usize {
        self.set(set).map_or(0, |set| set.pending(self, files))
    }

    fn inner(&self, set: u64) -> Vec<u64> {
        match self.descriptions.get(&set) {
            Some(What::DevPoll(own)) => own.inner_of(self),
            _ => self.set(set).map_or(Vec::new(), Set::inner),
        }
    }

    fn depth(&self, set: u64) -> usize {
        if self.set(set).is_none() {
            return 0;
        }
        1 + self.inner(set).into_iter().map(|inner| self.depth(inner)).max().unwrap_or(0)
    }

    fn height(&self, set: u64) -> usize {
        let around = self.descriptions.keys().filter(|&&other| self.inner(other).contains(&set));
        1 + around.map(|&other| self.height(other)).max().unwrap_or(0)
    }

    fn reaches(&self, from: u64, to: u64) -> bool {
        from == to || self.inner(from).into_iter().any(|inner| self.reaches(inner, to))
    }

    /// Whether a set lies in another.
    pub fn is_nested(&self, set: u64) -> bool {
        self.height(set) > 1
    }

    /// The /dev/poll sets that must be asked before sets around them know that a number is open again: their numbers, those
    /// of inner sets first.
    pub fn stale(&self) -> Vec<i32> {
        let stale = |&(_, description): &(&i32, &u64)| match self.what(*description) {
            What::DevPoll(set) => set.stale.iter().any(|fd| self.table.contains_key(fd)),
            _ => false,
        };
        let mut all: Vec<(i32, u64)> = self.table.iter().filter(stale).map(|(&fd, &own)| (fd, own)).collect();
        all.sort_by_key(|&(_, own)| self.depth(own));
        all.into_iter().map(|(fd, _)| fd).collect()
    }

    /// R37: whether a set in another would make a ring or too long a chain.
    pub fn cannot_nest(&self, outer: u64, inner: u64) -> bool {
        self.reaches(inner, outer) || self.height(outer) + self.depth(inner) > DEPTH
    }

    /// A queue that is known to be one.
    pub fn kqueue(&mut self, description: u64) -> &mut Kqueue {
        match self.descriptions.get_mut(&description) {
            Some(What::Kqueue(queue)) => queue,
            _ => panic!("no queue"),
        }
    }

    /// An epoll set that is known to be one.
    pub fn epoll(&mut self, description: u64) -> &mut Epoll {
        match self.descriptions.get_mut(&description) {
            Some(What::Epoll(set)) => set,
            _ => panic!("no epoll set"),
        }
    }

    /// A /dev/poll set that is known to be one.
    pub fn devpoll(&mut self, description: u64) -> &mut DevPoll {
        match self.descriptions.get_mut(&description) {
            Some(What::DevPoll(set)) => set,
            _ => panic!("no /dev/poll set"),
        }
    }
}
