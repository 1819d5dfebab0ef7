//! The calling thread's IPC buffer.
//!
//! It holds the last message that was received until the thread sends or receives the next one: a closure given to one of
//! these functions must do neither.

use abi::error::{E2BIG, EBADMSG, Error, Result};
use abi::message::{MAX_BYTES, MAX_HANDLES};
use abi::{IpcBuffer, TransferSlot};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::block;

#[inline(always)]
fn buffer() -> *mut IpcBuffer {
    block::current().ipc_buffer()
}

/// The first bytes of the buffer.
#[inline]
pub fn with_bytes<R>(length: usize, f: impl FnOnce(&[u8]) -> R) -> R {
    let length = length.min(MAX_BYTES);
    // SAFETY: the page belongs to this thread, which is in `f` meanwhile; the kernel writes it only in a message call.
    f(unsafe { core::slice::from_raw_parts((&raw const (*buffer()).bytes).cast(), length) })
}

/// The first bytes of the buffer, to be written in place.
#[inline]
pub fn with_bytes_mut<R>(length: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
    let length = length.min(MAX_BYTES);
    // SAFETY: as in `with_bytes`.
    f(unsafe { core::slice::from_raw_parts_mut((&raw mut (*buffer()).bytes).cast(), length) })
}

/// Puts bytes into the buffer: `E2BIG` when they are too many. The length belongs into the tag.
#[inline]
pub fn write_bytes(bytes: &[u8]) -> Result<usize> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::new(E2BIG));
    }
    with_bytes_mut(bytes.len(), |buffer| buffer.copy_from_slice(bytes));
    Ok(bytes.len())
}

/// Copies bytes out of the buffer; returns how many there was room for.
#[inline]
pub fn read_bytes(length: usize, into: &mut [u8]) -> usize {
    let length = length.min(into.len()).min(MAX_BYTES);
    with_bytes(length, |bytes| into[..length].copy_from_slice(bytes));
    length
}

/// Puts a document into the buffer: its length, or `E2BIG`.
pub fn encode<T: Serialize + ?Sized>(document: &T) -> Result<usize> {
    with_bytes_mut(MAX_BYTES, |buffer| {
        postcard::to_slice(document, buffer).map(|used| used.len()).map_err(|_| Error::new(E2BIG))
    })
}

/// Takes a document out of the buffer: `EBADMSG` when it is none, or something follows it.
pub fn decode<T: DeserializeOwned>(length: usize) -> Result<T> {
    with_bytes(length, |bytes| match postcard::take_from_bytes(bytes) {
        Ok((document, [])) => Ok(document),
        _ => Err(Error::new(EBADMSG)),
    })
}

/// How many handles the thread takes in the next message. A message with more fails for its sender (`EMSGSIZE`), so a
/// thread that expects none cannot be stuffed with them: 0 is the rule, and [`call`](super::call) and
/// [`serve`](super::serve) say what they need.
#[inline]
pub fn set_accept(handles: u32) {
    // SAFETY: as in `with_bytes`.
    unsafe { (*buffer()).accept = handles };
}

/// Sets a transfer slot of the next message that the thread sends; [`Transfer`](super::Transfer) does it with types.
pub fn set_slot(index: usize, slot: TransferSlot) {
    assert!(index < MAX_HANDLES, "a message has {MAX_HANDLES} transfer slots");
    // SAFETY: as in `with_bytes`.
    unsafe { (*buffer()).slots[index] = slot };
}

/// A transfer slot of the last message that the thread received; [`Arrivals`](super::Arrivals) owns what is in it.
pub fn slot(index: usize) -> TransferSlot {
    assert!(index < MAX_HANDLES, "a message has {MAX_HANDLES} transfer slots");
    // SAFETY: as in `with_bytes`.
    unsafe { (*buffer()).slots[index] }
}
