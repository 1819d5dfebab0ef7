//! /dev/poll, poll and select: what holds of a number now.

use std::collections::{BTreeMap, BTreeSet};

use abi::error::{EINVAL, ELOOP};
use event_protocol::descriptor::Kind;
use libkq::{Conditions, PollFd};

use super::level::Told;
use super::process::{Process, What};
use super::{Files, Refusal, Set, refuse};

/// A /dev/poll set: what is asked about each number.
#[derive(Clone, Default, Debug)]
pub struct DevPoll {
    /// Its entries.
    pub entries: BTreeMap<i32, Conditions>,
    /// Numbers that were not open when the set was asked last: until it is asked again they are that to sets around it.
    pub stale: BTreeSet<i32>,
}

impl Process {
    /// What poll and /dev/poll tell of a number (R45).
    pub fn polled(&self, fd: i32, wanted: Conditions, files: &Files) -> Told {
        if fd < 0 {
            return Told::default();
        }
        let Some(&description) = self.table.get(&fd) else { return Told::exactly(Conditions::NVAL) };
        match self.what(description) {
            What::File(file) if files[*file].kind == Kind::File => {
                Told::exactly(wanted & (Conditions::READABLE | Conditions::WRITABLE))
            }
            What::File(file) => files[*file].told(wanted),
            _ if self.pending(description, files) > 0 => Told::exactly(wanted & Conditions::READABLE),
            _ => Told::default(),
        }
    }

    /// What select tells of a number (R47); `None`: it is not open.
    pub fn selected(&self, fd: i32, wanted: Conditions, files: &Files) -> Option<Conditions> {
        let &description = self.table.get(&fd)?;
        Some(match self.what(description) {
            What::File(file) if files[*file].kind == Kind::File => {
                wanted & (Conditions::IN | Conditions::OUT)
            }
            What::File(file) => files[*file].selected(wanted),
            _ => self.polled(fd, wanted, files).must & Conditions::IN,
        })
    }

    /// A write to a /dev/poll set. An entry that asks for removal and more spoils the whole list; where a set cannot lie in this
    /// one, the entries before it are done.
    pub fn devpoll_write(&mut self, own: u64, list: &[PollFd]) -> Result<(), Refusal> {
        let spoils = |wish: &PollFd| {
            wish.fd >= 0 && wish.events.contains(Conditions::REMOVE) && wish.events != Conditions::REMOVE
        };
        refuse(if list.iter().any(spoils) { vec![EINVAL] } else { vec![] })?;
        for wish in list.iter().filter(|wish| wish.fd >= 0) {
            if wish.events == Conditions::REMOVE {
                self.devpoll(own).entries.remove(&wish.fd);
                continue;
            }
            let mut errors = Vec::new();
            if let Some(&target) = self.table.get(&wish.fd)
                && !matches!(self.what(target), What::File(_))
            {
                if target == own {
                    errors.push(EINVAL);
                }
                if self.cannot_nest(own, target) {
                    errors.push(ELOOP);
                }
            }
            refuse(errors)?;
            let open = self.table.contains_key(&wish.fd);
            let set = self.devpoll(own);
            *set.entries.entry(wish.fd).or_default() |= wish.events;
            if open {
                set.stale.remove(&wish.fd)
            } else {
                set.stale.insert(wish.fd)
            };
        }
        Ok(())
    }
}

impl DevPoll {
    /// What an entry tells.
    pub fn told(&self, fd: i32, process: &Process, files: &Files) -> Told {
        self.entries.get(&fd).map_or(Told::default(), |&wanted| process.polled(fd, wanted, files))
    }

    /// A number is closed.
    pub fn closed(&mut self, fd: i32) {
        if self.entries.contains_key(&fd) {
            self.stale.insert(fd);
        }
    }

    /// The sets among its numbers.
    pub fn inner_of(&self, process: &Process) -> Vec<u64> {
        let set = |fd: &i32| {
            let &description = process.table.get(fd)?;
            (!matches!(process.what(description), What::File(_))).then_some(description)
        };
        self.entries.keys().filter_map(set).collect()
    }
}

impl Set for DevPoll {
    fn inner(&self) -> Vec<u64> {
        Vec::new()
    }

    fn pending(&self, process: &Process, files: &Files) -> usize {
        self.entries.keys().filter(|&&fd| !self.told(fd, process, files).is_nothing()).count()
    }
}
