//! Memory objects and interrupt lines: flags and address-space layout.

/// Physically contiguous, for DMA.
pub const CONTIGUOUS: u64 = 1;

/// The line is level-triggered (otherwise edge).
pub const IRQ_LEVEL: u64 = 1;
/// The line is active low (otherwise high).
pub const IRQ_ACTIVE_LOW: u64 = 2;
/// No line but a message: a vector of its own that a device writes to (PCI's MSI and MSI-X). Stands alone.
pub const IRQ_MESSAGE: u64 = 4;

/// What a device writes to raise a message-signalled interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterruptMessage {
    /// Where to.
    pub address: u32,
    /// What.
    pub data: u32,
}

impl InterruptMessage {
    /// As a result of [`SYS_IRQ_MESSAGE`](crate::number::SYS_IRQ_MESSAGE).
    pub const fn pack(self) -> u64 {
        (self.data as u64) << 32 | self.address as u64
    }

    /// From a result.
    pub const fn unpack(word: u64) -> InterruptMessage {
        InterruptMessage { address: word as u32, data: (word >> 32) as u32 }
    }
}

/// Bytes in a page: all sizes, offsets and addresses of maps are multiples.
pub const PAGE: u64 = 4096;
/// Lowest address a program can map: a null pointer with an offset faults.
pub const USER_FIRST: u64 = 0x1_0000;
/// First address that no program can map. The page below the canonical hole stays empty, so that a `syscall` at the
/// very end of the lower half cannot return to a non-canonical address.
pub const USER_END: u64 = 0x7fff_ffff_f000;
/// Where the kernel places a map with no address.
pub const USER_PLACED: u64 = 0x2000_0000_0000;

/// Where configuration space of PCI is: 1 MiB for each bus, 4 KiB for each function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PciConfig {
    /// Physical address of bus 0, a multiple of 1 MiB.
    pub address: u64,
    /// The last bus.
    pub last: u8,
}

impl PciConfig {
    /// As a result of [`SYS_PCI_CONFIG`](crate::number::SYS_PCI_CONFIG).
    pub const fn pack(self) -> u64 {
        self.address | self.last as u64
    }

    /// From a result.
    pub const fn unpack(word: u64) -> PciConfig {
        PciConfig { address: word & !0xf_ffff, last: word as u8 }
    }
}
