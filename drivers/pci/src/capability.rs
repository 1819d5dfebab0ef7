//! The list of capabilities (PCI 3.0, 6.7), and two of them.

use crate::bar::Bar;
use crate::config::{CAPABILITIES, COMMAND, ConfigSpace, HAS_CAPABILITIES};
use crate::fault::Fault;
use pci_protocol::Address;

/// First byte behind the header.
const FIRST: u8 = 0x40;
/// Capabilities of four bytes that fit behind the header.
const MOST: usize = 48;
/// PCI Express.
const EXPRESS: u8 = 0x10;
/// MSI-X.
const MESSAGES: u8 = 0x11;
/// Bytes of one entry of the interrupt table.
pub const ENTRY: u64 = 16;

/// What is known of a function's capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// MSI-X.
    pub messages: Option<Messages>,
    /// The PCI Express capability of a function that can be reset alone.
    pub reset: Option<u8>,
    /// The PCI Express capability.
    pub express: Option<u8>,
}

/// MSI-X (PCI 3.0, 6.8.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Messages {
    /// Where the capability is.
    pub at: u8,
    /// Entries of the table, 1 to 2048.
    pub entries: u16,
    /// BAR and offset of the table.
    pub table: (u8, u32),
    /// BAR and offset of the bits of pending interrupts.
    pub pending: (u8, u32),
}

/// Reads the capabilities.
pub fn read(config: &impl ConfigSpace, address: Address) -> Result<Capabilities, Fault> {
    let mut found = Capabilities::default();
    if config.read(address, COMMAND) & HAS_CAPABILITIES == 0 {
        return Ok(found);
    }
    let mut next = config.read(address, CAPABILITIES) as u8 & !3;
    for _ in 0..MOST {
        if next == 0 {
            return Ok(found);
        }
        if next < FIRST {
            return Err(Fault::CapabilityPlace(next));
        }
        let at = next;
        let word = |offset: u8| match at.checked_add(offset) {
            Some(place) => Ok(config.read(address, u16::from(place))),
            None => Err(Fault::CapabilityEnd(at)),
        };
        let head = word(0)?;
        match head as u8 {
            MESSAGES if found.messages.is_none() => {
                let (table, pending) = (word(4)?, word(8)?);
                found.messages = Some(Messages {
                    at,
                    entries: (head >> 16) as u16 % 2048 + 1,
                    table: (table as u8 & 7, table & !7),
                    pending: (pending as u8 & 7, pending & !7),
                });
            }
            // Device capabilities: bit 28 is "function level reset".
            EXPRESS if found.express.is_none() => {
                let (can, _control) = (word(4)?, word(8)?);
                found.express = Some(at);
                found.reset = (can & 1 << 28 != 0).then_some(at);
            }
            _ => {}
        }
        next = (head >> 8) as u8 & !3;
    }
    if next == 0 { Ok(found) } else { Err(Fault::CapabilityCircle) }
}

impl Messages {
    /// Bytes of the table and of the pending bits, each with its place.
    pub fn parts(&self) -> [(u8, u64, u64); 2] {
        let entries = u64::from(self.entries);
        [
            (self.table.0, u64::from(self.table.1), entries * ENTRY),
            (self.pending.0, u64::from(self.pending.1), entries.div_ceil(64) * 8),
        ]
    }

    /// Whether both parts are in memory of the function.
    pub fn check(&self, bars: &[Option<Bar>; 6]) -> Result<(), Fault> {
        let inside = |&(bar, offset, length): &(u8, u64, u64)| {
            let bar = bars.get(usize::from(bar)).copied().flatten();
            bar.is_some_and(|bar| bar.is_memory && offset + length <= bar.length)
        };
        if self.parts().iter().all(inside) { Ok(()) } else { Err(Fault::InterruptTable) }
    }
}
