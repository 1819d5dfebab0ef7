//! A ring of words between two processes, one producer and one consumer, with a type for each role.
//!
//! Each end keeps its own index in private memory and publishes a copy; the peer's copy is read once per operation and
//! range-checked, so a hostile peer can lose or invent entries but never lead the other end out of the ring.
//!
//! ```text
//! producer                                 consumer
//! entries[n] = value      (Relaxed)        tail = ring.tail     (Acquire)
//! ring.tail  = n + 1      (Release)        value = entries[h]   (Relaxed)
//!                                          ring.head = h + 1    (Release)
//! head = ring.head        (Acquire)  ← its release orders the read of the entry before it is overwritten
//! ```

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::fault::Fault;

/// The published indices, one cache line for each end.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct RingHeader {
    /// Entries ever produced, modulo 2^32.
    tail: AtomicU32,
    pad: [u32; 15],
    /// Entries ever consumed, modulo 2^32.
    head: AtomicU32,
    pad_head: [u32; 15],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RingHeader>() == 128);

/// For the test of the document.
#[cfg(all(test, not(loom)))]
pub(crate) fn fields() -> Vec<crate::document::Field> {
    crate::document::fields!(RingHeader: tail, pad, head, pad_head)
}

/// One ring in shared memory: the header and a power of two of entries.
#[derive(Clone, Copy, Debug)]
pub struct Ring<'a> {
    header: &'a RingHeader,
    entries: &'a [AtomicU64],
}

impl<'a> Ring<'a> {
    /// A ring over these entries; `None` when their number is not a power of two or exceeds 2^31.
    #[inline]
    pub fn new(header: &'a RingHeader, entries: &'a [AtomicU64]) -> Option<Ring<'a>> {
        let count = entries.len();
        (count.is_power_of_two() && count <= 1 << 31).then_some(Ring { header, entries })
    }

    /// A ring whose number of entries [`Ring::new`] has accepted before.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) const fn checked(header: &'a RingHeader, entries: &'a [AtomicU64]) -> Ring<'a> {
        Ring { header, entries }
    }

    /// What it is made of.
    #[cfg(not(loom))]
    pub(crate) const fn parts(&self) -> (&'a RingHeader, &'a [AtomicU64]) {
        (self.header, self.entries)
    }

    /// Entries it holds.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.entries.len() as u32
    }
}

/// The producing end's private state. A ring has exactly one.
#[derive(Debug, Default)]
pub struct Producer {
    next: u32,
}

impl Producer {
    /// The producer of a fresh ring.
    pub const fn new() -> Producer {
        Producer { next: 0 }
    }

    /// Appends a word.
    #[inline]
    pub fn push(&mut self, ring: Ring<'_>, value: u64) -> Result<(), Fault> {
        let capacity = ring.capacity();
        let head = ring.header.head.load(Ordering::Acquire);
        let used = self.next.wrapping_sub(head);
        if used >= capacity {
            return Err(if used == capacity {
                Fault::RingFull { capacity }
            } else {
                Fault::RingIndex { own: self.next, peer: head, capacity }
            });
        }
        let at = self.next as usize & (ring.entries.len() - 1);
        ring.entries[at].store(value, Ordering::Relaxed);
        self.next = self.next.wrapping_add(1);
        ring.header.tail.store(self.next, Ordering::Release);
        Ok(())
    }
}

/// The consuming end's private state. A ring has exactly one.
#[derive(Debug, Default)]
pub struct Consumer {
    next: u32,
}

impl Consumer {
    /// The consumer of a fresh ring.
    pub const fn new() -> Consumer {
        Consumer { next: 0 }
    }

    /// Takes the oldest word.
    #[inline]
    pub fn pop(&mut self, ring: Ring<'_>) -> Result<Option<u64>, Fault> {
        let tail = ring.header.tail.load(Ordering::Acquire);
        let waiting = tail.wrapping_sub(self.next);
        if waiting == 0 {
            return Ok(None);
        }
        if waiting > ring.capacity() {
            return Err(Fault::RingIndex { own: self.next, peer: tail, capacity: ring.capacity() });
        }
        let value = ring.entries[self.next as usize & (ring.entries.len() - 1)].load(Ordering::Relaxed);
        self.next = self.next.wrapping_add(1);
        ring.header.head.store(self.next, Ordering::Release);
        Ok(Some(value))
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self, ring: Ring<'_>) -> bool {
        ring.header.tail.load(Ordering::Acquire) == self.next
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn entries(count: usize) -> Vec<AtomicU64> {
        (0..count).map(|_| AtomicU64::new(0)).collect()
    }

    proptest! {
        #[test]
        fn behaves_as_a_bounded_queue(start: u32, steps in prop::collection::vec(any::<Option<u64>>(), 1..200)) {
            let header = RingHeader::default();
            header.head.store(start, Ordering::Relaxed);
            header.tail.store(start, Ordering::Relaxed);
            let words = entries(8);
            let ring = Ring::new(&header, &words).unwrap();
            let (mut producer, mut consumer) = (Producer { next: start }, Consumer { next: start });
            let mut model = VecDeque::new();
            for step in steps {
                match step {
                    Some(value) if model.len() == 8 => {
                        prop_assert_eq!(producer.push(ring, value), Err(Fault::RingFull { capacity: 8 }));
                    }
                    Some(value) => {
                        prop_assert_eq!(producer.push(ring, value), Ok(()));
                        model.push_back(value);
                    }
                    None => prop_assert_eq!(consumer.pop(ring), Ok(model.pop_front())),
                }
                prop_assert_eq!(consumer.is_empty(ring), model.is_empty());
            }
        }

        /// Whatever the peer writes, an operation ends, stays in the ring, and tells when the index is impossible.
        #[test]
        fn a_lying_peer_is_found_out(own: u32, peer: u32) {
            let header = RingHeader::default();
            let words = entries(4);
            let ring = Ring::new(&header, &words).unwrap();
            header.tail.store(peer, Ordering::Relaxed);
            let distance = peer.wrapping_sub(own);
            let popped = Consumer { next: own }.pop(ring);
            prop_assert_eq!(popped.is_err(), distance > 4);
            header.head.store(peer, Ordering::Relaxed);
            let pushed = Producer { next: own }.push(ring, 1);
            prop_assert_eq!(pushed.is_ok(), own.wrapping_sub(peer) < 4);
        }
    }

    #[test]
    fn sizes_that_are_no_power_of_two_are_refused() {
        let header = RingHeader::default();
        assert!(Ring::new(&header, &entries(0)).is_none());
        assert!(Ring::new(&header, &entries(12)).is_none());
    }
}
