//! What a program did last: a ring of entries in one page, which others may look at while the program runs, hangs, or is stopped.
//!
//! Many threads write; nobody waits for anybody. A writer takes the next place, then the entry there, which says until it is
//! whole that it is not:
//!
//! ```text
//! writer                                        reader, of place n
//! n = written++                                 sequence == n + 1?  Acquire
//! sequence: what it was → BUSY, if it was older read the words
//! fence(Release)                                fence(Acquire)
//! write the words                               sequence == n + 1 still?
//! sequence = n + 1           Release              yes: the words are those of place n
//! ```
//! The two fences meet when the reader has read a word of a later writer: then it sees that one's BUSY, too, and takes nothing. A
//! writer that was overtaken by a whole round, or meets one that was, leaves its entry out: no entry has words of two.
//!
//! Servers and drivers, of which one thread writes ([`Trace::record_alone`]), do without what is for the others: the fetch and the
//! exchange.
//!
//! Whoever writes may write anything, and so a reader believes nothing: places are counted modulo the ring, and an entry is
//! whole or is not there.

mod event;
mod time;

use crate::atomic::{AtomicU64, Ordering, fence};
pub use event::{Entry, Event, service};
pub use time::Clock;

/// Bytes of a ring.
pub const SIZE: usize = 4096;
/// Entries that are kept.
pub const KEPT: usize = (SIZE - 64) / 32;
/// What a ring begins with: "KQTRACE", and the version of this layout.
pub const MAGIC: u64 = u64::from_be_bytes(*b"KQTRACE\x01");

/// A sequence of an entry that is being written.
const BUSY: u64 = u64::MAX;

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writer {
    /// A shard of the event server.
    Shard,
    /// A driver.
    Driver,
    /// A program that uses descriptors.
    Client,
}

impl Writer {
    const fn code(self) -> u64 {
        match self {
            Writer::Shard => 1,
            Writer::Driver => 2,
            Writer::Client => 3,
        }
    }

    fn of(code: u64) -> Option<Writer> {
        [Writer::Shard, Writer::Driver, Writer::Client].into_iter().find(|writer| writer.code() == code)
    }

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Writer::Shard => "shard",
            Writer::Driver => "driver",
            Writer::Client => "client",
        }
    }
}

/// The entry of a place.
#[derive(Debug, Default)]
#[repr(C)]
struct Place {
    /// 0: never written; [`BUSY`]; else the place's number and 1.
    sequence: AtomicU64,
    ticks: AtomicU64,
    /// [`Event`]'s code below, its detail above.
    event: AtomicU64,
    value: AtomicU64,
}

impl Place {
    /// Makes the entry whole, by the one writer that has said that it is busy.
    #[inline(always)]
    fn fill(&self, ticks: u64, event: Event, detail: u32, value: u64, sequence: u64) {
        fence(Ordering::Release);
        self.ticks.store(ticks, Ordering::Relaxed);
        self.event.store(u64::from(event.code()) | u64::from(detail) << 32, Ordering::Relaxed);
        self.value.store(value, Ordering::Relaxed);
        self.sequence.store(sequence, Ordering::Release);
    }
}

/// The ring, as it is in memory. A fresh page is one without a writer.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Trace<const PLACES: usize = KEPT> {
    magic: AtomicU64,
    writer: AtomicU64,
    /// Entries ever begun.
    written: AtomicU64,
    reserved: [AtomicU64; 5],
    places: [Place; PLACES],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Trace>() == SIZE);

/// For the test of the document.
#[cfg(all(test, not(loom)))]
pub(crate) fn fields() -> [Vec<crate::document::Field>; 2] {
    [
        crate::document::fields!(Trace: magic, writer, written, reserved, places),
        crate::document::fields!(Place: sequence, ticks, event, value),
    ]
}

impl<const PLACES: usize> Default for Trace<PLACES> {
    fn default() -> Self {
        Trace {
            magic: AtomicU64::new(0),
            writer: AtomicU64::new(0),
            written: AtomicU64::new(0),
            reserved: Default::default(),
            places: core::array::from_fn(|_| Place::default()),
        }
    }
}

impl<const PLACES: usize> Trace<PLACES> {
    /// Says who writes, once, before the page is shown.
    pub fn begin(&self, writer: Writer) {
        self.writer.store(writer.code(), Ordering::Relaxed);
        self.magic.store(MAGIC, Ordering::Release);
    }

    /// Adds an entry in place of the oldest. `ticks` is the time stamp counter; what detail and value are, [`Event`] says.
    #[inline]
    pub fn record(&self, ticks: u64, event: Event, detail: u32, value: u64) {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let place = &self.places[(number % PLACES as u64) as usize];
        let before = place.sequence.load(Ordering::Relaxed);
        // BUSY is above all numbers.
        if before > number
            || place.sequence.compare_exchange(before, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return;
        }
        place.fill(ticks, event, detail, value, number.wrapping_add(1));
    }

