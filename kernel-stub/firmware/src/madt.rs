//! The MADT ("APIC" table): processors and interrupt controllers (ACPI 6.5, section 5.2.12).

use heapless::Vec;

use crate::acpi::{self, HEADER, Table};
use crate::memory::{Error, PhysicalMemory, bytes, offset, u32_at, u64_at};

/// Processors that are kept; a machine with more runs on the first ones.
pub const MAX_PROCESSORS: usize = 16;
/// I/O APICs.
pub const MAX_IO_APICS: usize = 8;
/// ISA interrupts.
pub const MAX_OVERRIDES: usize = 16;

/// An I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApic {
    /// Physical address of its registers.
    pub address: u64,
    /// First global system interrupt.
    pub first: u32,
}

/// An ISA interrupt that is not the global system interrupt of its own number, or has another polarity or trigger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Override {
    /// ISA interrupt.
    pub isa: u8,
    /// Global system interrupt.
    pub interrupt: u32,
    /// Active low.
    pub active_low: bool,
    /// Level-triggered.
    pub level: bool,
}

/// The processors and interrupt controllers of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topology {
    /// Physical address of the local APICs.
    pub local_apic: u64,
    /// Local APIC ids of the processors that can be used.
    pub processors: Vec<u8, MAX_PROCESSORS>,
    /// I/O APICs.
    pub io_apics: Vec<IoApic, MAX_IO_APICS>,
    /// Interrupt source overrides.
    pub overrides: Vec<Override, MAX_OVERRIDES>,
}

impl Topology {
    /// Finds the MADT from the root pointer at `rsdp` and reads it.
    pub fn read(memory: &impl PhysicalMemory, rsdp: u64) -> Result<Topology, Error> {
        if rsdp == 0 {
            return Err(Error::Missing { what: "ACPI root pointer" });
        }
        let table = acpi::find(memory, rsdp, b"APIC")?;
        parse(memory, table)
    }
}

fn parse(memory: &impl PhysicalMemory, table: Table) -> Result<Topology, Error> {
    let address = table.address;
    let bad_length = Error::BadLength { address };
    let fixed = HEADER as u32 + 8;
    if table.length < fixed {
        return Err(bad_length);
    }
    let mut topology = Topology {
        local_apic: u64::from(u32::from_le_bytes(bytes(memory, offset(address, HEADER as u64)?)?)),
        processors: Vec::new(),
        io_apics: Vec::new(),
        overrides: Vec::new(),
    };
    let mut at = fixed;
    while at < table.length {
        let place = offset(address, u64::from(at))?;
        if table.length - at < 2 {
            return Err(bad_length);
        }
        let [kind, length] = bytes(memory, place)?;
        // A length below 2 would never end.
        if length < 2 || u32::from(length) > table.length - at {
            return Err(bad_length);
        }
        entry(memory, place, kind, length, &mut topology)?;
        at += u32::from(length);
    }
    if topology.processors.is_empty() {
        return Err(Error::Missing { what: "processor" });
    }
    Ok(topology)
}

fn entry(
    memory: &impl PhysicalMemory,
    address: u64,
    kind: u8,
    length: u8,
    topology: &mut Topology,
) -> Result<(), Error> {
    let need = |bytes| if length < bytes { Err(Error::BadLength { address }) } else { Ok(()) };
    match kind {
        // Local APIC: flag bit 0 is "enabled". A processor beyond the limit is left alone.
        0 => {
            need(8)?;
            let entry = bytes::<8>(memory, address)?;
            if u32_at(&entry, 4) & 1 != 0 {
                let _ = topology.processors.push(entry[3]);
            }
        }
        1 => {
            need(12)?;
            let entry = bytes::<12>(memory, address)?;
            topology
                .io_apics
                .push(IoApic { address: u64::from(u32_at(&entry, 4)), first: u32_at(&entry, 8) })
                .map_err(|_| Error::TooMany { what: "I/O APICs" })?;
        }
        2 => {
            need(10)?;
            let entry = bytes::<10>(memory, address)?;
            topology
                .overrides
                .push(Override {
                    isa: entry[3],
                    interrupt: u32_at(&entry, 4),
                    active_low: entry[8] & 3 == 3,
                    level: entry[8] >> 2 & 3 == 3,
                })
                .map_err(|_| Error::TooMany { what: "interrupt overrides" })?;
        }
        // Local APIC address override: 64 bits.
        5 => {
            need(12)?;
            topology.local_apic = u64_at(&bytes::<12>(memory, address)?, 4);
        }
        _ => {}
    }
    Ok(())
}
