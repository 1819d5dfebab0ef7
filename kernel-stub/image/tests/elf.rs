//! The ELF reader on programs and on forgeries.

mod forge;

use abi::memory::{PAGE, USER_END, USER_FIRST};
use forge::{Forge, Header, LOAD, RW, RX};
use image::elf::{Error, Image, Protection};
use proptest::prelude::*;

fn refused(change: impl FnOnce(&mut Forge)) -> Error {
    let mut forge = Forge::program();
    change(&mut forge);
    Image::parse(&forge.bytes()).expect_err("a forgery was believed")
}

#[test]
fn a_program_is_read() {
    let bytes = Forge::program().bytes();
    let image = Image::parse(&bytes).unwrap();
    assert_eq!(image.entry(), 0x20_1010);
    let segments: Vec<_> = image.segments().collect();
    assert_eq!(segments.len(), 3);
    assert_eq!(segments[0].protection, Protection::Read);
    assert_eq!(segments[0].data, &bytes[0x0..0x200]);
    assert_eq!(segments[1].protection, Protection::ReadExecute);
    assert_eq!((segments[1].address, segments[1].data_offset()), (0x20_1010, 0x10));
    assert_eq!(segments[1].pages(), 0x20_1000..0x20_2000);
    assert_eq!(segments[2].protection, Protection::ReadWrite);
    assert_eq!((segments[2].data.len(), segments[2].size), (0x20, 0x3000));
    assert_eq!(segments[2].pages(), 0x20_3000..0x20_7000, "zeros that cross into a fourth page");
    assert_eq!(image.memory(), 6 * PAGE);
}

#[test]
fn each_lie_is_named() {
    assert_eq!(refused(|f| f.ident[0] = b'X'), Error::Magic(*b"XELF"));
    assert_eq!(refused(|f| f.ident[4] = 1), Error::Format { class: 1, order: 1, version: 1 });
    assert_eq!(refused(|f| f.ident[5] = 2), Error::Format { class: 2, order: 2, version: 1 });
    assert_eq!(refused(|f| f.kind = 3), Error::Type(3));
    assert_eq!(refused(|f| f.machine = 183), Error::Machine(183));
    assert_eq!(refused(|f| f.header_size = 32), Error::HeaderSize(32));
    assert_eq!(refused(|f| f.offset = 1 << 40), Error::HeaderTable { offset: 1 << 40, count: 4 });
    assert_eq!(refused(|f| f.offset = u64::MAX), Error::HeaderTable { offset: u64::MAX, count: 4 });
    assert_eq!(refused(|f| f.count = Some(0xffff)), Error::HeaderTable { offset: 64, count: 0xffff });
    assert_eq!(refused(|f| f.headers.clear()), Error::Entry(0x20_1010), "nothing to load");
    for kind in [2, 3, 7] {
        assert_eq!(refused(|f| f.headers[3].kind = kind), Error::NotStatic { index: 3, kind });
    }
    assert_eq!(
        refused(|f| f.headers[0].size = 0x1ff),
        Error::LargerInFile { index: 0, length: 0x200, size: 0x1ff }
    );
    assert_eq!(refused(|f| f.headers[1].flags = 7), Error::WritableCode { index: 1, address: 0x20_1010 });
    assert_eq!(refused(|f| f.entry = 0x20_3010), Error::Entry(0x20_3010), "in data");
    assert_eq!(refused(|f| f.entry = 0x20_1010 + 0x100), Error::Entry(0x20_1110), "one after the code");
    assert_eq!(refused(|f| f.entry = 0), Error::Entry(0));
}

#[test]
fn file_ranges() {
    let data = |f: &mut Forge, offset, length| {
        f.headers[2].alignment = 1;
        f.headers[2].offset = offset;
        f.headers[2].length = length;
    };
    let end = Forge::program().bytes().len() as u64;
    let error = |offset, length| Error::Data { index: 2, offset, length };
    assert_eq!(refused(|f| data(f, end - 0x1f, 0x20)), error(end - 0x1f, 0x20));
    assert_eq!(refused(|f| data(f, u64::MAX, 0x20)), error(u64::MAX, 0x20));
    let mut at_the_end = Forge::program();
    data(&mut at_the_end, end - 0x20, 0x20);
    Image::parse(&at_the_end.bytes()).unwrap();
}

#[test]
fn alignment() {
    let error = |alignment| Error::Alignment { index: 1, alignment, offset: 0x1010, address: 0x20_1010 };
    assert_eq!(refused(|f| f.headers[1].alignment = 0x1800), error(0x1800), "no power of two");
    assert_eq!(refused(|f| f.headers[1].alignment = 1 << 22), error(1 << 22), "not congruent");
    assert_eq!(refused(|f| f.headers[1].alignment = u64::MAX), error(u64::MAX));
    for alignment in [0, 1, 16, 4096] {
        let mut forge = Forge::program();
        forge.headers[1].alignment = alignment;
        Image::parse(&forge.bytes()).unwrap();
    }
}

