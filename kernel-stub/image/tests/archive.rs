//! The archive reader on what the writer makes, and on what nobody should.

use std::collections::BTreeMap;

use abi::memory::PAGE;
use image::{
    archive::{Archive, Error, is_path},
    crc::crc32,
    writer::{self, Writer},
};
use proptest::prelude::*;

const TABLE: usize = 32;
const LINE: usize = 256;
const OFFSET: usize = 232;
const LENGTH: usize = 240;

fn two_files() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.add("bin/tty", vec![7; 5000]).unwrap();
    writer.add("manifest", b"entries".to_vec()).unwrap();
    writer.finish()
}

/// Makes the checksums right again after a change, so that what lies behind them is reached.
fn seal(bytes: &mut [u8]) {
    let count = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    if let Some(table) = bytes.get(TABLE..TABLE + count * LINE) {
        let sum = crc32(table);
        bytes[24..28].copy_from_slice(&sum.to_le_bytes());
    }
    let sum = crc32(&bytes[..28]);
    bytes[28..32].copy_from_slice(&sum.to_le_bytes());
}

fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Error {
    let mut bytes = two_files();
    change(&mut bytes);
    seal(&mut bytes);
    Archive::parse(&bytes).expect_err("a lie was believed")
}

fn put(bytes: &mut [u8], line: usize, field: usize, value: u64) {
    let at = TABLE + line * LINE + field;
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn every_cut_is_noticed() {
    let bytes = two_files();
    for length in 0..bytes.len() {
        let error = Archive::parse(&bytes[..length]).expect_err("a cut archive was believed");
        assert!(matches!(error, Error::Truncated { found, .. } if found == length as u64), "{error}");
    }
}

#[test]
fn every_damaged_bit_is_noticed_in_the_header_the_table_or_the_file() {
    let bytes = two_files();
    let archive = Archive::parse(&bytes).unwrap();
    let used: Vec<(u64, usize)> = archive.files().map(|file| (file.offset, file.data.len())).collect();
    for at in 0..bytes.len() {
        let in_file =
            used.iter().any(|&(offset, length)| (offset as usize..offset as usize + length).contains(&at));
        if at >= TABLE + 2 * LINE && !in_file {
            continue; // Padding before a page boundary.
        }
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        match Archive::parse(&damaged) {
            Err(_) => assert!(!in_file),
            Ok(archive) => {
                assert!(in_file, "byte {at}");
                assert_eq!(archive.files().filter(|file| file.verify().is_err()).count(), 1, "byte {at}");
            }
        }
    }
}

#[test]
fn longer_memory_is_no_fault() {
    let mut bytes = two_files();
    bytes.resize(bytes.len() + 4096, 0xee);
    assert_eq!(Archive::parse(&bytes).unwrap().find("manifest").unwrap().data, b"entries");
}

#[test]
fn lies_behind_right_checksums_are_named() {
    let place = |offset, length| Error::Place { index: 1, offset, length };
    assert_eq!(changed(|b| put(b, 1, OFFSET, 4097)), place(4097, 7), "off a page");
    assert_eq!(changed(|b| put(b, 1, OFFSET, 4096)), place(4096, 7), "in the file before");
    assert_eq!(changed(|b| put(b, 1, OFFSET, 0)), place(0, 7), "in the table");
    assert_eq!(changed(|b| put(b, 1, OFFSET, 1 << 40)), place(1 << 40, 7), "beyond the end");
    let huge = u64::MAX - 4095;
    assert_eq!(changed(|b| put(b, 1, OFFSET, huge)), place(huge, 7), "wraps around");
    assert_eq!(changed(|b| put(b, 1, LENGTH, u64::MAX)), place(12288, u64::MAX), "endless");
    assert_eq!(changed(|b| b[TABLE] = b'z'), Error::Order { index: 1 });
    assert_eq!(changed(|b| b[TABLE] = 0), Error::Path { index: 0 });
    assert_eq!(changed(|b| b[TABLE] = 0xff), Error::Path { index: 0 });
    assert_eq!(changed(|b| b[TABLE + 200] = b'x'), Error::Path { index: 0 }, "bytes after the path");
    assert_eq!(changed(|b| b[8] = 9), Error::Version(9));
    assert_eq!(changed(|b| b[0] = b'x'), Error::Magic(*b"xqboot\r\n"));
    assert!(matches!(changed(|b| b[12..16].fill(0xff)), Error::Truncated { needed, .. } if needed > 1 << 39));
    assert!(matches!(changed(|b| b[16..24].fill(0xff)), Error::Truncated { needed: u64::MAX, .. }));
}

#[test]
fn equal_paths_are_no_archive() {
    let error = changed(|b| {
        let (first, second) = b[TABLE..].split_at_mut(LINE);
        second[..OFFSET].copy_from_slice(&first[..OFFSET]);
    });
    assert_eq!(error, Error::Order { index: 1 });
}

#[test]
fn paths() {
    for good in ["a", "bin/tty", "a.b", "...", "ä/ö", "sp ace"] {
        assert!(is_path(good), "{good}");
    }
    for bad in ["", "/", "/a", "a/", "a//b", ".", "a/./b", "..", "../a", "a\0b", "a\nb", &"x".repeat(233)] {
        assert!(!is_path(bad), "{bad:?}");
    }
    assert!(is_path(&"x".repeat(232)));
}

#[test]
fn writer_refuses() {
    let mut writer = Writer::new();
    writer.add("a", vec![]).unwrap();
    assert_eq!(writer.add("a", vec![1]), Err(writer::Error::Twice("a".into())));
    assert_eq!(writer.add("../a", vec![]), Err(writer::Error::Path("../a".into())));
}

#[test]
fn an_archive_without_files() {
    let bytes = Writer::new().finish();
    let archive = Archive::parse(&bytes).unwrap();
    assert!(archive.is_empty());
    assert_eq!(archive.find("a"), None);
}

/// Everything that can be asked of an archive; must end and not panic.
fn explore(bytes: &[u8]) {
    if let Ok(archive) = Archive::parse(bytes) {
        assert_eq!(archive.files().count(), archive.len());
        for file in archive.files() {
            let _ = file.verify();
            assert_eq!(archive.find(file.path), Some(file));
            assert_eq!(file.offset % PAGE, 0);
        }
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        files in proptest::collection::btree_map(
            "[a-z]{1,8}(/[a-z.]{1,3}x){0,2}",
            proptest::collection::vec(any::<u8>(), 0..9000),
            0..8,
        )
    ) {
        let mut writer = Writer::new();
        // Any order of adding gives the same archive.
        for (path, data) in files.iter().rev() {
            writer.add(path, data.clone()).unwrap();
        }
        let bytes = writer.finish();
        let archive = Archive::parse(&bytes).unwrap();
        let read: BTreeMap<String, Vec<u8>> =
            archive.files().map(|file| (file.path.to_owned(), file.data.to_owned())).collect();
        prop_assert_eq!(&read, &files);
        for (path, data) in &files {
            let file = archive.find(path).unwrap();
            prop_assert_eq!(file.data, &data[..]);
            prop_assert!(file.verify().is_ok());
        }
        prop_assert_eq!(archive.find("nothing"), None);
    }

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        explore(&bytes);
    }

    #[test]
    fn mutated_archives_with_right_checksums(
        changes in proptest::collection::vec((0usize..TABLE + 2 * LINE, any::<u8>()), 1..12),
        cut in proptest::option::of(64usize..20000),
    ) {
        let mut bytes = two_files();
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut);
        }
        bytes[..8].copy_from_slice(b"kqboot\r\n");
        seal(&mut bytes);
        explore(&bytes);
    }
}
