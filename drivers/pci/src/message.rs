//! MSI-X: the interrupt table and its switch (PCI 3.0, 6.8.2).

use crate::capability::Messages;
use crate::config::ConfigSpace;
use abi::memory::InterruptMessage;
use driver_sdk::Registers;
use pci_protocol::Address;

/// In the capability's first word: messages are on.
const ENABLED: u32 = 1 << 31;
/// All of them are held back.
const HELD: u32 = 1 << 30;
/// In an entry's last word: held back.
const MASKED: u32 = 1;
/// Bytes of an entry.
const ENTRY: usize = 16;

/// Switches messages on or off. Off, the function would use its line.
pub fn switch(config: &mut impl ConfigSpace, address: Address, messages: &Messages, on: bool) {
    let register = u16::from(messages.at);
    let word = config.read(address, register) & !(ENABLED | HELD);
    config.write(address, register, if on { word | ENABLED } else { word });
}

/// Holds back every entry; the table's first byte is the window's.
pub fn mask_all(table: &impl Registers, entries: u16) {
    for entry in 0..usize::from(entries) {
        table.write(entry * ENTRY + 12, MASKED);
    }
}

/// Has an entry send a message.
pub fn set(table: &impl Registers, entry: u16, message: InterruptMessage) {
    let at = usize::from(entry) * ENTRY;
    table.write(at + 12, MASKED);
    table.write(at, message.address);
    table.write(at + 4, 0u32);
    table.write(at + 8, message.data);
    table.write(at + 12, 0u32);
}
