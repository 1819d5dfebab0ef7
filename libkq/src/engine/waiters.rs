//! Who sleeps: the waiter records of the session, lent to threads for the time of one wait.
//!
//! A record belongs to a wait and not to a thread, so a process needs as many as it has threads that wait at once, and a
//! thread that ends leaves nothing behind.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use event_protocol::park::MAX_WAITERS;
use event_protocol::parked::{NO_WAITER, PARKED_WORDS};

/// Which records are lent and to whom, which have their notification, and whose wait was interrupted.
#[derive(Debug)]
pub struct Seats {
    taken: [AtomicU64; PARKED_WORDS],
    registered: [AtomicU64; PARKED_WORDS],
    /// The thread that has the record, 0 for none.
    threads: [AtomicU64; MAX_WAITERS],
    /// What the thread waits for: a number of its caller's.
    places: [AtomicU64; MAX_WAITERS],
    /// How often the record was lent, and in the lowest bit whether that wait was interrupted: in one word, so that an
    /// interruption that comes late is nobody's, and not the next one's.
    turns: [AtomicU64; MAX_WAITERS],
}

/// In a turn: it was interrupted.
const INTERRUPTED: u64 = 1;

impl Default for Seats {
    fn default() -> Self {
        Seats::new()
    }
}

/// A record for one wait, given back when dropped.
#[derive(Debug)]
pub struct Seat<'a> {
    seats: &'a Seats,
    number: u32,
}

impl Seats {
    /// All free, none registered.
    pub const fn new() -> Seats {
        let mut taken = [const { AtomicU64::new(0) }; PARKED_WORDS];
        taken[NO_WAITER as usize / 64] = AtomicU64::new(1 << (NO_WAITER % 64));
        Seats {
            taken,
            registered: [const { AtomicU64::new(0) }; PARKED_WORDS],
            threads: [const { AtomicU64::new(0) }; MAX_WAITERS],
            places: [const { AtomicU64::new(0) }; MAX_WAITERS],
            turns: [const { AtomicU64::new(0) }; MAX_WAITERS],
        }
    }

    /// The lowest free record; registered ones are lower, so that few are ever made. `None` when all are lent. What the
    /// caller looks at afterwards is looked at after an [`interrupt`](Seats::interrupt) of `thread` finds it. `place` says what
    /// it waits for.
    pub fn take(&self, thread: u64, place: u64) -> Option<Seat<'_>> {
        for (word, lent) in self.taken.iter().enumerate() {
            let mut taken = lent.load(Ordering::Relaxed);
            while taken != u64::MAX {
                let bit = taken.trailing_ones();
                let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
                match lent.compare_exchange_weak(taken, taken | 1 << bit, success, failure) {
                    Ok(_) => return Some(self.seat(word as u32 * 64 + bit, thread, place)),
                    Err(now) => taken = now,
                }
            }
        }
        None
    }

    #[inline]
    fn seat(&self, number: u32, thread: u64, place: u64) -> Seat<'_> {
        let turn = self.turns[number as usize].load(Ordering::Relaxed);
        let next = (turn | INTERRUPTED).wrapping_add(1);
        self.places[number as usize].store(place, Ordering::Relaxed);
        // Whoever finds this thread finds its turn.
        self.turns[number as usize].swap(next, Ordering::AcqRel);
        self.threads[number as usize].store(thread, Ordering::Release);
        fence(Ordering::SeqCst);
        Seat { seats: self, number }
    }

    /// Records that may be lent: those of words of which some are. A record is lent before it is its thread's.
    fn lent(&self) -> impl Iterator<Item = u32> {
        let words = (0..PARKED_WORDS).filter(|&word| self.taken[word].load(Ordering::Relaxed) != 0);
        words.flat_map(|word| word as u32 * 64..word as u32 * 64 + 64)
    }

    /// Marks the wait of a thread interrupted. Gives the records that must be signalled.
    pub fn interrupt(&self, thread: u64) -> impl Iterator<Item = u32> {
        fence(Ordering::SeqCst);
        self.lent()
            .filter(move |&number| self.found(number, thread).is_some_and(|turn| self.end(number, turn)))
    }

    /// The records in which a thread that is no more waited for `place`: the caller ends those waits.
    pub fn of_dead(&self, thread: u64, place: u64) -> impl Iterator<Item = Seat<'_>> {
        self.lent().filter_map(move |number| {
            let at = number as usize;
            let found = self.threads[at].load(Ordering::Acquire) == thread
                && self.places[at].load(Ordering::Relaxed) == place;
            found.then(|| Seat { seats: self, number })
        })
    }

    /// The turn in which a thread has a record.
    fn found(&self, number: u32, thread: u64) -> Option<u64> {
        let (threads, turns) = (&self.threads[number as usize], &self.turns[number as usize]);
        loop {
            let owner = threads.load(Ordering::Acquire);
            let turn = turns.load(Ordering::Acquire);
            // Both are of one wait: a later one has its own turn before its thread can be seen.
            if owner == threads.load(Ordering::Acquire) {
                return (owner == thread).then_some(turn);
            }
        }
    }

    /// Marks a turn interrupted; false when it is over, so that nobody must be told.
    fn end(&self, number: u32, turn: u64) -> bool {
        let marked = turn | INTERRUPTED;
        let turns = &self.turns[number as usize];
        turns.compare_exchange(turn, marked, Ordering::AcqRel, Ordering::Acquire).is_ok()
            || turns.load(Ordering::Acquire) == marked
    }
}

