//! Which open files go with a program that will be started, by which numbers, and what its sets say of them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::error::{EBUSY, Error, Result};
use serde::{Deserialize, Serialize};

use crate::epoll::ItemState;

/// Names of handles of descriptors: a number follows.
pub const PREFIX: &str = "fd:";
/// Names of handles of files without a number, which sets watch: a count follows.
pub const UNNUMBERED: &str = "file:";

/// What a program is told beside its handles.
#[derive(Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Document {
    /// Numbers without handles of their own: each stands for the open file of another number, which follows it.
    pub same: Vec<(i32, i32)>,
    /// Its sets.
    pub sets: Vec<SetDocument>,
    /// Flags of the files, by the names of their handles: some may have been changed since the file was opened.
    pub flags: Vec<(String, u64)>,
}

impl Document {
    /// Whether there is nothing to be told.
    pub fn is_empty(&self) -> bool {
        self.same.is_empty() && self.sets.is_empty() && self.flags.is_empty()
    }
}

/// A set as it travels.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetDocument {
    /// Its number.
    pub number: i32,
    /// Whether it goes no further by itself.
    pub cloexec: bool,
    /// What is in it.
    pub items: Vec<ItemDocument>,
}

/// An item as it travels.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ItemDocument {
    /// Name of the handle of its file.
    pub file: String,
    /// By which number it was added.
    pub fd: i32,
    /// What it asks for.
    pub events: u32,
    /// What it tells.
    pub data: u64,
    /// False of a one-shot that was told.
    pub armed: bool,
}

/// An item of a set that shall travel.
pub struct Item<F> {
    /// What it is.
    pub state: ItemState,
    /// Its file.
    pub file: F,
    /// Whether the number by which it was added stands for its file still.
    pub numbered: bool,
}

struct Set<F> {
    description: u64,
    number: i32,
    cloexec: bool,
    items: Vec<Item<F>>,
}

/// What was asked for so far. `F` is an open file.
pub struct Plan<F> {
    files: BTreeMap<i32, (u64, F)>,
    sets: Vec<Set<F>>,
}

impl<F> Default for Plan<F> {
    fn default() -> Self {
        Plan { files: BTreeMap::new(), sets: Vec::new() }
    }
}

impl<F> Plan<F> {
    /// What has this number: the name of its description.
    fn at(&self, number: i32) -> Option<u64> {
        let set = self.sets.iter().find(|set| set.number == number).map(|set| set.description);
        self.files.get(&number).map(|(description, _)| *description).or(set)
    }

    /// Whether this is there already. `EBUSY`: something else has its number.
    fn has(&self, number: i32, description: u64) -> Result<bool> {
        match self.at(number) {
            Some(other) if other != description => Err(Error::new(EBUSY)),
            found => Ok(found.is_some()),
        }
    }

    /// A file, of the description of this name, goes as `number`. `EBUSY`: something else does.
    pub fn file(&mut self, number: i32, description: u64, file: F) -> Result<()> {
        if !self.has(number, description)? {
            self.files.insert(number, (description, file));
        }
        Ok(())
    }

    /// The same of a set.
    pub fn set(&mut self, number: i32, description: u64, cloexec: bool, items: Vec<Item<F>>) -> Result<()> {
        if !self.has(number, description)? {
            self.sets.push(Set { description, number, cloexec, items });
        }
        Ok(())
    }

