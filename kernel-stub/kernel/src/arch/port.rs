//! I/O ports that the kernel itself uses.

use core::arch::asm;

/// An 8-bit port.
#[derive(Clone, Copy, Debug)]
pub struct Port(u16);

impl Port {
    /// # Safety
    /// Nothing that is read from or written to the port can harm memory.
    pub const unsafe fn new(number: u16) -> Port {
        Port(number)
    }

    /// Reads it.
    pub fn read(self) -> u8 {
        let value;
        // SAFETY: by the promise given to `new`.
        unsafe {
            asm!("in al, dx", out("al") value, in("dx") self.0, options(nomem, nostack, preserves_flags));
        }
        value
    }

    /// Writes it.
    pub fn write(self, value: u8) {
        // SAFETY: by the promise given to `new`.
        unsafe {
            asm!("out dx, al", in("al") value, in("dx") self.0, options(nomem, nostack, preserves_flags));
        }
    }
}
