//! The stack's sockets, each in a set of its own: the library looks through a whole set at each packet.

use super::places::Place;
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::{Index, IndexMut};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::{AnySocket, Socket};
use smoltcp::time::Instant;

/// Names a socket of the stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Handle {
    index: u32,
    generation: u32,
}

impl Handle {
    /// Before all others.
    pub const LEAST: Handle = Handle { index: 0, generation: 0 };
    /// After all others.
    pub const MOST: Handle = Handle { index: u32::MAX, generation: u32::MAX };
}

/// A socket of the stack.
pub struct Entry {
    /// The set in which it is alone.
    pub set: SocketSet<'static>,
    alone: SocketHandle,
    /// Whose it is, if anybody's who wants to know what becomes of it.
    pub owner: Option<u64>,
    /// Which packets are for it, as the stack has written down.
    pub place: Option<Place>,
    /// No packet is for it any more.
    pub is_apart: bool,
    /// The other side is to be asked once whether it has lost the connection.
    pub is_challenged: bool,
    /// That may have to be written down anew.
    pub is_moved: bool,
    /// It is among those that are looked at next.
    pub is_queued: bool,
    /// It is among those to which something has happened.
    pub is_changed: bool,
    /// Then it has something to do by itself.
    pub deadline: Option<Instant>,
}

impl Entry {
    /// A socket to which nothing has happened.
    pub fn new<T: AnySocket<'static>>(socket: T) -> Entry {
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let alone = set.add(socket);
        Entry {
            set,
            alone,
            owner: None,
            place: None,
            is_apart: false,
            is_challenged: false,
            is_moved: false,
            is_queued: false,
            is_changed: false,
            deadline: None,
        }
    }

    /// The socket.
    pub fn socket(&self) -> Option<&Socket<'static>> {
        self.set.iter().next().map(|(_, socket)| socket)
    }

    /// The same, of a kind.
    pub fn get<T: AnySocket<'static>>(&self) -> &T {
        self.set.get(self.alone)
    }

    /// The same.
    pub fn get_mut<T: AnySocket<'static>>(&mut self) -> &mut T {
        self.set.get_mut(self.alone)
    }
}

#[derive(Default)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

/// All sockets of the stack.
#[derive(Default)]
pub struct Table {
    slots: Vec<Slot>,
    free: BinaryHeap<Reverse<u32>>,
}

impl Table {
    /// Adds a socket.
    pub fn insert(&mut self, entry: Entry) -> Handle {
        let index = match self.free.pop() {
            Some(Reverse(index)) => index,
            None => {
                self.slots.push(Slot::default());
                self.slots.len() as u32 - 1
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.entry = Some(entry);
        Handle { index, generation: slot.generation }
    }

    /// Takes a socket out. Its handle names none afterwards.
    pub fn remove(&mut self, handle: Handle) -> Option<Entry> {
        let slot = self.slots.get_mut(handle.index as usize)?;
        if slot.generation != handle.generation {
            return None;
        }
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(Reverse(handle.index));
        Some(entry)
    }

    /// A socket, if it is still there.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(handle.index as usize)?;
        slot.entry.as_mut().filter(|_| slot.generation == handle.generation)
    }

    /// All of them.
    pub fn handles(&self) -> Vec<Handle> {
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| slot.entry.is_some());
        slots.map(|(at, slot)| Handle { index: at as u32, generation: slot.generation }).collect()
    }
}

/// Panics when there is no such socket: who has a handle has the socket, until he gives it back.
impl Index<Handle> for Table {
    type Output = Entry;

    fn index(&self, handle: Handle) -> &Entry {
        let slot = self.slots.get(handle.index as usize).filter(|slot| slot.generation == handle.generation);
        slot.and_then(|slot| slot.entry.as_ref()).expect("a handle that was not given back")
    }
}

impl IndexMut<Handle> for Table {
    fn index_mut(&mut self, handle: Handle) -> &mut Entry {
        self.get_mut(handle).expect("a handle that was not given back")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use smoltcp::socket::udp;

    fn entry(owner: u64) -> Entry {
        let buffer = || udp::PacketBuffer::new(vec![], vec![]);
        Entry { owner: Some(owner), ..Entry::new(udp::Socket::new(buffer(), buffer())) }
    }

    #[test]
    fn an_old_handle_names_nothing() {
        let mut table = Table::default();
        let (first, second) = (table.insert(entry(1)), table.insert(entry(2)));
        assert!(table.remove(first).is_some() && table.remove(first).is_none());
        let third = table.insert(entry(3));
        assert!(third != first && table.get_mut(first).is_none());
        assert_eq!((table[second].owner, table[third].owner), (Some(2), Some(3)));
        assert_eq!(table.handles(), [third, second], "the place of the first");
    }
}
