//! Who sleeps: the waiter records of the session, lent to threads for the time of one wait.
//!
//! A record belongs to a wait and not to a thread, so a process needs as many as it has threads that wait at once, and a
//! thread that ends leaves nothing behind.

use core::sync::atomic::{AtomicU64, Ordering, fence};

/// Records of a session.
const SEATS: usize = event_protocol::park::MAX_WAITERS;

/// Which records are lent and to whom, which have their notification, and whose wait was interrupted.
#[derive(Debug)]
pub struct Seats {
    taken: AtomicU64,
    registered: AtomicU64,
    /// The thread that has the record, 0 for none.
    threads: [AtomicU64; SEATS],
    /// What the thread waits for: a number of its caller's.
    places: [AtomicU64; SEATS],
    /// How often the record was lent, and in the lowest bit whether that wait was interrupted: in one word, so that an
    /// interruption that comes late is nobody's, and not the next one's.
    turns: [AtomicU64; SEATS],
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
        Seats {
            taken: AtomicU64::new(0),
            registered: AtomicU64::new(0),
            threads: [const { AtomicU64::new(0) }; SEATS],
            places: [const { AtomicU64::new(0) }; SEATS],
            turns: [const { AtomicU64::new(0) }; SEATS],
        }
    }

    /// The lowest free record; registered ones are lower, so that few are ever made. `None` when all are lent. What the
    /// caller looks at afterwards is looked at after an [`interrupt`](Seats::interrupt) of `thread` finds it. `place` says what
    /// it waits for.
    pub fn take(&self, thread: u64, place: u64) -> Option<Seat<'_>> {
        let mut taken = self.taken.load(Ordering::Relaxed);
        loop {
            let number = taken.trailing_ones();
            if number == u64::BITS {
                return None;
            }
            match self.taken.compare_exchange_weak(
                taken,
                taken | 1 << number,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    let turn = self.turns[number as usize].load(Ordering::Relaxed);
                    let next = (turn | INTERRUPTED).wrapping_add(1);
                    self.places[number as usize].store(place, Ordering::Relaxed);
                    // Whoever finds this thread finds its turn.
                    self.turns[number as usize].swap(next, Ordering::AcqRel);
                    self.threads[number as usize].store(thread, Ordering::Release);
                    fence(Ordering::SeqCst);
                    return Some(Seat { seats: self, number });
                }
                Err(now) => taken = now,
            }
        }
    }

    /// Marks the wait of a thread interrupted. Gives the records that must be signalled.
    pub fn interrupt(&self, thread: u64) -> impl Iterator<Item = u32> {
        fence(Ordering::SeqCst);
        let numbers = 0..SEATS as u32;
        numbers.filter(move |&number| self.found(number, thread).is_some_and(|turn| self.end(number, turn)))
    }

    /// The records in which a thread that is no more waited for `place`: the caller ends those waits.
    pub fn of_dead(&self, thread: u64, place: u64) -> impl Iterator<Item = Seat<'_>> {
        (0..SEATS as u32).filter_map(move |number| {
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

    /// Whether the server knows the record's notification.
    #[inline]
    pub fn is_registered(&self) -> bool {
        self.seats.registered.load(Ordering::Acquire) & 1 << self.number != 0
    }

    /// Whether the wait was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.seats.turns[self.number as usize].load(Ordering::Acquire) & INTERRUPTED != 0
    }

    /// The server knows it from now on.
    pub fn set_registered(&self) {
        self.seats.registered.fetch_or(1 << self.number, Ordering::Release);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.seats.threads[self.number as usize].store(0, Ordering::Release);
        self.seats.taken.fetch_and(!(1 << self.number), Ordering::Release);
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
        assert_eq!(numbers, (0..64).collect::<Vec<_>>());
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
