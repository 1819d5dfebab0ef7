//! The entropy source's driver: a device on one side, readers on the other.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;
#[path = "../../virtio/tests/model/mod.rs"]
mod model;

use abi::error::{EAGAIN, EINVAL, EIO, ENOENT, ESPIPE, Error};
use abi::flag::O_RDWR;
use driver_sdk::{Control, ControlReply, DURABLE, Driver, FileId, Level, Whence};
use event_protocol::descriptor::{NONBLOCK, label};
use fake::{Bench, Got};
use model::{Chain, Hardware, Memory, Side, Wire, connect};
use proptest::prelude::*;
use random::{PATH, REQUEST, REQUESTS, Random, STOCK, memory};

struct Desk {
    side: Side,
    bench: Bench<Random<Wire, Memory>>,
    /// Chains that the device has not used.
    asked: Vec<Chain>,
    next: u8,
}

impl Desk {
    fn new() -> Desk {
        let shared = Memory::new(memory(REQUESTS));
        let (hardware, device) = connect(Hardware::new(&[64], 0, &[]));
        let driver = Random::new(device.unwrap(), |size| {
            assert_eq!(size, memory(REQUESTS));
            Ok(shared.clone())
        });
        let bench = Bench::new(driver.unwrap());
        let mut desk = Desk { side: Side { hardware, memory: shared }, bench, asked: Vec::new(), next: 0 };
        desk.look();
        desk
    }

    fn open(&mut self) -> FileId {
        self.bench.open(PATH, O_RDWR, 1).expect("an entropy source")
    }

    fn look(&mut self) {
        self.asked.extend(self.side.take());
    }

    /// The device fills a request with so many bytes, each one higher than the one before.
    fn give(&mut self, request: usize, count: usize) {
        let Chain { head, parts } = self.asked.remove(request);
        let [(place, length, true)] = parts[..] else { panic!("one part, to be written") };
        assert_eq!(length as usize, REQUEST);
        for at in 0..count {
            self.next = self.next.wrapping_add(1);
            self.side.memory.0.borrow_mut()[place + at] = self.next;
        }
        self.side.used(u32::from(head), count as u32);
    }

    fn interrupt(&mut self) {
        while self.bench.engine.interrupt() {}
        self.bench.settle();
        self.look();
    }
}

