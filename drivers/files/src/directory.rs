//! A directory: names, and an order in which they are listed that additions and removals do not disturb.

use crate::node::Number;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::ops::Bound;

/// Bytes of a name.
pub const MAX_NAME: usize = 255;

/// A name in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it names.
    pub node: Number,
    /// Who made the name, and pays.
    pub payer: u64,
    /// Its place in the listing.
    cookie: u64,
}

/// The names of a directory, but for `.` and `..`.
#[derive(Debug)]
pub struct Directory {
    /// The directory that this one is in; the top is in itself.
    pub parent: Number,
    entries: BTreeMap<Box<str>, Entry>,
    order: BTreeMap<u64, Box<str>>,
    next: u64,
}

impl Directory {
    /// An empty one.
    pub fn new(parent: Number) -> Directory {
        Directory { parent, entries: BTreeMap::new(), order: BTreeMap::new(), next: 1 }
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<Entry> {
        self.entries.get(name).copied()
    }

    /// Adds a name that is not there yet, behind all others.
    pub fn insert(&mut self, name: &str, node: Number, payer: u64) {
        let cookie = self.next;
        self.next += 1;
        self.entries.insert(name.into(), Entry { node, payer, cookie });
        self.order.insert(cookie, name.into());
    }

    /// Lets a name stand for something else, in its place.
    pub fn replace(&mut self, name: &str, node: Number) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.node = node;
        }
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &str) -> Option<Entry> {
        let entry = self.entries.remove(name)?;
        self.order.remove(&entry.cookie);
        Some(entry)
    }

    /// The first name behind a cookie (0 is the start), with its own cookie: every name that is there all the time is
    /// met once, whatever comes and goes in between.
    pub fn after(&self, cookie: u64) -> Option<(u64, &str, Number)> {
        let (&cookie, name) = self.order.range((Bound::Excluded(cookie), Bound::Unbounded)).next()?;
        Some((cookie, name, self.entries.get(name)?.node))
    }

    /// Names in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_meets_every_name_that_stays_once() {
        let mut directory = Directory::new(1);
        for name in ["d", "c", "b", "a"] {
            directory.insert(name, 2, 0);
        }
        let (first, name, _) = directory.after(0).unwrap();
        assert_eq!(name, "d");
        directory.remove("d");
        directory.remove("c");
        directory.insert("e", 3, 0);
        directory.replace("b", 9);
        let (second, name, node) = directory.after(first).unwrap();
        assert_eq!((name, node), ("b", 9));
        let (third, _, _) = directory.after(second).unwrap();
        assert_eq!(directory.after(third).map(|(_, name, _)| name), Some("e"));
        assert_eq!(directory.after(u64::MAX), None);
    }
}