    /// The files that go by handles, with the names of these, and what the program is told. Numbers that were asked for
    /// go before those by which files of sets come along, in whatever order it was.
    pub fn finish(&self) -> (Vec<(String, &F)>, Document) {
        let taken: BTreeSet<i32> = self.sets.iter().map(|set| set.number).collect();
        let mut numbers: BTreeMap<i32, (u64, &F)> =
            self.files.iter().map(|(&number, (description, file))| (number, (*description, file))).collect();
        let items = || self.sets.iter().flat_map(|set| &set.items);
        for item in items().filter(|item| item.numbered && !taken.contains(&item.state.fd)) {
            numbers.entry(item.state.fd).or_insert((item.state.description, &item.file));
        }
        let mut document = Document::default();
        // By which number a description goes: the others are the same open file.
        let mut first = BTreeMap::new();
        let mut names: BTreeMap<u64, String> = BTreeMap::new();
        let mut handles = Vec::new();
        for (&number, &(description, file)) in &numbers {
            let own = *first.entry(description).or_insert(number);
            if own == number {
                let name = format!("{PREFIX}{number}");
                names.insert(description, name.clone());
                handles.push((name, file));
            } else {
                document.same.push((number, own));
            }
        }
        for set in &self.sets {
            let mut told = Vec::with_capacity(set.items.len());
            for Item { state: ItemState { description, fd, event, armed }, file, .. } in &set.items {
                let name = names.entry(*description).or_insert_with(|| {
                    let name = format!("{UNNUMBERED}{}", handles.len());
                    handles.push((name.clone(), file));
                    name
                });
                let (events, data) = (event.events().bits(), event.data());
                told.push(ItemDocument { file: name.clone(), fd: *fd, events, data, armed: *armed });
            }
            document.sets.push(SetDocument { number: set.number, cloexec: set.cloexec, items: told });
        }
        (handles, document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoll::EpollEvent;

    /// An item on the description of this name; the file is called the same.
    fn item(description: u64, fd: i32, numbered: bool) -> Item<u64> {
        let state = ItemState { description, fd, event: EpollEvent::default(), armed: true };
        Item { state, file: description, numbered }
    }

    /// The handles and the numbers that are the same, and of each set the files of its items.
    type Planned = (Vec<(String, u64)>, Vec<(i32, i32)>, Vec<(i32, Vec<String>)>);

    fn planned(plan: &Plan<u64>) -> Planned {
        let (handles, document) = plan.finish();
        let handles = handles.into_iter().map(|(name, file)| (name, *file)).collect();
        let files = |set: SetDocument| (set.number, set.items.into_iter().map(|item| item.file).collect());
        (handles, document.same, document.sets.into_iter().map(files).collect())
    }

    fn named(handles: &[(&str, u64)]) -> Vec<(String, u64)> {
        handles.iter().map(|&(name, file)| (name.into(), file)).collect()
    }

    #[test]
    fn r32_numbers_of_one_description_are_one_file_there_too() {
        let mut plan = Plan::default();
        plan.file(0, 7, 7).unwrap();
        plan.set(3, 9, false, vec![item(7, 2, true)]).unwrap();
        let (handles, same, sets) = planned(&plan);
        assert_eq!(handles, named(&[("fd:0", 7)]));
        assert_eq!(same, [(2, 0)], "closing one of them leaves the item");
        assert_eq!(sets, [(3, vec!["fd:0".to_string()])]);
    }

    #[test]
    fn what_is_asked_for_goes_before_what_comes_along() {
        for set_first in [true, false] {
            let mut plan = Plan::default();
            let set = |plan: &mut Plan<u64>| plan.set(3, 9, false, vec![item(7, 0, true)]).unwrap();
            if set_first {
                set(&mut plan);
            }
            plan.file(0, 8, 8).unwrap();
            if !set_first {
                set(&mut plan);
            }
            let (handles, same, sets) = planned(&plan);
            assert_eq!(handles, named(&[("fd:0", 8), ("file:1", 7)]));
            assert_eq!((same, sets), (vec![], vec![(3, vec!["file:1".to_string()])]));
        }
    }

    #[test]
    fn a_set_has_its_number_whatever_comes_along() {
        let mut plan = Plan::default();
        plan.set(3, 9, false, vec![item(7, 3, true), item(8, 4, true)]).unwrap();
        // The second set's file has the number of the first.
        plan.set(5, 10, true, vec![item(8, 4, true), item(6, 5, false)]).unwrap();
        let (handles, same, sets) = planned(&plan);
        assert_eq!(handles, named(&[("fd:4", 8), ("file:1", 7), ("file:2", 6)]));
        assert_eq!(same, []);
        let names = |names: [&str; 2]| names.map(String::from).to_vec();
        assert_eq!(sets, [(3, names(["file:1", "fd:4"])), (5, names(["fd:4", "file:2"]))]);
    }

    #[test]
    fn two_things_of_one_number_are_refused_at_once() {
        let busy = Err(Error::new(EBUSY));
        let mut plan = Plan::default();
        plan.file(0, 7, 7).unwrap();
        plan.set(3, 9, false, vec![]).unwrap();
        assert_eq!(plan.file(0, 8, 8), busy);
        assert_eq!(plan.file(3, 8, 8), busy);
        assert_eq!(plan.set(0, 9, false, vec![]), busy);
        assert_eq!(plan.set(3, 10, false, vec![]), busy);
        // The same again is no news.
        assert_eq!(plan.file(0, 7, 7), Ok(()));
        assert_eq!(plan.set(3, 9, false, vec![]), Ok(()));
        let (handles, _, sets) = planned(&plan);
        assert_eq!((handles, sets), (named(&[("fd:0", 7)]), vec![(3, vec![])]));
    }
}
