//! A controller on one side, readers on the other.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;
mod model;

use abi::error::{EAGAIN, EINVAL, ENODEV, ENOENT, ESPIPE};
use abi::flag::O_RDONLY;
use driver_sdk::{Control, ControlReply, FileId, Registers, Word};
use event_protocol::descriptor::Whence;
use fake::{Bench, Got};
use input::record::{KEY, REL, REPORT, Record, SIZE, SYN};
use model::{Lack, Machine};
use proptest::prelude::*;
use ps2::controller::{Controller, Fault, Time};
use ps2::devices::{Found, set_up};
use ps2::driver::{PATHS, Ps2};
use std::cell::{Cell, RefCell};

struct Desk {
    machine: Machine,
    bench: Bench<Ps2<Machine, Machine>>,
}

impl Desk {
    fn with(lack: Lack) -> Desk {
        let machine = Machine::with(lack);
        let driver = Ps2::new(machine.clone(), machine.clone()).unwrap();
        Desk { bench: Bench::new(driver), machine }
    }

    fn open(&mut self, port: usize) -> FileId {
        self.bench.open(PATHS[port], O_RDONLY, 1).expect("it is there")
    }

    fn tell(&mut self, port: usize, bytes: &[u8]) {
        self.machine.tell(port, bytes);
        while self.bench.engine.interrupt() {}
        self.bench.settle();
    }

    fn read(&mut self, file: FileId) -> Vec<(u16, u16, i32)> {
        match self.bench.try_read(file, 1 << 14) {
            Got::Data(bytes, _) => {
                let (records, []) = bytes.as_chunks::<SIZE>() else { panic!("whole records") };
                let parts = |record: Record| (record.kind, record.code, record.value);
                records.iter().map(|&record| parts(Record::from_bytes(record))).collect()
            }
            Got::Errno(EAGAIN) => vec![],
            other => panic!("{other:?}"),
        }
    }
}

const END: (u16, u16, i32) = (SYN, REPORT, 0);

/// The records of keys, each told for itself.
fn keys(told: &[(u16, i32)]) -> Vec<(u16, u16, i32)> {
    told.iter().flat_map(|&(code, value)| [(KEY, code, value), END]).collect()
}

fn found(lack: Lack) -> Result<Found, Fault> {
    let machine = Machine::with(lack);
    let (mut controller, sound) = Controller::new(machine.clone(), &machine)?;
    set_up(&mut controller, sound, &machine)
}

#[test]
fn what_is_plugged_in_is_found_and_what_is_not_costs_some_time_only() {
    let all = Found { keyboard: true, mouse: true, wheel: true };
    assert_eq!(found(Lack::Nothing), Ok(all));
    assert_eq!(found(Lack::Attention), Ok(all));
    assert_eq!(found(Lack::Wheel), Ok(Found { wheel: false, ..all }));
    assert_eq!(found(Lack::Keyboard), Ok(Found { keyboard: false, ..all }));
    assert_eq!(found(Lack::FirstPort), Ok(Found { keyboard: false, ..all }));
    for lack in [Lack::Mouse, Lack::SecondPort] {
        assert_eq!(found(lack), Ok(Found { keyboard: true, mouse: false, wheel: false }));
    }
    assert_eq!(found(Lack::Controller), Err(Fault::NoController));
    assert_eq!(found(Lack::Ear), Err(Fault::Silent(0xad)));
    assert_eq!(found(Lack::Test(0xfc)), Err(Fault::Unsound(0xfc)));
}

#[test]
fn only_what_is_there_interrupts_and_is_opened() {
    for (lack, mode, opened) in [
        (Lack::Nothing, 0x43, [None, None]),
        (Lack::Keyboard, 0x52, [Some(ENODEV), None]),
        (Lack::Mouse, 0x61, [None, Some(ENODEV)]),
    ] {
        let mut desk = Desk::with(lack);
        assert_eq!(desk.machine.board.borrow().mode, mode, "{lack:?}");
        let errno = |path| desk.bench.open(path, O_RDONLY, 1).err().map(|error| error.errno);
        assert_eq!(PATHS.map(errno), opened);
    }
    let mut desk = Desk::with(Lack::Nothing);
    for path in ["/dev/ps2", "/dev/ps2/", "/dev/ps2/mouse0", ""] {
        assert_eq!(desk.bench.open(path, O_RDONLY, 1).unwrap_err().errno, ENOENT);
    }
    assert_eq!(desk.machine.board.borrow().speaks, [true, true]);
}

