//! The whole driver: a device on one side, programs on the other.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;
mod model;

use abi::error::{EAGAIN, EINTR, EINVAL, ENOENT, ESPIPE, Error};
use abi::flag::O_RDWR;
use abi::limits::FOREVER;
use driver_sdk::{Control, ControlReply, DURABLE, Driver, FileId, LevelFlags, TerminalMode};
use event_protocol::descriptor::label;
use event_protocol::trace::Event;
use fake::{Bench, Got};
use model::Device;
use std::cell::RefCell;
use std::rc::Rc;
use tty::driver::Tty;
use tty::mode::Mode;
use tty::terminal::Terminal;
use tty::uart::registers::Registers;

/// The device stays in the test's hands.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Device>>);

impl Registers for Wire {
    fn read(&mut self, offset: u16) -> u8 {
        self.0.borrow_mut().read(offset)
    }

    fn write(&mut self, offset: u16, value: u8) {
        self.0.borrow_mut().write(offset, value);
    }
}

struct Console {
    wire: Wire,
    bench: Bench<Tty<Wire>>,
    now: u64,
}

impl Console {
    fn new() -> Console {
        let wire = Wire::default();
        let driver = Tty::new(wire.clone()).expect("the model is a 16550");
        Console { wire, bench: Bench::new(driver), now: 1000 }
    }

    fn open(&mut self) -> FileId {
        self.bench.open("/dev/tty", O_RDWR, 1).expect("a terminal")
    }

    /// Time passes, bytes move, and interrupts are served until nothing changes any more.
    fn run(&mut self) {
        for _ in 0..100_000 {
            self.now += 1000;
            {
                let mut device = self.wire.0.borrow_mut();
                device.arrive(16);
                device.time_passes();
                if !device.asserted() {
                    break;
                }
            }
            self.bench.engine.set_time(self.now);
            while self.bench.engine.interrupt() {}
            self.bench.engine.settle();
        }
    }

    fn type_in(&mut self, bytes: &[u8]) {
        self.wire.0.borrow_mut().line.extend(bytes);
        self.run();
    }

    fn shown(&mut self) -> String {
        self.run();
        String::from_utf8_lossy(&core::mem::take(&mut self.wire.0.borrow_mut().sent)).into_owned()
    }
}

fn text(got: Option<Got>) -> String {
    match got {
        Some(Got::Data(bytes, _)) => String::from_utf8(bytes).expect("text"),
        other => panic!("{other:?} is no text"),
    }
}

#[test]
fn a_line_wakes_its_reader_and_has_the_time_of_its_interrupt() {
    let mut console = Console::new();
    let file = console.open();
    let token = console.bench.read(file, 100);
    console.type_in(b"hello\n");
    let Some(Got::Data(bytes, time)) = console.bench.got(token) else { panic!("no data") };
    assert_eq!(bytes, b"hello\n");
    assert!((1000..=console.now).contains(&time));
    assert_eq!(console.shown(), "hello\r\n");
}

#[test]
fn one_line_goes_to_one_reader_in_their_order() {
    let mut console = Console::new();
    let (first, second) = (console.open(), console.open());
    let tokens = [console.bench.read(second, 100), console.bench.read(first, 100)];
    console.type_in(b"one\ntwo\nthree\n");
    assert_eq!(text(console.bench.got(tokens[0])), "one\n");
    assert_eq!(text(console.bench.got(tokens[1])), "two\n");
    for file in [first, second] {
        assert_eq!(console.bench.source(file).read.amount, 6, "all see what is left");
    }
}

#[test]
fn each_line_is_an_arrival() {
    let mut console = Console::new();
    let file = console.open();
    let before = console.bench.source(file).arrivals;
    console.type_in(b"a\n");
    console.type_in(b"b\n");
    console.type_in(b"not yet");
    assert_eq!(console.bench.source(file).arrivals, before + 2);
}

