//! What is to be shown and not yet sent.

use alloc::collections::VecDeque;

/// Bytes kept.
pub const CAPACITY: usize = 16384;
/// Of these, kept free for the echo: writers cannot silence the keyboard.
pub const ECHO_RESERVE: usize = 2048;

/// The output queue, after NL → CR NL.
pub struct Output {
    bytes: VecDeque<u8>,
    column: usize,
    stopped: bool,
}

impl Output {
    /// An empty queue at column 0.
    pub fn new() -> Output {
        Output { bytes: VecDeque::with_capacity(CAPACITY), column: 0, stopped: false }
    }

    /// Bytes that writers may add; a newline may need two.
    pub fn space(&self) -> usize {
        (CAPACITY - ECHO_RESERVE).saturating_sub(self.bytes.len())
    }

    /// Space left for the echo, which may use all.
    pub fn echo_space(&self) -> usize {
        CAPACITY - self.bytes.len()
    }

    /// Column of the cursor, as far as the bytes tell.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Takes as much of `bytes` as fits and returns how much.
    pub fn write(&mut self, bytes: &[u8], newline: bool) -> usize {
        let mut taken = 0;
        for &byte in bytes {
            if self.space() < 1 + usize::from(newline && byte == b'\n') {
                break;
            }
            self.put(byte, newline);
            taken += 1;
        }
        taken
    }

    /// Adds an echoed byte. The caller has looked at [`echo_space`](Output::echo_space).
    pub fn echo(&mut self, byte: u8) {
        if self.echo_space() > 0 {
            self.put(byte, false);
        }
    }

    /// The next byte to send.
    pub fn pop(&mut self) -> Option<u8> {
        if self.stopped { None } else { self.bytes.pop_front() }
    }

    /// Whether [`pop`](Output::pop) would give a byte.
    pub fn has_output(&self) -> bool {
        !self.stopped && !self.bytes.is_empty()
    }

    /// Stops (XOFF) or restarts (XON) the sending.
    pub fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// Whether XOFF stopped it.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether everything has been given to the device.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn put(&mut self, byte: u8, newline: bool) {
        if newline && byte == b'\n' {
            self.bytes.push_back(b'\r');
            self.column = 0;
        }
        self.bytes.push_back(byte);
        self.column = advance(self.column, byte);
    }
}

impl Default for Output {
    fn default() -> Output {
        Output::new()
    }
}

/// The column after `byte` is shown at `column`. Bytes inside a UTF-8 character take no place.
pub fn advance(column: usize, byte: u8) -> usize {
    match byte {
        b'\r' => 0,
        b'\t' => (column | 7) + 1,
        0x08 => column.saturating_sub(1),
        0x20..=0x7e | 0xc0..=0xff => column + 1,
        _ => column,
    }
}
