//! An event server of one shard that acts at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use event_protocol::activation::{BankLayout, Entry, activate};
use event_protocol::badge::SourceId;
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Drain, Publisher};
use event_protocol::control::client::{Change, QueueNumber};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::{MAX_WAITERS, choose};
use event_protocol::ring::Producer;
use event_protocol::shared::Region;
use libkq::{Error, Result};

use super::lasting::{Drivers, Durable};
use super::{ENODEV, ENOENT, Memory, Shared};

pub(super) const CELLS: u32 = 64;
pub(super) const SOURCES_AT_MOST: usize = CELLS as usize;

pub(super) struct Server {
    pub(super) page: Arc<Region<Memory>>,
    pub(super) changed: Region<Memory>,
    pub(super) publisher: Publisher,
    pub(super) drain: Drain,
    pub(super) sources: BTreeMap<u32, FakeSource>,
    pub(super) queues: BTreeMap<QueueNumber, FakeQueue>,
    pub(super) next_queue: u32,
    pub(super) next_generation: u32,
    pub(super) signals: [u64; MAX_WAITERS],
    pub(super) last_chosen: u32,
    pub(super) timers: BTreeMap<u32, Timer>,
    /// Whether a sleeper moves the clock to what it waits for.
    pub(super) clock_runs: bool,
    pub(super) dead: bool,
    /// Messages that were sent to the server: what a call costs.
    pub(super) messages: usize,
    pub(super) wakes: usize,
    pub(super) fail_next: Option<i32>,
    /// What every growing of a queue fails with.
    pub(super) fail_growing: Option<i32>,
    pub(super) late: u64,
    pub(super) at_parking: Option<Box<dyn FnOnce() + Send>>,
    /// Threads that never run again, once they sleep.
    pub(super) killed: Vec<u64>,
    pub(super) before_change: Option<Box<dyn FnOnce() + Send>>,
    pub(super) before_answer: Option<Box<dyn FnOnce() + Send>>,
    pub(super) drivers: Drivers,
}

pub(super) struct FakeSource {
    pub(super) id: SourceId,
    pub(super) filters: Filters,
    pub(super) name: String,
    pub(super) gone: bool,
    pub(super) durable: Option<Durable>,
}

pub(super) struct FakeQueue {
    pub(super) banks: Vec<(Arc<Region<Memory>>, BankLayout, Producer)>,
    pub(super) notes: Vec<Note>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Note {
    pub(super) source: SourceId,
    pub(super) bank: u8,
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) exclusive: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Timer {
    pub(super) next: u64,
    pub(super) period: Option<u64>,
}

impl Server {
    pub(super) fn publish(&mut self, cell: u32, direction: Direction, level: Level, arrived: bool) {
        let source = self.sources[&cell].id;
        let page = self.page.clone();
        let changed = self.changed.changed(CELLS).unwrap();
        let cell = page.cell(cell).unwrap();
        let _ = self.publisher.publish(changed, cell, source, direction, level, arrived).unwrap();
    }

    pub(super) fn post(&mut self, cell: u32) {
        let source = self.sources[&cell].id;
        let page = self.page.clone();
        let changed = self.changed.changed(CELLS).unwrap();
        let _ = self.publisher.post(changed, page.cell(cell).unwrap(), source, 1).unwrap();
    }

    /// One turn of the shard.
    pub(super) fn shard(&mut self, shared: &Shared) {
        loop {
            let popped = self.drain.pop(self.changed.changed(CELLS).unwrap()).unwrap();
            let Some(source) = popped else { break };
            self.page.cell(source.index() as u32).unwrap().begin_look();
            self.look(shared, source);
        }
    }

    pub(super) fn look(&mut self, shared: &Shared, source: SourceId) {
        let page = self.page.clone();
        let cell: &Cell = page.cell(source.index() as u32).unwrap();
        let bits = cell.take_note_bits();
        let numbers: Vec<u32> = self.queues.keys().copied().collect();
        for number in numbers {
            let notes: Vec<Note> = self.queues[&number].notes.clone();
            for note in notes.into_iter().filter(|note| note.source == source) {
                let (region, layout, _) = &self.queues[&number].banks[usize::from(note.bank)];
                region.slots(*layout).unwrap()[note.slot as usize].fold(bits);
                self.activate(shared, number, note, cell);
            }
        }
    }

