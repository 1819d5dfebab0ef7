//! Messages: a tag, four words in registers, and (slow path) bytes and handles in the sender's and receiver's
//! [`IpcBuffer`].

use crate::Handle;

/// Handles in one message.
pub const MAX_HANDLES: usize = 4;
/// Bytes in one message.
pub const MAX_BYTES: usize = 4096 - 128;
/// Words that travel in registers.
pub const WORDS: usize = 4;

/// Labels from here up are the kernel's; a sender that uses one gets `EINVAL`.
pub const LABEL_KERNEL: u32 = 0x8000_0000;
/// The bound notification was signalled: word 0 holds the bits. No reply token.
pub const LABEL_NOTIFICATION: u32 = LABEL_KERNEL;
/// The last handle with this badge is closed: the badge is in the badge register. No reply token.
pub const LABEL_CLOSED: u32 = LABEL_KERNEL + 1;

/// What a message is: `label << 16 | handles << 12 | bytes`. Always below 2^48, so never mistaken for an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Tag(pub u64);

impl Tag {
    /// A tag with `bytes` (at most [`MAX_BYTES`]) and `handles` (at most [`MAX_HANDLES`]) in the buffer.
    pub const fn new(label: u32, bytes: usize, handles: usize) -> Tag {
        Tag((label as u64) << 16 | (handles as u64 & 0xf) << 12 | (bytes as u64 & 0xfff))
    }

    /// A tag of a message that is words only: the register fast path.
    pub const fn words(label: u32) -> Tag {
        Tag((label as u64) << 16)
    }

    /// The label: the meaning is the receiver's.
    pub const fn label(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// Bytes in the buffer.
    pub const fn bytes(self) -> usize {
        (self.0 & 0xfff) as usize
    }

    /// Transfer slots in use.
    pub const fn handles(self) -> usize {
        (self.0 >> 12 & 0xf) as usize
    }

    /// Whether the message is words only.
    pub const fn is_words_only(self) -> bool {
        self.0 & 0xffff == 0
    }

    /// Whether a sender may use it: no stray bits, sizes in range, not one of the kernel's labels.
    pub const fn is_valid_from_user(self) -> bool {
        self.0 >> 48 == 0
            && self.label() < LABEL_KERNEL
            && self.bytes() <= MAX_BYTES
            && self.handles() <= MAX_HANDLES
    }
}

/// A message in registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Message {
    /// What it is.
    pub tag: Tag,
    /// The words.
    pub words: [u64; WORDS],
}

/// One handle in an [`IpcBuffer`].
///
/// The sender sets `handle`, `rights` (a mask) and `flags`. The receiver finds `arrived` set to one of `ARRIVED_*`, and
/// `handle` or `badge`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct TransferSlot {
    /// Sender: what to send. Receiver: the handle in its own table, [`Handle::NONE`] when unwrapped.
    pub handle: Handle,
    /// Receiver: the badge of an unwrapped handle.
    pub badge: u64,
    /// Sender: mask of rights. Receiver: the rights that arrived.
    pub rights: u32,
    /// Sender: 0 to send a duplicate (needs `DUPLICATE`), [`MOVE`](TransferSlot::MOVE) to part with it.
    pub flags: u16,
    /// Receiver: [`ARRIVED_HANDLE`](TransferSlot::ARRIVED_HANDLE) or
    /// [`ARRIVED_BADGE`](TransferSlot::ARRIVED_BADGE).
    pub arrived: u16,
}

impl TransferSlot {
    /// An empty slot.
    pub const EMPTY: TransferSlot =
        TransferSlot { handle: Handle::NONE, badge: 0, rights: 0, flags: 0, arrived: 0 };
    /// The sender's handle is closed when the message is delivered.
    pub const MOVE: u16 = 1;
    /// A new handle in the receiver's table.
    pub const ARRIVED_HANDLE: u16 = 1;
    /// A badged handle to an endpoint that the receiver made and owns: it arrives as its badge, takes no slot in the table,
    /// and cannot have been forged. (An unbadged one arrives as badge 0; one to an endpoint that the receiver owns but was
    /// sent arrives as a handle.)
    pub const ARRIVED_BADGE: u16 = 2;
}

/// A thread's page for what does not fit in registers. The kernel copies between the sender's and the receiver's.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4096))]
pub struct IpcBuffer {
    /// The handles of the message.
    pub slots: [TransferSlot; MAX_HANDLES],
    /// Receiver: how many handles it takes; a sender with more gets `EMSGSIZE`.
    pub accept: u32,
    /// Padding to 128 bytes.
    pub reserved: [u32; 7],
    /// The bytes of the message.
    pub bytes: [u8; MAX_BYTES],
}

const _: () = assert!(size_of::<IpcBuffer>() == 4096);
const _: () = assert!(core::mem::offset_of!(IpcBuffer, bytes) == 128);
