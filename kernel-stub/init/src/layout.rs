//! Where a program finds what is not its own.
//!
//! From low to high: an empty page, the first thread's stack, an empty page, its IPC buffer, an empty page, the start page
//! and what follows of it. An overflow of any runs into an empty page and faults.

use abi::{
    Handle,
    hints::HINTS_ADDRESS,
    limits::cost,
    memory::PAGE,
    start::{START_MAGIC, StartHeader},
};
use init_protocol::limits::{START_DOCUMENT, TRACES};

/// Bytes of the first thread's stack.
pub const STACK: u64 = 256 << 10;
/// End of the stack.
pub const STACK_END: u64 = 0x7fff_e000_0000;
/// The first thread's IPC buffer.
pub const IPC_BUFFER: u64 = STACK_END + PAGE;
/// The start page.
pub const START: u64 = IPC_BUFFER + 2 * PAGE;

/// What a program costs init beside its quota and its segments: the memory above, the process, handles to it and to its traces.
pub const COST: u64 = STACK
    + PAGE
    + (HEADER + START_DOCUMENT as u64).next_multiple_of(PAGE)
    + cost::PROCESS
    + 16 * cost::MEMORY
    + TRACES as u64 * cost::HANDLE;

/// Bytes of the header before the document.
pub const HEADER: u64 = size_of::<StartHeader>() as u64;

const _: () = assert!(HEADER == 9 * 8);
const _: () = assert!(START + HEADER + (START_DOCUMENT as u64) < HINTS_ADDRESS);

/// The header's bytes.
pub fn header(length: usize, process: Handle, thread: Handle, init: Handle) -> [u8; HEADER as usize] {
    let words = [START_MAGIC, length as u64, process.0, thread.0, init.0, 0, 0, 0, IPC_BUFFER];
    let mut bytes = [0; HEADER as usize];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
