//! Events in places that many threads take from.
//!
//! A thread *claims* an event, reads it where it lies, and *commits* it: only then is the place free. A claim that is given
//! back, or whose thread is dead ([`Ring::recover`]), makes the event ready again, for anybody. A commit that comes after
//! that fails, so every event is committed once at most, and none is lost.
//!
//! One word of a place says all: what it is in, for how manieth time it is used, and whose the claim is.
//!
//! ```text
//! free ──put──► ready ──claim──► claimed ──commit──► free (next use)
//!                 ▲                 │ │
//!                 └─give back, recover│
//!                                   └─forget──► last ──commit, give back, recover──► free (next use)
//! ```
//! Every arrow but `put` is one compare-and-swap on that word, so of two threads that want different arrows one loses and
//! looks again. The event is written while the place is free, by the one who may put, and published with the word.
#![cfg_attr(not(any(test, loom)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// Words of an event.
pub const WORDS: usize = 4;

/// An event.
pub type Event = [u64; WORDS];

const FREE: u64 = 0;
const READY: u64 = 1;
const CLAIMED: u64 = 2;
/// Claimed, and free when the claim ends, however it ends.
const LAST: u64 = 3;

const KIND: u64 = 0b11;
const USE: u64 = 0xffff_fffc;

/// The word of a place: kind, use, and from bit 32 on the owner of the claim.
fn word(kind: u64, of: u64, owner: u32) -> u64 {
    u64::from(owner) << 32 | of & USE | kind
}

fn kind(word: u64) -> u64 {
    word & KIND
}

fn owner(word: u64) -> u32 {
    (word >> 32) as u32
}

/// The next use of a place.
fn freed(of: u64) -> u64 {
    word(FREE, of.wrapping_add(KIND + 1), 0)
}

#[derive(Debug)]
struct Place {
    word: AtomicU64,
    event: [AtomicU64; WORDS],
}

impl Place {
    fn new() -> Place {
        Place { word: AtomicU64::new(FREE), event: core::array::from_fn(|_| AtomicU64::new(0)) }
    }

    fn look(&self) -> u64 {
        self.word.load(Ordering::Acquire)
    }

    fn replace(&self, before: u64, after: u64) -> bool {
        self.word.compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn event(&self) -> Event {
        core::array::from_fn(|at| self.event[at].load(Ordering::Relaxed))
    }
}

/// A claim on the event in a place. It must be ended: with [`commit`](Ring::commit) or [`give_back`](Ring::give_back).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Claim {
    index: u32,
    word: u64,
}

impl Claim {
    /// Which place.
    pub fn index(&self) -> u32 {
        self.index
    }
}

/// The places.
#[derive(Debug)]
pub struct Ring {
    places: Box<[Place]>,
    /// Where the search for a ready event begins, so that none waits for ever.
    next: AtomicU64,
}

impl Ring {
    /// So many places.
    pub fn new(places: usize) -> Ring {
        Ring { places: (0..places).map(|_| Place::new()).collect(), next: AtomicU64::new(0) }
    }

    /// Puts an event into a free place; false when there is none. One thread at a time may put.
    pub fn put(&self, event: Event) -> bool {
        for place in &self.places {
            let before = place.look();
            if kind(before) != FREE {
                continue;
            }
            for (word, value) in place.event.iter().zip(event) {
                word.store(value, Ordering::Relaxed);
            }
            place.word.store(word(READY, before, 0), Ordering::Release);
            return true;
        }
        false
    }

    /// Places that are free. Only whoever may put can rely on it.
    pub fn room(&self) -> usize {
        self.places.iter().filter(|place| kind(place.look()) == FREE).count()
    }

    /// Whether an event is ready, for whoever claims it first.
    pub fn has_ready(&self) -> bool {
        self.places.iter().any(|place| kind(place.look()) == READY)
    }

    /// Claims a ready event for `owner`.
    pub fn claim(&self, owner: u32) -> Option<Claim> {
        let count = self.places.len();
        let first = self.next.load(Ordering::Relaxed) as usize;
        for step in 0..count {
            let index = first.wrapping_add(step) % count;
            let place = &self.places[index];
            let before = place.look();
            let claimed = word(CLAIMED, before, owner);
            if kind(before) == READY && place.replace(before, claimed) {
                self.next.store(index as u64 + 1, Ordering::Relaxed);
                return Some(Claim { index: index as u32, word: claimed });
            }
        }
        None
    }

    /// The event of a claim that has not ended.
    pub fn event(&self, claim: &Claim) -> Event {
        self.places[claim.index as usize].event()
    }

    /// Ends a claim: the event is done. False when it had been taken away, and is another's to do.
    pub fn commit(&self, claim: Claim) -> bool {
        let place = &self.places[claim.index as usize];
        let last = claim.word & !KIND | LAST;
        place.replace(claim.word, freed(claim.word)) || place.replace(last, freed(claim.word))
    }

    /// Ends a claim without having done the event. True when it is ready again, so that somebody should be told.
    pub fn give_back(&self, claim: Claim) -> bool {
        let place = &self.places[claim.index as usize];
        if place.replace(claim.word, word(READY, claim.word, 0)) {
            return true;
        }
        place.replace(claim.word & !KIND | LAST, freed(claim.word));
        false
    }

