//! A shard's end of a client's queue.

use abi::Handle;
use abi::error::{ENOMEM, Error};
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::activation::{Entry, QueueHeader, activate};
use event_protocol::cell::Cell;
use event_protocol::fault::Fault;
use event_protocol::filter::Filters;
use event_protocol::park::{Waiter, choose, choose_on};
use event_protocol::ring::Producer;
use event_protocol::shared::{Kept, KeptRing, Mapped};
use event_protocol::slot::Slot;

use crate::account::Account;
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
    header: Kept<M, QueueHeader>,
    waiters: Kept<M, [Waiter]>,
    banks: Vec<BankEnd<M>>,
    /// Whom this shard chose last.
    last_chosen: u32,
}

/// A waiter that was chosen, and in which of its waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chosen {
    number: u32,
    turn: u32,
}

#[derive(Debug)]
struct BankEnd<M> {
    bank: Arc<Bank<M>>,
    slots: Kept<M, [Slot]>,
    ring: KeptRing<M>,
    producer: Producer,
    /// Note of each slot, or NONE.
    notes: Vec<u32>,
}

impl<M: Mapped> Queue<M> {
    /// The end of a queue that this shard has not used yet.
    pub fn new(
        client: u32,
        number: u32,
        session: Arc<Session<M>>,
        memory: &QueueMemory<M>,
    ) -> Result<Queue<M>, Fault> {
        let first = memory.banks.first().ok_or(Fault::Reference(u64::from(number)))?;
        Ok(Queue {
            client,
            number,
            first_knote: NONE,
            header: first.region.keep_queue_header()?,
            waiters: session.memory().keep_waiters()?,
            session,
            banks: Vec::new(),
            last_chosen: 0,
        })
    }

    /// Whether `memory` is this queue's, perhaps grown: not that of a later queue with its number.
    pub fn is_of(&self, memory: &QueueMemory<M>) -> bool {
        match (self.banks.first(), memory.banks.first()) {
            (Some(own), Some(other)) => Arc::ptr_eq(&own.bank, other),
            _ => true,
        }
    }

    /// Takes up banks that were added. ENOMEM.
    pub fn extend(&mut self, shard: u32, memory: &QueueMemory<M>) -> abi::error::Result<()> {
        for bank in memory.banks.iter().skip(self.banks.len()) {
            let slots = bank.layout.slots() as usize;
            let mut notes = Vec::new();
            notes.try_reserve_exact(slots).map_err(|_| Error::new(ENOMEM))?;
            notes.resize(slots, NONE);
            self.banks.push(BankEnd {
                slots: bank.region.keep_slots(bank.layout)?,
                ring: bank.region.keep_ring(bank.layout, shard)?,
                producer: Producer::new(),
                notes,
                bank: bank.clone(),
            });
        }
        Ok(())
    }

    /// Who pays for its notes.
    pub fn account(&self) -> &Account {
        self.session.account()
    }

    /// The note in a slot, NONE for none; `None`: no such slot.
    pub fn note_in(&self, bank: u8, slot: u32) -> Option<u32> {
        self.banks.get(usize::from(bank))?.notes.get(slot as usize).copied()
    }

    /// Puts a note into a slot that [`Queue::note_in`] knows.
    pub fn set_note(&mut self, bank: u8, slot: u32, note: u32) {
        let bank = self.banks.get_mut(usize::from(bank));
        let place = bank.and_then(|bank| bank.notes.get_mut(slot as usize));
        if let Some(place) = place {
            *place = note;
        }
    }

    /// Activates a note if it is true, after folding the source's note bits into it. Returns whether it is newly in
    /// the ring.
    #[inline(always)]
    pub fn offer(&mut self, shard: u32, note: &Note, cell: &Cell, bits: u32) -> Result<bool, Fault> {
        let Some(end) = self.banks.get_mut(usize::from(note.bank)) else { return Ok(false) };
        let Some(slot) = end.slots.get(note.slot as usize) else { return Ok(false) };
        if bits != 0 {
            slot.fold(bits);
        }
        if !slot.active(cell).intersects(note.filters) {
            return Ok(false);
        }
        let entry = Entry { slot: note.slot, generation: note.generation };
        activate(&mut end.producer, end.ring.get(), &self.header, shard, slot, entry)
    }

    /// Which filters of a note are true now.
    pub fn active(&self, note: &Note, cell: &Cell) -> Filters {
        let slot = self.banks.get(usize::from(note.bank)).and_then(|end| end.slots.get(note.slot as usize));
        slot.map_or(Filters::empty(), |slot| slot.active(cell).intersection(note.filters))
    }

    /// Chooses the next parked waiter that is on a CPU which `fits` likes. One that has no notification wakes nobody.
    pub fn choose_on(&mut self, fits: impl Fn(u32) -> bool) -> Option<(Chosen, Handle)> {
        loop {
            let number = choose_on(self.header.parked(), &self.waiters, self.last_chosen, &fits)?;
            self.last_chosen = number;
            let notification = self.session.notification(number);
            if !notification.is_none() {
                let turn = self.waiters.get(number as usize).map_or(0, Waiter::turn);
                return Some((Chosen { number, turn }, notification));
            }
        }
    }

    /// Whether a waiter that was chosen has not come back from its wait.
    pub fn still_owes(&self, chosen: Chosen) -> bool {
        self.waiters.get(chosen.number as usize).is_some_and(|waiter| waiter.still_owes(chosen.turn))
    }

    /// Chooses a parked waiter to wake, if there is one: policy ONE, in rotation.
    #[inline(always)]
    pub fn choose(&mut self) -> Option<Handle> {
        let number = choose(self.header.parked(), &self.waiters, self.last_chosen)?;
        self.last_chosen = number;
        let notification = self.session.notification(number);
        (!notification.is_none()).then_some(notification)
    }
}
