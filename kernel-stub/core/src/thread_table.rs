//! All threads, by index and generation.
//!
//! Unlike an [`Arena`](crate::arena::Arena), a free position holds a thread that is dead and waits nowhere, so that the
//! event path, which follows links between threads, has nothing to check but the bound.

use crate::{arena::Id, thread::Thread};
use alloc::vec::Vec;

struct Slot {
    thread: Thread,
    generation: u32,
    next_free: u32,
    used: bool,
}

const NONE: u32 = u32::MAX;

/// All threads.
pub struct ThreadTable {
    slots: Vec<Slot>,
    free: u32,
    len: u32,
    limit: u32,
}

impl ThreadTable {
    /// A table for at most `limit` threads.
    pub const fn new(limit: u32) -> Self {
        ThreadTable { slots: Vec::new(), free: NONE, len: 0, limit }
    }

    /// Threads in it.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a thread; `None` when there is no room (the thread is dropped).
    pub fn insert(&mut self, thread: Thread) -> Option<Id<Thread>> {
        if self.free == NONE {
            let index = self.slots.len() as u32;
            if index >= self.limit {
                return None;
            }
            self.slots.try_reserve(1).ok()?;
            self.slots.push(Slot { thread: Thread::vacant(), generation: 1, next_free: NONE, used: false });
            self.free = index;
        }
        let index = self.free;
        let slot = self.slots.get_mut(index as usize)?;
        self.free = slot.next_free;
        slot.thread = thread;
        slot.used = true;
        self.len += 1;
        Some(Id::new(index, slot.generation))
    }

    fn slot(&self, id: Id<Thread>) -> Option<&Slot> {
        self.slots.get(id.index() as usize).filter(|slot| slot.used && slot.generation == id.generation())
    }

    /// The thread, unless the id is stale.
    pub fn get(&self, id: Id<Thread>) -> Option<&Thread> {
        self.slot(id).map(|slot| &slot.thread)
    }

    /// The thread for change, unless the id is stale.
    pub fn get_mut(&mut self, id: Id<Thread>) -> Option<&mut Thread> {
        self.slot(id)?;
        self.at_mut(id.index())
    }

    /// The thread at a position. In a free one, a thread that is dead.
    #[inline(always)]
    pub fn at(&self, index: u32) -> Option<&Thread> {
        self.slots.get(index as usize).map(|slot| &slot.thread)
    }

    /// The same for change.
    #[inline(always)]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut Thread> {
        self.slots.get_mut(index as usize).map(|slot| &mut slot.thread)
    }

    /// The current id of the thread at a position.
    pub fn id_at(&self, index: u32) -> Option<Id<Thread>> {
        self.slots.get(index as usize).filter(|slot| slot.used).map(|slot| Id::new(index, slot.generation))
    }

    /// Takes the thread out; its id is stale from now on.
    pub fn remove(&mut self, id: Id<Thread>) -> Option<Thread> {
        self.slot(id)?;
        let free = core::mem::replace(&mut self.free, id.index());
        let slot = self.slots.get_mut(id.index() as usize)?;
        slot.generation = if slot.generation == 0x7fff_ffff { 1 } else { slot.generation + 1 };
        slot.next_free = free;
        slot.used = false;
        self.len -= 1;
        Some(core::mem::replace(&mut slot.thread, Thread::vacant()))
    }

    /// Positions that may hold a thread: 0 to this.
    pub fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Ids of all threads, in the order of their positions.
    pub fn ids(&self) -> impl Iterator<Item = Id<Thread>> + '_ {
        (0..self.capacity()).filter_map(|index| self.id_at(index))
    }
}
