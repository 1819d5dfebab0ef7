//! SEND and RECEIVE: messages with an address and handles.
//!
//! The address is text: the path that a socket is bound to; no text where there is none. It goes before the payload, its
//! length is in a word.

use bitflags::bitflags;

/// Bytes of an address.
pub const MAX_ADDRESS: usize = 108;
/// Handles in one message.
pub const MAX_HANDLES: usize = 3;
/// Bytes of payload in one message.
pub const MAX_PAYLOAD: usize = abi::message::MAX_BYTES - 128;

const _: () = assert!(MAX_ADDRESS + MAX_PAYLOAD <= abi::message::MAX_BYTES);
const _: () = assert!(MAX_HANDLES < abi::message::MAX_HANDLES);

bitflags! {
    /// Flags of a message. Bits that are none are EINVAL. (`MSG_NOSIGNAL` is no concern of a driver's.)
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MessageFlags: u64 {
        /// [`NONBLOCK`](super::NONBLOCK): `MSG_DONTWAIT`, or the descriptor's own state.
        const NONBLOCK = super::NONBLOCK;
        /// Urgent data (`MSG_OOB`).
        const OOB = 1 << 1;
        /// RECEIVE: what is received stays (`MSG_PEEK`); handles are duplicates.
        const PEEK = 1 << 2;
        /// RECEIVE: waits for all that was asked for (`MSG_WAITALL`).
        const WAIT_ALL = 1 << 3;
        /// Reply to RECEIVE: there was no room for the rest of the datagram (`MSG_TRUNC`).
        const TRUNCATED = 1 << 4;
        /// Reply to RECEIVE: there was no room for handles, which are closed (`MSG_CTRUNC`).
        const HANDLES_TRUNCATED = 1 << 5;
        /// SEND, reply to RECEIVE: a record ends (`MSG_EOR`).
        const END_OF_RECORD = 1 << 6;
    }
}

/// The flags of a reply and the length of its address in one word.
pub const fn pack(flags: MessageFlags, address: usize) -> u64 {
    flags.bits() | (address as u64) << 32
}

/// The flags of a reply and the length of its address, which is to be checked against what came.
pub const fn unpack(word: u64) -> (MessageFlags, usize) {
    (MessageFlags::from_bits_truncate(word & 0xffff_ffff), (word >> 32) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_length_share_a_word() {
        for flags in [MessageFlags::empty(), MessageFlags::all()] {
            for address in [0, 1, MAX_ADDRESS] {
                assert_eq!(unpack(pack(flags, address)), (flags, address));
            }
        }
    }
}