    /// Takes away the claims of an owner that is no more. Returns how many events are ready again.
    pub fn recover(&self, dead: u32) -> usize {
        let mut ready = 0;
        for (index, place) in self.places.iter().enumerate() {
            let before = place.look();
            if owner(before) != dead || kind(before) < CLAIMED {
                continue;
            }
            let claim = Claim { index: index as u32, word: before & !KIND | CLAIMED };
            ready += usize::from(self.give_back(claim));
        }
        ready
    }

    /// Drops such events: after the return none is claimed any more. Those that are claimed now are the last time.
    pub fn forget(&self, such: impl Fn(&Event) -> bool) {
        for place in &self.places {
            loop {
                let before = place.look();
                if kind(before) == FREE || kind(before) == LAST {
                    break;
                }
                // When the place is used for another event meanwhile, its word is another too.
                let after = if kind(before) == READY { freed(before) } else { before & !KIND | LAST };
                let found = such(&place.event());
                // The event was read before the word is looked at again.
                fence(Ordering::Acquire);
                let settled = if found { place.replace(before, after) } else { place.look() == before };
                if settled {
                    break;
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Put(u64),
        Claim(u32),
        Commit(usize),
        GiveBack(usize),
        Recover(u32),
        Forget(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..4u64).prop_map(Step::Put),
            3 => (1..4u32).prop_map(Step::Claim),
            2 => (0..8usize).prop_map(Step::Commit),
            1 => (0..8usize).prop_map(Step::GiveBack),
            1 => (1..4u32).prop_map(Step::Recover),
            1 => (0..4u64).prop_map(Step::Forget),
        ]
    }

    /// What is known of an event.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum State {
        Ready,
        Claimed(Claim, u32),
        Last(Claim, u32),
    }

    proptest! {
        #[test]
        fn every_event_is_in_one_state_and_committed_once(steps in prop::collection::vec(step(), 0..80)) {
            let ring = Ring::new(4);
            let mut events: BTreeMap<u64, (u64, State)> = BTreeMap::new();
            let mut ended: Vec<Claim> = Vec::new();
            let mut number = 0;
            for step in steps {
                let claims: Vec<(u64, Claim)> = events.iter().filter_map(|(&number, &(_, state))| match state {
                    State::Claimed(claim, _) | State::Last(claim, _) => Some((number, claim)),
                    State::Ready => None,
                }).collect();
                match step {
                    Step::Put(key) => {
                        number += 1;
                        prop_assert_eq!(ring.room(), 4 - events.len());
                        prop_assert_eq!(ring.put([key, number, 0, 0]), events.len() < 4);
                        if events.len() < 4 {
                            events.insert(number, (key, State::Ready));
                        }
                    }
                    Step::Claim(owner) => {
                        let any = events.values().any(|&(_, state)| state == State::Ready);
                        let claim = ring.claim(owner);
                        prop_assert_eq!(claim.is_some(), any);
                        if let Some(claim) = claim {
                            let [key, number, ..] = ring.event(&claim);
                            let known = events.get_mut(&number).unwrap();
                            prop_assert_eq!(*known, (key, State::Ready));
                            known.1 = State::Claimed(claim, owner);
                        }
                    }
                    Step::Commit(at) => if let Some(&(number, claim)) = claims.get(at) {
                        prop_assert!(ring.commit(claim));
                        events.remove(&number);
                        ended.push(claim);
                    },
                    Step::GiveBack(at) => if let Some(&(number, claim)) = claims.get(at) {
                        let last = matches!(events[&number].1, State::Last(..));
                        prop_assert_eq!(ring.give_back(claim), !last);
                        if last { events.remove(&number); } else { events.get_mut(&number).unwrap().1 = State::Ready; }
                    },
                    Step::Recover(dead) => {
                        let mut ready = 0;
                        events.retain(|_, (_, state)| match *state {
                            State::Claimed(_, owner) if owner == dead => { ready += 1; *state = State::Ready; true }
                            State::Last(_, owner) => owner != dead,
                            _ => true,
                        });
                        prop_assert_eq!(ring.recover(dead), ready);
                    }
                    Step::Forget(gone) => {
                        ring.forget(|event| event[0] == gone);
                        events.retain(|_, (key, state)| match *state {
                            State::Ready => *key != gone,
                            State::Claimed(claim, owner) if *key == gone => { *state = State::Last(claim, owner); true }
                            _ => true,
                        });
                    }
                }
                for claim in &ended {
                    prop_assert!(!ring.commit(*claim), "committed twice");
                }
            }
        }
    }

    #[test]
    fn a_commit_after_the_claim_was_taken_away_fails() {
        let ring = Ring::new(1);
        assert!(ring.put([1, 2, 3, 4]));
        let slow = ring.claim(5).unwrap();
        assert_eq!(ring.recover(5), 1);
        let other = ring.claim(5).unwrap();
        assert_eq!(ring.event(&other), [1, 2, 3, 4]);
        // The same thread again is another claim only if the words differ: the place knows its use, not the claim.
        assert!(ring.commit(other));
        assert!(!ring.commit(slow));
    }
}
