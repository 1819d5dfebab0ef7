//! The terminal as a driver: all its open files share one input and one output.

use crate::mode::Mode;
use crate::terminal::{Read, Terminal};
use crate::uart::Uart;
use crate::uart::registers::Registers;
use abi::error::{EAGAIN, EINTR, EINVAL, ENODEV, ENOENT, Error, Result};
use abi::limits::FOREVER;
use alloc::vec::Vec;
use core::fmt;
use driver_sdk::{
    Context, Control, ControlReply, Direction, Driver, FileId, Filters, Kind, Level, LevelFlags, Opening,
    Taken, TerminalMode,
};

/// Free bytes at which a terminal is writable: less would wake a writer for every few bytes that are sent.
const WRITABLE: u32 = 4096;
/// Time in ns between looks at the last byte before power off: no interrupt tells that it has left.
const LAST_LOOK: u64 = 1_000_000;
/// The queue of all that wait: files share what they wait for.
const QUEUE: u64 = 0;

/// A terminal and its clients.
pub struct Tty<R> {
    uart: Uart<R>,
    terminal: Terminal,
    files: Vec<FileId>,
    /// What the last read took, to undo it.
    last: Read,
    /// What is published, to tell changes from none.
    published: (Level, Level),
    arrivals: u32,
    /// Space when writers were last looked at.
    space: i64,
    power: Power,
}

/// How far powering off has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    /// The output is written out; when to look again.
    Going(u64),
    /// All of it has left the device.
    Drained,
}

impl<R: Registers> Tty<R> {
    /// The terminal at a UART: ENODEV when there is none.
    pub fn new(registers: R) -> Result<Tty<R>> {
        let terminal = Terminal::new();
        Ok(Tty {
            uart: Uart::new(registers).map_err(|_| Error::new(ENODEV))?,
            published: levels(&terminal),
            terminal,
            files: Vec::new(),
            last: Read::Nothing,
            arrivals: 0,
            space: 0,
            power: Power::On,
        })
    }

    /// The device.
    pub fn uart(&mut self) -> &mut Uart<R> {
        &mut self.uart
    }

    /// The line discipline.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// What a file of the terminal is.
    fn opening(&self) -> Opening {
        let filters = Filters::READ | Filters::WRITE | Filters::HANGUP;
        let opening = Opening::new(Kind::Terminal, filters).shared().low_water(1, WRITABLE);
        opening.keeping(self.terminal.mode().to_word())
    }

    /// Moves bytes, publishes what that changed and wakes who waited for it.
    fn settle(&mut self, context: &mut Context<'_>) {
        self.uart.pump(&mut self.terminal);
        let (read, write) = levels(&self.terminal);
        let arrived = self.arrivals != self.terminal.arrivals();
        self.arrivals = self.terminal.arrivals();
        if arrived || read != self.published.0 {
            self.published.0 = read;
            for &file in &self.files {
                context.publish(file, Direction::Read, read, arrived);
            }
        }
        // A transmitter takes sixteen bytes at a time: to publish each of them would wake a writer as often.
        let WriteChange { publish, arrived } = write_change(self.published.1.amount, write.amount);
        if publish {
            self.published.1 = write;
            for &file in &self.files {
                context.publish(file, Direction::Write, write, arrived);
            }
        }
        // Who waits was refused at the space of then: no more space, no news.
        if write.amount > self.space {
            context.wake(Direction::Write, QUEUE);
        }
        self.space = write.amount;
        if let Power::Going(_) = self.power {
            let drained = self.terminal.is_drained() && self.uart.is_idle();
            self.power = if drained { Power::Drained } else { Power::Going(context.now() + LAST_LOOK) };
        }
    }
}

/// What a change of the free space asks for.
struct WriteChange {
    publish: bool,
    arrived: bool,
}

/// Less space is always published, more of it when it crosses the mark, and when the output has run dry.
fn write_change(before: i64, now: i64) -> WriteChange {
    let low = i64::from(WRITABLE);
    let crossed = before < low && now >= low;
    let dry = now > before && now == Terminal::MAX_SPACE as i64;
    WriteChange { publish: now < before || crossed || dry, arrived: crossed }
}

fn levels(terminal: &Terminal) -> (Level, Level) {
    let mut read = Level::new(terminal.readable() as i64);
    if terminal.is_end_of_file() {
        read = read.with(LevelFlags::EOF);
    }
    if terminal.is_interrupted() {
        // A read has something to tell, though no bytes: it must be ready.
        read.amount = read.amount.max(1);
    }
    (read, Level::new(terminal.space() as i64))
}

