//! Which waiters of a session are parked on a queue.
//!
//! A bit per waiter, in words of one cache line. Most processes never have more threads waiting than the first word has
//! bits, so its last bit is no waiter's: it says that a further word was ever used. A look at a queue of few waiters is
//! one load, and a zero there says that nobody sleeps.
//!
//! ```text
//! waiter of a further word              shard
//! its word |= bit                       push, pending |= bit
//! first word |= FURTHER                 fence(SeqCst)
//! fence(SeqCst)                         look at the first word: FURTHER?
//! look at pending                         look at the others
//! ```
//! FURTHER stays for good: were it taken back when the last waiter of the further words leaves, one that comes at that
//! moment could be left without it.

use crate::atomic::{AtomicU64, Ordering};

/// Words of a queue's parked waiters.
pub const PARKED_WORDS: usize = 8;
/// The number that is no waiter's.
pub const NO_WAITER: u32 = 63;
const FURTHER: u64 = 1 << NO_WAITER;

/// The waiters that are parked on a queue.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Parked {
    words: [AtomicU64; PARKED_WORDS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Parked>() == 64);

/// The word of a waiter and its bit there.
#[inline]
const fn place(number: u32) -> (usize, u64) {
    (number as usize / 64 % PARKED_WORDS, 1 << (number & 63))
}

impl Parked {
    /// Client: this waiter is parked, once it has [announced itself](crate::park::Waiter::announce).
    #[inline]
    pub fn add(&self, number: u32) {
        if number < NO_WAITER {
            self.words[0].fetch_or(1 << number, Ordering::AcqRel);
        } else {
            self.add_further(number);
        }
    }

    #[cold]
    fn add_further(&self, number: u32) {
        let (word, bit) = place(number);
        self.words[word].fetch_or(bit, Ordering::AcqRel);
        self.words[0].fetch_or(FURTHER, Ordering::AcqRel);
    }

    /// Client: it is not any more.
    #[inline]
    pub fn remove(&self, number: u32) {
        let (word, bit) = place(number);
        self.words[word].fetch_and(!bit, Ordering::AcqRel);
    }

    /// Whether nobody is for certain: one load.
    #[inline]
    pub fn looks_empty(&self) -> bool {
        self.words[0].load(Ordering::Relaxed) == 0
    }

    /// How many are.
    pub fn count(&self) -> u32 {
        (0..PARKED_WORDS).map(|word| self.waiters(word).count_ones()).sum()
    }

    /// The first, in rotation after number `last`, that `choose` takes.
    #[inline]
    pub fn find(&self, last: u32, mut choose: impl FnMut(u32) -> bool) -> Option<u32> {
        let parked = self.words[0].load(Ordering::Acquire);
        if parked == 0 {
            return None;
        }
        if parked & FURTHER != 0 {
            return self.find_further(last, &mut choose);
        }
        let first = last.wrapping_add(1) & 63;
        let mut rest = parked.rotate_right(first);
        while rest != 0 {
            let number = (rest.trailing_zeros() + first) & 63;
            rest &= rest - 1;
            if choose(number) {
                return Some(number);
            }
        }
        None
    }

    #[cold]
    fn find_further(&self, last: u32, choose: &mut dyn FnMut(u32) -> bool) -> Option<u32> {
        let first = last.wrapping_add(1);
        let (begin, bit) = place(first);
        // The word where the rotation begins is looked at twice: from the beginning on, and at last what is before it.
        let after = !(bit - 1);
        for step in 0..=PARKED_WORDS {
            let word = (begin + step) % PARKED_WORDS;
            let among = match step {
                0 => after,
                PARKED_WORDS => !after,
                _ => u64::MAX,
            };
            let mut rest = self.waiters(word) & among;
            while rest != 0 {
                let number = word as u32 * 64 + rest.trailing_zeros();
                rest &= rest - 1;
                if choose(number) {
                    return Some(number);
                }
            }
        }
        None
    }

    fn waiters(&self, word: usize) -> u64 {
        let none = if word == 0 { FURTHER } else { 0 };
        self.words[word].load(Ordering::Acquire) & !none
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    /// Everybody who is parked, in the order of the rotation.
    fn everybody(parked: &Parked, last: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let none = parked.find(last, |number| {
            found.push(number);
            false
        });
        assert_eq!(none, None);
        found
    }

    #[test]
    fn each_number_is_found_in_rotation_whatever_others_are_parked() {
        let numbers = [0, 1, 31, 62, 64, 65, 127, 128, 300, 511];
        for chosen in 0..1_u32 << numbers.len() {
            let those: BTreeSet<u32> =
                (0..numbers.len()).filter(|at| chosen & 1 << at != 0).map(|at| numbers[at]).collect();
            let parked = Parked::default();
            those.iter().for_each(|&number| parked.add(number));
            assert_eq!(parked.count() as usize, those.len());
            // Nobody of a further word was chosen before any was parked.
            let chosen_before =
                |last: &u32| *last < NO_WAITER || those.iter().any(|&number| number > NO_WAITER);
            for last in [0, 1, 30, 61, 62, 64, 127, 300, 510, 511, u32::MAX].into_iter().filter(chosen_before)
            {
                let after = those.iter().filter(|&&number| number > last);
                let before = those.iter().filter(|&&number| number <= last);
                let expected: Vec<u32> = match last {
                    u32::MAX => those.iter().copied().collect(),
                    _ => after.chain(before).copied().collect(),
                };
                assert_eq!(everybody(&parked, last), expected, "after {last}");
            }
            those.iter().for_each(|&number| parked.remove(number));
            assert_eq!((parked.count(), everybody(&parked, 0)), (0, Vec::new()));
        }
    }

    #[test]
    fn a_queue_that_nobody_waits_on_is_known_by_one_word() {
        let parked = Parked::default();
        assert!(parked.looks_empty());
        parked.add(5);
        assert!(!parked.looks_empty());
        parked.remove(5);
        assert!(parked.looks_empty());
        parked.add(64);
        parked.remove(64);
        assert!(!parked.looks_empty(), "the further words are looked at from now on");
    }
}
