//! Activations: how a shard tells a client which notes became true.
//!
//! A queue's memory comes in *banks*, each a memory object that the client made and pays for: note slots, and one ring
//! per shard that is as long as the bank has slots. A note is queued at most once, by the shard of its source, and its slot
//! is used again only after that shard's ring was drained, so a ring cannot overflow. A queue that needs more notes gets a
//! further bank; nothing moves.
//!
//! ```text
//! shard                                 client (under the queue's lock)
//! push                  (Release)       pending.swap(0)      (AcqRel)
//! pending.fetch_or(bit) (AcqRel)        pop every ring of the bits that were set
//! ```
//! If the client's swap missed the bit, the bit is still there for its next look; if it saw it, it sees the push.
//!
//! Delete against delivery (R35): an entry carries the generation of its slot. The client retires the slot, asks the
//! server to delete, and after the reply (no more pushes) drains that ring before it uses the slot again: what it finds
//! there has a generation that is not the slot's, and is dropped.

use crate::atomic::{AtomicU32, Ordering, fence};
use crate::fault::Fault;
use crate::parked::Parked;
use crate::ring::{Consumer, Producer, Ring, RingHeader};
use crate::slot::{SLOT_SIZE, Slot};

/// Beginning of a bank. Only the first bank's words are used: they are the queue's.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct QueueHeader {
    /// A bit per shard that pushed since the last look.
    pending: AtomicU32,
    /// 1 when every arrival must be told, also at a note that is true and queued since long.
    every_arrival: AtomicU32,
    reserved: [u32; 14],
    parked: Parked,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<QueueHeader>() == 128);

impl QueueHeader {
    /// Client: whether any shard pushed. The whole cost of a look at a queue with nothing new.
    #[inline]
    pub fn looks_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed) != 0
    }

    /// Client: takes the bits of the shards whose rings must be drained.
    #[inline]
    pub fn take_pending(&self) -> u32 {
        if self.looks_pending() { self.pending.swap(0, Ordering::AcqRel) } else { 0 }
    }

    /// Client: puts back the bits of shards whose rings were not drained to the end.
    #[inline]
    pub fn put_back_pending(&self, shards: u32) {
        self.pending.fetch_or(shards, Ordering::AcqRel);
    }

    /// Client: from now on a waiter is woken for every arrival (R37: an edge-triggered set around this one tells each).
    /// Before anybody parks for that.
    pub fn tell_every_arrival(&self) {
        self.every_arrival.store(1, Ordering::Release);
    }

    /// Shard: says that something was pushed, before it chooses whom to wake.
    #[inline]
    pub fn tell(&self, shard: u32) {
        self.pending.fetch_or(1 << (shard & 31), Ordering::AcqRel);
        // Pairs with Waiter::announce.
        fence(Ordering::SeqCst);
    }

    /// The waiters that are parked on the queue.
    #[inline]
    pub fn parked(&self) -> &Parked {
        &self.parked
    }
}

/// A note of a queue: slot of a bank and generation of that slot, as a ring entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Slot within the bank.
    pub slot: u32,
    /// Generation of the slot when it was pushed.
    pub generation: u32,
}

impl Entry {
    /// As a ring's word.
    #[inline]
    pub const fn pack(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// From a ring's word.
    #[inline]
    pub const fn unpack(word: u64) -> Entry {
        Entry { slot: word as u32, generation: (word >> 32) as u32 }
    }
}

/// Shard: activates a note. True when a waiter has something to wake for: the note is newly in the ring, or the queue is
/// [told of every arrival](QueueHeader::tell_every_arrival). Then the look at the parked waiters is after the fence of
/// [`Cell::begin_look`](crate::cell::Cell::begin_look), and who parked later sees the arrival in the cell.
#[inline(always)]
pub fn activate(
    producer: &mut Producer,
    ring: Ring<'_>,
    header: &QueueHeader,
    shard: u32,
    slot: &Slot,
    entry: Entry,
) -> Result<bool, Fault> {
    if !slot.try_queue() {
        return Ok(header.every_arrival.load(Ordering::Acquire) != 0);
    }
    producer.push(ring, entry.pack())?;
    header.tell(shard);
    Ok(true)
}

/// Client: the next live entry of a ring; entries of retired or reused slots, and of no slot at all, are dropped.
#[inline]
pub fn take<'a>(
    consumer: &mut Consumer,
    ring: Ring<'_>,
    slots: &'a [Slot],
) -> Result<Option<(u32, &'a Slot)>, Fault> {
    while let Some(word) = consumer.pop(ring)? {
        let entry = Entry::unpack(word);
        if let Some(slot) = slots.get(entry.slot as usize)
            && slot.generation() == entry.generation
        {
            return Ok(Some((entry.slot, slot)));
        }
    }
    Ok(None)
}

/// Where the parts of a bank lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BankLayout {
    slots: u32,
    shards: u32,
}

impl BankLayout {
    /// A bank of `slots` notes (a power of two within the limits of [`control::limits`](crate::control::limits)) for so
    /// many shards.
    pub const fn new(slots: u32, shards: u32) -> Option<BankLayout> {
        use crate::control::limits::{MAX_BANK_SLOTS, MAX_SHARDS, MIN_BANK_SLOTS};
        let slots_fit = slots.is_power_of_two() && slots >= MIN_BANK_SLOTS && slots <= MAX_BANK_SLOTS;
        if slots_fit && shards >= 1 && shards <= MAX_SHARDS {
            Some(BankLayout { slots, shards })
        } else {
            None
        }
    }

    /// Notes that it holds.
    pub const fn slots(self) -> u32 {
        self.slots
    }

    /// Shards that have a ring in it.
    pub const fn shards(self) -> u32 {
        self.shards
    }

    /// Offset of a shard's [`RingHeader`].
    #[inline]
    pub const fn ring_header(self, shard: u32) -> usize {
        size_of::<QueueHeader>() + shard as usize * (size_of::<RingHeader>() + 8 * self.slots as usize)
    }

    /// Offset of a shard's ring entries, [`BankLayout::slots`] of them.
    #[inline]
    pub const fn ring_entries(self, shard: u32) -> usize {
        self.ring_header(shard) + size_of::<RingHeader>()
    }

    /// Offset of a slot.
    #[inline]
    pub const fn slot(self, slot: u32) -> usize {
        self.ring_header(self.shards) + slot as usize * SLOT_SIZE
    }

    /// Bytes of the memory object, in whole pages.
    pub const fn size(self) -> usize {
        self.slot(self.slots).next_multiple_of(4096)
    }
}