impl<R: Registers> Driver for Tty<R> {
    const DURABLE: bool = true;

    fn start(&mut self, context: &mut Context<'_>) {
        self.terminal.set_time(context.now());
        self.uart.start(&mut self.terminal);
        self.settle(context);
    }

    fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != "/dev/tty" {
            return Err(Error::new(ENOENT));
        }
        Ok(self.opening())
    }

    /// The terminal is in the mode that it was in. What was typed and not read, and what was written and not sent, was in the driver
    /// that is gone.
    fn restore(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        _: &str,
        _: u64,
        kept: u64,
    ) -> Result<Opening> {
        if let Some(mode) = Mode::of_word(kept) {
            self.terminal.set_mode(mode);
            self.settle(context);
        }
        self.files.push(file);
        let (read, write) = self.published;
        Ok(self.opening().readable(read).writable(write))
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        self.files.push(file);
        context.publish(file, Direction::Read, self.published.0, self.terminal.is_ready());
        context.publish(file, Direction::Write, self.published.1, true);
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.files.retain(|&open| open != file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        _: FileId,
        buffer: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        self.last = self.terminal.read(buffer);
        self.settle(context);
        match self.last {
            Read::Taken(taken) => Ok(Taken { count: taken.len, arrival: taken.time }),
            Read::Interrupted(_) => Err(Error::new(EINTR)),
            Read::Nothing => Err(Error::new(EAGAIN)),
        }
    }

    fn unread(&mut self, context: &mut Context<'_>, _: FileId, bytes: &[u8]) {
        let last = core::mem::replace(&mut self.last, Read::Nothing);
        self.terminal.unread(last, bytes);
        self.settle(context);
    }

    fn write(&mut self, context: &mut Context<'_>, _: FileId, bytes: &[u8], _: Option<u64>) -> Result<usize> {
        let count = self.terminal.write(bytes);
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        self.settle(context);
        Ok(count)
    }

    fn control(&mut self, context: &mut Context<'_>, _: FileId, control: &Control) -> Result<ControlReply> {
        match control {
            Control::Available => Ok(ControlReply::Available(self.terminal.readable() as u64)),
            Control::TerminalMode => Ok(ControlReply::Terminal(told(self.terminal.mode()))),
            Control::SetTerminalMode(mode) => {
                self.terminal.set_mode(asked(*mode));
                let word = self.terminal.mode().to_word();
                self.files.iter().for_each(|&file| context.keep(file, word));
                self.settle(context);
                Ok(ControlReply::Done)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let device = self.uart.counters();
        for (name, value) in [
            ("received", device.received),
            ("sent", device.sent),
            ("interrupts", device.interrupts),
            ("overruns", device.overruns),
            ("damaged", device.damaged),
            ("breaks", device.breaks),
            ("holds", device.holds),
            ("refused", self.terminal.refused()),
            ("readable", self.terminal.readable() as u64),
            ("space", self.terminal.space() as u64),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        Ok(())
    }

    fn queue(&self, _: FileId, _: Direction) -> u64 {
        QUEUE
    }

    fn has_buffers(&self) -> bool {
        true
    }

    fn power_off(&mut self, context: &mut Context<'_>) {
        // Nobody will type the XON that the output might wait for.
        self.terminal.resume();
        self.power = Power::Going(context.now());
        self.settle(context);
    }

    fn is_drained(&self) -> bool {
        self.power == Power::Drained
    }

    fn deadline(&self) -> u64 {
        match self.power {
            Power::Going(look) => look,
            Power::On | Power::Drained => FOREVER,
        }
    }

    fn expired(&mut self, context: &mut Context<'_>) {
        self.settle(context);
    }

    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        self.terminal.set_time(context.now());
        let more = self.uart.interrupt(&mut self.terminal);
        self.settle(context);
        more
    }
}

fn told(mode: Mode) -> TerminalMode {
    TerminalMode {
        canonical: mode.canonical,
        echo: mode.echo,
        signals: mode.signals,
        flow: mode.flow_control,
        newline: mode.newline_output,
    }
}

/// ICRNL has no switch of its own: what is made for lines wants it, raw bytes do not.
fn asked(mode: TerminalMode) -> Mode {
    Mode {
        canonical: mode.canonical,
        echo: mode.echo,
        signals: mode.signals,
        newline_input: mode.canonical,
        newline_output: mode.newline,
        flow_control: mode.flow,
    }
}
