//! Sets of descriptor numbers, without a limit.

use alloc::vec::Vec;

const BITS: usize = u64::BITS as usize;

/// Numbers of descriptors: `fd_set`, of any size. `select(2)`.
///
/// ```
/// use libkq::poll::FdSet;
///
/// let set: FdSet = [3, 5000].into_iter().collect();
/// assert!(set.contains(5000) && !set.contains(4));
/// assert_eq!(set.iter().collect::<Vec<_>>(), [3, 5000]);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FdSet {
    words: Vec<u64>,
}

impl FdSet {
    /// No number.
    pub const fn new() -> FdSet {
        FdSet { words: Vec::new() }
    }

    /// The numbers whose bits are set in words, lowest first.
    pub fn from_words(words: &[u64]) -> FdSet {
        FdSet { words: words.to_vec() }
    }

    /// The numbers as bits. Words beyond the given ones are cut.
    pub fn to_words(&self, words: &mut [u64]) {
        for (at, word) in words.iter_mut().enumerate() {
            *word = self.words.get(at).copied().unwrap_or(0);
        }
    }

    /// How many words hold all numbers, perhaps with some empty ones at the end.
    pub(super) fn words(&self) -> usize {
        self.words.len()
    }

    /// The numbers from 64 * `at` on, as bits.
    pub(super) fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    /// Adds a number; a negative one is none.
    pub fn insert(&mut self, fd: i32) {
        let Ok(fd) = usize::try_from(fd) else { return };
        if self.words.len() <= fd / BITS {
            self.words.resize(fd / BITS + 1, 0);
        }
        self.words[fd / BITS] |= 1 << (fd % BITS);
    }

    /// Removes a number.
    pub fn remove(&mut self, fd: i32) {
        if let Ok(fd) = usize::try_from(fd)
            && let Some(word) = self.words.get_mut(fd / BITS)
        {
            *word &= !(1 << (fd % BITS));
        }
    }

    /// Whether a number is in it.
    pub fn contains(&self, fd: i32) -> bool {
        let bit = |fd: usize| self.words.get(fd / BITS).is_some_and(|word| word & 1 << (fd % BITS) != 0);
        usize::try_from(fd).is_ok_and(bit)
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// How many numbers are in it.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether none is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = i32> + Clone + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let bits = core::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)));
            bits.take_while(|&rest| rest != 0)
                .map(move |rest| (at * BITS) as i32 + rest.trailing_zeros() as i32)
        })
    }
}

impl FromIterator<i32> for FdSet {
    fn from_iter<T: IntoIterator<Item = i32>>(numbers: T) -> FdSet {
        let mut set = FdSet::new();
        numbers.into_iter().for_each(|fd| set.insert(fd));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((any::<bool>(), -2i32..200), 0..80)) {
            let (mut set, mut model) = (FdSet::new(), BTreeSet::new());
            for (insert, fd) in steps {
                if insert { set.insert(fd) } else { set.remove(fd) }
                if insert && fd >= 0 { model.insert(fd); } else if !insert { model.remove(&fd); }
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len(), model.len());
            let mut words = [u64::MAX; 4];
            set.to_words(&mut words);
            prop_assert_eq!(FdSet::from_words(&words).len(), model.len());
            for fd in -2..200 {
                prop_assert_eq!(set.contains(fd), model.contains(&fd));
            }
        }
    }
}