#[test]
fn addresses() {
    let moved = |index: u16, address: u64, size: u64| {
        let mut forge = Forge::program();
        let header = &mut forge.headers[usize::from(index)];
        header.alignment = 1;
        header.length = 0;
        header.address = address;
        header.size = size;
        Image::parse(&forge.bytes()).err()
    };
    let error = |index, address, size| Some(Error::Address { index, address, size });
    assert_eq!(moved(0, USER_FIRST - 1, 8), error(0, USER_FIRST - 1, 8));
    assert_eq!(moved(0, 0, 8), error(0, 0, 8));
    assert_eq!(moved(0, USER_FIRST, 8), None);
    assert_eq!(moved(2, USER_END - 8, 8), None);
    assert_eq!(moved(2, USER_END - 8, 9), error(2, USER_END - 8, 9));
    assert_eq!(moved(2, 0xffff_ffff_8000_0000, 8), error(2, 0xffff_ffff_8000_0000, 8), "the kernel");
    assert_eq!(moved(2, 0x20_3000, u64::MAX), error(2, 0x20_3000, u64::MAX), "wraps around");
}

#[test]
fn no_page_belongs_to_two_segments() {
    let at = |address| {
        let mut forge = Forge::program();
        forge.headers[2].alignment = 1;
        forge.headers[2].address = address;
        Image::parse(&forge.bytes()).err()
    };
    let error = |address| Some(Error::SharedPage { index: 2, address });
    assert_eq!(at(0x20_1000), error(0x20_1000), "overlap");
    assert_eq!(at(0x20_1f00), error(0x20_1f00), "same page, other bytes");
    assert_eq!(at(0x1f_0000), error(0x1f_0000), "descending");
    assert_eq!(at(0x20_2000), None);
}

#[test]
fn empty_segments_and_other_headers_are_nothing() {
    let mut forge = Forge::program();
    forge.headers.push(Header { kind: LOAD, flags: RW | RX, ..Header::default() });
    forge.headers.push(Header { kind: 0x6474_e551, offset: u64::MAX, length: 9, ..Header::default() });
    assert_eq!(Image::parse(&forge.bytes()).unwrap().segments().count(), 3);
}

#[test]
fn every_cut_is_noticed() {
    let bytes = Forge::program().bytes();
    // The data segment's bytes are the last of the file.
    for length in 0..bytes.len() {
        assert!(Image::parse(&bytes[..length]).is_err(), "{length}");
    }
}

/// What a loader relies on.
fn explore(bytes: &[u8]) {
    let Ok(image) = Image::parse(bytes) else { return };
    let mut free = USER_FIRST;
    let mut entry = false;
    for segment in image.segments() {
        let pages = segment.pages();
        assert!(free <= pages.start && pages.start < pages.end && pages.end <= USER_END);
        assert!(segment.data.len() as u64 <= segment.size);
        assert!(segment.data_offset() + segment.size <= pages.end - pages.start);
        entry |= segment.protection == Protection::ReadExecute && segment.range().contains(&image.entry());
        free = pages.end;
    }
    assert!(entry);
    assert!(image.memory() < USER_END);
}

fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0u32..64, -2i64..3).prop_map(|(bit, by)| (1u64 << bit).wrapping_add_signed(by)),
        (0x20_0000u64..0x20_8000),
        (0u64..0x2100),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..1000)) {
        explore(&bytes);
    }

    #[test]
    fn arbitrary_bytes_after_a_valid_header(bytes in proptest::collection::vec(any::<u8>(), 0..1000)) {
        let mut file = Forge::program().bytes();
        file.truncate(64);
        file.extend_from_slice(&bytes);
        explore(&file);
    }

    #[test]
    fn mutated_programs(
        changes in proptest::collection::vec((0usize..64 + 4 * 56, any::<u8>()), 1..8),
        cut in proptest::option::of(0usize..0x2100),
    ) {
        let mut bytes = Forge::program().bytes();
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut);
        }
        explore(&bytes);
    }

    #[test]
    fn program_headers_of_plausible_words(
        words in proptest::collection::vec((0usize..4, 0usize..5, word(), 0u32..8), 1..10),
        entry in word(),
    ) {
        let mut forge = Forge::program();
        for (header, field, value, flags) in words {
            let header = &mut forge.headers[header];
            header.flags = flags;
            match field {
                0 => header.offset = value,
                1 => header.address = value,
                2 => header.length = value,
                3 => header.size = value,
                _ => header.alignment = value,
            }
        }
        forge.entry = entry;
        explore(&forge.bytes());
    }
}
