//! Device registers in memory.
#![allow(unsafe_code)]

use crate::registers::{Registers, Word, fits};
use abi::error::{EINVAL, Error, Result};
use abi::flag::MapFlags;
use alloc::sync::Arc;
use rt::sys::{Mapping, Memory};

/// A window of device registers, mapped uncached.
#[derive(Clone, Debug)]
pub struct Mmio {
    mapping: Arc<Mapping>,
    offset: usize,
    length: usize,
}

impl Mmio {
    /// Maps all of a memory object, that of a device.
    pub fn map(memory: &Memory) -> Result<Mmio> {
        let mapping = memory.map_all(MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
        Ok(Mmio { offset: 0, length: mapping.length(), mapping: Arc::new(mapping) })
    }

    /// A part of the window: EINVAL when it is not inside.
    pub fn part(&self, offset: usize, length: usize) -> Result<Mmio> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => {
                Ok(Mmio { mapping: self.mapping.clone(), offset: self.offset + offset, length })
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    /// The place of a word that is inside and aligned as it lies in memory.
    fn at<W: Word>(&self, offset: usize) -> Option<*mut W> {
        let inside = fits(offset, 1, self.length) && offset.checked_add(W::SIZE)? <= self.length;
        let place = self.offset + offset;
        (inside && place.is_multiple_of(W::SIZE))
            .then(|| self.mapping.start().as_ptr().wrapping_add(place).cast())
    }
}

impl Registers for Mmio {
    fn read<W: Word>(&self, offset: usize) -> W {
        match self.at::<W>(offset) {
            // SAFETY: inside of the mapping, which lives as long as `self`, and aligned; only devices and raw accesses like
            // this one reach it, and every bit pattern is a word.
            Some(place) => unsafe { place.read_volatile() },
            None => W::ONES,
        }
    }

    fn write<W: Word>(&self, offset: usize, value: W) {
        if let Some(place) = self.at::<W>(offset) {
            // SAFETY: as in `read`; the mapping is writable.
            unsafe { place.write_volatile(value) }
        }
    }

    fn length(&self) -> usize {
        self.length
    }
}