fn bytes(got: Got) -> Vec<u8> {
    match got {
        Got::Data(bytes, _) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn as_much_is_asked_for_as_is_kept() {
    let mut desk = Desk::new();
    assert_eq!(desk.asked.len(), usize::from(REQUESTS));
    assert_eq!(desk.side.hardware.borrow().notified, [0], "once for all");
    let file = desk.open();
    assert_eq!(
        (desk.bench.source(file).read, desk.bench.try_read(file, 10)),
        (Level::new(0), Got::Errno(EAGAIN))
    );
    (0..usize::from(REQUESTS)).for_each(|_| desk.give(0, REQUEST));
    desk.interrupt();
    assert_eq!((desk.bench.source(file).read, desk.asked.len()), (Level::new(STOCK as i64), 0));
    // Room for a request, and it is asked for.
    assert_eq!(bytes(desk.bench.try_read(file, 100)), (1..=100).collect::<Vec<u8>>());
    desk.look();
    assert_eq!(desk.asked.len(), 0);
    assert_eq!(bytes(desk.bench.try_read(file, 412)).len(), 412);
    desk.look();
    assert_eq!((desk.asked.len(), desk.bench.source(file).read), (1, Level::new(3584)));
}

#[test]
fn who_waits_gets_what_comes_in_turn() {
    let mut desk = Desk::new();
    let (one, other) = (desk.open(), desk.open());
    let (first, second) = (desk.bench.read(one, 3), desk.bench.read(other, 3));
    desk.interrupt();
    assert_eq!(desk.bench.got(first), None, "an interrupt that brings nothing");
    let before = desk.bench.source(one).arrivals;
    desk.give(3, 4);
    desk.interrupt();
    assert_eq!(desk.bench.got(first), Some(Got::Data(vec![1, 2, 3], 0)));
    assert_eq!(desk.bench.got(second), Some(Got::Data(vec![4], 0)));
    assert_eq!(desk.bench.source(one).arrivals, before + 1, "an edge");
    assert_eq!(desk.bench.source(other).read, Level::new(0), "the level before the reply");
    // A request that the device returns empty is made again.
    let asked = desk.asked.len();
    desk.give(0, 0);
    desk.interrupt();
    assert_eq!((desk.asked.len(), desk.bench.source(one).arrivals), (asked, before + 1));
}

#[test]
fn bytes_are_nowhere_when_they_are_given() {
    let mut desk = Desk::new();
    let file = desk.open();
    desk.give(0, 512);
    desk.interrupt();
    let data = virtio::queue::data(REQUESTS);
    assert!(desk.side.memory.0.borrow()[data..].iter().all(|&byte| byte == 0), "not in the device's memory");
    assert_eq!(bytes(desk.bench.try_read(file, 1000)).len(), 512);
}

#[test]
fn what_is_no_reading_is_refused() {
    let mut desk = Desk::new();
    let file = desk.open();
    assert_eq!(desk.bench.open("/dev/random/", O_RDWR, 1), Err(Error::new(ENOENT)));
    let token = desk.bench.send(file.badge(), label::READ, [10, NONBLOCK, 0, 0], &[], None);
    assert_eq!(desk.bench.got(token), Some(Got::Errno(ESPIPE)));
    assert_eq!(desk.bench.try_write(file, b"seed"), Got::Errno(EINVAL));
    let seek = Control::Seek { whence: Whence::Start, offset: 0 };
    assert_eq!(desk.bench.control(file, seek), Err(Error::new(ESPIPE)));
    assert_eq!(desk.bench.control(file, Control::Available), Ok(ControlReply::Available(0)));
    assert_eq!(desk.bench.control(file, Control::Sync), Err(Error::new(EINVAL)));
    desk.bench.close(file);
}

#[test]
fn a_device_that_lies_is_the_end() {
    for lie in [
        |desk: &mut Desk| desk.side.used(77, 1),
        |desk: &mut Desk| desk.side.used(u32::from(desk.asked[0].head), REQUEST as u32 + 1),
        |desk: &mut Desk| desk.side.set_used(9),
        |desk: &mut Desk| desk.side.hardware.borrow_mut().status |= 64,
    ] {
        let mut desk = Desk::new();
        let file = desk.open();
        let waiting = desk.bench.read(file, 3);
        lie(&mut desk);
        desk.interrupt();
        assert_eq!(desk.bench.engine.driver().lost(), Some(Error::new(EIO)));
        assert_eq!(desk.bench.got(waiting), None, "who waits is told by the death");
    }
}

proptest! {
    /// Whatever the device gives and whoever reads: every byte goes to one reader, in the order in which it came.
    #[test]
    fn every_byte_is_given_once(steps in prop::collection::vec((0..4u8, 0..700usize, any::<prop::sample::Index>()), 1..200)) {
        let mut desk = Desk::new();
        let files = [desk.open(), desk.open()];
        let (mut given, mut read) = (0usize, 0u8);
        let mut total = 0;
        for (step, count, which) in steps {
            if step < 2 && !desk.asked.is_empty() {
                let count = count.min(REQUEST);
                desk.give(which.index(desk.asked.len()), count);
                given += count;
                desk.interrupt();
            } else if let Got::Data(bytes, _) = desk.bench.try_read(files[which.index(2)], count.max(1) as u64) {
                total += bytes.len();
                for byte in bytes {
                    read = read.wrapping_add(1);
                    prop_assert_eq!(byte, read);
                }
                desk.look();
            }
            let left = desk.bench.source(files[0]).read.amount as usize;
            prop_assert_eq!(given, total + left);
            prop_assert!(left + desk.asked.len() * REQUEST <= STOCK && (left > 0 || !desk.asked.is_empty()));
        }
    }
}

#[test]
fn a_durable_file_goes_on_with_other_bytes() {
    let mut old = Desk::new();
    old.bench.link().session = Some(1);
    old.bench.open(PATH, O_RDWR | DURABLE as usize, 1).unwrap();
    let left = old.bench.left();
    let mut new = Desk::new();
    let file = new.bench.go_on_with(left);
    assert_eq!(new.bench.source(file).read.amount, 0);
    new.give(0, 5);
    new.interrupt();
    assert_eq!((new.bench.source(file).read.amount, new.bench.source(file).arrivals), (5, 1));
    assert_eq!(new.bench.try_read(file, 2), Got::Data(vec![1, 2], 0));
}
