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
    interrupted: AtomicU64,
    /// The thread that has the record, 0 for none.
    threads: [AtomicU64; SEATS],
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
        Seats {
            taken: AtomicU64::new(0),
            registered: AtomicU64::new(0),
            interrupted: AtomicU64::new(0),
            threads: [const { AtomicU64::new(0) }; SEATS],
        }
    }

    /// The lowest free record; registered ones are lower, so that few are ever made. `None` when all are lent. What the
    /// caller looks at afterwards is looked at after an [`interrupt`](Seats::interrupt) of `thread` finds it.
    pub fn take(&self, thread: u64) -> Option<Seat<'_>> {
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
                    self.interrupted.fetch_and(!(1 << number), Ordering::Relaxed);
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
        numbers.filter(move |&number| {
            let found = self.threads[number as usize].load(Ordering::Acquire) == thread;
            if found {
                self.interrupted.fetch_or(1 << number, Ordering::AcqRel);
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

    /// Whether the server knows the record's notification.
    #[inline]
    pub fn is_registered(&self) -> bool {
        self.seats.registered.load(Ordering::Acquire) & 1 << self.number != 0
    }

    /// Whether the wait was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.seats.interrupted.load(Ordering::Acquire) & 1 << self.number != 0
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
        let all: Vec<_> = core::iter::from_fn(|| seats.take(7)).collect();
        let numbers: Vec<u32> = all.iter().map(Seat::number).collect();
        assert_eq!(numbers, (0..64).collect::<Vec<_>>());
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
    }
}
