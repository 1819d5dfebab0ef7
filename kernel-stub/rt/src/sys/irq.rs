//! The machine: interrupts, ports, device memory.

use abi::Handle;
use abi::error::Result;
use abi::memory::{IRQ_MESSAGE, InterruptMessage, PciConfig};
use abi::number::{
    SYS_IRQ_ACK, SYS_IRQ_BIND, SYS_IRQ_CREATE, SYS_IRQ_MESSAGE, SYS_MEMORY_PHYSICAL, SYS_PCI_CONFIG,
    SYS_PORT_GRANT,
};

use super::handle::{Object, object};
use super::raw::syscall;
use super::{Memory, Notification, Process};

object! {
    /// An interrupt: a line, or messages of a device.
    Irq
}

object! {
    /// The machine itself: init has it, and drivers of buses.
    Hardware
}

impl Irq {
    /// Has the line signal `bits`, and unmasks it. `true`: it was pending already.
    pub fn bind(&self, notification: &Notification, bits: u64) -> Result<bool> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_IRQ_BIND, [self.handle().0, notification.handle().0, bits, 0, 0, 0]) }
            .map(|pending| pending != 0)
    }

    /// Tells that the interrupt is handled: unmasks the line.
    #[inline]
    pub fn ack(&self) -> Result<()> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_IRQ_ACK, [self.handle().0, 0, 0, 0, 0, 0]) }.map(drop)
    }
}

impl Irq {
    /// What a device has to write to raise this message interrupt on a CPU.
    pub fn message(&self, cpu: usize) -> Result<InterruptMessage> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_IRQ_MESSAGE, [self.handle().0, cpu as u64, 0, 0, 0, 0]) }
            .map(InterruptMessage::unpack)
    }
}

impl Hardware {
    /// An interrupt line by its global system interrupt number; flags are `abi::memory::IRQ_*`.
    pub fn irq(&self, line: u32, flags: u64) -> Result<Irq> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_IRQ_CREATE, [self.handle().0, u64::from(line), flags, 0, 0, 0]) }
            .map(|h| Irq::from_handle(Handle(h)))
    }

    /// A message interrupt: any that is free.
    pub fn message_irq(&self) -> Result<Irq> {
        self.irq(0, IRQ_MESSAGE)
    }

    /// Where configuration space of PCI is: `ENODEV` when the firmware does not tell.
    pub fn pci_config(&self) -> Result<PciConfig> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_PCI_CONFIG, [self.handle().0, 0, 0, 0, 0, 0]) }.map(PciConfig::unpack)
    }

    /// Device memory.
    pub fn memory(&self, physical: u64, size: u64) -> Result<Memory> {
        // SAFETY: registers only; the memory is reached by an `unsafe` access through its map.
        unsafe { syscall(SYS_MEMORY_PHYSICAL, [self.handle().0, physical, size, 0, 0, 0]) }
            .map(|h| Memory::from_handle(Handle(h)))
    }

    /// Lets a process use `count` I/O ports from `first` on.
    pub fn grant_ports(&self, process: &Process, first: u16, count: u16) -> Result<()> {
        let arguments = [self.handle().0, process.handle().0, u64::from(first), u64::from(count), 0, 0];
        // SAFETY: registers only; using a port is `unsafe` in itself.
        unsafe { syscall(SYS_PORT_GRANT, arguments) }.map(drop)
    }
}
