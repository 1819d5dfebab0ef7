//! Notes of one queue and their way through the ready list.
//!
//! A note that watches a cell has a slot; its `queued` word is 1 exactly while it is in an activation ring or here in the
//! ready list (or ended, so that it never comes again). A note without a cell is the program's own affair.

pub mod harvest;
mod note;

use note::Heard;
pub use note::{Note, Own, Truth};

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::error::{ENOMEM, Error, Result};
use event_protocol::activation::{BankLayout, QueueHeader};
use event_protocol::cell::{Cell, Direction};
use event_protocol::level::LevelFlags;
use event_protocol::shared::{Kept, Mapped, Region};
use event_protocol::slot::Terms;

use super::bank::Bank;
use super::ready::ReadyList;

struct Entry<M, V> {
    bank: u8,
    /// The one shard that may push the note, which is asked to make it.
    shard: u8,
    slot: u32,
    generation: u32,
    note: Option<Note<M, V>>,
}

/// A queue without its lock.
pub struct Queue<M, V> {
    header: Kept<M, QueueHeader>,
    banks: Vec<Bank<M>>,
    entries: Vec<Entry<M, V>>,
    free: Vec<u32>,
    ready: ReadyList,
    live: usize,
    /// Exclusive notes.
    exclusive: usize,
    /// How often something came, at least: what edge-triggered sets around this one tell by.
    arrivals: u64,
}

impl<M: Mapped, V> Queue<M, V> {
    /// A queue whose first bank is this memory.
    pub fn new(first: Arc<Region<M>>, layout: BankLayout) -> Result<Queue<M, V>> {
        let header = first.keep_queue_header()?;
        let bank = Bank::new(first, layout, 0)?;
        let mut queue = Queue {
            header,
            banks: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
            ready: ReadyList::new(),
            live: 0,
            exclusive: 0,
            arrivals: 0,
        };
        queue.ready.reserve(bank.end() as usize)?;
        queue.banks.push(bank);
        Ok(queue)
    }

    /// Makes sure that a further bank of so many slots can be added. `ENOMEM` (R55): before the server has made it.
    pub fn reserve(&mut self, slots: u32) -> Result<()> {
        let end = self.banks.last().map_or(0, Bank::end).saturating_add(slots);
        self.banks.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        self.ready.reserve(end as usize)
    }

    /// Adds a further bank, for which there is [room](Queue::reserve).
    pub fn grow(&mut self, region: Arc<Region<M>>, layout: BankLayout) -> Result<()> {
        let base = self.banks.last().map_or(0, Bank::end);
        self.banks.push(Bank::new(region, layout, base)?);
        Ok(())
    }

    /// Banks that it has.
    pub fn banks(&self) -> usize {
        self.banks.len()
    }

