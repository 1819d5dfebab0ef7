//! The ACPI root: from the root pointer to a table by its signature (ACPI 6.5, section 5.2).

use crate::memory::{Error, PhysicalMemory, bytes, offset, u32_at, u64_at};

/// Bytes of the header that every table has.
pub const HEADER: usize = 36;
/// No table that is wanted here is longer.
const MAX_TABLE: u32 = 64 * 1024;
/// Tables that a root table may name.
const MAX_ENTRIES: u32 = 256;

/// A table with a header, whose length and checksum have been verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// Where it begins.
    pub address: u64,
    /// Bytes, with its header.
    pub length: u32,
}

impl Table {
    /// Checks the table at `address`.
    pub fn check(memory: &impl PhysicalMemory, address: u64, signature: &[u8; 4]) -> Result<Table, Error> {
        let header = bytes::<HEADER>(memory, address)?;
        if header[..4] != signature[..] {
            return Err(Error::BadMagic { address });
        }
        let length = u32_at(&header, 4);
        if !(HEADER as u32..=MAX_TABLE).contains(&length) {
            return Err(Error::BadLength { address });
        }
        verify(memory, address, length)?;
        Ok(Table { address, length })
    }
}

/// Finds the table with `signature`, beginning at the root pointer at `rsdp`.
pub fn find(memory: &impl PhysicalMemory, rsdp: u64, signature: &[u8; 4]) -> Result<Table, Error> {
    let (root, width) = root(memory, rsdp)?;
    let count = (root.length - HEADER as u32) / width;
    if count > MAX_ENTRIES {
        return Err(Error::TooMany { what: "ACPI tables" });
    }
    for index in 0..u64::from(count) {
        let at = offset(root.address, HEADER as u64 + index * u64::from(width))?;
        let table = if width == 8 {
            u64::from_le_bytes(bytes(memory, at)?)
        } else {
            u64::from(u32::from_le_bytes(bytes(memory, at)?))
        };
        // A pointer to nowhere among the others is the firmware's fault, not a reason to go without the rest.
        if bytes::<4>(memory, table).is_ok_and(|found| found == *signature) {
            return Table::check(memory, table, signature);
        }
    }
    Err(Error::Missing { what: "ACPI table" })
}

/// The root table and the width of its pointers: the XSDT if there is one, else the RSDT.
fn root(memory: &impl PhysicalMemory, address: u64) -> Result<(Table, u32), Error> {
    let pointer = bytes::<20>(memory, address)?;
    if pointer[..8] != *b"RSD PTR " {
        return Err(Error::BadMagic { address });
    }
    if pointer.iter().fold(0_u8, |sum, &byte| sum.wrapping_add(byte)) != 0 {
        return Err(Error::BadChecksum { address });
    }
    if pointer[15] >= 2 {
        let extended = bytes::<36>(memory, address)?;
        let length = u32_at(&extended, 20);
        if !(36..=256).contains(&length) {
            return Err(Error::BadLength { address });
        }
        verify(memory, address, length)?;
        let xsdt = u64_at(&extended, 24);
        if xsdt != 0 {
            return Ok((Table::check(memory, xsdt, b"XSDT")?, 8));
        }
    }
    Ok((Table::check(memory, u64::from(u32_at(&pointer, 16)), b"RSDT")?, 4))
}

fn verify(memory: &impl PhysicalMemory, address: u64, length: u32) -> Result<(), Error> {
    let mut sum = 0_u8;
    let mut done = 0;
    let mut chunk = [0; 64];
    while done < length {
        let part = (length - done).min(64) as usize;
        memory.read(offset(address, u64::from(done))?, &mut chunk[..part])?;
        sum = chunk[..part].iter().fold(sum, |sum, &byte| sum.wrapping_add(byte));
        done += part as u32;
    }
    if sum == 0 { Ok(()) } else { Err(Error::BadChecksum { address }) }
}
