//! The real machine, as the bus needs it.

use alloc::collections::BTreeMap;
use core::cell::RefCell;

use abi::Rights;
use abi::error::Result;
use abi::memory::{IRQ_LEVEL, InterruptMessage, PAGE, PciConfig};
use driver_sdk::{Mmio, Registers};
use pci::bus::Machine;
use pci::config::ConfigSpace;
use pci_protocol::Address;
use rt::sys::{Hardware, Irq, Memory, Notification, Object};

/// Bytes of a bus's configuration space.
const BUS: u64 = 1 << 20;
/// What a driver may do with its interrupt.
const GIVEN: Rights = Rights::CONTROL.union(Rights::TRANSFER);

/// Configuration space in memory, and the right to make device memory and interrupts.
pub struct Board {
    hardware: Hardware,
    window: PciConfig,
    /// Buses that were looked at. One that cannot be mapped is as one that is not there.
    buses: RefCell<BTreeMap<u8, Option<Mmio>>>,
}

impl Board {
    /// With what the firmware told.
    pub fn new(hardware: Hardware, window: PciConfig) -> Board {
        Board { hardware, window, buses: RefCell::default() }
    }

    fn with_bus<R>(&self, address: Address, act: impl FnOnce(&Mmio, usize) -> R) -> Option<R> {
        let bus = address.bus();
        if bus > self.window.last {
            return None;
        }
        let mut buses = self.buses.borrow_mut();
        let mapped = buses.entry(bus).or_insert_with(|| {
            let at = self.window.address + u64::from(bus) * BUS;
            self.hardware.memory(at, BUS).and_then(|memory| Mmio::map(&memory)).ok()
        });
        let offset = usize::from(address.number() & 0xff) << 12;
        mapped.as_ref().map(|mapped| act(mapped, offset))
    }
}

impl ConfigSpace for Board {
    fn read(&self, address: Address, offset: u16) -> u32 {
        self.with_bus(address, |bus, at| bus.read(at + usize::from(offset))).unwrap_or(u32::MAX)
    }

    fn write(&mut self, address: Address, offset: u16, value: u32) {
        self.with_bus(address, |bus, at| bus.write(at + usize::from(offset), value));
    }

    fn write_half(&mut self, address: Address, offset: u16, value: u16) {
        self.with_bus(address, |bus, at| bus.write(at + usize::from(offset), value));
    }
}

impl Machine for Board {
    type Memory = Memory;
    type Interrupt = Irq;
    type Table = Mmio;
    type Notice = Notification;

    fn memory(&mut self, address: u64, length: u64) -> Result<Memory> {
        self.hardware.memory(address, length)
    }

    fn table(&mut self, address: u64, length: u64) -> Result<Mmio> {
        let first = address & !(PAGE - 1);
        let end = (address + length).next_multiple_of(PAGE);
        Mmio::map(&self.hardware.memory(first, end - first)?)?
            .part((address - first) as usize, length as usize)
    }

    fn message(&mut self, cpu: u32) -> Result<(Irq, InterruptMessage)> {
        let irq = self.hardware.message_irq()?;
        let message = irq.message(cpu as usize)?;
        Ok((irq.restricted(GIVEN)?, message))
    }

    fn line(&mut self, gsi: u32) -> Result<Irq> {
        self.hardware.irq(gsi, IRQ_LEVEL)?.restricted(GIVEN)
    }

    fn tell(&mut self, notice: &Notification) {
        // Its badge says which bits. Who is gone need not be told.
        _ = notice.signal(u64::MAX);
    }
}
