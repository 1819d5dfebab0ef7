//! The UART and the terminal behind it against a model of the device.

mod model;

use std::collections::VecDeque;

use model::Device;
use proptest::prelude::*;
use tty::mode::Mode;
use tty::terminal::{Read, Terminal};
use tty::uart::registers::{Registers, SCRATCH, ier, lsr, mcr};
use tty::uart::{Peer, Uart};

fn started(mode: Mode) -> (Uart<Device>, Terminal) {
    let mut terminal = Terminal::new();
    terminal.set_mode(mode);
    let mut uart = Uart::new(Device::default()).expect("the model is a 16550");
    uart.start(&mut terminal);
    (uart, terminal)
}

fn serve(uart: &mut Uart<Device>, terminal: &mut Terminal) {
    // Edge triggered: the driver must have taken the line down, or no further edge would come.
    while uart.registers().asserted() && uart.interrupt(terminal) {}
    assert!(!uart.registers().asserted(), "the interrupt line stays up");
    uart.pump(terminal);
}

fn read_all(terminal: &mut Terminal, into: &mut Vec<u8>) {
    let mut buffer = [0; 512];
    while let Read::Taken(taken) = terminal.read(&mut buffer) {
        into.extend_from_slice(&buffer[..taken.len]);
    }
}

#[test]
fn sets_the_line_up() {
    let (mut uart, _) = started(Mode::LINE);
    let device = uart.registers();
    assert_eq!(device.divisor, 1);
    assert_eq!(device.line_control, 3);
    assert_eq!(device.modem_control, mcr::DTR | mcr::RTS | mcr::OUT2);
}

#[test]
fn finds_that_there_is_no_device() {
    assert!(Uart::new(Device { absent: true, ..Device::default() }).is_err());
}

#[test]
fn bytes_that_came_before_the_driver_are_read() {
    for fifos in [false, true] {
        let mut device = Device { fifos, ..Device::default() };
        device.line.extend(*b"early\n");
        device.arrive(6);
        let mut terminal = Terminal::new();
        let mut uart = Uart::new(device).expect("the model is a 16550");
        uart.start(&mut terminal);
        uart.registers().arrive(6);
        uart.registers().time_passes();
        serve(&mut uart, &mut terminal);
        let mut seen = Vec::new();
        read_all(&mut terminal, &mut seen);
        assert_eq!(seen, b"early\n", "FIFOs on: {fifos}");
    }
}

#[test]
fn an_unplugged_device_ends_the_service_of_its_interrupt() {
    let (mut uart, mut terminal) = started(Mode::LINE);
    uart.registers().absent = true;
    assert!(!uart.interrupt(&mut terminal));
}

/// A device that reports a modem change at each look.
struct Stuck {
    scratch: u8,
}

impl Registers for Stuck {
    fn read(&mut self, offset: u16) -> u8 {
        if offset == SCRATCH { self.scratch } else { 0 }
    }

    fn write(&mut self, offset: u16, value: u8) {
        if offset == SCRATCH {
            self.scratch = value;
        }
    }
}

#[test]
fn a_source_that_never_goes_away_does_not_keep_the_driver() {
    let mut terminal = Terminal::new();
    let mut uart = Uart::new(Stuck { scratch: 0 }).expect("it has a scratch register");
    uart.start(&mut terminal);
    assert!(uart.interrupt(&mut terminal), "says that it must be called again");
}

#[test]
fn line_errors_are_counted_and_damaged_bytes_dropped() {
    let (mut uart, mut terminal) = started(Mode::RAW);
    for errors in [lsr::OVERRUN, lsr::PARITY, lsr::FRAMING, lsr::BREAK] {
        uart.registers().line.push_back(b'x');
        uart.registers().arrive(1);
        uart.registers().timeout = true;
        // The error is seen with its byte: LSR is read once, by the drain.
        uart.registers().enable &= !ier::LINE;
        uart.registers().errors = errors;
        serve(&mut uart, &mut terminal);
    }
    let counters = uart.counters();
    assert_eq!((counters.overruns, counters.damaged, counters.breaks), (1, 2, 1));
    // The byte behind an overrun is good.
    assert_eq!(terminal.readable(), 1);
}

