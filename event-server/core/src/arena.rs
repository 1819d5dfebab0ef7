//! Numbered things whose numbers are used again, with a generation that tells the uses apart.

use abi::error::{ENOMEM, Error, Result};
use alloc::vec::Vec;
use event_protocol::badge::GENERATION_MAX;

/// No index.
pub const NONE: u32 = u32::MAX;

/// Entries that a table grows by at most before that is a quarter.
const SMALL: usize = 256;

/// A table of `T`.
#[derive(Debug)]
pub struct Arena<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Arena { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Arena<T> {
    /// Makes room for one more. ENOMEM; R55: what peers ask for never runs into an allocation that cannot fail.
    pub fn reserve(&mut self) -> Result<()> {
        if self.free.is_empty() && self.entries.len() >= self.entries.capacity().min(self.free.capacity()) {
            // A large one by a quarter: what a table has besides what it holds is part of what its entries cost.
            let more = (self.entries.len() / 4).max(self.entries.len().clamp(4, SMALL));
            let failed = |_| Error::new(ENOMEM);
            // Taking out never has to allocate.
            self.free.try_reserve_exact(self.entries.len() + more).map_err(failed)?;
            self.entries.try_reserve_exact(more).map_err(failed)?;
        }
        Ok(())
    }

    /// Adds what `make` builds from its index and generation, after [`Arena::reserve`].
    pub fn insert(&mut self, make: impl FnOnce(u32, u32) -> T) -> u32 {
        match self.free.pop() {
            Some(index) => {
                let entry = &mut self.entries[index as usize];
                entry.value = Some(make(index, entry.generation));
                index
            }
            None => {
                let index = self.entries.len() as u32;
                self.entries.push(Entry { generation: 1, value: Some(make(index, 1)) });
                index
            }
        }
    }

    /// Takes one out; its generation ends.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let entry = self.entries.get_mut(index as usize)?;
        let value = entry.value.take()?;
        entry.generation = if entry.generation == GENERATION_MAX { 1 } else { entry.generation + 1 };
        self.free.push(index);
        Some(value)
    }

    /// The one with this index.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&T> {
        self.entries.get(index as usize)?.value.as_ref()
    }

    /// The one with this index, to be changed.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entries.get_mut(index as usize)?.value.as_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No index is so high.
    pub fn end(&self) -> u32 {
        self.entries.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_little_more_room_than_it_was_ever_asked_for() {
        let mut arena = Arena::default();
        for count in 1..10_000 {
            arena.reserve().unwrap();
            arena.insert(|index, _| index);
            for room in [arena.entries.capacity(), arena.free.capacity()] {
                assert!((count..=count + (count / 4).max(SMALL)).contains(&room), "{room} for {count}");
            }
        }
    }

    #[test]
    fn an_index_used_again_has_another_generation() {
        let mut arena = Arena::default();
        arena.reserve().unwrap();
        let first = arena.insert(|index, generation| (index, generation));
        assert_eq!(arena.remove(first), Some((0, 1)));
        assert_eq!(arena.remove(first), None);
        let second = arena.insert(|index, generation| (index, generation));
        assert_eq!((second, arena.get(second)), (first, Some(&(0, 2))));
        assert_eq!(arena.len(), 1);
    }
}
