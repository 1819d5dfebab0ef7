//! `struct epoll_event` and the flags in it.

use abi::error::{EINVAL, Error};
use bitflags::bitflags;

use crate::conditions::Conditions;

bitflags! {
    /// `EPOLL*`: conditions, which are those of [`Conditions`], and how an item behaves. `epoll_ctl(2)`.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    #[repr(transparent)]
    pub struct EpollFlags: u32 {
        /// Something can be read.
        const IN = 0x0001;
        /// Something exceptional waits.
        const PRI = 0x0002;
        /// Something can be written.
        const OUT = 0x0004;
        /// An error is pending. Told unasked (R41).
        const ERR = 0x0008;
        /// Both directions are finished. Told unasked (R41).
        const HUP = 0x0010;
        /// As [`IN`](Self::IN).
        const RDNORM = 0x0040;
        /// As [`PRI`](Self::PRI).
        const RDBAND = 0x0080;
        /// As [`OUT`](Self::OUT).
        const WRNORM = 0x0100;
        /// As [`OUT`](Self::OUT).
        const WRBAND = 0x0200;
        /// Never told.
        const MSG = 0x0400;
        /// The peer will send no more.
        const RDHUP = 0x2000;
        /// Of several sets that wait for one file, at least one is told, not all (R43). Only when an item is added.
        const EXCLUSIVE = 1 << 28;
        /// Keeps the system awake: accepted, and without effect here.
        const WAKEUP = 1 << 29;
        /// Silent after it was told once, until it is modified (R39).
        const ONESHOT = 1 << 30;
        /// Told once for each arrival (R40).
        const ET = 1 << 31;
        const _ = !0;
    }
}

impl EpollFlags {
    /// What may be asked for together with [`EXCLUSIVE`](Self::EXCLUSIVE) (R43).
    pub const WITH_EXCLUSIVE: EpollFlags = EpollFlags::IN
        .union(EpollFlags::OUT)
        .union(EpollFlags::ERR)
        .union(EpollFlags::HUP)
        .union(EpollFlags::WAKEUP)
        .union(EpollFlags::ET)
        .union(EpollFlags::EXCLUSIVE);

    /// The conditions in it.
    pub const fn conditions(self) -> Conditions {
        Conditions::from_bits_retain(self.bits() as u16)
    }
}

/// An event, or what an item asks for: `struct epoll_event`, packed as on x86-64.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, packed)]
pub struct EpollEvent {
    events: u32,
    data: u64,
}

const _: () = assert!(size_of::<EpollEvent>() == 12);

impl EpollEvent {
    /// Conditions and the program's own word, which comes back with each event.
    pub const fn new(events: EpollFlags, data: u64) -> EpollEvent {
        EpollEvent { events: events.bits(), data }
    }

    /// Conditions.
    #[inline]
    pub const fn events(&self) -> EpollFlags {
        EpollFlags::from_bits_retain(self.events)
    }

    /// The program's own word.
    #[inline]
    pub const fn data(&self) -> u64 {
        self.data
    }
}

impl core::fmt::Debug for EpollEvent {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("EpollEvent").field("events", &self.events()).field("data", &self.data()).finish()
    }
}

/// What `epoll_ctl(2)` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EpollOp {
    /// Makes an item (`EPOLL_CTL_ADD`).
    Add,
    /// Removes it (`EPOLL_CTL_DEL`).
    Delete,
    /// Replaces what it asks for, and arms it again (`EPOLL_CTL_MOD`, R39).
    Modify,
}

impl TryFrom<i32> for EpollOp {
    type Error = Error;

    fn try_from(number: i32) -> Result<EpollOp, Error> {
        match number {
            1 => Ok(EpollOp::Add),
            2 => Ok(EpollOp::Delete),
            3 => Ok(EpollOp::Modify),
            _ => Err(Error::new(EINVAL)),
        }
    }
}
