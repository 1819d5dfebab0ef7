//! A part of a program that is mapped with one protection.

use core::ops::Range;

use abi::memory::{PAGE, USER_END, USER_FIRST};

use super::Error;
use crate::bytes::{range, u32_at, u64_at};

const PF_X: u32 = 1;
const PF_W: u32 = 2;

/// What a segment's pages allow. There is no fourth: what can be written is never executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Constants.
    Read,
    /// Variables.
    ReadWrite,
    /// Code.
    ReadExecute,
}

/// A part of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// Its first byte's address, not necessarily a page's.
    pub address: u64,
    /// Bytes in memory, more than 0. Those after [`data`](Segment::data) are zero.
    pub size: u64,
    /// Bytes in the file: at most `size`.
    pub data: &'a [u8],
    /// What its pages allow.
    pub protection: Protection,
}

impl<'a> Segment<'a> {
    /// Checks a program header by itself; [`None`] when nothing is to be mapped.
    pub(super) fn parse(file: &'a [u8], index: u16, header: &[u8]) -> Result<Option<Segment<'a>>, Error> {
        let double = |offset| u64_at(header, offset).unwrap_or_default();
        let flags = u32_at(header, 4).unwrap_or_default();
        let (offset, address, length, size, alignment) =
            (double(8), double(16), double(32), double(40), double(48));
        if length > size {
            return Err(Error::LargerInFile { index, length, size });
        }
        if size == 0 {
            return Ok(None);
        }
        let data = range(file, offset, length).ok_or(Error::Data { index, offset, length })?;
        if alignment > 1 && (!alignment.is_power_of_two() || (address ^ offset) & (alignment - 1) != 0) {
            return Err(Error::Alignment { index, alignment, offset, address });
        }
        match address.checked_add(size) {
            Some(end) if address >= USER_FIRST && end <= USER_END => {}
            _ => return Err(Error::Address { index, address, size }),
        }
        let protection = match (flags & PF_W != 0, flags & PF_X != 0) {
            (true, true) => return Err(Error::WritableCode { index, address }),
            (true, false) => Protection::ReadWrite,
            (false, true) => Protection::ReadExecute,
            (false, false) => Protection::Read,
        };
        Ok(Some(Segment { address, size, data, protection }))
    }

    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.address..self.address + self.size
    }

    /// The addresses of its pages.
    pub fn pages(&self) -> Range<u64> {
        self.address / PAGE * PAGE..(self.address + self.size).next_multiple_of(PAGE)
    }

    /// Where [`data`](Segment::data) begins within its pages.
    pub fn data_offset(&self) -> u64 {
        self.address % PAGE
    }
}
