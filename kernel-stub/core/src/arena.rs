//! Objects by index and generation, in chunks that never move.

use alloc::{boxed::Box, vec::Vec};
use core::{fmt, marker::PhantomData};

/// Names a `T` in its [`Arena`]; stale once the object is removed.
#[repr(transparent)]
pub struct Id<T> {
    /// `generation << 32 | index`: one word, to be copied and compared as one.
    word: u64,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Id { word: (generation as u64) << 32 | index as u64, of: PhantomData }
    }

    /// Position in the arena.
    pub const fn index(self) -> u32 {
        self.word as u32
    }

    /// Generation of the position when the object was made, from 1.
    pub const fn generation(self) -> u32 {
        (self.word >> 32) as u32
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}
impl<T> Eq for Id<T> {}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index(), self.generation())
    }
}

const CHUNK: usize = 32;
const NONE: u32 = u32::MAX;

struct Slot<T> {
    generation: u32,
    next_free: u32,
    value: Option<T>,
}

/// A growing set of `T`. Insertion allocates one chunk for every 32 objects; nothing else allocates.
pub struct Arena<T> {
    /// Chunks have a constant size, so that a masked position needs no check.
    chunks: Vec<Box<[Slot<T>; CHUNK]>>,
    free: u32,
    len: u32,
    limit: u32,
}

impl<T> Arena<T> {
    /// An empty arena of at most `limit` objects.
    pub const fn new(limit: u32) -> Self {
        Arena { chunks: Vec::new(), free: NONE, len: 0, limit }
    }

    /// Objects in it.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        self.chunks.get(index as usize / CHUNK).map(|chunk| &chunk[index as usize % CHUNK])
    }

    #[inline(always)]
    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        self.chunks.get_mut(index as usize / CHUNK).map(|chunk| &mut chunk[index as usize % CHUNK])
    }

    /// Adds an object; `None` when the arena is at its limit (the value is dropped).
    pub fn insert(&mut self, value: T) -> Option<Id<T>> {
        self.insert_with(|_| value)
    }

    /// Adds the object that `make` makes of its own id.
    pub fn insert_with(&mut self, make: impl FnOnce(Id<T>) -> T) -> Option<Id<T>> {
        if self.free == NONE {
            self.grow()?;
        }
        let index = self.free;
        let slot = self.slot_mut(index)?;
        let next = slot.next_free;
        let id = Id::new(index, slot.generation);
        slot.value = Some(make(id));
        self.free = next;
        self.len += 1;
        Some(id)
    }

    fn grow(&mut self) -> Option<()> {
        let first = (self.chunks.len() * CHUNK) as u32;
        if first >= self.limit {
            return None;
        }
        let end = (first + CHUNK as u32).min(self.limit);
        let slot = |i| Slot { generation: 1, next_free: if i + 1 < end { i + 1 } else { NONE }, value: None };
        let chunk: Box<[Slot<T>]> = (first..first + CHUNK as u32).map(slot).collect();
        self.chunks.push(chunk.try_into().ok()?);
        self.free = first;
        Some(())
    }

    /// The object, unless the id is stale.
    #[inline(always)]
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        let slot = self.slot(id.index())?;
        if slot.generation == id.generation() { slot.value.as_ref() } else { None }
    }

    /// The object for change, unless the id is stale.
    #[inline(always)]
    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        let slot = self.slot_mut(id.index())?;
        if slot.generation == id.generation() { slot.value.as_mut() } else { None }
    }

    /// The object at a position, whatever its generation.
    #[inline(always)]
    pub fn at(&self, index: u32) -> Option<&T> {
        self.slot(index)?.value.as_ref()
    }

    /// The object at a position for change, whatever its generation.
    #[inline(always)]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slot_mut(index)?.value.as_mut()
    }

    /// The current id of the object at a position.
    pub fn id_at(&self, index: u32) -> Option<Id<T>> {
        let slot = self.slot(index)?;
        slot.value.as_ref().map(|_| Id::new(index, slot.generation))
    }

    /// Takes the object out; its id is stale from now on.
    pub fn remove(&mut self, id: Id<T>) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(id.index()).filter(|slot| slot.generation == id.generation())?;
        let value = slot.value.take()?;
        // 31 bits, so that an id shifted into a handle stays positive; a slot is reused 2^31 times before it repeats.
        slot.generation = (slot.generation & 0x7fff_ffff) + 1;
        if slot.generation > 0x7fff_ffff {
            slot.generation = 1;
        }
        slot.next_free = free;
        self.free = id.index();
        self.len -= 1;
        Some(value)
    }

    /// Positions that may hold an object: 0 to this.
    pub fn capacity(&self) -> u32 {
        (self.chunks.len() * CHUNK) as u32
    }

    /// Ids of all objects, in the order of their positions.
    pub fn ids(&self) -> impl Iterator<Item = Id<T>> + '_ {
        (0..self.capacity()).filter_map(|index| self.id_at(index))
    }
}
