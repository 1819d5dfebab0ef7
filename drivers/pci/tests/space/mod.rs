//! Configuration space as a test has it: functions that keep what is written as real ones do.
#![allow(dead_code)] // each test uses its own part

use pci::config::ConfigSpace;
use pci_protocol::Address;
use std::collections::BTreeMap;

/// A function: what it holds, and which bits a write changes.
#[derive(Clone, Debug)]
pub struct Function {
    pub bytes: Vec<u8>,
    pub writable: Vec<u8>,
}

/// All functions, and what was written where.
#[derive(Clone, Debug, Default)]
pub struct Space {
    pub functions: BTreeMap<Address, Function>,
    pub writes: Vec<(Address, u16, u32)>,
}

impl Function {
    /// A device that can be told of memory, ports, mastering and its line.
    pub fn new(vendor: u16, device: u16, class: u32) -> Function {
        let mut function = Function { bytes: vec![0; 256], writable: vec![0; 256] };
        function.set(0, u32::from(device) << 16 | u32::from(vendor));
        function.set(8, class << 8 | 1);
        function.set(0x2c, 0x1100_1af4);
        function.writable[4..6].copy_from_slice(&[7, 4]);
        function
    }

    pub fn get(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.bytes[offset..offset + 4].try_into().unwrap())
    }

    pub fn set(&mut self, offset: usize, value: u32) {
        self.bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// A BAR in memory of 32 bits.
    pub fn bar(mut self, bar: usize, base: u32, length: u32) -> Function {
        self.set(0x10 + 4 * bar, base);
        self.writable[0x10 + 4 * bar..0x14 + 4 * bar].copy_from_slice(&(!(length - 1)).to_le_bytes());
        self
    }

    /// A BAR in memory of 64 bits.
    pub fn wide_bar(mut self, bar: usize, base: u64, length: u64) -> Function {
        self.set(0x10 + 4 * bar, base as u32 | 4);
        self.set(0x14 + 4 * bar, (base >> 32) as u32);
        self.writable[0x10 + 4 * bar..0x18 + 4 * bar].copy_from_slice(&(!(length - 1)).to_le_bytes());
        self
    }

    /// Capabilities, one after the other from 0x40 on.
    pub fn capabilities(mut self, capabilities: &[&[u8]]) -> Function {
        let mut at = 0x40;
        self.bytes[6] |= 0x10;
        self.bytes[0x34] = if capabilities.is_empty() { 0 } else { at as u8 };
        for (index, capability) in capabilities.iter().enumerate() {
            self.bytes[at..at + capability.len()].copy_from_slice(capability);
            let next = (at + capability.len()).next_multiple_of(4);
            self.bytes[at + 1] = if index + 1 < capabilities.len() { next as u8 } else { 0 };
            match capability[0] {
                0x11 => self.writable[at + 3] = 0xc0,
                0x10 => self.writable[at + 8..at + 10].fill(0xff),
                _ => {}
            }
            at = next;
        }
        self
    }

    /// MSI-X: so many entries in a BAR.
    pub fn messages(entries: u16, bar: u8, table: u32, pending: u32) -> Vec<u8> {
        let mut capability = vec![0x11, 0];
        capability.extend((entries - 1).to_le_bytes());
        capability.extend((table | u32::from(bar)).to_le_bytes());
        capability.extend((pending | u32::from(bar)).to_le_bytes());
        capability
    }

    /// PCI Express, with function level reset.
    pub fn express() -> Vec<u8> {
        let mut capability = vec![0; 0x3c];
        capability[0] = 0x10;
        capability[7] = 0x10;
        capability
    }

    /// A bridge to a bus.
    pub fn bridge(secondary: u8) -> Function {
        let mut bridge = Function::new(0x1b36, 0x000c, 0x060400);
        bridge.bytes[0x0e] = 1;
        bridge.bytes[0x19] = secondary;
        bridge
    }

    /// A port with a window of 2 MiB, into which something may be plugged: its messages at 0x40, its slot in the capability at
    /// 0x4c.
    pub fn port(secondary: u8, window: u32) -> Function {
        let mut express = vec![0; 0x3c];
        (express[0], express[2], express[3], express[0x14]) = (0x10, 0x42, 0x01, 0x40);
        let messages = Function::messages(1, 0, 0, 0x800);
        let mut port = Function::bridge(secondary).capabilities(&[&messages, &express]);
        port.set(0x10, 0xfe20_0000 + u32::from(secondary) * 0x1000 - 0x3000);
        port.set(0x20, (window + 0x1f_ffff) & 0xfff0_0000 | window >> 16);
        port.writable[0x4c + 0x18..0x4c + 0x1a].fill(0xff);
        port
    }

    /// The same before anybody gave it addresses.
    pub fn nowhere(mut self) -> Function {
        for at in 0x10..0x28 {
            self.bytes[at] &= !self.writable[at];
        }
        self
    }

    /// An entropy source as QEMU has it.
    pub fn source(base: u32) -> Function {
        Function::new(0x1af4, 0x1044, 0x00ff00)
            .bar(1, base, 0x1000)
            .wide_bar(4, u64::from(base) + 0x10_0000, 0x4000)
            .capabilities(&[&Function::messages(2, 1, 0, 0x800), &Function::express()])
    }
}

impl Space {
    pub fn with(mut self, address: Address, function: Function) -> Space {
        self.functions.insert(address, function);
        self
    }

    pub fn at(&self, address: Address) -> &Function {
        &self.functions[&address]
    }
}

impl ConfigSpace for Space {
    fn read(&self, address: Address, offset: u16) -> u32 {
        assert!(offset.is_multiple_of(4));
        let function = self.functions.get(&address);
        function
            .filter(|_| usize::from(offset) < 256)
            .map_or(u32::MAX, |function| function.get(offset.into()))
    }

    fn write(&mut self, address: Address, offset: u16, value: u32) {
        assert!(offset.is_multiple_of(4));
        self.writes.push((address, offset, value));
        self.write_bytes(address, offset, &value.to_le_bytes());
    }

    fn write_half(&mut self, address: Address, offset: u16, value: u16) {
        assert!(offset.is_multiple_of(2));
        self.write_bytes(address, offset, &value.to_le_bytes());
    }
}

impl Space {
    fn write_bytes(&mut self, address: Address, offset: u16, bytes: &[u8]) {
        let Some(function) = self.functions.get_mut(&address) else { return };
        let is_port = function.bytes[0x0e] == 1;
        for (at, byte) in bytes.iter().copied().enumerate() {
            let at = usize::from(offset) + at;
            if is_port && at == 0x4c + 0x1a {
                // Slot status: ones clear, except in what says whether something is there.
                function.bytes[at] &= !(byte & 0x1f);
            }
            let mask = function.writable[at];
            function.bytes[at] = function.bytes[at] & !mask | byte & mask;
        }
        // Each command is completed, and that is an event.
        if is_port && usize::from(offset) <= 0x4c + 0x18 && usize::from(offset) + bytes.len() > 0x4c + 0x18 {
            function.bytes[0x4c + 0x1a] |= 0x10;
        }
    }
}
