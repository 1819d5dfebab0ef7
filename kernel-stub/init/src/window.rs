//! The one place where init touches memory that is not its heap's.

use abi::{error::Result, flag::MapFlags};
use rt::sys::{Mapping, Memory};

/// The contents of memory that nobody can write, for the rest of init's life.
///
/// To be called with the boot archive only: the kernel gives it read-only, and has no other handle to it.
pub fn leak(archive: Mapping) -> &'static [u8] {
    let length = archive.length();
    let start = archive.leak();
    // SAFETY: the mapping is `length` bytes, readable, stays for good, and nobody can write the archive.
    unsafe { core::slice::from_raw_parts(start.as_ptr(), length) }
}

/// Writes parts, each at its offset, into memory that was just made: nobody else has it yet.
pub fn fill(memory: &Memory, parts: &[(usize, &[u8])]) -> Result<()> {
    let end = parts.iter().map(|(offset, bytes)| offset + bytes.len()).max().unwrap_or(0);
    if end == 0 {
        return Ok(());
    }
    let mut mapping = memory.map(0, end, MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
    // SAFETY: the memory is writable and, being new, mapped nowhere else.
    let contents = unsafe { mapping.as_mut_slice() };
    for (offset, bytes) in parts {
        contents[*offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    Ok(())
}