    pub(super) fn activate(&mut self, shared: &Shared, number: QueueNumber, note: Note, cell: &Cell) {
        let queue = self.queues.get_mut(&number).unwrap();
        let first = queue.banks[0].0.clone();
        let header = first.queue_header().unwrap();
        let (region, layout, producer) = &mut queue.banks[usize::from(note.bank)];
        let slot = &region.slots(*layout).unwrap()[note.slot as usize];
        let entry = Entry { slot: note.slot, generation: note.generation };
        let ring = region.ring(*layout, 0).unwrap();
        // Of exclusive notes, one of each queue is woken here.
        let wakes = |producer| note.exclusive || activate(producer, ring, header, 0, slot, entry).unwrap();
        if slot.active(cell).is_empty() || !wakes(producer) {
            return;
        }
        let waiters = shared.session.waiters().unwrap();
        if let Some(chosen) = choose(header.parked(), waiters, self.last_chosen) {
            self.last_chosen = chosen;
            self.signals[chosen as usize] |= 1;
            self.wakes += 1;
            shared.signalled.notify_all();
        }
    }

    pub(super) fn ask(&mut self) -> Result<()> {
        self.messages += 1;
        if self.dead { Err(Error::new(abi::error::ENOTCONN)) } else { Ok(()) }
    }

    pub(super) fn change(&mut self, shared: &Shared, queue: QueueNumber, change: Change) -> Result<()> {
        match change {
            Change::Add { source, bank, slot, generation, exclusive, .. } => {
                let known = self.sources.get(&(source.index() as u32)).filter(|known| known.id == source);
                if known.ok_or(Error::new(ENOENT))?.gone {
                    return Err(Error::new(ENODEV));
                }
                let note = Note { source, bank, slot, generation, exclusive };
                let notes = &mut self.queues.get_mut(&queue).unwrap().notes;
                assert!(!notes.iter().any(|other| (other.bank, other.slot) == (bank, slot)), "slot in use");
                notes.push(note);
                self.update_interest();
                let page = self.page.clone();
                self.activate(shared, queue, note, page.cell(source.index() as u32).unwrap());
                Ok(())
            }
            Change::Delete { bank, slot, generation } => {
                let notes = &mut self.queues.get_mut(&queue).unwrap().notes;
                let before = notes.len();
                notes.retain(|note| (note.bank, note.slot, note.generation) != (bank, slot, generation));
                let found = notes.len() < before;
                self.update_interest();
                if found { Ok(()) } else { Err(Error::new(ENOENT)) }
            }
            Change::Modify { bank, slot, generation, exclusive, .. } => {
                let notes = &mut self.queues.get_mut(&queue).unwrap().notes;
                let name = (bank, slot, generation);
                let found = notes.iter_mut().find(|note| (note.bank, note.slot, note.generation) == name);
                let note = found.ok_or(Error::new(ENOENT))?;
                note.exclusive = exclusive;
                let note = *note;
                let page = self.page.clone();
                self.activate(shared, queue, note, page.cell(note.source.index() as u32).unwrap());
                Ok(())
            }
            // Every queue is woken here.
            Change::Prefer { .. } | Change::PreferAll { .. } => Ok(()),
        }
    }

    /// Another queue's waiter is woken for what is there.
    pub(super) fn hand_back(&mut self, shared: &Shared) {
        let sources: Vec<SourceId> = self.sources.values().map(|source| source.id).collect();
        for source in sources {
            self.look(shared, source);
        }
    }

    /// What the server wants of the driver.
    pub(super) fn update_interest(&self) {
        for (&cell, source) in &self.sources {
            let wanted = self.queues.values().flat_map(|queue| &queue.notes);
            let wanted = wanted.filter(|note| note.source == source.id).count() > 0;
            let interest = if wanted { Filters::all() } else { Filters::empty() };
            self.page.cell(cell).unwrap().set_interest(interest);
        }
    }
}
