//! A shard's end of a client's queue.

use abi::Handle;
use abi::error::{ENOMEM, Error};
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::activation::{Entry, QueueHeader, activate};
use event_protocol::cell::Cell;
use event_protocol::fault::Fault;
use event_protocol::filter::Filters;
use event_protocol::park::{Waiter, choose};
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
    /// Its number.
    pub number: u32,
    turn: u32,
    /// Where it slept.
    pub cpu: u32,
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

    /// Whether a note is in a ring, or on its client's list.
    pub fn is_queued(&self, note: &Note) -> bool {
        let slot = self.banks.get(usize::from(note.bank)).and_then(|end| end.slots.get(note.slot as usize));
        slot.is_some_and(Slot::is_queued)
    }

    /// Who sleeps, as far as anybody knows.
    pub fn sleepers(&self) -> u32 {
        self.header.parked().count()
    }

    /// The first parked waiter, in rotation, of those whose CPU has the least rank: rank and number. One that has no
    /// notification would wake nobody.
    pub fn best_parked(&self, rank: impl Fn(u32) -> Option<u8>) -> Option<(u8, u32)> {
        let mut best: Option<(u8, u32)> = None;
        self.header.parked().find(self.last_chosen, |number| {
            let waiter = self.waiters.get(number as usize).filter(|waiter| waiter.is_parked());
            let Some(rank) = waiter.and_then(|waiter| rank(waiter.cpu())) else { return false };
            if best.is_none_or(|(least, _)| rank < least) && !self.session.notification(number).is_none() {
                best = Some((rank, number));
                return rank == 0;
            }
            false
        });
        best
    }

    /// Chooses the next parked waiter that is on a CPU which `fits` likes.
    pub fn choose_on(&mut self, fits: impl Fn(u32) -> bool) -> Option<(Chosen, Handle)> {
        let Queue { header, waiters, session, last_chosen, .. } = self;
        let number = header.parked().find(*last_chosen, |number| {
            waiters.get(number as usize).is_some_and(|waiter| {
                fits(waiter.cpu()) && !session.notification(number).is_none() && waiter.try_choose()
            })
        })?;
        self.chosen(number)
    }

    /// Chooses a waiter if it is parked.
    pub fn choose_this(&mut self, number: u32) -> Option<(Chosen, Handle)> {
        self.waiters.get(number as usize).filter(|waiter| waiter.try_choose())?;
        self.chosen(number)
    }

    fn chosen(&mut self, number: u32) -> Option<(Chosen, Handle)> {
        self.last_chosen = number;
        let waiter = self.waiters.get(number as usize)?;
        Some((Chosen { number, turn: waiter.turn(), cpu: waiter.cpu() }, self.session.notification(number)))
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