#[test]
fn end_of_file_is_a_level_until_it_is_read() {
    let mut console = Console::new();
    let file = console.open();
    console.type_in(b"\x04");
    assert!(console.bench.source(file).read.flags.contains(LevelFlags::EOF));
    assert!(matches!(console.bench.try_read(file, 10), Got::Data(bytes, 1000..) if bytes.is_empty()));
    assert!(console.bench.source(file).read.flags.is_empty());
    assert_eq!(console.bench.try_read(file, 10), Got::Errno(EAGAIN));
}

#[test]
fn the_interrupt_character_makes_the_next_read_fail() {
    let mut console = Console::new();
    let file = console.open();
    console.type_in(b"unread\nhalf\x03");
    assert!(console.bench.source(file).read.amount > 0, "there is something to be told");
    assert_eq!(console.bench.try_read(file, 10), Got::Errno(EINTR));
    assert_eq!(console.bench.source(file).read.amount, 0);
    assert_eq!(console.bench.try_read(file, 10), Got::Errno(EAGAIN));
    let waiting = console.bench.read(file, 10);
    console.type_in(b"\x03");
    assert_eq!(console.bench.got(waiting), Some(Got::Errno(EINTR)));
}

#[test]
fn an_interrupt_that_a_dead_reader_was_told_is_told_to_the_next() {
    let mut console = Console::new();
    let file = console.open();
    let dead = console.bench.read(file, 10);
    console.bench.link().dead.insert(dead);
    console.type_in(b"\x03");
    assert_eq!(console.bench.try_read(file, 10), Got::Errno(EINTR));
}

#[test]
fn ten_thousand_lines_in_and_out() {
    let mut console = Console::new();
    let file = console.open();
    let silent = TerminalMode { canonical: true, echo: false, signals: true, flow: true, newline: false };
    assert_eq!(console.bench.control(file, Control::SetTerminalMode(silent)), Ok(ControlReply::Done));
    let lines: String = (0..10_000).map(|n| format!("line number {n}\n")).collect();
    console.wire.0.borrow_mut().line.extend(lines.as_bytes());
    let mut copied = 0;
    while copied < 10_000 {
        console.run();
        while let Got::Data(bytes, _) = console.bench.try_read(file, 100) {
            copied += 1;
            let token = console.bench.write(file, &bytes);
            while console.bench.got(token).is_none() {
                console.run();
            }
        }
    }
    assert!(console.shown() == lines);
}

#[test]
fn a_writer_waits_for_room_and_the_level_says_so() {
    let mut console = Console::new();
    let file = console.open();
    assert_eq!(console.bench.source(file).write.amount, Terminal::MAX_SPACE as i64);
    let mut written = 0;
    while let Got::Count(count) = console.bench.try_write(file, &[b'x'; 16]) {
        written += count;
    }
    assert_eq!(console.bench.source(file).write.amount, 0);
    let blocked = console.bench.write(file, &[b'y'; 3000]);
    assert_eq!(console.bench.got(blocked), None);
    assert_eq!(console.shown().len() as u64, written + 3000);
    assert_eq!(console.bench.got(blocked), Some(Got::Count(3000)));
    assert_eq!(console.bench.source(file).write.amount, Terminal::MAX_SPACE as i64);
}

#[test]
fn before_power_off_everything_written_is_sent() {
    let mut console = Console::new();
    let file = console.open();
    console.type_in(b"\x13");
    console.shown();
    let written = "a line that a program wrote last\n".repeat(300);
    assert_eq!(console.bench.try_write(file, written.as_bytes()), Got::Count(written.len() as u64));
    assert!(!console.bench.engine.driver().is_drained(), "power is on");
    assert_eq!(console.bench.engine.deadline(), FOREVER);

    console.bench.engine.power_off();
    let mut looks = 0;
    while !console.bench.engine.driver().is_drained() {
        looks += 1;
        assert!(looks < 10_000, "it is never drained");
        let sent = {
            let mut device = console.wire.0.borrow_mut();
            device.time_passes();
            device.sent.len()
        };
        assert!(sent <= written.len() + 300);
        console.now += 1000;
        console.bench.engine.set_time(console.now);
        // The last bytes leave without an interrupt.
        if console.wire.0.borrow().asserted() {
            while console.bench.engine.interrupt() {}
        } else if console.bench.engine.deadline() <= console.now {
            console.bench.engine.expired();
        }
    }
    let sent = core::mem::take(&mut console.wire.0.borrow_mut().sent);
    assert_eq!(
        String::from_utf8_lossy(&sent),
        written.replace('\n', "\r\n"),
        "nothing is in the device either"
    );
    assert_eq!(console.bench.engine.deadline(), FOREVER, "it does not go on looking");
}

