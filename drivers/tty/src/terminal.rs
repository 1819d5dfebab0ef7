//! A terminal: the line discipline between a UART and the programs that read and write (termios(3)).
//!
//! Nothing typed is ever lost. When nobody reads, the input fills until no further line fits; then the terminal has no
//! room, and the [`Uart`](crate::uart::Uart) leaves the bytes with their sender.

use crate::echo::{Echo, MAX_ECHO};
use crate::input::{End, Input, Taken};
use crate::mode::{Mode, control};
use crate::output::{self, Output};
use crate::uart::Peer;

/// What a read finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// Bytes, or the end of file.
    Taken(Taken),
    /// The interrupt character was typed at this time (ns). Reported to one reader, once.
    Interrupted(u64),
    /// Nothing yet.
    Nothing,
}

/// A terminal.
pub struct Terminal {
    mode: Mode,
    input: Input,
    output: Output,
    /// When the interrupt character came that no reader has been told of.
    interrupted: Option<u64>,
    echo: Echo,
    /// Time of the interrupt being served.
    now: u64,
    arrivals: u32,
    refused: u64,
}

impl Terminal {
    /// [`Terminal::space`] when nothing waits to be sent.
    pub const MAX_SPACE: usize = output::CAPACITY - output::ECHO_RESERVE;

    /// Bytes that a write never parts, as with a pipe (PIPE_BUF).
    pub const WHOLE: usize = 1024;

    /// A terminal in line mode.
    pub fn new() -> Terminal {
        Terminal {
            mode: Mode::LINE,
            input: Input::new(),
            output: Output::new(),
            interrupted: None,
            echo: Echo::default(),
            now: 0,
            arrivals: 0,
            refused: 0,
        }
    }

    /// Bytes received from here on arrived at `now` (monotonic ns).
    pub fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    /// Its mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes the mode. A line being edited becomes readable when line mode ends; an output that XOFF stopped starts
    /// again when XON has lost its meaning.
    pub fn set_mode(&mut self, mode: Mode) {
        if self.mode.canonical && !mode.canonical && self.input.line_len() > 0 {
            self.commit(End::Open);
        }
        if !mode.flow_control {
            self.output.set_stopped(false);
        }
        self.mode = mode;
    }

    /// Takes one record: a line, raw bytes, an end of file, or the interrupt.
    pub fn read(&mut self, buffer: &mut [u8]) -> Read {
        if let Some(time) = self.interrupted.take() {
            return Read::Interrupted(time);
        }
        self.input.take(buffer).map_or(Read::Nothing, Read::Taken)
    }

    /// Undoes the last [`read`](Terminal::read): its reader is gone. Nothing may have happened in between.
    pub fn unread(&mut self, read: Read, bytes: &[u8]) {
        match read {
            Read::Taken(taken) => self.input.put_back(taken, bytes),
            Read::Interrupted(time) => self.interrupted = Some(time),
            Read::Nothing => {}
        }
    }

