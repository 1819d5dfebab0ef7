//! Programs: static x86-64 ELF files at fixed addresses, as the System V ABI and its x86-64 supplement define them.
//!
//! What the loaders rely on is checked here, once: every segment is in the user part of the address space, has pages of
//! its own, is not both writable and executable, and its bytes are in the file.

mod error;
mod segment;

pub use error::Error;
pub use segment::{Protection, Segment};

use core::fmt;

use crate::bytes::{range, u16_at, u32_at, u64_at};

const HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;

const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_TLS: u32 = 7;

/// A program whose headers have been checked.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    file: &'a [u8],
    headers: &'a [u8],
    entry: u64,
}

impl<'a> Image<'a> {
    /// Checks the headers of a whole file.
    pub fn parse(file: &'a [u8]) -> Result<Image<'a>, Error> {
        let header = range(file, 0, HEADER).ok_or(Error::Truncated(file.len() as u64))?;
        if header[..4] != *b"\x7fELF" {
            return Err(Error::Magic(u32_at(header, 0).unwrap_or_default().to_le_bytes()));
        }
        // Class, byte order and version: ELFCLASS64, ELFDATA2LSB, EV_CURRENT.
        if header[4..7] != [2, 1, 1] {
            return Err(Error::Format { class: header[4], order: header[5], version: header[6] });
        }
        let half = |offset| u16_at(header, offset).unwrap_or_default();
        let double = |offset| u64_at(header, offset).unwrap_or_default();
        if half(16) != ET_EXEC {
            return Err(Error::Type(half(16)));
        }
        if half(18) != EM_X86_64 {
            return Err(Error::Machine(half(18)));
        }
        let (entry, offset, size, count) = (double(24), double(32), half(54), half(56));
        if u64::from(size) != PROGRAM_HEADER {
            return Err(Error::HeaderSize(size));
        }
        let headers = range(file, offset, u64::from(count) * PROGRAM_HEADER)
            .ok_or(Error::HeaderTable { offset, count })?;
        let image = Image { file, headers, entry };
        image.check_segments()?;
        Ok(image)
    }

    /// Where the first thread begins.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// What is to be mapped, in ascending order of addresses.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + '_ {
        // The headers have been checked: none is left out.
        self.headers().filter_map(|(index, header)| self.segment(index, header).ok().flatten())
    }

    /// Bytes of memory that all segments take, in whole pages.
    pub fn memory(&self) -> u64 {
        self.segments().map(|segment| segment.pages().end - segment.pages().start).sum()
    }

    fn headers(&self) -> impl Iterator<Item = (u16, &'a [u8])> + '_ {
        (0..).zip(self.headers.chunks_exact(PROGRAM_HEADER as usize))
    }

    fn segment(&self, index: u16, header: &'a [u8]) -> Result<Option<Segment<'a>>, Error> {
        match u32_at(header, 0).unwrap_or_default() {
            PT_LOAD => Segment::parse(self.file, index, header),
            kind @ (PT_DYNAMIC | PT_INTERP | PT_TLS) => Err(Error::NotStatic { index, kind }),
            _ => Ok(None),
        }
    }

    fn check_segments(&self) -> Result<(), Error> {
        let mut free = 0;
        let mut entry_found = false;
        for (index, header) in self.headers() {
            let Some(segment) = self.segment(index, header)? else { continue };
            // Ascending order is the ABI's; it makes "no two overlap" a comparison with the one before.
            if segment.pages().start < free {
                return Err(Error::SharedPage { index, address: segment.address });
            }
            free = segment.pages().end;
            entry_found |=
                segment.protection == Protection::ReadExecute && segment.range().contains(&self.entry);
        }
        match entry_found {
            true => Ok(()),
            false => Err(Error::Entry(self.entry)),
        }
    }
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("entry", &self.entry).finish_non_exhaustive()
    }
}
