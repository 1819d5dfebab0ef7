//! What is read, who waits for it, and where.

use crate::desk::{Desk, FLUSH, PATH, data};
use crate::fake::Got;
use abi::error::{EAGAIN, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP, Error};
use abi::flag::{O_RDONLY, O_RDWR};
use block::disk::SLOTS;
use driver_sdk::{Control, ControlReply, DURABLE, Level, LevelFlags, Whence};
use event_protocol::descriptor::{CURRENT, NONBLOCK};

#[test]
fn bytes_are_where_they_are() {
    let mut desk = Desk::new(100, 0);
    let file = desk.open();
    for (offset, length) in [(0, 10), (4090, 12), (511, 2), (40_000, 3968), (51_199, 1)] {
        let expected = data(&desk.bytes[offset..offset + length]);
        assert_eq!(desk.read_at(file, offset as u64, length as u64), expected);
    }
    assert_eq!(desk.read_at(file, 51_190, 100), data(&desk.bytes.clone()[51_190..]), "up to the end");
    assert_eq!((desk.read_at(file, 51_200, 1), desk.read_at(file, u64::MAX - 1, 9)), (data(&[]), data(&[])));
    // The last page has four sectors.
    assert!(desk.done.contains(&(0, 96)));
}

#[test]
fn a_page_comes_once_for_all_who_wait_for_it() {
    let mut desk = Desk::new(100, 0);
    let (one, other) = (desk.open(), desk.open());
    let tokens =
        [desk.begin_read(one, 0, 4, 0), desk.begin_read(other, 100, 4, 0), desk.begin_read(one, 8, 4, 0)];
    let far = desk.begin_read(one, 20_000, 4, 0);
    desk.look();
    assert_eq!(desk.asked.len(), 2, "two pages are on their way at a time");
    desk.work(1);
    desk.interrupt();
    assert!(desk.bench.got(far).is_some() && tokens.iter().all(|&token| desk.bench.got(token).is_none()));
    desk.work(0);
    desk.interrupt();
    assert!(tokens.iter().all(|&token| matches!(desk.bench.got(token), Some(Got::Data(..)))));
    assert_eq!(desk.done, [(0, 32), (0, 0)]);
}

#[test]
fn who_waits_where_the_file_stood_goes_on_where_it_stands() {
    let mut desk = Desk::new(4096, FLUSH);
    let file = desk.open();
    let before = desk.begin_read(file, CURRENT, 512, 0);
    desk.look();
    let to = Control::Seek { whence: Whence::Start, offset: 1 << 20 };
    assert_eq!(desk.bench.control(file, to), Ok(ControlReply::Number(1 << 20)));
    desk.run();
    assert_eq!(desk.bench.got(before), Some(data(&desk.bytes[1 << 20..(1 << 20) + 512])), "moved meanwhile");
    let to = Control::Seek { whence: Whence::Start, offset: 8192 };
    assert_eq!(desk.bench.control(file, to), Ok(ControlReply::Number(8192)));
    // Many read the same open file: each its part, behind the one before.
    let tokens: Vec<u64> = (0..10).map(|_| desk.begin_read(file, CURRENT, 3000, 0)).collect();
    desk.run();
    for (at, token) in tokens.into_iter().enumerate() {
        let from = 8192 + at * 3000;
        assert_eq!(desk.bench.got(token), Some(data(&desk.bytes[from..from + 3000])), "reader {at}");
    }
}

#[test]
fn a_file_is_ready_when_its_page_is_there() {
    let mut desk = Desk::new(100, 0);
    let file = desk.open();
    let size = 51_200;
    assert_eq!(desk.bench.source(file).read, Level::new(size));
    assert_eq!(desk.bench.source(file).write, Level::new(SLOTS as i64 * 4096));
    let before = desk.bench.source(file).arrivals;
    let token = desk.begin_read(file, CURRENT, 100, NONBLOCK);
    assert_eq!(desk.bench.got(token), Some(Got::Errno(EAGAIN)));
    assert_eq!(desk.bench.source(file).read, Level::new(0), "not while the page is on its way");
    desk.run();
    assert_eq!(desk.bench.source(file).read, Level::new(size));
    assert!(desk.bench.source(file).arrivals > before, "an edge");
    assert_eq!(desk.bench.try_read(file, 100), data(&desk.bytes.clone()[..100]));
    assert_eq!(desk.bench.source(file).read, Level::new(size - 100));
    let seek = |offset| Control::Seek { whence: Whence::Start, offset };
    assert_eq!(desk.bench.control(file, seek(size)), Ok(ControlReply::Number(size)));
    assert_eq!(desk.bench.source(file).read, Level::new(0).with(LevelFlags::EOF));
    assert_eq!(desk.bench.control(file, seek(-1)), Err(Error::new(EINVAL)));
    assert_eq!(desk.bench.control(file, seek(10)), Ok(ControlReply::Number(10)));
    // A reader that is gone has read nothing.
    let next = desk.bench.next_token();
    desk.bench.link().dead.insert(next);
    desk.bench.read(file, 50);
    assert_eq!(desk.bench.try_read(file, 1), data(&desk.bytes.clone()[10..11]));
}

#[test]
fn a_disk_ends() {
    let mut desk = Desk::new(3, 0);
    let file = desk.open();
    assert_eq!(desk.write_at(file, b"0123456789", 1530), Got::Count(6), "what fits");
    assert_eq!(desk.bytes[1530..], *b"012345");
    for beyond in [1536, 1537, u64::MAX - 1] {
        assert_eq!(desk.write_at(file, b"x", beyond), Got::Errno(ENOSPC));
    }
    let stat = desk.bench.control(file, Control::Stat);
    assert!(matches!(stat, Ok(ControlReply::Stat(stat)) if stat.size == 1536));
    assert_eq!(desk.bench.open("/dev/vdb", O_RDONLY, 1), Err(Error::new(ENOENT)));
    let mut none = Desk::new(0, 0);
    let file = none.open();
    assert_eq!((none.read_at(file, 0, 9), none.write_at(file, b"x", 0)), (data(&[]), Got::Errno(ENOSPC)));
}

#[test]
fn a_durable_reader_goes_on_where_it_was_and_a_writer_is_refused() {
    let mut old = Desk::new(100, 0);
    old.bench.link().session = Some(1);
    let durable = DURABLE as usize;
    assert_eq!(old.bench.open(PATH, O_RDWR | durable, 1), Err(Error::new(EOPNOTSUPP)));
    let file = old.bench.open(PATH, O_RDONLY | durable, 1).unwrap();
    let bytes = old.bytes.clone();
    assert_eq!(old.read_at(file, CURRENT, 100), data(&bytes[..100]));
    assert_eq!(old.read_at(file, 7, 3), data(&bytes[7..10]), "which moves nothing");
    let left = old.bench.left();
    let mut new = Desk::new(100, 0);
    let file = new.bench.go_on_with(left);
    assert_eq!(new.read_at(file, CURRENT, 50), data(&bytes[100..150]));
    assert_eq!(new.bench.source(file).read.amount, 51_200 - 150);
    assert_eq!(new.bench.source(file).word, 150);
}
