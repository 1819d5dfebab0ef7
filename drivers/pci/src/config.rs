//! Configuration space: access, and the registers that all functions have (PCI 3.0, 6.1).

use pci_protocol::{Address, Identity};

/// Access to configuration space. Where there is no function all bits read as ones.
pub trait ConfigSpace {
    /// Reads four bytes at a multiple of four.
    fn read(&self, address: Address, offset: u16) -> u32;
    /// Writes four bytes at a multiple of four.
    fn write(&mut self, address: Address, offset: u16, value: u32);
    /// Writes two bytes at a multiple of two, and leaves those beside them alone.
    fn write_half(&mut self, address: Address, offset: u16, value: u16);
}

/// Vendor and device.
pub const ID: u16 = 0x00;
/// Command, and above it the status, of which ones that are written clear bits: zeros go there.
pub const COMMAND: u16 = 0x04;
/// Revision and class.
pub const CLASS: u16 = 0x08;
/// Cache line, latency, header type, self test.
pub const HEADER: u16 = 0x0c;
/// First of the base address registers.
pub const BARS: u16 = 0x10;
/// Of a bridge: primary, secondary, subordinate bus.
pub const BUSES: u16 = 0x18;
/// Of a bridge: what memory is behind it, first and last in units of 1 MiB.
pub const MEMORY_WINDOW: u16 = 0x20;
/// The same of memory that may lie above 4 GiB; the upper halves of its first and last address follow.
pub const WIDE_WINDOW: u16 = 0x24;
/// Upper half of its first address.
pub const WIDE_BASE: u16 = 0x28;
/// Upper half of its last address.
pub const WIDE_LIMIT: u16 = 0x2c;
/// Vendor and device of the board.
pub const SUBSYSTEM: u16 = 0x2c;
/// First of the capabilities.
pub const CAPABILITIES: u16 = 0x34;
/// Line and pin.
pub const INTERRUPT: u16 = 0x3c;

/// The function answers at its ports.
pub const PORTS: u32 = 1 << 0;
/// The function answers at its memory.
pub const MEMORY: u32 = 1 << 1;
/// The function may reach memory by itself.
pub const MASTER: u32 = 1 << 2;
/// The function's line is off.
pub const NO_LINE: u32 = 1 << 10;
/// In the status half: there are capabilities.
pub const HAS_CAPABILITIES: u32 = 1 << 20;
/// What of the command register is set by this driver.
const COMMANDS: u32 = 0xffff;

/// No vendor has this number.
const NOBODY: u16 = 0xffff;

/// Who a function is; [`None`] where there is none.
pub fn identity(config: &impl ConfigSpace, address: Address) -> Option<Identity> {
    let id = config.read(address, ID);
    if id as u16 == NOBODY {
        return None;
    }
    let (class, board) = (config.read(address, CLASS), config.read(address, SUBSYSTEM));
    Some(Identity {
        vendor: id as u16,
        device: (id >> 16) as u16,
        class: class >> 8,
        revision: class as u8,
        subsystem: (board as u16, (board >> 16) as u16),
    })
}

/// The command register.
pub fn command(config: &impl ConfigSpace, address: Address) -> u32 {
    config.read(address, COMMAND) & COMMANDS
}

/// Sets bits of the command register and clears others.
pub fn set_command(config: &mut impl ConfigSpace, address: Address, set: u32, clear: u32) {
    let command = command(config, address) & !clear | set;
    config.write(address, COMMAND, command & COMMANDS);
}
