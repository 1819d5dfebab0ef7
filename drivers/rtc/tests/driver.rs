//! A clock on one side, readers on the other.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;

use abi::error::{EAGAIN, EINVAL, EIO, ENOENT, ESPIPE};
use abi::flag::O_RDONLY;
use driver_sdk::{FileId, Registers, Word};
use event_protocol::descriptor::label;
use fake::{Bench, Got};
use proptest::prelude::*;
use rtc::chip::Chip;
use rtc::driver::{Clock, PATH};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// 16 registers behind two ports. Register C is cleared by being read.
#[derive(Clone, Default)]
struct Wire {
    registers: Rc<RefCell<[u8; 16]>>,
    index: Rc<Cell<u8>>,
    /// So many readings more its second changes with each.
    restless: Rc<Cell<u32>>,
}

impl Registers for Wire {
    fn read<W: Word>(&self, offset: usize) -> W {
        assert_eq!((offset, W::SIZE), (1, 1));
        let at = usize::from(self.index.get() & 0xf);
        let mut registers = self.registers.borrow_mut();
        let value = registers[at];
        if at == 12 {
            registers[12] = 0;
        }
        if at == 0 && self.restless.get() > 0 {
            self.restless.set(self.restless.get() - 1);
            registers[0] = (registers[0] + 1) % 10;
        }
        W::from_bits(u64::from(value))
    }

    fn write<W: Word>(&self, offset: usize, value: W) {
        match offset {
            0 => self.index.set(value.to_bits() as u8),
            _ => self.registers.borrow_mut()[usize::from(self.index.get() & 0xf)] = value.to_bits() as u8,
        }
    }

    fn length(&self) -> usize {
        2
    }
}

impl Wire {
    /// 2024-02-29 23:59:58, as it stands there by default.
    fn new() -> Wire {
        let wire = Wire::default();
        wire.set([0x58, 0x59, 0x23, 0x29, 0x02, 0x24], 2);
        wire
    }

    fn set(&self, [second, minute, hour, day, month, year]: [u8; 6], mode: u8) {
        *self.registers.borrow_mut() =
            [second, 0, minute, 0, hour, 0, 0, day, month, year, 0x26, mode, 0, 0, 0, 0];
    }

    fn time(&self, fields: [u8; 6], mode: u8) -> Option<u64> {
        self.set(fields, mode);
        Chip::new(self.clone()).time()
    }
}

const LEAP: u64 = 1_709_251_198;

struct Desk {
    wire: Wire,
    bench: Bench<Clock<Wire>>,
}

impl Desk {
    fn new() -> Desk {
        let wire = Wire::new();
        Desk { bench: Bench::new(Clock::new(wire.clone())), wire }
    }

    fn open(&mut self) -> FileId {
        self.bench.open(PATH, O_RDONLY, 1).expect("a clock")
    }

    /// A second begins, if that is to be told.
    fn tick(&mut self) {
        {
            let mut registers = self.wire.registers.borrow_mut();
            registers[12] = 0x90;
            assert_eq!(registers[11] & 0x70, 0x10, "nothing else interrupts");
        }
        self.bench.engine.interrupt();
        self.bench.settle();
    }

    fn read(&mut self, file: FileId) -> Got {
        self.bench.try_read(file, 16)
    }
}

fn reading(time: u64, begun: u64) -> Got {
    Got::Data([time.to_le_bytes(), begun.to_le_bytes()].concat(), 0)
}

#[test]
fn a_new_reader_has_the_time_at_once_and_then_each_second() {
    let mut desk = Desk::new();
    assert_eq!(desk.wire.registers.borrow()[11], 2, "nobody waits, nobody is interrupted");
    let (one, other) = (desk.open(), desk.open());
    assert_eq!(desk.bench.source(one).read.amount, 16);
    assert_eq!(desk.read(one), reading(LEAP, 0));
    assert_eq!((desk.bench.source(one).read.amount, desk.read(one)), (0, Got::Errno(EAGAIN)));
    let token = desk.bench.read(one, 16);
    desk.tick();
    assert_eq!(desk.bench.got(token), Some(reading(LEAP, 1)));
    desk.tick();
    desk.tick();
    assert_eq!((desk.read(one), desk.read(other)), (reading(LEAP, 2), reading(LEAP, 3)));
    // An interrupt that is somebody else's.
    desk.bench.engine.interrupt();
    assert_eq!(desk.read(one), Got::Errno(EAGAIN));
    desk.bench.engine.closed(one.badge());
    desk.tick();
    desk.bench.engine.closed(other.badge());
    assert_eq!(desk.wire.registers.borrow()[11], 2);
}

