//! The files, their names, who has them open, and what has to be told of each act.

mod names;
mod open;
mod path;
mod remove;

use crate::directory::Directory;
use crate::node::{Body, Node, Number, Stat};
use crate::notes::Notes;
use crate::quota::Quota;
use abi::error::{EBADF, ENOENT, Error, Result};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub use open::{How, Whence};

/// What somebody who has a file open is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change<K> {
    /// An act on the file (R23's filters are not concerned).
    Note(K, Notes),
    /// The distance from where an open regular file stands to its end (R23).
    Distance {
        /// Whose.
        open: K,
        /// Bytes, negative behind the end.
        bytes: i64,
        /// The file grew: news, even to who only wants news.
        grew: bool,
    },
}

/// Most pages and names of all clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pages of [`PAGE`](crate::content::PAGE) bytes.
    pub pages: u64,
    /// Names in directories.
    pub names: u64,
}

/// File systems in memory, whose open files are known by a key of the caller's.
///
/// Every act leaves in [`FileSystem::take_changes`] what it changed for those who have files open.
pub struct FileSystem<K> {
    nodes: BTreeMap<Number, Node<K>>,
    opens: BTreeMap<K, open::Open>,
    mounts: Vec<(Box<str>, Number)>,
    next: Number,
    pages: Quota,
    names: Quota,
    changes: Vec<Change<K>>,
    /// Time in ns since 1970.
    now: u64,
}

impl<K: Copy + Ord> FileSystem<K> {
    /// Empty file systems at these absolute paths of one component each.
    pub fn new(mounts: &[&str], limits: Limits) -> FileSystem<K> {
        let mut system = FileSystem {
            nodes: BTreeMap::new(),
            opens: BTreeMap::new(),
            mounts: Vec::new(),
            next: 1,
            pages: Quota::new(limits.pages),
            names: Quota::new(limits.names),
            changes: Vec::new(),
            now: 0,
        };
        for (mount, path) in mounts.iter().enumerate() {
            let top = system.next;
            system.add(Body::Directory(Directory::new(top)), mount, 0o1777);
            system.mounts.push(((*path).into(), top));
        }
        system
    }

    /// It is `now`, in ns since 1970, as far as what follows is concerned.
    pub fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    /// What has to be told since the last call, in its order.
    pub fn take_changes(&mut self) -> Vec<Change<K>> {
        core::mem::take(&mut self.changes)
    }

    /// Pages and names in use.
    pub fn used(&self) -> (u64, u64) {
        (self.pages.used(), self.names.used())
    }

    /// Files, with a name or without.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Of a path: ENOENT and the like.
    pub fn stat(&self, from: Option<K>, path: &str) -> Result<Stat> {
        self.stat_node(self.find(from, path)?)
    }

    /// Of an open file.
    pub fn stat_open(&self, key: K) -> Result<Stat> {
        self.stat_node(self.open_of(key)?.node)
    }

    fn stat_node(&self, number: Number) -> Result<Stat> {
        let node = self.node(number)?;
        let pages = match &node.body {
            Body::Regular(content) => content.pages(),
            Body::Directory(_) => 0,
        };
        Ok(Stat {
            node: number,
            mount: node.mount,
            directory: node.is_directory(),
            mode: node.mode,
            links: node.links,
            size: node.size(),
            pages,
            times: node.times,
        })
    }

    fn add(&mut self, body: Body, mount: usize, mode: u16) -> Number {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, Node::new(body, mount, mode, self.now));
        number
    }

    fn node(&self, number: Number) -> Result<&Node<K>> {
        self.nodes.get(&number).ok_or(Error::new(ENOENT))
    }

    fn node_mut(&mut self, number: Number) -> Result<&mut Node<K>> {
        self.nodes.get_mut(&number).ok_or(Error::new(ENOENT))
    }

    fn open_of(&self, key: K) -> Result<&open::Open> {
        self.opens.get(&key).ok_or(Error::new(EBADF))
    }

    fn open_mut(&mut self, key: K) -> Result<&mut open::Open> {
        self.opens.get_mut(&key).ok_or(Error::new(EBADF))
    }

    /// Tells all who have a file open of an act.
    fn post(&mut self, number: Number, notes: Notes) {
        if let Some(node) = self.nodes.get(&number) {
            self.changes.extend(node.opens.iter().map(|&open| Change::Note(open, notes)));
        }
    }

    /// Tells all who have a file open how far they are from its end now.
    fn tell_distances(&mut self, number: Number, grew: bool) {
        let Some(node) = self.nodes.get(&number) else { return };
        for &open in &node.opens {
            if let Some(state) = self.opens.get(&open) {
                self.changes.push(Change::Distance { open, bytes: state.distance(node), grew });
            }
        }
    }

    /// Frees a file that has neither names nor users.
    fn free_if_unused(&mut self, number: Number) {
        let unused = |node: &Node<K>| node.links == 0 && node.opens.is_empty();
        if !self.nodes.get(&number).is_some_and(unused) {
            return;
        }
        if let Some(Node { body: Body::Regular(mut content), .. }) = self.nodes.remove(&number) {
            // Shorter is always possible.
            _ = content.resize(0, &mut self.pages);
        }
    }
}
