//! Open files.

use crate::limits::LEAST_CLIENTS;
use abi::error::{EMFILE, ENFILE, Error, Result};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// An open file of this driver: what its descriptors' badge says. Only the engine makes them, and never the same one twice, so
/// that a driver which keeps one too long names nothing with it:
///
/// ```compile_fail,E0624
/// let file = driver_sdk::FileId::from_badge(1 << 32);
/// ```
/// ```compile_fail,E0451
/// let file = driver_sdk::FileId { index: 0, generation: 1 };
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FileId {
    index: u32,
    generation: u32,
}

impl FileId {
    /// The file that a badge names, open or not.
    pub(crate) const fn from_badge(badge: u64) -> FileId {
        FileId { index: badge as u32, generation: (badge >> 32) as u32 }
    }

    /// The badge of its descriptors, never 0.
    pub const fn badge(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// Whether a badge is the service's, and not a file's: 0, or a client's that the service knows.
    pub const fn is_service(badge: u64) -> bool {
        badge >> 32 == 0
    }

    /// A small number, unique among the files that are open at one time.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// What the engine knows of an open file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File {
    /// Whose quota it counts against.
    pub client: u64,
    /// Opened for reading.
    pub readable: bool,
    /// Opened for writing.
    pub writable: bool,
    /// The `O_*` flags that it was opened with.
    pub flags: u64,
}

struct Slot {
    generation: u32,
    /// Descriptor handles that were made and not closed.
    handles: u32,
    file: Option<File>,
}

/// The table of open files.
pub struct Files {
    most: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    clients: BTreeMap<u64, usize>,
}

impl Files {
    /// A table for at most so many files of all clients, of which one client may have a quarter.
    pub const fn new(most: usize) -> Files {
        Files { most, slots: Vec::new(), free: Vec::new(), clients: BTreeMap::new() }
    }

    /// Adds a file: ENFILE or EMFILE beyond the limits.
    pub fn insert(&mut self, file: File) -> Result<FileId> {
        let owned = self.clients.get(&file.client).copied().unwrap_or(0);
        if owned >= (self.most / LEAST_CLIENTS).max(1) {
            return Err(Error::new(EMFILE));
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() >= self.most => return Err(Error::new(ENFILE)),
            None => {
                self.slots.push(Slot { generation: 0, handles: 0, file: None });
                self.slots.len() as u32 - 1
            }
        };
        let slot = &mut self.slots[index as usize];
        // Never 0: a badge of 0 is none.
        slot.generation = slot.generation.wrapping_add(1).max(1);
        (slot.file, slot.handles) = (Some(file), 0);
        *self.clients.entry(file.client).or_default() += 1;
        Ok(FileId { index, generation: slot.generation })
    }

    /// An open file.
    pub fn get(&self, id: FileId) -> Option<File> {
        self.slots.get(id.index()).filter(|slot| slot.generation == id.generation)?.file
    }

    fn slot(&mut self, id: FileId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation)?;
        slot.file.is_some().then_some(slot)
    }

    /// A descriptor handle of a file was made.
    pub fn handle_made(&mut self, id: FileId) {
        if let Some(slot) = self.slot(id) {
            slot.handles += 1;
        }
    }

    /// A descriptor handle of a file is closed everywhere; whether it was the last one. `None`: no such file.
    pub fn handle_closed(&mut self, id: FileId) -> Option<bool> {
        let slot = self.slot(id)?;
        slot.handles = slot.handles.saturating_sub(1);
        Some(slot.handles == 0)
    }

    /// Whether a client has a descriptor handle of it.
    pub fn is_held(&self, id: FileId) -> bool {
        self.get(id).is_some() && self.slots[id.index()].handles > 0
    }

    /// The open files.
    pub fn iter(&self) -> impl Iterator<Item = FileId> {
        let open = self.slots.iter().enumerate().filter(|(_, slot)| slot.file.is_some());
        open.map(|(index, slot)| FileId { index: index as u32, generation: slot.generation })
    }

    /// Removes a file.
    pub fn remove(&mut self, id: FileId) -> Option<File> {
        let slot = self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation)?;
        let file = slot.file.take()?;
        self.free.push(id.index);
        if let Some(count) = self.clients.get_mut(&file.client) {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(&file.client);
            }
        }
        Some(file)
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: File = File { client: 7, readable: true, writable: false, flags: 0 };

    #[test]
    fn a_closed_file_stays_closed_though_its_place_is_used_again() {
        let mut files = Files::new(40);
        let first = files.insert(FILE).unwrap();
        assert_eq!(files.remove(first), Some(FILE));
        let second = files.insert(FILE).unwrap();
        assert_eq!(second.index(), first.index());
        assert_eq!((files.get(first), files.remove(first)), (None, None));
        assert_eq!(files.get(FileId::from_badge(second.badge())), Some(FILE));
    }

    #[test]
    fn r55_a_client_has_a_quota_and_others_have_theirs() {
        let mut files = Files::new(40);
        let mine: Vec<FileId> = (0..10).map(|_| files.insert(FILE).unwrap()).collect();
        assert_eq!(files.insert(FILE), Err(Error::new(EMFILE)));
        assert!(files.insert(File { client: 8, ..FILE }).is_ok());
        files.remove(mine[0]);
        assert!(files.insert(FILE).is_ok());
    }

    #[test]
    fn r55_the_table_has_an_end() {
        let mut files = Files::new(40);
        for client in 0..40 {
            files.insert(File { client, ..FILE }).unwrap();
        }
        assert_eq!(files.insert(File { client: u64::MAX, ..FILE }), Err(Error::new(ENFILE)));
    }
}
