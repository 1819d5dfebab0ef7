//! I/O ports.
#![allow(unsafe_code)]

use core::arch::asm;

/// A range of I/O ports that init has granted to this process. To use others kills it, so nothing else is at stake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    first: u16,
    count: u16,
}

impl Ports {
    /// The range of `count` ports from `first` on.
    pub const fn new(first: u16, count: u16) -> Ports {
        Ports { first, count }
    }

    /// Reads a byte; all ones outside of the range, as where there is no device.
    #[inline]
    pub fn read(&self, offset: u16) -> u8 {
        let Some(port) = self.port(offset) else { return 0xff };
        let value: u8;
        // SAFETY: touches no memory; the processor checks the right to the port.
        unsafe {
            asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags))
        };
        value
    }

    /// Writes a byte; nothing happens outside of the range.
    #[inline]
    pub fn write(&self, offset: u16, value: u8) {
        let Some(port) = self.port(offset) else { return };
        // SAFETY: as in `read`; a device of one-byte registers writes no memory of its own accord.
        unsafe {
            asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags))
        };
    }

    fn port(&self, offset: u16) -> Option<u16> {
        if offset < self.count { self.first.checked_add(offset) } else { None }
    }
}
