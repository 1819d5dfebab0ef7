//! Handles on their way through a driver: sent, and not received yet.
//!
//! A driver has them as [`Parcel`]s, which it keeps with the bytes that they came with. What becomes of a handle is
//! decided by what becomes of its parcels: delivered, or dropped with what they were kept in.
//!
//! A descriptor of the driver's own needs no handle on its way. Its file lives as long as a client has a handle or a parcel
//! is on its way to one. Files that are only in parcels which only such files could receive are nobody's: the engine
//! asks the driver which parcels lie where ([`Driver::visit_parcels`](crate::Driver::visit_parcels)) and closes those.

use crate::files::FileId;
use crate::limits::PARCELS_PER_CLIENT;
use crate::link::Carried;
use abi::error::{ETOOMANYREFS, Error, Result};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

/// A handle on its way. When the last clone is dropped the handle is closed.
#[derive(Clone)]
pub struct Parcel(Rc<Place>);

struct Place {
    index: u32,
    own: Option<FileId>,
    returned: Rc<RefCell<Vec<u32>>>,
}

impl Parcel {
    /// The file, if it is a descriptor of this very driver.
    pub fn file(&self) -> Option<FileId> {
        self.0.own
    }

    pub(crate) fn index(&self) -> u32 {
        self.0.index
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({})", self.0.index)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.returned.borrow_mut().push(self.index);
    }
}

struct Slot<H> {
    client: u64,
    content: Carried<H>,
}

/// All of a driver's parcels.
pub struct Parcels<H> {
    slots: Vec<Option<Slot<H>>>,
    free: Vec<u32>,
    clients: BTreeMap<u64, usize>,
    /// How many parcels each of the driver's own files is in.
    own: BTreeMap<FileId, usize>,
    returned: Rc<RefCell<Vec<u32>>>,
}

impl<H> Parcels<H> {
    /// None.
    pub fn new() -> Parcels<H> {
        Parcels {
            slots: Vec::new(),
            free: Vec::new(),
            clients: BTreeMap::new(),
            own: BTreeMap::new(),
            returned: Rc::default(),
        }
    }

    /// Takes what a client sends. ETOOMANYREFS over its quota.
    pub fn accept(&mut self, client: u64, content: Carried<H>) -> Result<Parcel> {
        let count = self.clients.entry(client).or_default();
        if *count >= PARCELS_PER_CLIENT {
            return Err(Error::new(ETOOMANYREFS));
        }
        *count += 1;
        let own = match &content {
            Carried::Handle(_) => None,
            Carried::Own(badge) => Some(FileId::from_badge(*badge)),
        };
        if let Some(file) = own {
            *self.own.entry(file).or_default() += 1;
        }
        let slot = Some(Slot { client, content });
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        Ok(Parcel(Rc::new(Place { index, own, returned: self.returned.clone() })))
    }

    /// What is in one.
    pub fn content(&self, parcel: &Parcel) -> Option<&Carried<H>> {
        self.slots.get(parcel.index() as usize)?.as_ref().map(|slot| &slot.content)
    }

    /// The next that the driver has dropped: its handle is closed. If it was a file of the driver's own, that is returned: it
    /// lives only if somebody can reach it still.
    pub fn sweep(&mut self) -> Option<Option<FileId>> {
        let index = self.returned.borrow_mut().pop()?;
        let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::take) else { return Some(None) };
        self.free.push(index);
        if let Some(count) = self.clients.get_mut(&slot.client) {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(&slot.client);
            }
        }
        let Carried::Own(badge) = slot.content else { return Some(None) };
        let file = FileId::from_badge(badge);
        if let Some(count) = self.own.get_mut(&file) {
            *count -= 1;
            if *count == 0 {
                self.own.remove(&file);
            }
        }
        Some(Some(file))
    }

    /// Whether an own file is in a parcel.
    pub fn has(&self, file: FileId) -> bool {
        self.own.contains_key(&file)
    }

    /// The own files that are in parcels.
    pub fn own_files(&self) -> impl Iterator<Item = FileId> {
        self.own.keys().copied()
    }

    /// How many are on their way.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl<H> Default for Parcels<H> {
    fn default() -> Parcels<H> {
        Parcels::new()
    }
}
