//! Handles that travel in messages.

use crate::{Objects, arena::Id, handle_table::Entry, object::Object, process::Process};
use abi::{
    Handle, Rights, TransferSlot,
    error::{EINVAL, EMFILE, EMSGSIZE, ENOBUFS, ENOMEM, EPERM, Error, Result},
    message::MAX_HANDLES,
};

impl Objects {
    /// Moves or duplicates the handles that `slots` name from one process to another, all or none, and writes what
    /// arrived into `slots`. `accept` is how many the receiver takes (`EMSGSIZE`); what arrives is charged to it, and
    /// `ENOBUFS` says that it cannot pay: an error that is never the sender's own. What the sender has parted with is to be let go by
    /// [`Objects::let_go`] once the message is delivered: the last handle of a badge may go with it, and the notice of
    /// that must not wake the very receiver that the message is meant for.
    pub fn transfer(
        &mut self,
        from: Id<Process>,
        to: Id<Process>,
        slots: &mut [TransferSlot],
        accept: usize,
    ) -> Result<Moved> {
        if slots.len() > accept.min(MAX_HANDLES) {
            return Err(Error::new(EMSGSIZE));
        }
        let mut entries = [None; MAX_HANDLES];
        for (i, slot) in slots.iter().enumerate() {
            if slot.flags & !TransferSlot::MOVE != 0 {
                return Err(Error::new(EINVAL));
            }
            let moved = slot.flags & TransferSlot::MOVE != 0;
            let again = slots[..i].iter().any(|other| other.handle == slot.handle);
            if again
                && (moved
                    || slots[..i]
                        .iter()
                        .any(|o| o.handle == slot.handle && o.flags & TransferSlot::MOVE != 0))
            {
                return Err(Error::new(EINVAL));
            }
            entries[i] = Some(self.outgoing(from, slot)?);
        }
        let mut arrived = [Handle::NONE; MAX_HANDLES];
        for i in 0..slots.len() {
            let Some(entry) = entries[i] else { continue };
            if self.unwrapped(entry, to).is_some() {
                continue;
            }
            let inserted = self.process_mut(to).and_then(|process| process.handles.insert(entry));
            match inserted {
                Ok(handle) => arrived[i] = handle,
                Err(error) => {
                    // Not counted yet, so taking them back is all.
                    for handle in arrived.into_iter().filter(|handle| !handle.is_none()) {
                        if let Ok(process) = self.process_mut(to) {
                            let _ = process.handles.remove(handle);
                        }
                    }
                    let is_full = [ENOMEM, EMFILE].contains(&error.errno);
                    return Err(if is_full { Error::new(ENOBUFS) } else { error });
                }
            }
        }
        let mut gone = Moved([None; MAX_HANDLES]);
        for (i, slot) in slots.iter_mut().enumerate() {
            let Some(entry) = entries[i] else { continue };
            let (handle, moved) = (slot.handle, slot.flags & TransferSlot::MOVE != 0);
            let badge = self.unwrapped(entry, to);
            *slot = TransferSlot {
                handle: arrived[i],
                badge: badge.unwrap_or(0),
                rights: entry.rights.bits(),
                flags: 0,
                arrived: if badge.is_some() {
                    TransferSlot::ARRIVED_BADGE
                } else {
                    TransferSlot::ARRIVED_HANDLE
                },
            };
            if badge.is_none() {
                self.retain(entry.object);
                self.handle_count += 1;
                if entry.rights.contains(Rights::RECEIVE)
                    && let Object::Endpoint { id, .. } = entry.object
                {
                    self.hand_over(id, to);
                }
            }
            if moved {
                gone.0[i] = self.forget_moved(from, handle);
            }
        }
        Ok(gone)
    }

    fn outgoing(&self, from: Id<Process>, slot: &TransferSlot) -> Result<Entry> {
        let entry = self.process(from)?.handles.get(slot.handle)?.needs(Rights::TRANSFER)?;
        let mask = Rights::from_bits_truncate(slot.rights);
        if slot.flags & TransferSlot::MOVE == 0 {
            entry.needs(Rights::DUPLICATE)?;
            return Ok(Entry { object: entry.object, rights: entry.rights & (mask - Rights::RECEIVE) });
        }
        if entry.rights.contains(Rights::RECEIVE) && !mask.contains(Rights::RECEIVE) {
            // Moving it without the receive right would close the endpoint under its callers by accident.
            return Err(Error::new(EPERM));
        }
        Ok(Entry { object: entry.object, rights: entry.rights & mask })
    }

    /// The badge as which a handle arrives at the owner of its endpoint. The right to receive always arrives as a handle:
    /// unwrapped it would be lost. So does everything of an endpoint that the owner has not made but was sent: who made it can
    /// have minted any badge, and would give the owner's own out that way.
    fn unwrapped(&self, entry: Entry, to: Id<Process>) -> Option<u64> {
        match entry.object {
            Object::Endpoint { id, badge, .. } if !entry.rights.contains(Rights::RECEIVE) => {
                let endpoint = self.endpoints.get(id)?;
                (endpoint.owner == Some(to) && endpoint.maker == to).then_some(badge)
            }
            _ => None,
        }
    }

    /// Removes a handle; its object stays counted.
    fn forget_moved(&mut self, from: Id<Process>, handle: Handle) -> Option<Object> {
        let entry = self.process_mut(from).and_then(|process| process.handles.remove(handle)).ok()?;
        self.handle_count -= 1;
        Some(entry.object)
    }

    /// Lets go of what a sender has parted with.
    pub fn let_go(&mut self, moved: Moved) {
        moved.0.into_iter().flatten().for_each(|object| self.release(object));
    }
}

/// What a sender has parted with, still counted.
#[must_use]
#[derive(Debug)]
pub struct Moved([Option<Object>; MAX_HANDLES]);

impl Moved {
    /// Nothing.
    pub const NOTHING: Moved = Moved([None; MAX_HANDLES]);
}
