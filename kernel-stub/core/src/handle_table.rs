//! A process's handles.

use crate::{object::Object, quota::Charge};
use abi::{
    Handle, Rights,
    error::{EBADF, EINVAL, EMFILE, EPERM, Error, Result},
    handle::Kind,
    limits::MAX_HANDLES_PER_PROCESS,
};
use alloc::{boxed::Box, vec::Vec};

/// A handle that has been looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it names.
    pub object: Object,
    /// What it may be used for.
    pub rights: Rights,
}

impl Entry {
    /// The entry if it has all of `rights`: `EPERM`.
    #[inline]
    pub fn needs(self, rights: Rights) -> Result<Entry> {
        if self.rights.contains(rights) { Ok(self) } else { Err(Error::new(EPERM)) }
    }

    /// The entry if its object is of this type: `EINVAL`.
    pub fn is(self, kind: Kind) -> Result<Entry> {
        if self.object.kind() == kind { Ok(self) } else { Err(Error::new(EINVAL)) }
    }
}

struct Slot {
    entry: Option<Entry>,
    generation: u32,
    next_free: u32,
}

const CHUNK: usize = 64;
const NONE: u32 = u32::MAX;

/// Handles by index and generation.
pub struct HandleTable {
    #[allow(clippy::vec_box)] // Growing must not move the chunks.
    chunks: Vec<Box<[Slot; CHUNK]>>,
    free: u32,
    len: u32,
    charge: Charge,
}

impl HandleTable {
    /// An empty table whose handles are paid by `charge`'s account.
    pub fn new(charge: Charge) -> Self {
        HandleTable { chunks: Vec::new(), free: NONE, len: 0, charge }
    }

    /// Handles in it.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> Option<&Slot> {
        self.chunks.get(index as usize / CHUNK).map(|chunk| &chunk[index as usize % CHUNK])
    }

    #[inline(always)]
    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.chunks.get_mut(index as usize / CHUNK).map(|chunk| &mut chunk[index as usize % CHUNK])
    }

    /// Makes sure that one more handle fits: `ENOMEM` beyond the quota, `EMFILE` beyond the limit.
    pub fn reserve(&mut self) -> Result<()> {
        if self.free != NONE {
            return Ok(());
        }
        let first = self.chunks.len() * CHUNK;
        if first >= MAX_HANDLES_PER_PROCESS {
            return Err(Error::new(EMFILE));
        }
        self.charge.extend(CHUNK as u64 * abi::limits::cost::HANDLE)?;
        let slot = |i: usize| Slot {
            entry: None,
            generation: 1,
            next_free: if i + 1 < CHUNK { (first + i + 1) as u32 } else { NONE },
        };
        let chunk: Box<[Slot]> = (0..CHUNK).map(slot).collect();
        self.chunks.push(chunk.try_into().map_err(|_| Error::new(EMFILE))?);
        self.free = first as u32;
        Ok(())
    }

    /// Adds a handle.
    pub fn insert(&mut self, entry: Entry) -> Result<Handle> {
        self.reserve()?;
        let index = self.free;
        let slot = self.slot_mut(index).ok_or(Error::new(EMFILE))?;
        let handle = Handle::new(index, slot.generation);
        slot.entry = Some(entry);
        let next = slot.next_free;
        self.free = next;
        self.len += 1;
        Ok(handle)
    }

    /// Looks a handle up: `EBADF` when there is none of that index and generation.
    #[inline(always)]
    pub fn get(&self, handle: Handle) -> Result<&Entry> {
        match self.slot(handle.index()) {
            Some(Slot { entry: Some(entry), generation, .. }) if *generation == handle.generation() => {
                Ok(entry)
            }
            _ => Err(Error::new(EBADF)),
        }
    }

    /// Takes a handle out; its number is stale from now on.
    pub fn remove(&mut self, handle: Handle) -> Result<Entry> {
        let free = self.free;
        let slot = self.slot_mut(handle.index()).filter(|slot| slot.generation == handle.generation());
        let slot = slot.ok_or(Error::new(EBADF))?;
        let entry = slot.entry.take().ok_or(Error::new(EBADF))?;
        slot.generation = if slot.generation == 0x7fff_ffff { 1 } else { slot.generation + 1 };
        slot.next_free = free;
        self.free = handle.index();
        self.len -= 1;
        Ok(entry)
    }

    /// Takes any handle out, looking from index `from`; returns where to go on.
    pub fn take_any(&mut self, from: u32) -> Option<(Entry, u32)> {
        let end = (self.chunks.len() * CHUNK) as u32;
        for index in from..end {
            let Some(slot) = self.slot(index) else { break };
            if slot.entry.is_some() {
                let handle = Handle::new(index, slot.generation);
                return self.remove(handle).ok().map(|entry| (entry, index + 1));
            }
        }
        None
    }
}
