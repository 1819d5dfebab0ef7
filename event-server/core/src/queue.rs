//! A shard's end of a client's queue.

use abi::Handle;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use event_protocol::activation::{Entry, activate};
use event_protocol::cell::Cell;
use event_protocol::fault::Fault;
use event_protocol::park::choose;
use event_protocol::ring::Producer;
use event_protocol::shared::Mapped;

use crate::arena::NONE;
use crate::session::{Bank, QueueMemory, Session};
use crate::source::Note;

/// A queue.
#[derive(Debug)]
pub struct Queue<M> {
    /// Slot of its client in the shard.
    pub client: u32,
    /// The client's number for it.
    pub number: u32,
    /// Its knotes in this shard.
    pub first_knote: u32,
    session: Arc<Session<M>>,
    banks: Vec<Arc<Bank<M>>>,
    /// This shard's end of its ring in each bank.
    producers: Vec<Producer>,
    /// Note of each slot of each bank, or NONE.
    notes: Vec<Vec<u32>>,
    /// Whom this shard chose last.
    last_chosen: u32,
}

impl<M: Mapped> Queue<M> {
    /// The end of a queue that this shard has not used yet.
    pub fn new(client: u32, number: u32, session: Arc<Session<M>>) -> Queue<M> {
        Queue {
            client,
            number,
            first_knote: NONE,
            session,
            banks: Vec::new(),
            producers: Vec::new(),
            notes: Vec::new(),
            last_chosen: 0,
        }
    }

    /// Whether `memory` is this queue's, perhaps grown: not that of a later queue with its number.
    pub fn is_of(&self, memory: &QueueMemory<M>) -> bool {
        match (self.banks.first(), memory.banks.first()) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => true,
        }
    }

    /// Takes up banks that were added.
    pub fn extend(&mut self, memory: &QueueMemory<M>) {
        for bank in memory.banks.iter().skip(self.banks.len()) {
            self.notes.push(vec![NONE; bank.layout.slots() as usize]);
            self.producers.push(Producer::new());
            self.banks.push(bank.clone());
        }
    }

    /// The note in a slot, NONE for none; `None`: no such slot.
    pub fn note_in(&self, bank: u8, slot: u32) -> Option<u32> {
        self.notes.get(usize::from(bank))?.get(slot as usize).copied()
    }

    /// Puts a note into a slot that [`Queue::note_in`] knows.
    pub fn set_note(&mut self, bank: u8, slot: u32, note: u32) {
        let place = self.notes.get_mut(usize::from(bank)).and_then(|bank| bank.get_mut(slot as usize));
        if let Some(place) = place {
            *place = note;
        }
    }

    /// Activates a note if it is true, after folding the source's note bits into it. Returns whether it is newly in
    /// the ring.
    #[inline]
    pub fn offer(&mut self, shard: u32, note: &Note, cell: &Cell, bits: u32) -> Result<bool, Fault> {
        let unknown = Fault::Reference(u64::from(note.slot));
        let at = usize::from(note.bank);
        let (Some(bank), Some(producer)) = (self.banks.get(at), self.producers.get_mut(at)) else {
            return Err(unknown);
        };
        let slot = bank.region.slots(bank.layout)?.get(note.slot as usize).ok_or(unknown)?;
        if bits != 0 {
            slot.fold(bits);
        }
        if !slot.active(cell).intersects(note.filters) {
            return Ok(false);
        }
        let header = self.banks.first().ok_or(unknown)?.region.queue_header()?;
        let ring = bank.region.ring(bank.layout, shard)?;
        activate(producer, ring, header, shard, slot, Entry { slot: note.slot, generation: note.generation })
    }

    /// Chooses a parked waiter to wake, if there is one: policy ONE, in rotation.
    #[inline]
    pub fn choose(&mut self) -> Result<Option<Handle>, Fault> {
        let Some(first) = self.banks.first() else { return Ok(None) };
        let header = first.region.queue_header()?;
        let waiters = self.session.memory().waiters()?;
        let Some(number) = choose(header.parked(), waiters, u64::MAX, self.last_chosen) else {
            return Ok(None);
        };
        self.last_chosen = number;
        let notification = self.session.notification(number);
        Ok((!notification.is_none()).then_some(notification))
    }
}
