//! The MCFG table: where configuration space of PCI is in memory (PCI Firmware Specification 3.2, 4.1.2).

use crate::acpi::{self, HEADER};
use crate::memory::{Error, PhysicalMemory, bytes, offset, u64_at};

/// Configuration space of a range of buses: 1 MiB for each from 0 on, 4 KiB for each function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigWindow {
    /// Physical address of bus 0, whether or not it is in the range.
    pub address: u64,
    /// First bus.
    pub first: u8,
    /// Last bus.
    pub last: u8,
}

/// Bytes of the reserved field behind the header, and of an entry.
const RESERVED: u64 = 8;
const ENTRY: u64 = 16;
/// Addresses have so many bits.
const ADDRESSES: u64 = 1 << 52;

impl ConfigWindow {
    /// Finds the table from the root pointer at `rsdp` and in it the window of segment 0 that has bus 0.
    pub fn read(memory: &impl PhysicalMemory, rsdp: u64) -> Result<ConfigWindow, Error> {
        let table = acpi::find(memory, rsdp, b"MCFG")?;
        let room = u64::from(table.length).checked_sub(HEADER as u64 + RESERVED);
        let entries = room.ok_or(Error::BadLength { address: table.address })? / ENTRY;
        for index in 0..entries {
            let at = offset(table.address, HEADER as u64 + RESERVED + index * ENTRY)?;
            let entry = bytes::<16>(memory, at)?;
            let (address, segment) = (u64_at(&entry, 0), u16::from_le_bytes([entry[8], entry[9]]));
            let (first, last) = (entry[10], entry[11]);
            if segment != 0 || first != 0 {
                continue;
            }
            let end = address.checked_add((u64::from(last) + 1) << 20);
            if !address.is_multiple_of(1 << 20) || address == 0 || end.is_none_or(|end| end > ADDRESSES) {
                return Err(Error::OutOfRange { address, length: 1 << 20 });
            }
            return Ok(ConfigWindow { address, first, last });
        }
        Err(Error::Missing { what: "configuration space of PCI bus 0" })
    }
}