impl Seat<'_> {
    /// Its number in the session.
    #[inline]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The record's word of these, and its bit there.
    #[inline]
    fn bit<'a>(&self, words: &'a [AtomicU64; PARKED_WORDS]) -> (&'a AtomicU64, u64) {
        (&words[self.number as usize / 64 % PARKED_WORDS], 1 << (self.number % 64))
    }

    /// Whether the server knows the record's notification.
    #[inline]
    pub fn is_registered(&self) -> bool {
        let (registered, bit) = self.bit(&self.seats.registered);
        registered.load(Ordering::Acquire) & bit != 0
    }

    /// Whether the wait was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.seats.turns[self.number as usize].load(Ordering::Acquire) & INTERRUPTED != 0
    }

    /// The server knows it from now on.
    pub fn set_registered(&self) {
        let (registered, bit) = self.bit(&self.seats.registered);
        registered.fetch_or(bit, Ordering::Release);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.seats.threads[self.number as usize].store(0, Ordering::Release);
        let (taken, bit) = self.bit(&self.seats.taken);
        taken.fetch_and(!bit, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn each_wait_has_its_own_record_and_gives_it_back() {
        let seats = Seats::new();
        let all: Vec<_> = core::iter::from_fn(|| seats.take(7, 1)).collect();
        let numbers: Vec<u32> = all.iter().map(Seat::number).collect();
        let expected = (0..MAX_WAITERS as u32).filter(|&number| number != NO_WAITER);
        assert_eq!(numbers, expected.collect::<Vec<_>>());
        drop(all);
        let seat = seats.take(7, 1).unwrap();
        assert_eq!(seat.number(), 0);
        assert!(!seat.is_registered());
        seat.set_registered();
        assert!(seat.is_registered());
    }

    #[test]
    fn r49_an_interruption_is_for_the_waits_of_its_thread_and_for_no_later_one() {
        let seats = Seats::new();
        let (first, other) = (seats.take(7, 1).unwrap(), seats.take(8, 1).unwrap());
        assert_eq!(seats.interrupt(7).collect::<Vec<_>>(), [0]);
        assert!(first.is_interrupted() && !other.is_interrupted());
        drop(first);
        assert_eq!(seats.interrupt(7).count(), 0);
        assert!(!seats.take(7, 1).unwrap().is_interrupted());
        let all: Vec<_> = core::iter::from_fn(|| seats.take(9, 1)).collect();
        assert_eq!(seats.interrupt(9).count(), all.len(), "in every word");
        assert!(all.iter().all(Seat::is_interrupted) && !other.is_interrupted());
    }

    #[test]
    fn r49_an_interruption_that_comes_late_is_not_the_next_ones() {
        let seats = Seats::new();
        let first = seats.take(7, 1).unwrap();
        // The thread is found, its wait ends, and another begins in the same record before the mark is made.
        let turn = seats.found(0, 7).unwrap();
        drop(first);
        let next = seats.take(8, 1).unwrap();
        assert_eq!(next.number(), 0);
        assert!(!seats.end(0, turn) && !next.is_interrupted());
        drop(next);
        // Nor is it a later wait's of the same thread.
        let again = seats.take(7, 1).unwrap();
        assert!(!seats.end(0, turn) && !again.is_interrupted());
        assert_eq!(seats.interrupt(7).collect::<Vec<_>>(), [0]);
        assert!(again.is_interrupted());
    }

    #[test]
    fn r58_the_records_of_a_dead_thread_are_found_by_what_it_waited_for() {
        let seats = Seats::new();
        core::mem::forget((seats.take(7, 1).unwrap(), seats.take(7, 2).unwrap(), seats.take(8, 1).unwrap()));
        assert_eq!(seats.of_dead(7, 2).map(|seat| seat.number()).collect::<Vec<_>>(), [1]);
        assert_eq!(seats.take(9, 1).unwrap().number(), 1);
        assert_eq!(seats.of_dead(7, 2).count(), 0);
    }
}