    /// Notes that it has, retired ones too.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether it has no notes.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Whether the ready list has anything.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether a note can be inserted without a further bank.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty() || self.entries.len() < self.banks.last().map_or(0, Bank::end) as usize
    }

    /// A new note in a slot of its own, whose terms are written before anybody else knows of it: at a cell of a source
    /// that this shard has, or the program's own. `ENOMEM` without [room](Queue::has_room).
    ///
    /// An exclusive one of a source, which no shard ever activates, is to be [shown](Queue::show) when the server knows it.
    pub fn insert(
        &mut self,
        source: Option<(u32, Kept<M, Cell>)>,
        terms: Terms,
        view: V,
        exclusive: bool,
    ) -> Result<u32> {
        let index = self.free_entry()?;
        let (shard, cell) = source.unzip();
        let Queue { entries, banks, .. } = self;
        let entry = &mut entries[index as usize];
        let slot = banks[entry.bank as usize].slot(entry.slot)?;
        entry.generation = entry.generation.wrapping_add(1).max(1);
        // A number that no shard has is refused by the platform: nobody pushes then.
        entry.shard = shard.and_then(|shard| u8::try_from(shard).ok()).unwrap_or(u8::MAX);
        if let Some(cell) = &cell {
            slot.begin(entry.generation, terms, cell);
            if exclusive {
                slot.keep();
            }
        }
        let (listed, retired, heard) = (false, false, Heard::Set(0));
        entry.note = Some(Note { cell, view, slot, listed, retired, exclusive, told: None, heard });
        self.live += 1;
        self.exclusive += usize::from(exclusive);
        Ok(index)
    }

    fn free_entry(&mut self) -> Result<u32> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        let index = self.entries.len() as u32;
        let place = self.banks.iter().position(|bank| index < bank.end()).ok_or(Error::new(ENOMEM))?;
        let slot = index - self.banks[place].base();
        // R55: the program's own quota has an end too. Room for every entry to be free, so that freeing needs none.
        let spare = self.entries.len() + 1 - self.free.len();
        self.entries
            .try_reserve(1)
            .and_then(|()| self.free.try_reserve(spare))
            .map_err(|_| Error::new(ENOMEM))?;
        self.entries.push(Entry { bank: place as u8, shard: u8::MAX, slot, generation: 0, note: None });
        Ok(index)
    }

    /// Frees a note that the server does not know (any more). What its ring still holds of it is dropped first, so that
    /// its slot can be used again.
    pub fn remove(&mut self, index: u32) -> Result<Option<V>> {
        self.silence(index);
        self.drain_ring_of(index)?;
        let Some(entry) = self.entries.get_mut(index as usize) else { return Ok(None) };
        let note = entry.note.take();
        if let Some(note) = &note {
            self.live -= 1;
            self.exclusive -= usize::from(note.exclusive);
            self.free.push(index);
        }
        Ok(note.map(|note| note.view))
    }

    /// Makes a note one of the program's own, in its place and with its number: what needs no memory cannot fail for want of
    /// it. The server does not know the note (any more). Returns what it meant before.
    pub fn turn(&mut self, index: u32, view: V) -> Option<V> {
        self.silence(index);
        // What a server's nonsense leaves in the ring is of a generation that is nobody's.
        let _ = self.drain_ring_of(index);
        let Entry { generation, note, .. } = self.entries.get_mut(index as usize)?;
        let note = note.as_mut()?;
        *generation = generation.wrapping_add(1).max(1);
        (note.cell, note.retired, note.heard) = (None, false, Heard::Set(0));
        self.exclusive -= usize::from(core::mem::take(&mut note.exclusive));
        Some(core::mem::replace(&mut note.view, view))
    }

    /// From here on nobody is told of the note (R35). Before the server is asked to delete it.
    pub fn silence(&mut self, index: u32) {
        let Queue { entries, ready, .. } = self;
        let Some(Entry { note: Some(note), .. }) = entries.get_mut(index as usize) else { return };
        if core::mem::take(&mut note.listed) {
            ready.remove(index);
        }
        note.retired = true;
        if note.cell.is_some() {
            note.slot.retire();
        }
    }

    /// A retired note begins anew where the server still knows it.
    pub fn revive(&mut self, index: u32, terms: Terms) {
        let Some(Entry { generation, note: Some(note), .. }) = self.entries.get_mut(index as usize) else {
            return;
        };
        note.retired = false;
        if let Some(cell) = &note.cell {
            note.slot.begin(*generation, terms, cell);
            if note.exclusive {
                note.slot.keep();
            }
        }
    }

    /// Makes a note of a source exclusive, or no longer. The server is to be told next, and then it is to be [shown](Queue::show).
    pub fn set_exclusive(&mut self, index: u32, exclusive: bool) {
        let Some(Entry { note: Some(note), .. }) = self.entries.get_mut(index as usize) else { return };
        if note.exclusive != exclusive {
            note.exclusive = exclusive;
            self.exclusive = if exclusive { self.exclusive + 1 } else { self.exclusive - 1 };
            if exclusive {
                note.slot.keep();
            }
        }
        if !exclusive
            && !note.listed
            && !note.retired
            && note.cell.as_ref().is_some_and(|cell| note.slot.settle(cell))
        {
            // It was meant for the list for good, and comes to it as others do.
            note.listed = true;
            self.arrivals += 1;
            self.ready.push(index);
        }
    }

    /// Puts an exclusive note on the ready list for good. One that is none any more leaves it, unless it is true: as long as it is
    /// there the server takes it for told, and who sleeps would not be woken for it.
    pub fn show(&mut self, index: u32) -> Truth {
        let Queue { entries, ready, .. } = self;
        let Some(Entry { note: Some(note), .. }) = entries.get_mut(index as usize) else { return Truth::No };
        let Some(cell) = &note.cell else { return Truth::No };
        if !note.exclusive {
            if note.listed && !note.slot.settle(cell) {
                ready.remove(index);
                note.listed = false;
            }
            return if note.listed { Truth::Yes } else { Truth::No };
        }
        let flags = |direction| cell.level(direction).flags;
        let is_over = flags(Direction::Read).union(flags(Direction::Write)).intersects(LevelFlags::LASTING);
        let shown = match note.slot.active(cell).is_empty() {
            true => Truth::No,
            false if is_over => Truth::Over,
            false => Truth::Yes,
        };
        self.look(index);
        shown
    }

    /// Whether an exclusive note is true.
    pub fn has_exclusive(&self) -> bool {
        let is_true = |note: &Note<M, V>| {
            let cell = note.cell.as_ref().filter(|_| note.exclusive && !note.retired);
            cell.is_some_and(|cell| !note.slot.active(cell).is_empty())
        };
        self.exclusive > 0 && self.listed(self.ready.first()).any(is_true)
    }

    /// Notes of the ready list from one on.
    fn listed(&self, first: Option<u32>) -> impl Iterator<Item = &Note<M, V>> {
        core::iter::successors(first, |&index| self.ready.next(index)).filter_map(|index| self.note(index))
    }

    /// A note.
    pub fn note(&self, index: u32) -> Option<&Note<M, V>> {
        self.entries.get(index as usize)?.note.as_ref()
    }

    /// A note, to be changed.
    pub fn note_mut(&mut self, index: u32) -> Option<&mut Note<M, V>> {
        self.entries.get_mut(index as usize)?.note.as_mut()
    }

    /// Bank, slot and generation of a note: its name in messages to the server.
    pub fn name(&self, index: u32) -> Option<(u8, u32, u32)> {
        self.entries.get(index as usize).map(|entry| (entry.bank, entry.slot, entry.generation))
    }

    /// Puts a note on the ready list if it may be true now: one of the program's own at once, one with a cell when its
    /// slot says so and nobody else has put it anywhere.
    pub fn look(&mut self, index: u32) {
        let Queue { entries, ready, .. } = self;
        let Some(Entry { note: Some(note), .. }) = entries.get_mut(index as usize) else { return };
        if note.retired {
            return;
        }
        if note.listed {
            // The program did something to a note of its own.
            self.arrivals += u64::from(note.cell.is_none());
            return;
        }
        if note.exclusive || note.cell.as_ref().is_none_or(|cell| note.slot.requeue_if_active(cell)) {
            note.listed = true;
            self.arrivals += 1;
            ready.push(index);
        }
    }

    /// How many notes are true, without telling any; those that are not leave the list, as in a harvest. And how often
    /// something came: the number moves with each arrival at a note that is true, told or not.
    pub fn pending(&mut self, own: impl Fn(&V) -> Own) -> Result<(usize, u64)> {
        let news = self.header.take_pending();
        if news != 0 {
            self.drain_apart(news)?;
        }
        let Queue { entries, ready, arrivals, .. } = self;
        let (mut count, mut next) = (0, ready.first());
        while let Some(index) = next {
            next = ready.next(index);
            let Some(Entry { note: Some(note), .. }) = entries.get_mut(index as usize) else { continue };
            let (is_true, stays, heard) = match &note.cell {
                Some(cell) => {
                    // Read before the level: an arrival in between shows as a further one, not as none.
                    let heard = Heard::Cell(note.slot.arrivals(cell));
                    let is_true = !note.slot.active(cell).is_empty();
                    (is_true, is_true || note.exclusive || note.slot.settle(cell), heard)
                }
                None => {
                    let Own { due, stays, arrivals } = own(&note.view);
                    (due, stays, Heard::Set(arrivals))
                }
            };
            count += usize::from(is_true);
            *arrivals += u64::from(heard != core::mem::replace(&mut note.heard, heard));
            if !is_true && !stays {
                ready.remove(index);
                note.listed = false;
            }
        }
        Ok((count, *arrivals))
    }

    /// Takes what may be of this note out of the one ring that can hold it: its shard's, in its bank. So what a removal
    /// costs does not depend on how many shards and banks there are.
    fn drain_ring_of(&mut self, index: u32) -> Result<()> {
        let Queue { entries, banks, ready, arrivals, .. } = self;
        let (bank, shard) = match entries.get(index as usize) {
            Some(Entry { bank, shard, note: Some(note), .. }) if note.cell.is_some() => (*bank, *shard),
            _ => return Ok(()),
        };
        let shards = 1_u32.checked_shl(shard.into()).unwrap_or(0);
        let Some(bank) = banks.get_mut(bank as usize) else { return Ok(()) };
        bank.drain(shards, |index| list(entries, ready, arrivals, index))?;
        Ok(())
    }

    /// [`drain`](Queue::drain) where it is not worth its length.
    #[inline(never)]
    fn drain_apart(&mut self, shards: u32) -> Result<()> {
        self.drain(shards)
    }

    /// Moves activations of the shards in `shards` from the rings to the tail of the ready list.
    #[inline(always)]
    fn drain(&mut self, shards: u32) -> Result<()> {
        let Queue { entries, banks, ready, arrivals, .. } = self;
        for bank in banks {
            bank.drain(shards, |index| list(entries, ready, arrivals, index))?;
        }
        Ok(())
    }
}

/// Puts a note that a shard activated on the ready list.
#[inline(always)]
fn list<M, V>(entries: &mut [Entry<M, V>], ready: &mut ReadyList, arrivals: &mut u64, index: u32) {
    if let Some(Entry { note: Some(note), .. }) = entries.get_mut(index as usize)
        && !note.listed
        && !note.retired
    {
        note.listed = true;
        *arrivals += 1;
        ready.push(index);
    }
}
