//! The disk's driver: a device on one side, programs on the other.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;
#[path = "../../virtio/tests/model/mod.rs"]
mod model;

use abi::error::{EAGAIN, EINVAL, EIO, ENOENT, ENOSPC, EOPNOTSUPP, EROFS, Error, Result};
use abi::flag::{O_RDONLY, O_RDWR, O_WRONLY};
use block::disk::{Disk, SLOTS};
use block::driver::Block;
use driver_sdk::{Control, ControlReply, DURABLE, Driver, FileId, Level, LevelFlags, Whence};
use event_protocol::descriptor::{CURRENT, NONBLOCK, label};
use fake::{Bench, Got};
use model::{Chain, Hardware, Memory, Side, Wire, connect};
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

const PATH: &str = "/dev/vda";
const READ_ONLY: u64 = 1 << 5;
const FLUSH: u64 = 1 << 9;

struct Desk {
    side: Side,
    bench: Bench<Block<Wire, Memory>>,
    bytes: Vec<u8>,
    asked: Vec<Chain>,
    /// Requests of this type fail.
    failing: Option<u32>,
    /// Types and sectors of what was done.
    done: Vec<(u32, u64)>,
}

impl Desk {
    fn new(sectors: u64, features: u64) -> Desk {
        let shared = Rc::new(RefCell::new(None));
        let (hardware, device) = connect(Hardware::new(&[256], features, &sectors.to_le_bytes()));
        let disk = Disk::new(device.unwrap(), |size| {
            let memory = Memory::new(size);
            *shared.borrow_mut() = Some(memory.clone());
            Ok(memory)
        });
        let bench = Bench::new(Block::new(disk.unwrap(), PATH.to_owned()));
        let memory = shared.take().expect("it was asked for");
        let bytes = (0..sectors * 512).map(|at| (at / 512 + at) as u8).collect();
        let side = Side { hardware, memory };
        Desk { side, bench, bytes, asked: Vec::new(), failing: None, done: Vec::new() }
    }

    fn open(&mut self) -> FileId {
        self.bench.open(PATH, O_RDWR, 1).expect("a disk")
    }

    fn look(&mut self) {
        self.asked.extend(self.side.take());
    }

    /// The device does one of the requests that it has.
    fn work(&mut self, which: usize) {
        let Chain { head, parts } = self.asked.remove(which);
        let memory = self.side.memory.clone();
        let mut memory = memory.0.borrow_mut();
        let (header, status) = (parts[0], parts[parts.len() - 1]);
        assert_eq!((header.1, header.2, status.1, status.2), (16, false, 1, true));
        let field =
            |at: usize| u64::from_le_bytes(memory[header.0 + at..header.0 + at + 8].try_into().unwrap());
        let (kind, sector) = (field(0) as u32, field(8));
        let mut written = 1;
        let failed = self.failing == Some(kind);
        self.done.push((kind, sector));
        if let [_, (place, length, is_written), _] = parts[..] {
            assert_eq!(is_written, kind == 0);
            let disk = sector as usize * 512..sector as usize * 512 + length as usize;
            let memory = &mut memory[place..place + length as usize];
            match kind {
                _ if failed => {}
                0 => memory.copy_from_slice(&self.bytes[disk]),
                1 => self.bytes[disk].copy_from_slice(memory),
                other => panic!("no transfer is of type {other}"),
            }
            written += if is_written { length } else { 0 };
        } else {
            assert_eq!((kind, sector), (4, 0));
        }
        memory[status.0] = u8::from(failed);
        drop(memory);
        self.side.used(u32::from(head), written);
    }

    fn interrupt(&mut self) {
        while self.bench.engine.interrupt() {}
        self.bench.settle();
        self.look();
    }

    /// The device does everything, and what follows from it.
    fn run(&mut self) {
        self.look();
        while !self.asked.is_empty() {
            (0..self.asked.len()).for_each(|_| self.work(0));
            self.interrupt();
        }
    }

    fn begin_read(&mut self, file: FileId, offset: u64, length: u64, how: u64) -> u64 {
        self.bench.send(file.badge(), label::READ, [length, how, offset, 0], &[], None)
    }

    fn read_at(&mut self, file: FileId, offset: u64, length: u64) -> Got {
        let token = self.begin_read(file, offset, length, 0);
        self.run();
        self.bench.got(token).expect("it is answered")
    }

    fn write_at(&mut self, file: FileId, bytes: &[u8], offset: u64) -> Got {
        let token = self.bench.send(file.badge(), label::WRITE, [0, 0, offset, 0], bytes, None);
        self.run();
        self.bench.got(token).expect("it is answered")
    }

