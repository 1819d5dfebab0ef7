//! The PVH start information (Xen `hvm_start_info`, version 1), which the boot loader leaves the address of in `ebx`.

use core::ops::Range;

use heapless::Vec;

use crate::memory::{Error, PhysicalMemory, bytes, offset, u32_at, u64_at};

/// Entries of the memory map that are kept.
pub const MAX_REGIONS: usize = 64;
const MAGIC: u32 = 0x336e_c578;
const HEADER: usize = 56;

/// What a part of physical memory is (the numbers of the PVH memory map, which are E820's).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegionKind {
    /// Free for use.
    Usable,
    /// ACPI tables.
    Acpi,
    /// Everything else.
    Reserved,
}

/// A part of physical memory: not empty, and `start + length` does not wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// What it is.
    pub kind: RegionKind,
}

impl Region {
    /// First address beyond it.
    pub const fn end(&self) -> u64 {
        self.start + self.length
    }
}

/// What the boot loader says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartInfo {
    /// The memory map, as given: entries may overlap.
    pub regions: Vec<Region, MAX_REGIONS>,
    /// The first module.
    pub module: Option<Range<u64>>,
    /// Address of the ACPI root pointer, 0 for none.
    pub rsdp: u64,
}

impl StartInfo {
    /// Reads the structure at `address`.
    pub fn read(memory: &impl PhysicalMemory, address: u64) -> Result<StartInfo, Error> {
        let header = bytes::<HEADER>(memory, address)?;
        if u32_at(&header, 0) != MAGIC {
            return Err(Error::BadMagic { address });
        }
        // Version 0 has no memory map.
        if u32_at(&header, 4) == 0 {
            return Err(Error::Missing { what: "memory map" });
        }
        let module = match u32_at(&header, 12) {
            0 => None,
            _ => {
                let at = u64_at(&header, 16);
                let entry = bytes::<32>(memory, at)?;
                let (start, length) = (u64_at(&entry, 0), u64_at(&entry, 8));
                Some(start..start.checked_add(length).ok_or(Error::BadLength { address: at })?)
            }
        };
        let map = u64_at(&header, 40);
        let count = u32_at(&header, 48);
        if count as usize > MAX_REGIONS {
            return Err(Error::TooMany { what: "regions of memory" });
        }
        let mut regions = Vec::new();
        for index in 0..u64::from(count) {
            let at = offset(map, index * 24)?;
            let entry = bytes::<24>(memory, at)?;
            let (start, length) = (u64_at(&entry, 0), u64_at(&entry, 8));
            if length == 0 {
                continue;
            }
            start.checked_add(length).ok_or(Error::BadLength { address: at })?;
            let kind = match u32_at(&entry, 16) {
                1 => RegionKind::Usable,
                3 => RegionKind::Acpi,
                _ => RegionKind::Reserved,
            };
            regions
                .push(Region { start, length, kind })
                .map_err(|_| Error::TooMany { what: "regions of memory" })?;
        }
        Ok(StartInfo { regions, module, rsdp: u64_at(&header, 32) })
    }
}
