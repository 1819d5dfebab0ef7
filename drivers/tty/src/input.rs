//! What has been typed and not yet read: finished records, then the line being edited.

use alloc::collections::VecDeque;

/// Longest line, with its newline (MAX_CANON of limits.h(0P)).
pub const MAX_LINE: usize = 4096;
/// Bytes kept in all.
pub const CAPACITY: usize = 4 * MAX_LINE;
/// Records kept.
pub const MAX_RECORDS: usize = 1024;

/// What ends a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// A newline, which is its last byte.
    Line,
    /// Nothing: bytes of raw mode, or a line that Ctrl-D pushed out. Reads go on into the next such record.
    Open,
    /// Ctrl-D at the start of a line: a read of no bytes.
    EndOfFile,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Record {
    len: usize,
    end: End,
    time: u64,
}

/// What one read took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Bytes.
    pub len: usize,
    /// Time of the interrupt that made them readable, in ns.
    pub time: u64,
    /// The record was an end of file.
    pub end_of_file: bool,
    /// The record it came from, to put it back.
    end: End,
    /// Whether the record was used up.
    whole: bool,
}

/// The input queue.
pub struct Input {
    bytes: VecDeque<u8>,
    records: VecDeque<Record>,
    /// Bytes in finished records; behind them in `bytes` is the line being edited.
    readable: usize,
}

impl Input {
    /// An empty queue.
    pub fn new() -> Input {
        // A record put back may be one more than `has_room` allows.
        Input {
            bytes: VecDeque::with_capacity(CAPACITY),
            records: VecDeque::with_capacity(MAX_RECORDS + 1),
            readable: 0,
        }
    }

    /// Whether any byte can be taken, whatever it turns out to be: a whole line still fits.
    pub fn has_room(&self) -> bool {
        self.readable + MAX_LINE <= CAPACITY && self.records.len() < MAX_RECORDS
    }

    /// Whether enough has been read for a held sender to go on: not at every line, which would cost more than the line.
    pub fn is_low(&self) -> bool {
        self.readable <= CAPACITY / 4 && self.records.len() <= MAX_RECORDS / 4
    }

    /// Bytes that can be read.
    pub fn readable(&self) -> usize {
        self.readable
    }

    /// Whether a read would take something, be it an end of file.
    pub fn is_ready(&self) -> bool {
        !self.records.is_empty()
    }

    /// Whether the next read is an end of file.
    pub fn is_end_of_file(&self) -> bool {
        self.records.front().is_some_and(|record| record.end == End::EndOfFile)
    }

    /// The line being edited.
    pub fn line(&self) -> impl DoubleEndedIterator<Item = u8> {
        self.bytes.range(self.readable..).copied()
    }

    /// Length of the line being edited.
    pub fn line_len(&self) -> usize {
        self.bytes.len() - self.readable
    }

    /// Adds a byte to the line being edited. False when it is full: the last place is kept for the newline.
    #[must_use]
    pub fn push(&mut self, byte: u8) -> bool {
        let fits = self.line_len() < MAX_LINE - usize::from(byte != b'\n');
        if fits {
            self.bytes.push_back(byte);
        }
        fits
    }

    /// Takes the last byte of the line being edited back.
    pub fn pop(&mut self) -> Option<u8> {
        if self.line_len() == 0 { None } else { self.bytes.pop_back() }
    }

    /// Finishes the line being edited.
    pub fn commit(&mut self, end: End, time: u64) {
        let len = self.line_len();
        match self.records.back_mut() {
            // Raw bytes pile up in one record, so that the limit on records is none on them.
            Some(last) if end == End::Open && last.end == End::Open => last.len += len,
            _ => self.records.push_back(Record { len, end, time }),
        }
        self.readable += len;
    }

    /// Forgets everything: what the interrupt character does.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.readable = 0;
    }

    /// Takes at most one record into `buffer`; what does not fit stays for the next read. `None`: nothing there.
    pub fn take(&mut self, buffer: &mut [u8]) -> Option<Taken> {
        let record = self.records.front_mut()?;
        let len = record.len.min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(self.bytes.drain(..len)) {
            *slot = byte;
        }
        record.len -= len;
        self.readable -= len;
        let Record { end, time, len: rest } = *record;
        let whole = rest == 0;
        if whole {
            self.records.pop_front();
        }
        Some(Taken { len, time, end_of_file: end == End::EndOfFile, end, whole })
    }

    /// Undoes the last [`take`](Input::take), whose bytes did not reach anybody.
    pub fn put_back(&mut self, taken: Taken, bytes: &[u8]) {
        for &byte in bytes.iter().take(taken.len).rev() {
            self.bytes.push_front(byte);
        }
        self.readable += taken.len;
        match self.records.front_mut() {
            Some(front) if !taken.whole => front.len += taken.len,
            _ => self.records.push_front(Record { len: taken.len, end: taken.end, time: taken.time }),
        }
    }
}

impl Default for Input {
    fn default() -> Input {
        Input::new()
    }
}
