//! Who sleeps: the waiter records of the session, lent to threads for the time of one wait.
//!
//! A record belongs to a wait and not to a thread, so a process needs as many as it has threads that wait at once, and a
//! thread that ends leaves nothing behind.

use core::sync::atomic::{AtomicU64, Ordering};

/// Which records are lent, and which have their notification.
#[derive(Debug, Default)]
pub struct Seats {
    taken: AtomicU64,
    registered: AtomicU64,
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
        Seats { taken: AtomicU64::new(0), registered: AtomicU64::new(0) }
    }

    /// The lowest free record; registered ones are lower, so that few are ever made. `None` when all are lent.
    pub fn take(&self) -> Option<Seat<'_>> {
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
                Ok(_) => return Some(Seat { seats: self, number }),
                Err(now) => taken = now,
            }
        }
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

    /// The server knows it from now on.
    pub fn set_registered(&self) {
        self.seats.registered.fetch_or(1 << self.number, Ordering::Release);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
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
        let all: Vec<_> = core::iter::from_fn(|| seats.take()).collect();
        let numbers: Vec<u32> = all.iter().map(Seat::number).collect();
        assert_eq!(numbers, (0..64).collect::<Vec<_>>());
        drop(all);
        let seat = seats.take().unwrap();
        assert_eq!(seat.number(), 0);
        assert!(!seat.is_registered());
        seat.set_registered();
        assert!(seat.is_registered());
    }
}
