//! A virtio input device on one side, readers on the other.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;
#[path = "../../virtio/tests/model/mod.rs"]
mod model;

use abi::error::{EAGAIN, EINVAL, EIO, ENODEV, ENOENT, ESPIPE, Error};
use abi::flag::O_RDONLY;
use driver_sdk::{Control, ControlReply, Driver, FileId, Level};
use event_protocol::descriptor::label;
use fake::{Bench, Got};
use input::driver::{BUFFER, BUFFERS, Input, memory};
use input::readers::KEPT;
use input::record::{DROPPED, KEY, REL, REPORT, Record, SIZE, SYN};
use model::{Chain, Hardware, Memory, Side, Wire, connect};
use proptest::prelude::*;

const PATH: &str = "/dev/input0";

struct Desk {
    side: Side,
    bench: Bench<Input<Wire, Memory>>,
    chains: Vec<Chain>,
    now: u64,
}

impl Desk {
    fn new() -> Desk {
        let shared = Memory::new(memory(BUFFERS));
        let (hardware, device) = connect(Hardware::new(&[64, 64], 0, &[]));
        let driver = Input::new(device.unwrap(), PATH.to_owned(), |size| {
            assert_eq!(size, memory(BUFFERS));
            Ok(shared.clone())
        });
        let bench = Bench::new(driver.unwrap());
        let mut desk = Desk { side: Side { hardware, memory: shared }, bench, chains: Vec::new(), now: 0 };
        desk.chains = desk.side.take();
        desk
    }

    fn open(&mut self) -> FileId {
        self.bench.open(PATH, O_RDONLY, 1).expect("it is there")
    }

