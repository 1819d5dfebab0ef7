//! What handles name.

use crate::{
    arena::Id,
    endpoint::{Badge, Endpoint},
    irq::Irq,
    notification::Notification,
    process::Process,
    quota::Charge,
    thread::Thread,
};
use abi::{Rights, handle::Kind};

/// The object of a handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Object {
    /// An endpoint, with the badge of this handle (0 and no record: unbadged).
    Endpoint {
        /// The endpoint.
        id: Id<Endpoint>,
        /// What the receiver sees.
        badge: u64,
        /// Where the handles with this badge are counted.
        record: Option<Id<Badge>>,
    },
    /// A notification; this handle signals only the bits of `mask`.
    Notification {
        /// The notification.
        id: Id<Notification>,
        /// 0: all bits.
        mask: u64,
    },
    /// A memory object.
    Memory(Id<Memory>),
    /// A process.
    Process(Id<Process>),
    /// A thread.
    Thread(Id<Thread>),
    /// An interrupt.
    Irq(Id<Irq>),
    /// The machine.
    Hardware,
}

impl Object {
    /// Its type.
    pub const fn kind(self) -> Kind {
        match self {
            Object::Endpoint { .. } => Kind::Endpoint,
            Object::Notification { .. } => Kind::Notification,
            Object::Memory(_) => Kind::Memory,
            Object::Process(_) => Kind::Process,
            Object::Thread(_) => Kind::Thread,
            Object::Irq(_) => Kind::Irq,
            Object::Hardware => Kind::Hardware,
        }
    }

    /// All rights that mean something for a fresh object of this type.
    pub const fn all_rights(self) -> Rights {
        let every = Rights::DUPLICATE.union(Rights::TRANSFER);
        every.union(match self {
            Object::Endpoint { .. } => Rights::WRITE.union(Rights::RECEIVE).union(Rights::MINT),
            Object::Notification { .. } => Rights::READ.union(Rights::WRITE).union(Rights::MINT),
            Object::Memory(_) => {
                Rights::READ.union(Rights::WRITE).union(Rights::EXECUTE).union(Rights::PHYSICAL)
            }
            Object::Process(_) | Object::Thread(_) => Rights::READ.union(Rights::CONTROL),
            Object::Irq(_) => Rights::CONTROL.union(Rights::PHYSICAL),
            Object::Hardware => Rights::CONTROL,
        })
    }
}

/// A memory object: the kernel keeps the pages, this counts who uses them.
pub struct Memory {
    /// The kernel's own word for its pages.
    pub block: u64,
    /// Bytes.
    pub size: u64,
    /// Handles, mappings and IPC buffers.
    pub references: u32,
    /// What it costs.
    pub charge: Option<Charge>,
}

/// What nobody refers to any more, for the kernel to free what it holds of it.
pub enum Garbage {
    /// Pages of a memory object.
    Memory(Memory),
    /// Registers of a thread that has ended.
    ThreadBlock {
        /// [`Thread::block`].
        block: u64,
        /// The index, for the scheduler's table.
        index: u32,
    },
    /// An interrupt line to mask.
    Irq(Irq),
    /// A process that nothing can reach or start any more: to be ended.
    Abandoned(Id<Process>),
}
