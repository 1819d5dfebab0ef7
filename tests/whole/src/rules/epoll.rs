//! epoll: what control does to items, and what items tell.

use std::collections::BTreeMap;

use abi::error::{EBADF, EEXIST, EINVAL, ELOOP, ENODEV, ENOENT, EPERM};
use event_protocol::cell::Direction;
use event_protocol::descriptor::Kind;
use libkq::{Conditions, EpollEvent, EpollFlags, EpollOp};

use super::level::Told;
use super::process::{Process, What};
use super::{Files, Refusal, Set, refuse};

/// R32: the open description, and the number by which it was added.
pub type Key = (u64, i32);

/// A set.
#[derive(Clone, Default, Debug)]
pub struct Epoll {
    /// Its items.
    pub items: BTreeMap<Key, Item>,
}

/// An item.
#[derive(Clone, Debug)]
pub struct Item {
    flags: EpollFlags,
    /// The program's own word.
    pub data: u64,
    enabled: bool,
    /// Something has arrived for reading, for writing, since it was told last (R40).
    news: [bool; 2],
}

impl Item {
    fn new(event: EpollEvent) -> Item {
        Item { flags: event.events(), data: event.data(), enabled: true, news: [true; 2] }
    }

    /// Something arrived in a direction of its file.
    pub fn arrived(&mut self, direction: Direction) {
        self.news[usize::from(direction == Direction::Write)] = true;
    }

    /// Whether what comes for it need not wake everybody.
    pub fn is_exclusive(&self) -> bool {
        self.flags.contains(EpollFlags::EXCLUSIVE)
    }

    /// What it tells now.
    pub fn told(&self, (description, _): Key, process: &Process, files: &Files) -> Told {
        let wanted = self.flags.conditions();
        let What::File(file) = process.what(description) else {
            let readable = self.enabled && process.pending(description, files) > 0;
            return Told::exactly(if readable { wanted & Conditions::READABLE } else { Conditions::empty() });
        };
        let news = !self.flags.contains(EpollFlags::ET) || files[*file].is_news(wanted, self.news);
        if self.enabled && news { files[*file].told(wanted) } else { Told::default() }
    }
}

impl Epoll {
    /// R39, R40: what a delivery does.
    pub fn delivered(&mut self, key: Key) {
        let Some(item) = self.items.get_mut(&key) else { return };
        if item.flags.contains(EpollFlags::ET) {
            item.news = [false; 2];
        }
        if item.flags.contains(EpollFlags::ONESHOT) {
            item.enabled = false;
        }
    }

    /// R32: an open description is closed.
    pub fn closed(&mut self, description: u64) {
        self.items.retain(|&(own, _), _| own != description);
    }
}

impl Process {
    /// `epoll_ctl(2)`. The errors of which it must give one.
    pub fn control(
        &mut self,
        epfd: i32,
        op: EpollOp,
        fd: i32,
        event: EpollEvent,
        files: &Files,
    ) -> Result<(), Refusal> {
        let (Some(&own), Some(&target)) = (self.table.get(&epfd), self.table.get(&fd)) else {
            return Err(vec![EBADF]);
        };
        let What::Epoll(set) = self.what(own) else { return Err(vec![EINVAL]) };
        let (key, flags) = ((target, fd), event.events());
        let mut errors = Vec::new();
        if target == own {
            errors.push(EINVAL);
        }
        let file = match self.what(target) {
            What::File(file) => Some(&files[*file]),
            _ => None,
        };
        if file.is_some_and(|file| file.kind == Kind::File) {
            errors.push(EPERM);
        }
        let exclusive = flags.contains(EpollFlags::EXCLUSIVE);
        match (op, set.items.get(&key)) {
            (EpollOp::Add, Some(_)) => errors.push(EEXIST),
            (EpollOp::Add, None) => {
                // R43.
                if exclusive && (!EpollFlags::WITH_EXCLUSIVE.contains(flags) || file.is_none()) {
                    errors.push(EINVAL);
                }
                if file.is_some_and(|file| file.gone) {
                    errors.push(ENODEV);
                }
                if file.is_none() && self.cannot_nest(own, target) {
                    errors.push(ELOOP);
                }
            }
            (_, None) => {
                errors.push(ENOENT);
                if file.is_some_and(|file| file.gone) {
                    errors.push(ENODEV);
                }
            }
            (EpollOp::Modify, Some(item)) => {
                if exclusive || item.flags.contains(EpollFlags::EXCLUSIVE) {
                    errors.push(EINVAL);
                }
            }
            (EpollOp::Delete, Some(_)) => {}
        }
        refuse(errors)?;
        let set = self.epoll(own);
        match op {
            EpollOp::Delete => drop(set.items.remove(&key)),
            // R39: armed again, and what is there is news.
            EpollOp::Add | EpollOp::Modify => drop(set.items.insert(key, Item::new(event))),
        }
        Ok(())
    }
}

impl Set for Epoll {
    fn inner(&self) -> Vec<u64> {
        self.items.keys().map(|&(description, _)| description).collect()
    }

    fn pending(&self, process: &Process, files: &Files) -> usize {
        self.items.iter().filter(|&(&key, item)| !item.told(key, process, files).is_nothing()).count()
    }
}
