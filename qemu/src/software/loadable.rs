//! A program as the boot archive has it: what a loader reads, without symbols and debug sections.
//!
//! The files in the target folder keep theirs for debuggers; the guest would only copy them around. Linkers place
//! sections that are not loaded behind those that are, so the loadable part is a prefix.

use image::elf::Image;

use crate::failure::{Failure, Result};

const HEADER: usize = 64;
/// Offsets of `e_shoff` (8 bytes), `e_shentsize`, `e_shnum`, `e_shstrndx` (2 bytes each) in an ELF64 header.
const SECTION_FIELDS: [std::ops::Range<usize>; 2] = [40..48, 58..64];

/// Cuts a program down to its headers and segments. Fails when it is not a program that init would load.
pub fn loadable(name: &str, file: &[u8]) -> Result<Vec<u8>> {
    let asked = || format!("put {name} into the boot archive");
    let remedy = "programs are static ELF files for x86_64-unknown-none, see .cargo/config.toml";
    let image = Image::parse(file).map_err(|error| Failure::new(asked(), error, remedy))?;
    let program_headers = read(file, 32, 8) + read(file, 54, 2) * read(file, 56, 2);
    let end = image
        .segments()
        .filter(|segment| !segment.data.is_empty())
        .map(|segment| segment.data.as_ptr().addr() - file.as_ptr().addr() + segment.data.len())
        .fold(HEADER.max(program_headers), usize::max);
    let mut kept = file[..end.min(file.len())].to_vec();
    for field in SECTION_FIELDS {
        kept[field].fill(0);
    }
    Image::parse(&kept).map_err(|error| Failure::new(asked(), error, remedy))?;
    Ok(kept)
}

fn read(file: &[u8], offset: usize, length: usize) -> usize {
    file[offset..offset + length].iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with one segment at file offset 0x1000, debug bytes behind it and a section table at the end.
    fn program() -> Vec<u8> {
        let mut file = vec![0; 0x1000];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(16, &2u16.to_le_bytes());
        put(18, &62u16.to_le_bytes());
        put(20, &1u32.to_le_bytes());
        put(24, &0x20_0000u64.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(40, &0x3000u64.to_le_bytes());
        put(52, &64u16.to_le_bytes());
        put(54, &56u16.to_le_bytes());
        put(56, &1u16.to_le_bytes());
        put(58, &64u16.to_le_bytes());
        put(60, &9u16.to_le_bytes());
        put(64, &1u32.to_le_bytes());
        put(68, &5u32.to_le_bytes());
        put(72, &0x1000u64.to_le_bytes());
        put(80, &0x20_0000u64.to_le_bytes());
        put(96, &16u64.to_le_bytes());
        put(104, &16u64.to_le_bytes());
        put(112, &0x1000u64.to_le_bytes());
        file.extend([0x90; 16]);
        file.extend(b"debug information");
        file
    }

    #[test]
    fn keeps_the_segments_and_nothing_behind_them() {
        let file = program();
        let kept = loadable("p", &file).unwrap();
        assert_eq!(kept.len(), 0x1010);
        assert_eq!(kept[0x1000..], [0x90; 16]);
        assert_eq!(kept[40..48], [0; 8], "no section table is named any more");
        let (before, after) = (Image::parse(&file).unwrap(), Image::parse(&kept).unwrap());
        assert_eq!(before.entry(), after.entry());
        assert!(before.segments().map(|s| s.data).eq(after.segments().map(|s| s.data)));
    }

    #[test]
    fn refuses_what_is_no_program() {
        let failure = loadable("sh", b"#!/bin/sh\n").unwrap_err().to_string();
        assert!(failure.starts_with("cannot put sh into the boot archive: "), "{failure}");
    }
}