    /// The device writes something into its next buffer, and says that so many bytes of it are.
    fn tell(&mut self, (kind, code, value): (u16, u16, i32), length: usize) {
        let Chain { head, parts } = self.chains.remove(0);
        let [(place, 8, true)] = parts[..] else { panic!("eight bytes, to be written") };
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(code.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        self.side.memory.0.borrow_mut()[place..place + BUFFER].copy_from_slice(&bytes);
        self.side.used(u32::from(head), length as u32);
    }

    fn interrupt(&mut self) {
        self.now += 1000;
        self.bench.engine.set_time(self.now);
        while self.bench.engine.interrupt() {}
        self.bench.settle();
        if self.bench.engine.driver().lost().is_none() {
            self.chains.extend(self.side.take());
        }
    }

    /// A movement, told as a whole.
    fn moves(&mut self, by: i32) {
        self.tell((REL, 0, by), BUFFER);
        self.tell((SYN, REPORT, 0), BUFFER);
        self.interrupt();
    }

    fn read(&mut self, file: FileId, records: usize) -> Vec<(u16, u16, i32)> {
        match self.bench.try_read(file, (records * SIZE) as u64) {
            Got::Data(bytes, _) => records_of(&bytes).iter().map(|r| (r.kind, r.code, r.value)).collect(),
            Got::Errno(EAGAIN) => vec![],
            other => panic!("{other:?}"),
        }
    }

    fn level(&mut self, file: FileId) -> i64 {
        self.bench.source(file).read.amount
    }
}

fn records_of(bytes: &[u8]) -> Vec<Record> {
    let (records, []) = bytes.as_chunks::<SIZE>() else { panic!("whole records") };
    records.iter().map(|&record| Record::from_bytes(record)).collect()
}

#[test]
fn each_reader_has_all_that_happens_from_its_open_on() {
    let mut desk = Desk::new();
    assert_eq!(desk.chains.len(), usize::from(BUFFERS));
    desk.moves(1);
    let (one, waits) = (desk.open(), desk.open());
    let token = desk.bench.read(waits, 1000);
    assert_eq!((desk.level(one), desk.read(one, 9)), (0, vec![]), "what was before is nobody's");
    let arrivals = desk.bench.source(one).arrivals;
    desk.moves(-2);
    let Some(Got::Data(bytes, arrival)) = desk.bench.got(token) else { panic!("it waited") };
    let moved = Record { time: 2000, kind: REL, code: 0, value: -2 };
    assert_eq!(records_of(&bytes), [moved, Record { time: 2000, kind: SYN, code: REPORT, value: 0 }]);
    assert_eq!((arrival, desk.bench.source(one).arrivals), (2000, arrivals + 1));
    let late = desk.open();
    assert_eq!((desk.level(one), desk.level(waits), desk.level(late)), (32, 0, 0));
    assert_eq!(desk.read(one, 1), [(REL, 0, -2)]);
    assert_eq!(desk.level(one), 16);
    assert_eq!(desk.bench.control(one, Control::Available), Ok(ControlReply::Available(16)));
    assert_eq!(desk.read(one, 9), [(SYN, REPORT, 0)]);
    desk.bench.engine.closed(late.badge());
    desk.moves(3);
    assert_eq!(desk.level(one), 32);
}

#[test]
fn what_happens_at_once_is_told_when_it_is_whole() {
    let mut desk = Desk::new();
    let file = desk.open();
    desk.tell((KEY, 30, 1), BUFFER);
    desk.tell((REL, 1, 5), BUFFER);
    desk.interrupt();
    assert_eq!((desk.level(file), desk.read(file, 9)), (0, vec![]));
    desk.tell((SYN, REPORT, 0), BUFFER);
    desk.tell((KEY, 30, 0), BUFFER);
    desk.interrupt();
    assert_eq!(desk.level(file), 48);
    assert_eq!(desk.read(file, 9), [(KEY, 30, 1), (REL, 1, 5), (SYN, REPORT, 0)]);
    desk.tell((SYN, REPORT, 0), BUFFER);
    desk.interrupt();
    assert_eq!(desk.read(file, 9), [(KEY, 30, 0), (SYN, REPORT, 0)]);
}

#[test]
fn who_does_not_read_misses_whole_things_and_is_told() {
    let mut desk = Desk::new();
    let (slow, quick) = (desk.open(), desk.open());
    for at in 0..KEPT as i32 {
        desk.moves(at);
        assert_eq!(desk.read(quick, 9), [(REL, 0, at), (SYN, REPORT, 0)], "others miss nothing");
        assert!(desk.level(slow) <= (KEPT * SIZE) as i64);
    }
    let mut got = Vec::new();
    while desk.level(slow) > 0 {
        got.extend(desk.read(slow, 100));
    }
    assert_eq!(got[0], (SYN, DROPPED, 0));
    // The first that was too much is missing as a whole, and what follows is whole.
    let first = KEPT as i32 / 2 + 1;
    assert_eq!(got[1..3], [(REL, 0, first), (SYN, REPORT, 0)]);
    assert_eq!(got.len(), 1 + 2 * (KEPT - first as usize));
    desk.moves(7);
    assert_eq!(desk.read(slow, 9), [(REL, 0, 7), (SYN, REPORT, 0)]);
}

#[test]
fn who_did_not_get_them_leaves_them_to_the_next() {
    let mut desk = Desk::new();
    let file = desk.open();
    desk.moves(1);
    let token = desk.bench.next_token();
    desk.bench.link().dead.insert(token);
    desk.bench.read(file, 16);
    assert_eq!(desk.level(file), 32);
    assert_eq!(desk.read(file, 9), [(REL, 0, 1), (SYN, REPORT, 0)]);
}

#[test]
fn what_is_no_reading_is_refused() {
    let mut desk = Desk::new();
    assert_eq!(desk.bench.open("/dev/input0/x", O_RDONLY, 1).unwrap_err().errno, ENOENT);
    let file = desk.open();
    desk.moves(1);
    assert_eq!(desk.bench.try_read(file, 15), Got::Errno(EINVAL), "no room for a record");
    let token = desk.bench.send(file.badge(), label::READ, [64, 0, 5, 0], &[], None);
    assert_eq!(desk.bench.got(token), Some(Got::Errno(ESPIPE)));
    assert_eq!(desk.bench.control(file, Control::TerminalMode), Err(Error::new(EINVAL)));
    assert_eq!(desk.read(file, 9).len(), 2);
}

#[test]
fn an_unplugged_device_ends_its_files() {
    let mut desk = Desk::new();
    let (file, other) = (desk.open(), desk.open());
    let token = desk.bench.read(file, 64);
    desk.bench.engine.retire_all(ENODEV);
    assert_eq!(desk.bench.got(token), Some(Got::Errno(ENODEV)));
    assert_eq!((desk.bench.source(file).errno, desk.bench.source(other).errno), (Some(ENODEV), Some(ENODEV)));
    assert_eq!(desk.bench.try_read(other, 64), Got::Errno(ENODEV));
    desk.bench.engine.closed(file.badge());
    desk.bench.engine.closed(other.badge());
    assert_eq!((desk.bench.engine.load(), desk.bench.engine.shared()), ((0, 0), (0, 0)));
}

#[test]
fn a_device_that_lies_is_not_believed() {
    let mut desk = Desk::new();
    let file = desk.open();
    // Less than a whole thing: nothing of it counts.
    for length in [0, 1, 7] {
        desk.tell((KEY, 30, 1), length);
    }
    desk.moves(1);
    assert_eq!(desk.read(file, 9), [(REL, 0, 1), (SYN, REPORT, 0)]);
    assert_eq!(desk.chains.len(), usize::from(BUFFERS), "and all buffers are its own again");
    // More than there was room for, a chain that it does not have, more than it was given.
    let lies: [fn(&mut Desk); 3] = [
        |desk| desk.tell((KEY, 30, 1), BUFFER + 1),
        |desk| desk.side.used(9999, 8),
        |desk| desk.side.set_used(500),
    ];
    for lie in lies {
        let mut desk = Desk::new();
        let file = desk.open();
        lie(&mut desk);
        desk.interrupt();
        assert_eq!(desk.bench.engine.driver().lost().map(|error| error.errno), Some(EIO));
        assert_eq!(desk.level(file), 0);
    }
}

proptest! {
    /// Whatever is told and whoever reads: whole things in their order, or that some are missing.
    #[test]
    fn readers_get_whole_things_in_order(steps in prop::collection::vec((0..3u8, 1..40usize), 1..200)) {
        let mut desk = Desk::new();
        let file = desk.open();
        let (mut told, mut heard, mut open) = (0, 0, None);
        for (act, count) in steps {
            if act < 2 {
                for _ in 0..count {
                    told += 1;
                    desk.moves(told);
                }
                continue;
            }
            for (kind, code, value) in desk.read(file, count) {
                match (kind, code) {
                    // What was read of a thing in part is not gone on with.
                    (SYN, DROPPED) => (open, heard) = (None, -1),
                    (SYN, REPORT) => prop_assert!(open.take().is_some()),
                    _ => {
                        prop_assert!(open.replace(value).is_none());
                        let fits = value > 1 && heard < 0 || value == heard + 1;
                        prop_assert!(fits);
                        heard = value;
                    }
                }
            }
        }
        prop_assert!(desk.level(file) <= (KEPT * SIZE) as i64);
        prop_assert_eq!(Level::new(desk.level(file)), desk.bench.source(file).read);
    }
}
