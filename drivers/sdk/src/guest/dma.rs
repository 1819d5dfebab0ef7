//! Memory that a device reads and writes.
#![allow(unsafe_code)]

use crate::registers::{Registers, SharedMemory, Word, fits};
use abi::error::Result;
use abi::flag::MapFlags;
use rt::sys::{Mapping, Memory};

/// Physically contiguous memory, zeroed at first. Made by [`Function::dma`](super::pci::Function::dma) only, which leaves the
/// bus a handle to it: its pages stay until the device can reach them no more.
#[derive(Debug)]
pub struct Dma {
    mapping: Mapping,
    address: u64,
}

impl Dma {
    pub(super) fn map(memory: &Memory) -> Result<Dma> {
        let address = memory.physical(0)?;
        let mapping = memory.map_all(MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
        Ok(Dma { mapping, address })
    }

    /// The place of a word that is inside and aligned; the mapping begins on a page.
    fn at<W: Word>(&self, offset: usize) -> Option<*mut W> {
        fits(offset, W::SIZE, self.mapping.length())
            .then(|| self.mapping.start().as_ptr().wrapping_add(offset).cast())
    }

    /// How many of `count` bytes from an offset on are inside.
    fn inside(&self, offset: usize, count: usize) -> usize {
        self.mapping.length().saturating_sub(offset).min(count)
    }
}

impl Registers for Dma {
    fn read<W: Word>(&self, offset: usize) -> W {
        match self.at::<W>(offset) {
            // SAFETY: inside of the mapping, which lives as long as `self`, and aligned; no reference to it exists, and every
            // bit pattern is a word.
            Some(place) => unsafe { place.read_volatile() },
            None => W::ONES,
        }
    }

    fn write<W: Word>(&self, offset: usize, value: W) {
        if let Some(place) = self.at::<W>(offset) {
            // SAFETY: as in `read`.
            unsafe { place.write_volatile(value) }
        }
    }

    fn length(&self) -> usize {
        self.mapping.length()
    }
}

impl SharedMemory for Dma {
    fn address(&self) -> u64 {
        self.address
    }

    fn copy_in(&self, offset: usize, bytes: &[u8]) {
        let count = self.inside(offset, bytes.len());
        if count > 0 {
            let place = self.mapping.start().as_ptr().wrapping_add(offset);
            // SAFETY: both ranges are `count` bytes, and no reference leads into the mapping.
            unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), count) }
        }
    }

    fn copy_out(&self, offset: usize, bytes: &mut [u8]) {
        let count = self.inside(offset, bytes.len());
        if count > 0 {
            let place = self.mapping.start().as_ptr().wrapping_add(offset);
            // SAFETY: as in `copy_in`. A device that writes meanwhile makes the bytes a mixture, each of them a byte.
            unsafe { place.copy_to_nonoverlapping(bytes.as_mut_ptr(), count) }
        }
        bytes[count..].fill(0xff);
    }
}
