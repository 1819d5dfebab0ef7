//! What one watcher is told of processes.
//!
//! A process has one place in the stream however much happens to it (R59): what it did is folded, and only its own
//! birth, whose record carries other data than its end, is told apart. So a stream is as long as its watched processes are
//! many.

use abi::error::{ENOENT, ENOMEM, Error, Result};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use process_protocol::{Record, note};

/// A watched process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Watched {
    /// What is told of it.
    what: u32,
    /// Its birth has not been told: the parent.
    child_of: Option<u32>,
    /// What else has not been told.
    news: u32,
    /// Its end's wait status.
    status: i32,
    /// It has ended: what is there now is the last.
    over: bool,
    queued: bool,
}

impl Watched {
    fn has_news(&self) -> bool {
        self.child_of.is_some() || self.news != 0
    }

    fn records(&self) -> usize {
        usize::from(self.child_of.is_some()) + usize::from(self.news != 0)
    }
}

/// What one watcher watches, and what it has not read.
#[derive(Debug, Default)]
pub struct Stream {
    watched: BTreeMap<u32, Watched>,
    /// Processes with news, in the order in which they had some first.
    order: VecDeque<u32>,
    /// How the processes of the last [`take`](Stream::take) were before it.
    taken: Vec<(u32, Watched)>,
}

impl Stream {
    /// Watches nothing.
    pub const fn new() -> Stream {
        Stream { watched: BTreeMap::new(), order: VecDeque::new(), taken: Vec::new() }
    }

    /// Watches a process, or changes what is told of it. `ended`: the wait status of one that has ended (R29); `room`: how
    /// many more processes may be watched (R55).
    pub fn watch(&mut self, pid: u32, what: u32, ended: Option<i32>, room: usize) -> Result<()> {
        if !self.watched.contains_key(&pid) && room == 0 {
            return Err(Error::new(ENOMEM));
        }
        self.watched.entry(pid).or_default().what = what;
        if let Some(status) = ended {
            self.ended(pid, status);
        }
        Ok(())
    }

    /// Watches a process no longer.
    pub fn unwatch(&mut self, pid: u32) -> Result<()> {
        self.watched.remove(&pid).ok_or(Error::new(ENOENT))?;
        self.order.retain(|&queued| queued != pid);
        Ok(())
    }

    /// `parent` has started `child`. True when there is something to tell.
    pub fn born(&mut self, parent: u32, child: u32, room: usize) -> bool {
        let Some(watched) = self.watched.get(&parent) else { return false };
        let what = watched.what;
        let mut news = what & note::FORK;
        // It may be watched by a number that was used before: then it is not that one any more.
        let follows = what & note::TRACK != 0;
        let fits = room > 0 || self.watched.contains_key(&child);
        if follows && !fits {
            news |= note::TRACKERR;
        }
        self.tell(parent, |watched| watched.news |= news);
        if follows && fits {
            self.order.retain(|&queued| queued != child);
            let watched =
                Watched { what, child_of: Some(parent), news: what & note::EXEC, ..Watched::default() };
            self.watched.insert(child, watched);
            self.tell(child, |_| {});
        }
        news != 0 || follows
    }

    /// A process has ended. True when there is something to tell.
    pub fn ended(&mut self, pid: u32, status: i32) -> bool {
        let Some(watched) = self.watched.get_mut(&pid) else { return false };
        watched.over = true;
        watched.status = status;
        let news = watched.what & note::EXIT;
        if news == 0 && !watched.has_news() {
            self.watched.remove(&pid);
            return false;
        }
        self.tell(pid, |watched| watched.news |= news);
        news != 0
    }

    fn tell(&mut self, pid: u32, change: impl FnOnce(&mut Watched)) {
        let Some(watched) = self.watched.get_mut(&pid) else { return };
        change(watched);
        if watched.has_news() && !watched.queued {
            watched.queued = true;
            self.order.push_back(pid);
        }
    }

    /// Records that wait.
    pub fn waiting(&self) -> usize {
        self.order.iter().filter_map(|pid| self.watched.get(pid)).map(Watched::records).sum()
    }

    /// Takes the oldest records, up to so many.
    pub fn take(&mut self, most: usize) -> Vec<Record> {
        let mut records = Vec::new();
        self.taken.clear();
        while records.len() < most
            && let Some(pid) = self.order.pop_front()
        {
            let Some(watched) = self.watched.get_mut(&pid) else { continue };
            self.taken.push((pid, *watched));
            if let Some(parent) = watched.child_of.take() {
                records.push(Record { pid, what: note::CHILD, data: i64::from(parent) });
            }
            if watched.news != 0 && records.len() == most {
                self.order.push_front(pid);
                break;
            }
            if watched.news != 0 {
                let ends = watched.news & note::EXIT != 0;
                let data = if ends { i64::from(watched.status) } else { 0 };
                records.push(Record { pid, what: watched.news, data });
                watched.news = 0;
            }
            watched.queued = false;
            if watched.over {
                self.watched.remove(&pid);
            }
        }
        records
    }

    /// Undoes the last [`take`](Stream::take): nothing has happened in between.
    pub fn put_back(&mut self) {
        for (pid, watched) in core::mem::take(&mut self.taken).into_iter().rev() {
            self.watched.insert(pid, watched);
            self.order.retain(|&queued| queued != pid);
            self.order.push_front(pid);
        }
    }

    /// Whether it watches a process.
    pub fn watches(&self, pid: u32) -> bool {
        self.watched.contains_key(&pid)
    }

    /// Processes that are watched.
    pub fn len(&self) -> usize {
        self.watched.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }
}
