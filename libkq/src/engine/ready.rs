//! A queue's ready list: first in, first out, linked by index, so that a harvest allocates nothing.

use alloc::vec::Vec;

use abi::error::{ENOMEM, Error, Result};

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

/// Indices in the order in which they became ready. An index is in the list at most once; the owner knows whether it is.
#[derive(Debug)]
pub struct ReadyList {
    head: u32,
    tail: u32,
    links: Vec<Link>,
}

impl ReadyList {
    /// An empty list.
    pub const fn new() -> ReadyList {
        ReadyList { head: NONE, tail: NONE, links: Vec::new() }
    }

    /// Makes room for indices below `count`, so that [`push`](Self::push) of one allocates nothing. `ENOMEM` (R55).
    pub fn reserve(&mut self, count: usize) -> Result<()> {
        if let Some(more) = count.checked_sub(self.links.len()) {
            self.links.try_reserve(more).map_err(|_| Error::new(ENOMEM))?;
            self.links.resize(count, Link { previous: NONE, next: NONE });
        }
        Ok(())
    }

    /// The first, which stays in the list.
    #[inline]
    pub fn first(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    /// The one after an index that is in the list.
    pub fn next(&self, index: u32) -> Option<u32> {
        let next = self.links[index as usize].next;
        (next != NONE).then_some(next)
    }

    /// The last, which stays in the list.
    #[inline]
    pub fn last(&self) -> Option<u32> {
        (self.tail != NONE).then_some(self.tail)
    }

    /// Whether nothing is in the list.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head == NONE
    }

    /// Appends an index that is not in the list.
    #[inline]
    pub fn push(&mut self, index: u32) {
        self.links[index as usize] = Link { previous: self.tail, next: NONE };
        match self.tail {
            NONE => self.head = index,
            tail => self.links[tail as usize].next = index,
        }
        self.tail = index;
    }

    /// Takes out an index that is in the list.
    #[inline]
    pub fn remove(&mut self, index: u32) {
        let Link { previous, next } = self.links[index as usize];
        match previous {
            NONE => self.head = next,
            previous => self.links[previous as usize].next = next,
        }
        match next {
            NONE => self.tail = previous,
            next => self.links[next as usize].previous = previous,
        }
    }

    /// Moves an index that is in the list to its end.
    #[inline]
    pub fn rotate(&mut self, index: u32) {
        if index != self.tail {
            self.remove(index);
            self.push(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn behaves_like_a_deque(steps in prop::collection::vec((0..3u8, 0..8u32), 0..200)) {
            let mut list = ReadyList::new();
            list.reserve(8).unwrap();
            let mut model = VecDeque::new();
            for (step, index) in steps {
                let at = model.iter().position(|&other| other == index);
                match (step, at) {
                    (0, None) => { list.push(index); model.push_back(index); }
                    (1, Some(at)) => { list.remove(index); model.remove(at); }
                    (2, Some(at)) => { list.rotate(index); model.remove(at); model.push_back(index); }
                    _ => {}
                }
                prop_assert_eq!(list.first(), model.front().copied());
                prop_assert_eq!(list.last(), model.back().copied());
                prop_assert_eq!(list.is_empty(), model.is_empty());
            }
            for index in model {
                prop_assert_eq!(list.first(), Some(index));
                list.remove(index);
            }
            prop_assert!(list.is_empty());
        }
    }
}
