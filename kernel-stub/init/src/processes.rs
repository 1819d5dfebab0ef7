//! The process table.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use init_protocol::{
    caller::PID_MAX,
    limits::{ENDED, LISTED},
    request,
    status::ExitStatus,
};

/// init's own number.
pub const INIT: u32 = 1;

/// A process that lives, or whose parent has yet to be told how it ended.
#[derive(Debug)]
pub struct Record<P> {
    /// What it is called.
    pub name: String,
    /// Who started it.
    pub parent: u32,
    /// The program of the manifest that it is, or descends from.
    pub program: usize,
    /// Bytes that its program's account pays for it.
    pub cost: u64,
    /// When it was started.
    pub started: u64,
    /// How it is.
    pub state: State<P>,
}

/// How a process is.
#[derive(Debug)]
pub enum State<P> {
    /// Alive.
    Alive(P),
    /// Ended.
    Ended(ExitStatus),
}

impl<P> Record<P> {
    /// The process while it lives.
    pub fn alive(&self) -> Option<&P> {
        match &self.state {
            State::Alive(process) => Some(process),
            State::Ended(_) => None,
        }
    }
}

/// All processes but init.
#[derive(Debug)]
pub struct Processes<P> {
    records: BTreeMap<u32, Record<P>>,
    last: u32,
}

impl<P> Processes<P> {
    /// None yet.
    pub fn new() -> Processes<P> {
        Processes { records: BTreeMap::new(), last: INIT }
    }

    /// The number of the next process. Numbers do not come again before all others have.
    pub fn next_pid(&mut self) -> u32 {
        loop {
            self.last = if self.last < PID_MAX { self.last + 1 } else { INIT + 1 };
            if !self.records.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    /// Bits of a process's end: 64 kinds, so that at most every 64th process is looked at.
    pub fn exit_bits(pid: u32) -> u64 {
        1 << (pid % 64)
    }

    /// Adds a process.
    pub fn insert(&mut self, pid: u32, record: Record<P>) {
        self.records.insert(pid, record);
    }

    /// A process.
    pub fn get(&self, pid: u32) -> Option<&Record<P>> {
        self.records.get(&pid)
    }

    /// Forgets a process.
    pub fn remove(&mut self, pid: u32) -> Option<Record<P>> {
        self.records.remove(&pid)
    }

    /// The live process that a badge stands for.
    pub fn caller(&self, badge: u64) -> Option<(u32, &Record<P>)> {
        let pid = u32::try_from(badge).ok()?;
        Some((pid, self.get(pid).filter(|record| record.alive().is_some())?))
    }

    /// Live processes with one of these bits.
    pub fn alive_with(&self, bits: u64) -> Vec<u32> {
        let alive = |(&pid, record): (&u32, &Record<P>)| {
            (record.alive().is_some() && Self::exit_bits(pid) & bits != 0).then_some(pid)
        };
        self.records.iter().filter_map(alive).collect()
    }

    /// Processes that `pid` started.
    pub fn children(&self, pid: u32) -> Vec<u32> {
        self.records.iter().filter(|(_, record)| record.parent == pid).map(|(&pid, _)| pid).collect()
    }

    /// Whether `ancestor` started `pid`, or a process that did, and so on. A process that has ended has no descendants,
    /// so the chain is never broken.
    pub fn descends(&self, pid: u32, ancestor: u32) -> bool {
        let mut next = pid;
        while let Some(record) = self.records.get(&next) {
            if record.parent == ancestor {
                return true;
            }
            next = record.parent;
        }
        false
    }

    /// A process has ended. Keeps its status for the parent, in place of an older child's beyond [`ENDED`], which is
    /// returned.
    pub fn end(&mut self, pid: u32, status: ExitStatus) -> Option<u32> {
        let record = self.records.get_mut(&pid)?;
        let parent = record.parent;
        record.state = State::Ended(status);
        let others = self
            .records
            .iter()
            .filter(|&(&other, record)| other != pid && record.parent == parent && record.alive().is_none());
        let mut others = others.map(|(&pid, _)| pid);
        let oldest = others.next();
        if others.count() + 1 >= ENDED
            && let Some(oldest) = oldest
        {
            self.records.remove(&oldest);
            return Some(oldest);
        }
        None
    }

    /// All of them, each after its parent: a parent's number may be the higher one when numbers have begun again.
    pub fn family_order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = Vec::new();
        let mut parents = alloc::vec![INIT];
        while let Some(parent) = parents.pop() {
            let children = self.children(parent);
            order.extend(&children);
            parents.extend(children);
        }
        order
    }

    /// Some lines of the table with numbers above `after`.
    pub fn list(&self, after: u32) -> Vec<request::Process> {
        let above = self.records.range((core::ops::Bound::Excluded(after), core::ops::Bound::Unbounded));
        above
            .take(LISTED)
            .map(|(&pid, record)| request::Process {
                pid,
                parent: record.parent,
                name: record.name.clone(),
                ended: match record.state {
                    State::Alive(_) => None,
                    State::Ended(status) => Some(status),
                },
            })
            .collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }
}
