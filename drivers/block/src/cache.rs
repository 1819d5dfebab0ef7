//! Which page of the disk is in which slot of memory, and on its way or not.
//!
//! ```text
//!          fetch           issued           done
//!   empty ──────► wanted ──────────► coming ─────► clean ──► (another page)
//!                                                   │  ▲
//!                                            write  ▼  │ done
//!                                        dirty ──► going ──write──► going, dirty again
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// How a slot's page is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No page.
    Empty,
    /// To be read, when the device takes it.
    Wanted,
    /// The device reads it.
    Coming,
    /// As on the disk.
    Clean,
    /// To be written, when the device takes it.
    Dirty,
    /// The device writes it; and whether it has changed since.
    Going {
        /// It has to be written again.
        again: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    page: u64,
    state: State,
    /// When it was used last.
    used: u64,
}

/// The slots.
#[derive(Debug)]
pub struct Cache {
    slots: Vec<Slot>,
    pages: BTreeMap<u64, usize>,
    uses: u64,
}

/// What a page's arrival or departure came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// The page.
    pub page: u64,
    /// It was written, rather than read.
    pub is_write: bool,
}

impl Cache {
    /// So many empty slots.
    pub fn new(slots: usize) -> Cache {
        let slot = Slot { page: 0, state: State::Empty, used: 0 };
        Cache { slots: alloc::vec![slot; slots], pages: BTreeMap::new(), uses: 0 }
    }

    fn touch(&mut self, slot: usize) {
        self.uses += 1;
        self.slots[slot].used = self.uses;
    }

    /// The slot of a page whose bytes are there.
    pub fn find(&mut self, page: u64) -> Option<usize> {
        let slot = *self.pages.get(&page)?;
        let is_there = !matches!(self.slots[slot].state, State::Wanted | State::Coming);
        is_there.then(|| {
            self.touch(slot);
            slot
        })
    }

    /// Has a page come. `false`: every slot is on its way, try when one is done.
    pub fn fetch(&mut self, page: u64) -> bool {
        self.pages.contains_key(&page) || self.claim(page)
    }

    /// Gives a page the slot that was used longest ago, of those that are not on their way.
    fn claim(&mut self, page: u64) -> bool {
        let idle = |&slot: &usize| matches!(self.slots[slot].state, State::Empty | State::Clean);
        let oldest = (0..self.slots.len()).filter(idle).min_by_key(|&slot| self.slots[slot].used);
        let Some(slot) = oldest else { return false };
        if self.slots[slot].state == State::Clean {
            self.pages.remove(&self.slots[slot].page);
        }
        self.slots[slot] = Slot { page, state: State::Wanted, used: 0 };
        self.pages.insert(page, slot);
        self.touch(slot);
        true
    }

    /// A slot's bytes were changed.
    pub fn changed(&mut self, slot: usize) {
        let state = &mut self.slots[slot].state;
        *state = match *state {
            State::Going { .. } => State::Going { again: true },
            _ => State::Dirty,
        };
    }

    /// The next slot that the device should have: its number, its page, and whether to write it.
    pub fn next(&self) -> Option<(usize, u64, bool)> {
        let waits = |slot: &&Slot| matches!(slot.state, State::Wanted | State::Dirty);
        let (at, slot) = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| waits(slot))
            .min_by_key(|(_, slot)| slot.used)?;
        Some((at, slot.page, slot.state == State::Dirty))
    }

    /// The device has it.
    pub fn issued(&mut self, slot: usize) {
        let state = &mut self.slots[slot].state;
        *state = if *state == State::Dirty { State::Going { again: false } } else { State::Coming };
    }

    /// The device is done with it. What could not be read or written is on no page any more.
    pub fn done(&mut self, slot: usize, succeeded: bool) -> Done {
        let Slot { page, state, .. } = self.slots[slot];
        let is_write = matches!(state, State::Going { .. });
        self.slots[slot].state = match state {
            State::Going { again: true } => State::Dirty,
            _ if succeeded => State::Clean,
            _ => {
                self.pages.remove(&page);
                State::Empty
            }
        };
        Done { page, is_write }
    }

    /// Slots that could hold a page that is written.
    pub fn room(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot.state, State::Empty | State::Clean)).count()
    }

    /// Whether everything that was written is on the disk.
    pub fn is_written(&self) -> bool {
        !self.slots.iter().any(|slot| matches!(slot.state, State::Dirty | State::Going { .. }))
    }
}
