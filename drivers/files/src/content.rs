//! The bytes of a regular file: pages where something was written, zeros elsewhere.

use crate::quota::Quota;
use abi::error::{EFBIG, ENOSPC, Error, Result};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// The longest file. A level tells distances in 48 bits: this is well inside.
pub const MAX_SIZE: u64 = 1 << 40;

struct Page {
    /// Who wrote it first, and pays.
    payer: u64,
    bytes: Box<[u8]>,
}

/// A file's bytes.
#[derive(Default)]
pub struct Content {
    size: u64,
    pages: BTreeMap<u64, Page>,
}

impl Content {
    /// Bytes from the start to the end, holes included.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Pages that it has.
    pub fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    /// Reads from a position; the count is 0 at the end and behind it.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        let count = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
        for (number, within, part) in spans(at, count) {
            let into = &mut buffer[part];
            match self.pages.get(&number) {
                Some(page) => into.copy_from_slice(&page.bytes[within..within + into.len()]),
                None => into.fill(0),
            }
        }
        count
    }

    /// Writes at a position, which may be behind the end. What finds no room any more is not written; the error is for
    /// a write of which nothing was: EFBIG, ENOSPC.
    pub fn write(&mut self, at: u64, bytes: &[u8], payer: u64, quota: &mut Quota) -> Result<usize> {
        let most = usize::try_from(MAX_SIZE.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        if most == 0 && !bytes.is_empty() {
            return Err(Error::new(EFBIG));
        }
        let mut count = 0;
        for (number, within, part) in spans(at, most) {
            let from = &bytes[part];
            match self.page(number, payer, quota) {
                Ok(page) => page.bytes[within..within + from.len()].copy_from_slice(from),
                Err(error) if count == 0 => return Err(error),
                Err(_) => break,
            }
            count += from.len();
        }
        if count > 0 {
            self.size = self.size.max(at + count as u64);
        }
        Ok(count)
    }

    fn page(&mut self, number: u64, payer: u64, quota: &mut Quota) -> Result<&mut Page> {
        match self.pages.entry(number) {
            Entry::Occupied(page) => Ok(page.into_mut()),
            Entry::Vacant(free) => {
                let mut bytes = Vec::new();
                bytes.try_reserve_exact(PAGE).map_err(|_| Error::new(ENOSPC))?;
                bytes.resize(PAGE, 0);
                quota.take(payer)?;
                Ok(free.insert(Page { payer, bytes: bytes.into_boxed_slice() }))
            }
        }
    }

    /// Makes it shorter, or longer by a hole. EFBIG.
    pub fn resize(&mut self, size: u64, quota: &mut Quota) -> Result<()> {
        if size > MAX_SIZE {
            return Err(Error::new(EFBIG));
        }
        if size < self.size {
            for page in self.pages.split_off(&size.div_ceil(PAGE as u64)).into_values() {
                quota.give(page.payer);
            }
            // What was cut off must not come back when it grows again.
            let within = (size % PAGE as u64) as usize;
            if within != 0
                && let Some(last) = self.pages.get_mut(&(size / PAGE as u64))
            {
                last.bytes[within..].fill(0);
            }
        }
        self.size = size;
        Ok(())
    }
}

/// The pages that a range touches: number, first byte in it, which bytes of the range.
fn spans(at: u64, count: usize) -> impl Iterator<Item = (u64, usize, Range<usize>)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        if done == count {
            return None;
        }
        let here = at + done as u64;
        let within = (here % PAGE as u64) as usize;
        let length = (PAGE - within).min(count - done);
        let part = done..done + length;
        done += length;
        Some((here / PAGE as u64, within, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_reads_as_zeros_when_the_file_grows_again() {
        let (mut content, mut quota) = (Content::default(), Quota::new(64));
        assert_eq!(content.write(4090, &[7; 100], 1, &mut quota), Ok(100));
        assert_eq!((content.size(), quota.used()), (4190, 2));
        content.resize(4092, &mut quota).unwrap();
        assert_eq!(quota.used(), 1);
        content.resize(5000, &mut quota).unwrap();
        let mut buffer = [9; 20];
        assert_eq!(content.read(4085, &mut buffer), 20);
        assert_eq!(buffer, [0, 0, 0, 0, 0, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn holes_cost_nothing_and_the_last_byte_is_where_files_end() {
        let (mut content, mut quota) = (Content::default(), Quota::new(64));
        assert_eq!(content.write(MAX_SIZE - 3, b"end, not more", 1, &mut quota), Ok(3));
        assert_eq!((content.size(), content.pages()), (MAX_SIZE, 1));
        assert_eq!(content.write(MAX_SIZE, b"x", 1, &mut quota), Err(Error::new(EFBIG)));
        assert_eq!(content.write(u64::MAX, b"x", 1, &mut quota), Err(Error::new(EFBIG)));
        assert_eq!(content.resize(MAX_SIZE + 1, &mut quota), Err(Error::new(EFBIG)));
        assert_eq!(content.read(u64::MAX, &mut [0; 4]), 0);
    }

    #[test]
    fn a_write_that_finds_no_room_writes_what_fits_and_then_fails() {
        let (mut content, mut quota) = (Content::default(), Quota::new(4));
        assert_eq!(content.write(4000, &[1; 500], 1, &mut quota), Ok(96));
        assert_eq!(content.write(4096, &[1; 500], 1, &mut quota), Err(Error::new(ENOSPC)));
        assert_eq!((content.size(), quota.used()), (4096, 1));
        content.resize(0, &mut quota).unwrap();
        assert_eq!(quota.used(), 0);
    }
}
