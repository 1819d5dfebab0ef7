//! What is written: when it is on the disk, and who is told that it is not.

use crate::desk::{Desk, FLUSH, PATH, READ_ONLY, data};
use crate::fake::Got;
use abi::error::{EIO, EROFS, Error};
use abi::flag::{O_RDONLY, O_RDWR, O_WRONLY};
use block::disk::SLOTS;
use driver_sdk::{Driver, Level};
use event_protocol::descriptor::{CURRENT, label};

#[test]
fn who_waits_to_write_where_the_file_stood_goes_on_where_it_stands() {
    let mut desk = Desk::new(4096, FLUSH);
    let file = desk.open();
    let write = |desk: &mut Desk, byte: usize| {
        desk.bench.send(file.badge(), label::WRITE, [0, 0, CURRENT, 0], &[byte as u8; 3000], None)
    };
    let tokens: Vec<u64> = (0..10).map(|byte| write(&mut desk, byte)).collect();
    desk.run();
    for token in tokens {
        assert_eq!(desk.bench.got(token), Some(Got::Count(3000)));
    }
    assert!((0..30_000).all(|at| desk.bytes[at] == (at / 3000) as u8), "in the order in which they came");
}

#[test]
fn writes_are_in_memory_at_once_and_on_the_disk_later() {
    let mut desk = Desk::new(100, FLUSH);
    let file = desk.open();
    desk.read_at(file, 0, 1);
    let token = desk.bench.send(file.badge(), label::WRITE, [0, 0, 100, 0], b"hello", None);
    assert_eq!(desk.bench.got(token), Some(Got::Count(5)));
    assert_eq!(desk.bench.source(file).write, Level::new((SLOTS as i64 - 1) * 4096));
    desk.look();
    // Changed again while it is on its way: it is written again.
    let token = desk.bench.send(file.badge(), label::WRITE, [0, 0, 100, 0], b"J", None);
    assert_eq!(desk.bench.got(token), Some(Got::Count(1)));
    assert_eq!(desk.asked.len(), 1);
    desk.done.clear();
    desk.run();
    assert_eq!((desk.done.as_slice(), &desk.bytes[100..105]), (&[(1, 0), (1, 0)][..], &b"Jello"[..]));
    assert_eq!(desk.sync(file), Ok(()));
    assert_eq!(desk.sync(file), Ok(()));
    assert_eq!(desk.done[2..], [(4, 0)], "made safe, and nothing to make safe again");
    assert_eq!(desk.bench.source(file).write, Level::new(SLOTS as i64 * 4096));
    // What is before and behind a write is not touched.
    desk.write_at(file, b"across", 8189);
    assert_eq!(desk.bytes[8189..8195], *b"across");
    assert_eq!((desk.bytes[8188], desk.bytes[8195]), ((15 + 8188) as u8, (16 + 8195) as u8));
}

#[test]
fn what_cannot_be_written_is_not_opened_for_it() {
    let mut desk = Desk::new(8, READ_ONLY);
    for flags in [O_RDWR, O_WRONLY] {
        assert_eq!(desk.bench.open(PATH, flags, 1), Err(Error::new(EROFS)));
    }
    let file = desk.bench.open(PATH, O_RDONLY, 1).unwrap();
    assert_eq!(desk.bench.source(file).write, Level::new(0));
    assert_eq!(desk.sync(file), Ok(()));
}

#[test]
fn a_write_that_failed_is_told_to_each_who_may_have_made_it() {
    let mut desk = Desk::new(100, FLUSH);
    let (writer, other) = (desk.open(), desk.open());
    desk.read_at(writer, 100, 4);
    desk.failing = Some(1);
    assert_eq!(desk.write_at(writer, b"lost", 100), Got::Count(4), "it is not known yet");
    desk.failing = None;
    assert_eq!(desk.sync(other), Err(Error::new(EIO)));
    assert_eq!(desk.sync(other), Ok(()), "once");
    assert_eq!(desk.sync(writer), Err(Error::new(EIO)), "not instead of who wrote");
    assert_eq!(desk.sync(writer), Ok(()));
    let late = desk.open();
    assert_eq!(desk.sync(late), Ok(()), "others were told");
    // Closed before it is known: the next is told.
    desk.read_at(writer, 100, 4);
    desk.failing = Some(1);
    let token = desk.bench.send(writer.badge(), label::WRITE, [0, 0, 100, 0], b"lost", None);
    assert_eq!(desk.bench.got(token), Some(Got::Count(4)));
    [writer, other, late].into_iter().for_each(|file| desk.bench.close(file));
    desk.run();
    desk.failing = None;
    let next = desk.open();
    assert_eq!((desk.sync(next), desk.sync(next)), (Err(Error::new(EIO)), Ok(())));
}

#[test]
fn more_than_fits_waits_for_room() {
    let mut desk = Desk::new(8 * (SLOTS as u64 + 40), 0);
    let file = desk.open();
    let tokens: Vec<u64> = (0..SLOTS as u64 + 10)
        .map(|page| {
            let file = if page % 15 == 0 { desk.open() } else { file };
            let open = if page < 15 { file } else { desk.bench.open(PATH, O_RDWR, 2 + page).unwrap() };
            desk.begin_read(open, page * 4096, 2, 0)
        })
        .collect();
    desk.look();
    assert!(desk.asked.len() <= SLOTS);
    desk.run();
    for (page, token) in tokens.into_iter().enumerate() {
        assert_eq!(
            desk.bench.got(token),
            Some(data(&desk.bytes.clone()[page * 4096..page * 4096 + 2])),
            "{page}"
        );
    }
}

#[test]
fn everything_is_written_before_power_goes_off() {
    let mut desk = Desk::new(100, FLUSH);
    let file = desk.open();
    assert!(desk.bench.engine.driver().has_buffers());
    desk.read_at(file, 0, 1);
    desk.bench.send(file.badge(), label::WRITE, [0, 0, 0, 0], b"last words", None);
    desk.bench.engine.power_off();
    assert!(!desk.bench.engine.driver().is_drained());
    desk.run();
    assert!(desk.bench.engine.driver().is_drained());
    assert_eq!((desk.done.last(), &desk.bytes[..10]), (Some(&(4, 0)), &b"last words"[..]));
    let mut idle = Desk::new(100, FLUSH);
    idle.bench.engine.power_off();
    assert!(idle.bench.engine.driver().is_drained());
}