    fn sync(&mut self, file: FileId) -> Result<()> {
        let token = self.bench.begin_control(file, Control::Sync, 0);
        self.run();
        match self.bench.got(token) {
            Some(Got::Control(ControlReply::Done)) => Ok(()),
            Some(Got::Errno(errno)) => Err(Error::new(errno)),
            other => panic!("{other:?}"),
        }
    }
}

fn data(bytes: &[u8]) -> Got {
    if bytes.is_empty() { Got::Count(0) } else { Got::Data(bytes.to_vec(), 0) }
}

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
fn errors_of_the_device_are_told() {
    let mut desk = Desk::new(100, FLUSH);
    let file = desk.open();
    desk.failing = Some(0);
    assert_eq!(desk.read_at(file, 100, 4), Got::Errno(EIO));
    assert_eq!(desk.write_at(file, b"x", 9000), Got::Errno(EIO), "what is around it cannot be read");
    desk.failing = None;
    assert_eq!(desk.read_at(file, 100, 4), data(&desk.bytes.clone()[100..104]), "another time it can");
    desk.failing = Some(1);
    assert_eq!(desk.write_at(file, b"lost", 100), Got::Count(4), "it is not known yet");
    assert_eq!(desk.sync(file), Err(Error::new(EIO)));
    assert_eq!(desk.sync(file), Ok(()), "told once");
    desk.failing = Some(4);
    assert_eq!(desk.write_at(file, b"kept", 100), Got::Count(4));
    assert_eq!(desk.sync(file), Err(Error::new(EIO)));
    desk.failing = None;
    desk.done.clear();
    assert_eq!(desk.sync(file), Ok(()));
    assert_eq!(desk.done, [(4, 0)], "what could not be made safe is made safe later");
    assert_eq!(desk.bytes[100..104], *b"kept");
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

#[test]
fn a_device_that_lies_is_the_end() {
    let mut desk = Desk::new(100, 0);
    let file = desk.open();
    let waiting = desk.begin_read(file, 0, 4, 0);
    desk.look();
    desk.side.used(u32::from(desk.asked[0].head), 4098);
    desk.interrupt();
    assert_eq!(desk.bench.engine.driver().lost(), Some(Error::new(EIO)));
    assert_eq!(desk.bench.got(waiting), None);
}

proptest! {
    /// Reads, writes and a device that does what it has in any order: everybody sees what was written last, and so does the disk
    /// in the end.
    #[test]
    fn a_disk_holds_what_was_written_last(
        steps in prop::collection::vec((0..6u8, 0..160_000u64, 1..3968usize, any::<prop::sample::Index>()), 1..120),
    ) {
        let sectors = 8 * (SLOTS as u64 / 2) + 8 * 8 - 3;
        let mut desk = Desk::new(sectors, FLUSH);
        let mut model = desk.bytes.clone();
        let files = [desk.open(), desk.open()];
        let mut reads: Vec<(u64, Vec<u8>)> = Vec::new();
        for (number, (step, offset, length, which)) in steps.into_iter().enumerate() {
            let offset = offset.min(model.len() as u64 - 1);
            let length = length.min(model.len() - offset as usize);
            let range = offset as usize..offset as usize + length;
            let file = files[which.index(2)];
            match step {
                0 | 1 => {
                    // A write is done when it is answered: until then its bytes are nobody's.
                    model[range.clone()].fill(number as u8);
                    let got = desk.write_at(file, &model[range], offset);
                    prop_assert_eq!(got, Got::Count(length as u64));
                }
                2 => prop_assert_eq!(desk.read_at(file, offset, length as u64), data(&model[range])),
                3 => {
                    let token = desk.begin_read(file, offset, length as u64, NONBLOCK);
                    match desk.bench.got(token) {
                        Some(Got::Errno(EAGAIN)) => {}
                        got => prop_assert_eq!(got, Some(data(&model[range]))),
                    }
                }
                4 => {
                    desk.look();
                    if !desk.asked.is_empty() {
                        desk.work(which.index(desk.asked.len()));
                        desk.interrupt();
                    }
                }
                _ if reads.is_empty() => {
                    let token = desk.begin_read(file, offset, length as u64, 0);
                    reads.push((token, model[range].to_vec()));
                    desk.run();
                    for (token, expected) in reads.drain(..) {
                        prop_assert_eq!(desk.bench.got(token), Some(data(&expected)));
                    }
                }
                _ => {}
            }
        }
        prop_assert_eq!(desk.sync(files[0]), Ok(()));
        prop_assert!(desk.bytes == model);
    }
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