#[test]
fn each_reader_of_a_device_hears_that_one() {
    let mut desk = Desk::with(Lack::Nothing);
    let (one, other, mouse) = (desk.open(0), desk.open(0), desk.open(1));
    desk.tell(0, &[0x1e, 0x9e]);
    assert_eq!(desk.bench.source(one).read.amount, 64);
    assert_eq!(desk.bench.control(one, Control::Available), Ok(ControlReply::Available(64)));
    for reader in [one, other] {
        assert_eq!(desk.read(reader), keys(&[(30, 1), (30, 0)]));
    }
    assert_eq!(desk.read(mouse), []);
    desk.tell(1, &[0x29, 5, 3, 0xff]);
    assert_eq!(desk.read(mouse), [(KEY, 0x110, 1), (REL, 0, 5), (REL, 1, 253), (REL, 8, 1), END]);
    assert_eq!((desk.read(one), desk.bench.try_read(mouse, 15)), (vec![], Got::Errno(EINVAL)));
    assert_eq!(
        desk.bench.control(mouse, Control::Seek { offset: 0, whence: Whence::Start }).unwrap_err().errno,
        ESPIPE
    );
    desk.bench.engine.closed(other.badge());
    desk.tell(0, &[0x1e]);
    assert_eq!(desk.read(one), keys(&[(30, 1)]));
}

#[test]
fn what_comes_wrong_ends_what_was_begun() {
    let mut desk = Desk::with(Lack::Nothing);
    let (keyboard, mouse) = (desk.open(0), desk.open(1));
    desk.tell(0, &[0x2a]);
    desk.machine.board.borrow_mut().out.extend([(0x80, 0x1e), (0x60, 0x08)]);
    desk.tell(1, &[0x08, 1, 0, 0]);
    assert_eq!(desk.read(keyboard), keys(&[(42, 1), (42, 0)]));
    assert_eq!(desk.read(mouse), [(REL, 0, 1), END]);
}

/// Ports that say anything at all.
struct Noise {
    said: RefCell<Vec<u8>>,
    now: Cell<u64>,
}

impl Registers for &Noise {
    fn read<W: Word>(&self, _: usize) -> W {
        // It says the same over and over.
        self.said.borrow_mut().rotate_left(1);
        W::from_bits(self.said.borrow()[0].into())
    }

    fn write<W: Word>(&self, _: usize, _: W) {}

    fn length(&self) -> usize {
        5
    }
}

impl Time for &Noise {
    fn now(&self) -> u64 {
        // It goes by while one looks.
        self.now.set(self.now.get() + 100_000);
        self.now.get()
    }

    fn pause(&self) {
        self.now.set(self.now.get() + 1_000_000);
    }
}

proptest! {
    /// Whatever the ports say, setting up ends, and so does an interrupt.
    #[test]
    fn noise_is_no_device(said in prop::collection::vec(any::<u8>(), 1..40)) {
        let noise = Noise { said: RefCell::new(said), now: Cell::new(0) };
        if let Ok(driver) = Ps2::new(&noise, &noise) {
            let mut bench = Bench::new(driver);
            bench.engine.interrupt();
        }
        prop_assert!(noise.now.get() < 60_000_000_000);
    }

    /// Readers get whole things, whatever the devices tell.
    #[test]
    fn readers_get_whole_things(told in prop::collection::vec((0..2usize, any::<u8>()), 0..200)) {
        let mut desk = Desk::with(Lack::Nothing);
        let files = [desk.open(0), desk.open(1)];
        for (port, byte) in told {
            desk.tell(port, &[byte]);
        }
        for file in files {
            let read = desk.read(file);
            prop_assert!(read.last().is_none_or(|&last| last == END));
        }
    }
}
