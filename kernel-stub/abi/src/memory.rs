//! Memory objects and interrupt lines: flags and address-space layout.

/// Physically contiguous, for DMA.
pub const CONTIGUOUS: u64 = 1;

/// The line is level-triggered (otherwise edge).
pub const IRQ_LEVEL: u64 = 1;
/// The line is active low (otherwise high).
pub const IRQ_ACTIVE_LOW: u64 = 2;

/// Bytes in a page: all sizes, offsets and addresses of maps are multiples.
pub const PAGE: u64 = 4096;
/// Lowest address a program can map: a null pointer with an offset faults.
pub const USER_FIRST: u64 = 0x1_0000;
/// First address that no program can map. The page below the canonical hole stays empty, so that a `syscall` at the
/// very end of the lower half cannot return to a non-canonical address.
pub const USER_END: u64 = 0x7fff_ffff_f000;
/// Where the kernel places a map with no address.
pub const USER_PLACED: u64 = 0x2000_0000_0000;
