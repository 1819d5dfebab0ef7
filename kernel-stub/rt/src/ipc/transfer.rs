//! Handles that travel.

use abi::error::{EINVAL, Error, Result};
use abi::message::MAX_HANDLES;
use abi::{Handle, Rights, Tag, TransferSlot};

use super::buffer;
use crate::sys::{AnyHandle, Object};

/// A handle to be sent.
#[derive(Debug)]
pub enum Transfer {
    /// A duplicate with these rights at most: needs `DUPLICATE`.
    Copy(Handle, Rights),
    /// The handle itself; it is closed when it cannot be delivered.
    Move(AnyHandle, Rights),
}

impl Transfer {
    /// Sends a duplicate with all rights.
    pub fn copy(object: &impl Object) -> Transfer {
        Transfer::Copy(object.handle(), Rights::all())
    }

    /// Sends a duplicate with fewer rights.
    pub fn copy_with(object: &impl Object, rights: Rights) -> Transfer {
        Transfer::Copy(object.handle(), rights)
    }

    /// Parts with the handle.
    pub fn moved(object: impl Object) -> Transfer {
        Transfer::Move(AnyHandle::from_handle(object.into_handle()), Rights::all())
    }

    fn slot(&self) -> TransferSlot {
        let (handle, rights, flags) = match self {
            Transfer::Copy(handle, rights) => (*handle, *rights, 0),
            Transfer::Move(object, rights) => (object.handle(), *rights, TransferSlot::MOVE),
        };
        TransferSlot { handle, rights: rights.bits(), flags, ..TransferSlot::EMPTY }
    }

    /// It was delivered: what was moved is no longer here.
    pub(super) fn delivered(self) {
        if let Transfer::Move(object, _) = self {
            object.into_handle();
        }
    }
}

/// Puts transfers into the buffer: how many, or `EINVAL` when they are too many for a message.
pub(super) fn set(transfers: &[Transfer]) -> Result<usize> {
    if transfers.len() > MAX_HANDLES {
        return Err(Error::new(EINVAL));
    }
    for (index, transfer) in transfers.iter().enumerate() {
        buffer::set_slot(index, transfer.slot());
    }
    Ok(transfers.len())
}

/// A handle that arrived.
#[derive(Debug)]
pub enum Arrived {
    /// A new handle of this process, with these rights.
    Handle(AnyHandle, Rights),
    /// A handle to the receiver's own endpoint: this is its badge, which nobody can have forged.
    Badge(u64),
}

/// The handles of a message that arrived; what is not taken is closed when this is dropped.
#[derive(Debug, Default)]
pub struct Arrivals {
    slots: [Option<Arrived>; MAX_HANDLES],
}

impl Arrivals {
    /// Takes ownership of the handles of the message that was just received; once for each message.
    pub fn of(tag: Tag) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for (index, arrived) in arrivals.slots.iter_mut().enumerate().take(tag.handles()) {
            let slot = buffer::slot(index);
            *arrived = match slot.arrived {
                TransferSlot::ARRIVED_HANDLE => Some(Arrived::Handle(
                    AnyHandle::from_handle(slot.handle),
                    Rights::from_bits_truncate(slot.rights),
                )),
                TransferSlot::ARRIVED_BADGE => Some(Arrived::Badge(slot.badge)),
                _ => None,
            };
        }
        arrivals
    }

    /// Takes what arrived in a slot.
    pub fn take(&mut self, index: usize) -> Option<Arrived> {
        self.slots.get_mut(index).and_then(Option::take)
    }

    /// Takes the object in a slot: `EINVAL` when there is none, or a badge.
    pub fn object<T: Object>(&mut self, index: usize) -> Result<T> {
        match self.take(index) {
            Some(Arrived::Handle(handle, _)) => Ok(handle.into_object()),
            _ => Err(Error::new(EINVAL)),
        }
    }

    /// Takes the badge in a slot: `EINVAL` when there is none, or a handle.
    pub fn badge(&mut self, index: usize) -> Result<u64> {
        match self.take(index) {
            Some(Arrived::Badge(badge)) => Ok(badge),
            _ => Err(Error::new(EINVAL)),
        }
    }

    /// Whether nothing (more) arrived.
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }
}