#[test]
fn a_sender_is_held_while_nobody_reads_and_goes_on_later() {
    let (mut uart, mut terminal) = started(Mode { echo: false, ..Mode::LINE });
    let text: Vec<u8> = (0..10_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    uart.registers().line.extend(&text);
    let mut seen = Vec::new();
    let mut held = 0;
    while seen.len() < text.len() {
        for _ in 0..5000 {
            uart.registers().arrive(16);
            uart.registers().time_passes();
            serve(&mut uart, &mut terminal);
        }
        held += u32::from(uart.is_held());
        assert_eq!(uart.is_held(), uart.registers().modem_control & mcr::RTS == 0);
        read_all(&mut terminal, &mut seen);
        uart.pump(&mut terminal);
    }
    assert!(held > 3);
    assert!(seen == text);
    assert!(!uart.is_held());
}

#[test]
fn xoff_does_not_outlive_a_full_input() {
    let (mut uart, mut terminal) = started(Mode { echo: false, ..Mode::LINE });
    terminal.write(b"shown at last");
    terminal.receive(0x13);
    uart.pump(&mut terminal);
    assert!(!terminal.has_output());
    uart.registers().line.extend(std::iter::repeat_n(*b"0123456789abcde\n", 2000).flatten());
    for _ in 0..3000 {
        uart.registers().arrive(16);
        uart.registers().time_passes();
        serve(&mut uart, &mut terminal);
    }
    assert!(uart.is_held());
    uart.registers().time_passes();
    assert_eq!(uart.registers().sent, b"shown at last");
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Arrive(usize),
    TimePasses,
    Serve,
    Read(usize),
    ReadAndLose(usize),
    Write(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let line = "[a-z ]{0,40}".prop_map(|text| (text + "\n").into_bytes());
    prop_oneof![
        3 => prop::collection::vec(line, 0..40).prop_map(|lines| Step::Send(lines.concat())),
        4 => (0usize..64).prop_map(Step::Arrive),
        2 => Just(Step::TimePasses),
        4 => Just(Step::Serve),
        2 => (1usize..100).prop_map(Step::Read),
        1 => (1usize..100).prop_map(Step::ReadAndLose),
        2 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Step::Write),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the order of bytes, interrupts, reads and writes: what was sent is read, what was written is sent.
    #[test]
    fn nothing_is_lost_in_either_direction(steps in prop::collection::vec(step(), 0..200)) {
        let (mut uart, mut terminal) = started(Mode { echo: false, newline_output: false, ..Mode::LINE });
        let (mut typed, mut seen, mut written) = (Vec::new(), Vec::new(), Vec::new());
        let mut buffer = [0; 100];
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    typed.extend_from_slice(&bytes);
                    uart.registers().line.extend(bytes);
                }
                Step::Arrive(count) => uart.registers().arrive(count),
                Step::TimePasses => uart.registers().time_passes(),
                Step::Serve => serve(&mut uart, &mut terminal),
                Step::Read(len) => {
                    if let Read::Taken(taken) = terminal.read(&mut buffer[..len]) {
                        seen.extend_from_slice(&buffer[..taken.len]);
                    }
                    uart.pump(&mut terminal);
                }
                Step::ReadAndLose(len) => {
                    let before = terminal.readable();
                    let read = terminal.read(&mut buffer[..len]);
                    terminal.unread(read, &buffer);
                    prop_assert_eq!(terminal.readable(), before);
                }
                Step::Write(bytes) => {
                    let taken = terminal.write(&bytes);
                    written.extend_from_slice(&bytes[..taken]);
                    uart.pump(&mut terminal);
                }
            }
        }
        let left: VecDeque<u8> = uart.registers().line.clone();
        for _ in 0..left.len() / 8 + written.len() / 8 + 1000 {
            uart.registers().arrive(16);
            uart.registers().time_passes();
            serve(&mut uart, &mut terminal);
            read_all(&mut terminal, &mut seen);
            uart.pump(&mut terminal);
        }
        prop_assert!(seen == typed, "read {} of {} bytes", seen.len(), typed.len());
        prop_assert!(uart.registers().sent == written);
        prop_assert!(terminal.is_drained());
    }
}