    /// The same where no other thread ever writes: at a lower price.
    #[inline(always)]
    pub fn record_alone(&self, ticks: u64, event: Event, detail: u32, value: u64) {
        let number = self.written.load(Ordering::Relaxed);
        let next = number.wrapping_add(1);
        self.written.store(next, Ordering::Relaxed);
        let place = &self.places[(number % PLACES as u64) as usize];
        place.sequence.store(BUSY, Ordering::Relaxed);
        place.fill(ticks, event, detail, value, next);
    }

    /// Who writes; `None`: nobody that has this layout.
    pub fn writer(&self) -> Option<Writer> {
        (self.magic.load(Ordering::Acquire) == MAGIC)
            .then(|| Writer::of(self.writer.load(Ordering::Relaxed)))
            .flatten()
    }

    /// Entries ever begun.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// The entries that are whole now, the oldest first.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let end = self.written();
        (end.saturating_sub(PLACES as u64)..end).filter_map(|number| self.entry(number))
    }

    fn entry(&self, number: u64) -> Option<Entry> {
        let place = &self.places[(number % PLACES as u64) as usize];
        if place.sequence.load(Ordering::Acquire) != number + 1 {
            return None;
        }
        let ticks = place.ticks.load(Ordering::Relaxed);
        let event = place.event.load(Ordering::Relaxed);
        let value = place.value.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if place.sequence.load(Ordering::Relaxed) != number + 1 {
            return None;
        }
        let (code, detail) = (event as u32, (event >> 32) as u32);
        Some(Entry { number, ticks, event: Event::of(code)?, detail, value })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_newest_are_kept_in_their_order() {
        let trace: Trace = Trace::default();
        assert_eq!((trace.writer(), trace.entries().count()), (None, 0));
        trace.begin(Writer::Driver);
        assert_eq!(trace.writer(), Some(Writer::Driver));
        for at in 0..300 {
            trace.record(at + 5, Event::Request, at as u32, at * 2);
            let last =
                Entry { number: at, ticks: at + 5, event: Event::Request, detail: at as u32, value: at * 2 };
            assert_eq!(trace.entries().last(), Some(last));
        }
        assert_eq!(trace.written(), 300);
        assert!(trace.entries().map(|entry| entry.number).eq(300 - KEPT as u64..300));
    }

    #[test]
    fn a_writer_that_was_overtaken_writes_over_nobody() {
        let trace: Trace<2> = Trace::default();
        (0..4).for_each(|at| trace.record(at, Event::Closed, 0, at));
        // As one that had taken place 1 and comes back now.
        trace.written.store(1, Ordering::Relaxed);
        trace.record(9, Event::Closed, 0, 9);
        trace.written.store(4, Ordering::Relaxed);
        assert!(trace.entries().map(|entry| entry.value).eq([2, 3]));
        // One died within an entry: it is not there, and no other is in its place.
        trace.places[0].sequence.store(BUSY, Ordering::Relaxed);
        trace.record(5, Event::Closed, 0, 4);
        trace.record(5, Event::Closed, 0, 5);
        assert!(trace.entries().map(|entry| entry.value).eq([5]));
    }

    proptest! {
        /// Whatever is in the page, there are entries or there is nothing, of numbers that rise, and words are found for them.
        #[test]
        fn any_bytes_can_be_looked_at(
            header in any::<[u64; 3]>(), near in any::<bool>(), places in prop::collection::vec(any::<[u64; 4]>(), 4),
        ) {
            let trace: Trace<4> = Trace::default();
            trace.magic.store(header[0], Ordering::Relaxed);
            trace.writer.store(header[1], Ordering::Relaxed);
            trace.written.store(header[2], Ordering::Relaxed);
            for (at, (place, words)) in trace.places.iter().zip(&places).enumerate() {
                // Mostly such as a reader would take.
                let first = header[2].saturating_sub(4);
                let number = (first..header[2]).find(|number| number % 4 == at as u64).unwrap_or_default();
                let sequence = if near { number.wrapping_add(1) } else { words[0] };
                place.sequence.store(sequence, Ordering::Relaxed);
                place.ticks.store(words[1], Ordering::Relaxed);
                place.event.store(if near { words[2] & 0xffff_ffff_0000_001f } else { words[2] }, Ordering::Relaxed);
                place.value.store(words[3], Ordering::Relaxed);
            }
            let clock = Clock { base: header[0], mul: header[1], shift: header[2] as u32 };
            let entries: std::vec::Vec<Entry> = trace.entries().collect();
            prop_assert!(entries.is_sorted_by_key(|entry| entry.number));
            entries.iter().for_each(|entry| assert!(!std::format!("{}", entry.at(clock)).is_empty()));
        }

        /// What is read of a page that others write at the same time, each its own, is somebody's.
        #[test]
        fn threads_write_past_each_other(threads in 2u64..5, each in 1u64..300) {
            let trace: Trace<8> = Trace::default();
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let trace = &trace;
                    scope.spawn(move || {
                        (0..each).for_each(|at| trace.record(at, Event::Closed, thread as u32, thread << 32 | at));
                    });
                }
                for _ in 0..20 {
                    for entry in trace.entries() {
                        assert_eq!(u64::from(entry.detail) << 32 | entry.ticks, entry.value);
                    }
                }
            });
            assert_eq!(trace.written(), threads * each);
        }
    }
}
