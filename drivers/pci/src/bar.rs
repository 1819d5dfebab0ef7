//! Base address registers: where a function's registers are (PCI 3.0, 6.2.5.1).

use crate::config::{BARS, ConfigSpace, MEMORY, PORTS, command, set_command};
use crate::fault::Fault;
use abi::memory::PAGE;
use pci_protocol::Address;

/// Base address registers of an ordinary function.
pub const COUNT: usize = 6;
/// Addresses have so many bits at most.
const ADDRESSES: u64 = 1 << 52;

/// A range of registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// Its first address, 0 when the firmware gave it none.
    pub base: u64,
    /// Bytes, a power of two.
    pub length: u64,
    /// In memory, rather than I/O ports.
    pub is_memory: bool,
    /// The register after it is the upper half of its address.
    pub is_wide: bool,
}

impl Bar {
    /// The pages that it lies in, first and behind the last.
    fn pages(&self) -> (u64, u64) {
        (self.base & !(PAGE - 1), (self.base + self.length).next_multiple_of(PAGE))
    }

    /// Whether both are in memory, and a page belongs to both.
    pub fn meets(&self, other: &Bar) -> bool {
        let ((first, end), (other_first, other_end)) = (self.pages(), other.pages());
        let both = self.is_memory && other.is_memory && self.base != 0 && other.base != 0;
        both && first < other_end && other_first < end
    }
}

/// Reads and measures all of them. The function does not answer at any meanwhile.
pub fn measure(config: &mut impl ConfigSpace, address: Address) -> Result<[Option<Bar>; COUNT], Fault> {
    let before = command(config, address) & (MEMORY | PORTS);
    set_command(config, address, 0, MEMORY | PORTS);
    let values: [(u32, u32); COUNT] = core::array::from_fn(|bar| probe(config, address, bar));
    set_command(config, address, before, 0);
    let mut bars = [None; COUNT];
    let mut at = 0;
    while at < COUNT {
        bars[at] = decode(at as u8, values[at], values.get(at + 1).copied())?;
        at += if bars[at].is_some_and(|bar| bar.is_wide) { 2 } else { 1 };
    }
    Ok(bars)
}

/// What is in a register, and what stays of all ones.
fn probe(config: &mut impl ConfigSpace, address: Address, bar: usize) -> (u32, u32) {
    let register = BARS + 4 * bar as u16;
    let value = config.read(address, register);
    config.write(address, register, u32::MAX);
    let mask = config.read(address, register);
    config.write(address, register, value);
    (value, mask)
}

/// What a register, and for a wide one the next, says. Each is its value and what stayed of all ones.
pub fn decode(bar: u8, low: (u32, u32), high: Option<(u32, u32)>) -> Result<Option<Bar>, Fault> {
    let (value, mask) = low;
    if value & 1 != 0 {
        // The upper half may be wired to 0: ports have 16 bits here.
        let size = u64::from(!(mask & !3 | 0xffff_0000)) + 1;
        return place(bar, u64::from(value & !3), size.min(1 << 16), 1 << 16, false, false);
    }
    if mask == 0 {
        return if value == 0 { Ok(None) } else { Err(Fault::BarPlace(bar)) };
    }
    match value >> 1 & 3 {
        0 => {
            let size = u64::from(!(mask & !0xf)) + 1;
            place(bar, u64::from(value & !0xf), size, 1 << 32, true, false)
        }
        2 => {
            let (high, high_mask) = high.ok_or(Fault::BarKind(bar))?;
            let mask = u64::from(high_mask) << 32 | u64::from(mask & !0xf);
            let base = u64::from(high) << 32 | u64::from(value & !0xf);
            place(bar, base, (!mask).wrapping_add(1), ADDRESSES, true, true)
        }
        _ => Err(Fault::BarKind(bar)),
    }
}

fn place(
    bar: u8,
    base: u64,
    length: u64,
    end: u64,
    is_memory: bool,
    is_wide: bool,
) -> Result<Option<Bar>, Fault> {
    let possible = length.is_power_of_two()
        && base.is_multiple_of(length)
        && base.checked_add(length).is_some_and(|last| last <= end);
    if possible { Ok(Some(Bar { base, length, is_memory, is_wide })) } else { Err(Fault::BarPlace(bar)) }
}
