//! I/O ports.
#![allow(unsafe_code)]

use crate::registers::{Registers, Word};
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

    /// The first port of an access that is inside and aligned.
    fn wide_port<W: Word>(&self, offset: usize) -> Option<u16> {
        let end = offset.checked_add(W::SIZE)?;
        let port = usize::from(self.first) + offset;
        (end <= usize::from(self.count) && port.is_multiple_of(W::SIZE)).then_some(u16::try_from(port).ok()?)
    }

    fn port(&self, offset: u16) -> Option<u16> {
        if offset < self.count { self.first.checked_add(offset) } else { None }
    }
}

/// Ports in the three widths that there are. One of eight bytes is none, and neither is one that crosses its own width.
impl Registers for Ports {
    fn read<W: Word>(&self, offset: usize) -> W {
        let Some(port) = self.wide_port::<W>(offset) else { return W::ONES };
        let value: u32;
        // SAFETY: as in the reading of a byte; these touch no memory either.
        unsafe {
            match W::SIZE {
                1 => {
                    let byte: u8;
                    asm!("in al, dx", in("dx") port, out("al") byte, options(nomem, nostack, preserves_flags));
                    value = byte.into();
                }
                2 => {
                    let word: u16;
                    asm!("in ax, dx", in("dx") port, out("ax") word, options(nomem, nostack, preserves_flags));
                    value = word.into();
                }
                4 => {
                    asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack, preserves_flags))
                }
                _ => return W::ONES,
            }
        }
        W::from_bits(value.into())
    }

    fn write<W: Word>(&self, offset: usize, value: W) {
        let Some(port) = self.wide_port::<W>(offset) else { return };
        let bits = value.to_bits();
        // SAFETY: as in the writing of a byte: whoever owns the device's ports answers for what it does.
        unsafe {
            match W::SIZE {
                1 => {
                    asm!("out dx, al", in("dx") port, in("al") bits as u8, options(nomem, nostack, preserves_flags))
                }
                2 => {
                    asm!("out dx, ax", in("dx") port, in("ax") bits as u16, options(nomem, nostack, preserves_flags))
                }
                4 => {
                    asm!("out dx, eax", in("dx") port, in("eax") bits as u32, options(nomem, nostack, preserves_flags))
                }
                _ => {}
            }
        }
    }

    fn length(&self) -> usize {
        self.count.into()
    }
}