    /// Takes as much of `bytes` as fits and returns how much: of the first [`WHOLE`](Terminal::WHOLE) all or nothing, so
    /// that no echo gets into a line.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let whole = &bytes[..bytes.len().min(Terminal::WHOLE)];
        let newlines = whole.iter().filter(|&&byte| byte == b'\n').count();
        if self.output.space() < whole.len() + newlines {
            return 0;
        }
        if !self.shows_line() {
            return self.output.write(bytes, self.mode.newline_output);
        }
        self.echo.begin_output(&self.input, &mut self.output);
        let count = self.output.write(bytes, self.mode.newline_output);
        if bytes[..count].ends_with(b"\n") {
            self.echo.end_output(&self.input, &mut self.output);
        }
        count
    }

    /// Restarts an output that XOFF stopped.
    pub fn resume(&mut self) {
        self.output.set_stopped(false);
    }

    /// Bytes that can be read.
    pub fn readable(&self) -> usize {
        self.input.readable()
    }

    /// Whether a read would find something.
    pub fn is_ready(&self) -> bool {
        self.interrupted.is_some() || self.input.is_ready()
    }

    /// Whether the next read is the end of file.
    pub fn is_end_of_file(&self) -> bool {
        self.interrupted.is_none() && self.input.is_end_of_file()
    }

    /// Whether the next read tells of the interrupt character.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.is_some()
    }

    /// Bytes that a write would take.
    pub fn space(&self) -> usize {
        self.output.space()
    }

    /// Whether everything written has been given to the device (tcdrain(3)).
    pub fn is_drained(&self) -> bool {
        self.output.is_empty()
    }

    /// Moves with every record, end of file or interrupt that arrives: what edge-triggered notes look at.
    pub fn arrivals(&self) -> u32 {
        self.arrivals
    }

    /// Bytes refused with a bell because their line was full.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn commit(&mut self, end: End) {
        self.input.commit(end, self.now);
        self.arrivals = self.arrivals.wrapping_add(1);
    }

    fn edit(&mut self, byte: u8) {
        if self.mode.echo {
            self.echo.begin_key(&self.input, &mut self.output);
        }
        match byte {
            control::DELETE | control::BACKSPACE => self.erase(1),
            control::KILL => self.erase(usize::MAX),
            control::WORD_ERASE => self.erase(self.last_word()),
            control::END_OF_FILE if self.input.line_len() == 0 => self.commit(End::EndOfFile),
            control::END_OF_FILE => self.commit(End::Open),
            _ => self.append(byte),
        }
    }

    fn append(&mut self, byte: u8) {
        if !self.input.push(byte) {
            self.refused += 1;
            return self.output.echo(control::BELL);
        }
        if self.mode.echo {
            Echo::show(&mut self.output, byte);
        }
        if byte == b'\n' {
            self.commit(End::Line);
        }
    }

    /// Characters in the last word of the line, with the blanks behind it.
    fn last_word(&self) -> usize {
        let blanks = self.input.line().rev().take_while(|&byte| is_blank(byte)).count();
        let word = self.input.line().rev().skip(blanks);
        blanks + word.take_while(|&byte| !is_blank(byte)).filter(|&byte| !is_continuation(byte)).count()
    }

    /// Erases up to `characters` from the end of the line, and their columns from the screen.
    fn erase(&mut self, characters: usize) {
        let end = self.echo.end(&self.input);
        for _ in 0..characters {
            // A whole UTF-8 character goes, its continuation bytes first.
            while self.input.line().next_back().is_some_and(is_continuation) {
                _ = self.input.pop();
            }
            if self.input.pop().is_none() {
                break;
            }
        }
        if self.mode.echo {
            self.echo.erase(end, &self.input, &mut self.output);
        }
    }

    fn shows_line(&self) -> bool {
        self.mode.canonical && self.mode.echo
    }

    fn interrupt(&mut self) {
        self.input.clear();
        self.output.set_stopped(false);
        self.interrupted = Some(self.now);
        self.arrivals = self.arrivals.wrapping_add(1);
        if self.mode.echo {
            Echo::show(&mut self.output, control::INTERRUPT);
            Echo::show(&mut self.output, b'\n');
        }
    }
}

impl Default for Terminal {
    fn default() -> Terminal {
        Terminal::new()
    }
}

impl Peer for Terminal {
    fn has_room(&self) -> bool {
        self.input.has_room() && self.output.echo_space() >= MAX_ECHO
    }

    fn can_resume(&self) -> bool {
        self.input.is_low() && self.has_room()
    }

    fn receive(&mut self, byte: u8) {
        match byte {
            control::XOFF if self.mode.flow_control => self.output.set_stopped(true),
            control::XON if self.mode.flow_control => self.output.set_stopped(false),
            control::INTERRUPT if self.mode.signals => self.interrupt(),
            _ => {
                let byte = if byte == b'\r' && self.mode.newline_input { b'\n' } else { byte };
                if self.mode.canonical {
                    self.edit(byte);
                } else {
                    // Room was asked for, and raw bytes never stay in the line: it cannot be full.
                    _ = self.input.push(byte);
                    if self.mode.echo {
                        Echo::show(&mut self.output, byte);
                    }
                    self.commit(End::Open);
                }
            }
        }
        // With no room XON could not be heard: an output that XOFF stopped would never start again, nor would a program
        // that writes what it reads ever read again. So a full input starts it.
        if !self.has_room() {
            self.output.set_stopped(false);
        }
    }

    fn transmit(&mut self) -> Option<u8> {
        self.output.pop()
    }

    fn has_output(&self) -> bool {
        self.output.has_output()
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