#[test]
fn what_a_reader_did_not_get_it_gets_again() {
    let mut desk = Desk::new();
    let file = desk.open();
    desk.tick();
    let token = desk.bench.next_token();
    desk.bench.link().dead.insert(token);
    desk.bench.read(file, 16);
    assert_eq!(desk.bench.source(file).read.amount, 16);
    assert_eq!(desk.read(file), reading(LEAP, 1));
}

#[test]
fn what_is_no_reading_is_refused() {
    let mut desk = Desk::new();
    assert_eq!(desk.bench.open("/dev/rtc/0", O_RDONLY, 1).unwrap_err().errno, ENOENT);
    let file = desk.open();
    assert_eq!(desk.bench.try_read(file, 15), Got::Errno(EINVAL));
    let token = desk.bench.send(file.badge(), label::READ, [16, 0, 5, 0], &[], None);
    assert_eq!(desk.bench.got(token), Some(Got::Errno(ESPIPE)));
    // No time, and one that never stands still: an error, and it is there again when the clock is.
    desk.wire.set([0x61, 0, 0, 1, 1, 0x24], 2);
    assert_eq!(desk.read(file), Got::Errno(EIO));
    desk.wire.set([0, 0, 0, 1, 1, 0x24], 2);
    desk.wire.restless.set(u32::MAX);
    assert_eq!(desk.read(file), Got::Errno(EIO));
    desk.wire.restless.set(0);
    desk.wire.set([0x58, 0x59, 0x23, 0x29, 0x02, 0x24], 2);
    assert_eq!(desk.read(file), reading(LEAP, 0));
}

#[test]
fn every_way_to_say_a_time_is_understood() {
    let wire = Wire::new();
    assert_eq!(wire.time([0x58, 0x59, 0x23, 0x29, 0x02, 0x24], 2), Some(LEAP));
    assert_eq!(wire.time([58, 59, 23, 29, 2, 24], 6), Some(LEAP));
    assert_eq!(wire.time([0x58, 0x59, 0x91, 0x29, 0x02, 0x24], 0), Some(LEAP), "11 in the evening");
    assert_eq!(wire.time([58, 59, 0x8b, 29, 2, 24], 4), Some(LEAP));
    assert_eq!(wire.time([0, 0, 12, 1, 1, 0], 4), Some(946_684_800), "12 at night is 0");
    assert_eq!(wire.time([0, 0, 0x8c, 1, 1, 0], 4), Some(946_684_800 + 43_200));
    for bad in [
        [60, 0, 0, 1, 1, 0],
        [0, 60, 0, 1, 1, 0],
        [0, 0, 24, 1, 1, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 30, 2, 24],
        [0, 0, 0, 29, 2, 23],
        [0, 0, 0, 31, 4, 24],
        [0, 0, 0, 1, 0, 24],
        [0, 0, 0, 1, 13, 24],
        [0, 0, 0, 1, 1, 100],
        [0xff; 6],
    ] {
        assert_eq!(wire.time(bad, 6), None, "{bad:?}");
    }
    assert_eq!(wire.time([0x0a, 0, 0, 1, 1, 0], 2), None, "no decimal digit");
    assert_eq!((wire.time([0, 0, 0, 1, 1, 0], 4), wire.time([0, 0, 13, 1, 1, 0], 4)), (None, None));
}

proptest! {
    #[test]
    fn whatever_is_in_the_registers_is_a_time_or_none(fields: [u8; 6], mode: u8) {
        let wire = Wire::new();
        if let Some(time) = wire.time(fields, mode) {
            prop_assert!((946_684_800..4_102_444_800).contains(&time));
        }
    }
}