#[test]
fn a_terminal_with_nothing_to_send_is_drained_at_once() {
    let mut console = Console::new();
    console.bench.engine.power_off();
    assert!(console.bench.engine.driver().is_drained());
}

#[test]
fn it_tells_of_itself_to_whoever_asks() {
    let mut console = Console::new();
    let file = console.open();
    console.type_in(b"four\n");
    console.bench.read(file, 10);
    let token = console.bench.send(0, label::INSPECT, [0; 4], &[], None);
    let report = text(console.bench.got(token));
    for line in ["requests 3", "files 1", "waiting 0", "received 5", "overruns 0"] {
        assert!(report.lines().any(|found| found == line), "{line} is not in\n{report}");
    }
    let last = console.bench.engine.trace().entries().last().expect("it keeps a trace");
    assert_eq!((last.event, last.detail), (Event::Request, label::INSPECT));
}

#[test]
fn modes_are_told_and_set() {
    let mut console = Console::new();
    let file = console.open();
    let raw = TerminalMode { canonical: false, echo: false, signals: false, flow: false, newline: false };
    assert_eq!(console.bench.control(file, Control::SetTerminalMode(raw)), Ok(ControlReply::Done));
    assert_eq!(console.bench.control(file, Control::TerminalMode), Ok(ControlReply::Terminal(raw)));
    console.type_in(b"\x03\r");
    assert_eq!(console.bench.control(file, Control::Available), Ok(ControlReply::Available(2)));
    assert_eq!(text(Some(console.bench.try_read(file, 10))), "\x03\r");
    assert_eq!(console.bench.control(file, Control::Disarm), Err(Error::new(EINVAL)));
}

#[test]
fn it_has_no_other_paths_and_no_positions() {
    let mut console = Console::new();
    assert_eq!(console.bench.open("/dev/null", O_RDWR, 1), Err(Error::new(ENOENT)));
    let file = console.open();
    let token = console.bench.send(file.badge(), label::READ, [1, 0, 5, 0], &[], None);
    assert_eq!(console.bench.got(token), Some(Got::Errno(ESPIPE)));
}

#[test]
fn a_durable_terminal_goes_on_in_its_mode() {
    let mut old = Console::new();
    old.bench.link().session = Some(1);
    let flags = O_RDWR | DURABLE as usize;
    let file = old.bench.open("/dev/tty", flags, 1).expect("a terminal");
    let raw = TerminalMode { canonical: false, echo: false, signals: true, flow: false, newline: true };
    old.bench.control(file, Control::SetTerminalMode(raw)).expect("a mode");
    let left = old.bench.left();
    let mut new = Console::new();
    let file = new.bench.go_on_with(left);
    assert_eq!(new.bench.control(file, Control::TerminalMode), Ok(ControlReply::Terminal(raw)));
    assert_eq!(new.bench.source(file).read.amount, 0);
    let write = new.bench.source(file).write.amount;
    assert_eq!(write, Terminal::MAX_SPACE as i64);
    // What is typed now is news, whatever was typed before.
    new.type_in(b"x");
    new.run();
    assert_eq!((new.bench.source(file).read.amount, new.bench.source(file).arrivals), (1, 1));
}

#[test]
fn every_mode_comes_back_from_its_word() {
    for bits in 0..64 {
        let is = |bit: u32| bits >> bit & 1 != 0;
        let mode = Mode {
            canonical: is(0),
            echo: is(1),
            signals: is(2),
            newline_input: is(3),
            newline_output: is(4),
            flow_control: is(5),
        };
        assert_eq!(Mode::of_word(mode.to_word()), Some(mode));
    }
    assert_eq!([0, 1, 63, 128, u64::MAX].map(Mode::of_word), [None; 5], "nothing was kept");
}
