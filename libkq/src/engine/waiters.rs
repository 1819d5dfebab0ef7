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
    interrupted: [AtomicU64; PARKED_WORDS],
    /// The thread that has the record, 0 for none.
    threads: [AtomicU64; MAX_WAITERS],
}

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
            interrupted: [const { AtomicU64::new(0) }; PARKED_WORDS],
            threads: [const { AtomicU64::new(0) }; MAX_WAITERS],
        }
    }

    /// The lowest free record; registered ones are lower, so that few are ever made. `None` when all are lent. What the
    /// caller looks at afterwards is looked at after an [`interrupt`](Seats::interrupt) of `thread` finds it.
    pub fn take(&self, thread: u64) -> Option<Seat<'_>> {
        for (word, lent) in self.taken.iter().enumerate() {
            let mut taken = lent.load(Ordering::Relaxed);
            while taken != u64::MAX {
                let bit = taken.trailing_ones();
                let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
                match lent.compare_exchange_weak(taken, taken | 1 << bit, success, failure) {
                    Ok(_) => return Some(self.seat(word as u32 * 64 + bit, thread)),
                    Err(now) => taken = now,
                }
            }
        }
        None
    }

    #[inline]
    fn seat(&self, number: u32, thread: u64) -> Seat<'_> {
        let seat = Seat { seats: self, number };
        let (interrupted, bit) = seat.bit(&self.interrupted);
        interrupted.fetch_and(!bit, Ordering::Relaxed);
        self.threads[number as usize].store(thread, Ordering::Release);
        fence(Ordering::SeqCst);
        seat
    }

    /// Marks the wait of a thread interrupted. Gives the records that must be signalled.
    pub fn interrupt(&self, thread: u64) -> impl Iterator<Item = u32> {
        fence(Ordering::SeqCst);
        // A record is lent before it is its thread's.
        let words = (0..PARKED_WORDS).filter(|&word| self.taken[word].load(Ordering::Relaxed) != 0);
        let numbers = words.flat_map(|word| word as u32 * 64..word as u32 * 64 + 64);
        numbers.filter(move |&number| {
            let found = self.threads[number as usize].load(Ordering::Acquire) == thread;
            if found {
                self.interrupted[number as usize / 64].fetch_or(1 << (number % 64), Ordering::AcqRel);
            }
            found
        })
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
        let (interrupted, bit) = self.bit(&self.seats.interrupted);
        interrupted.load(Ordering::Acquire) & bit != 0
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
        let all: Vec<_> = core::iter::from_fn(|| seats.take(7)).collect();
        let numbers: Vec<u32> = all.iter().map(Seat::number).collect();
        let expected = (0..MAX_WAITERS as u32).filter(|&number| number != NO_WAITER);
        assert_eq!(numbers, expected.collect::<Vec<_>>());
        drop(all);
        let seat = seats.take(7).unwrap();
        assert_eq!(seat.number(), 0);
        assert!(!seat.is_registered());
        seat.set_registered();
        assert!(seat.is_registered());
    }

    #[test]
    fn r49_an_interruption_is_for_the_waits_of_its_thread_and_for_no_later_one() {
        let seats = Seats::new();
        let (first, other) = (seats.take(7).unwrap(), seats.take(8).unwrap());
        assert_eq!(seats.interrupt(7).collect::<Vec<_>>(), [0]);
        assert!(first.is_interrupted() && !other.is_interrupted());
        drop(first);
        assert_eq!(seats.interrupt(7).count(), 0);
        assert!(!seats.take(7).unwrap().is_interrupted());
        let all: Vec<_> = core::iter::from_fn(|| seats.take(9)).collect();
        assert_eq!(seats.interrupt(9).count(), all.len(), "in every word");
        assert!(all.iter().all(Seat::is_interrupted) && !other.is_interrupted());
    }
}
