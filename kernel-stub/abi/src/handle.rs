//! Handles and rights.

use bitflags::bitflags;

/// A process-local name of a kernel object: an index and the generation of that table slot. 0 is never a handle.
///
/// A number of a closed handle is recognised as stale (`EBADF`) even after its slot is in use again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Handle(pub u64);

impl Handle {
    /// No handle; where a call documents it, "the caller itself".
    pub const NONE: Handle = Handle(0);

    /// Builds a handle from a slot index and its generation (1 to 2^31 - 1).
    pub const fn new(index: u32, generation: u32) -> Handle {
        Handle((generation as u64) << 32 | index as u64)
    }

    /// Slot index.
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// Generation of the slot when the handle was made.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether this is [`Handle::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

bitflags! {
    /// What a handle may be used for. A duplicate or a transferred handle never has more.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Rights: u32 {
        /// Memory: map readable. Notification: wait and poll. Process, thread: status and watch.
        const READ = 1 << 0;
        /// Memory: map writable. Notification: signal. Endpoint: call.
        const WRITE = 1 << 1;
        /// Memory: map executable.
        const EXECUTE = 1 << 2;
        /// Endpoint: receive. Cannot be duplicated, only moved; its holder's process owns the endpoint.
        const RECEIVE = 1 << 3;
        /// May be duplicated.
        const DUPLICATE = 1 << 4;
        /// May travel in a message or be granted.
        const TRANSFER = 1 << 5;
        /// Endpoint, notification: duplicates may be given a badge.
        const MINT = 1 << 6;
        /// Process, thread: start, suspend, kill, map into, grant to. IRQ: bind and ack. Hardware: everything.
        const CONTROL = 1 << 7;
        /// Memory: ask for physical addresses. IRQ: ask for the message that raises it.
        const PHYSICAL = 1 << 8;
    }
}

/// What [`SYS_HANDLE_INFO`](crate::number::SYS_HANDLE_INFO) tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct HandleInfo {
    /// A [`Kind`] as a number.
    pub kind: u32,
    /// [`Rights`] bits.
    pub rights: u32,
    /// Badge of an endpoint or notification handle, 0 for none.
    pub badge: u64,
    /// Memory: size in bytes. Process, thread: its id in the kernel's log. Endpoint: 1 when nobody will ever receive from it any more.
    /// Otherwise 0.
    pub detail: u64,
}

/// Types of kernel objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Kind {
    /// IPC endpoint.
    Endpoint = 1,
    /// Notification word.
    Notification = 2,
    /// Memory object.
    Memory = 3,
    /// Process.
    Process = 4,
    /// Thread.
    Thread = 5,
    /// Interrupt line or message.
    Irq = 6,
    /// The machine: source of physical memory, interrupts and ports. Only init is given one.
    Hardware = 7,
}
