//! A stream: a descriptor with a buffer.

use core::ffi::c_int;

use abi::error::EBADF;
use rt::sync::Mutex;

use crate::own::set_errno;

/// Bytes that a stream keeps.
const BUFFER: usize = 1024;
/// Room before what was read, so that a byte can be put back when no more of it was taken.
const PUT_BACK: usize = 1;

/// When a stream writes out what it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Buffering {
    /// When its buffer is full.
    Full,
    /// At the end of each line.
    Line,
    /// At once.
    None,
}

/// A stream.
#[derive(Debug)]
pub struct Stream {
    descriptor: c_int,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bytes: [u8; BUFFER],
    /// What is buffered is `bytes[begin..end]`.
    begin: usize,
    end: usize,
    buffering: Buffering,
    failed: bool,
    /// Until that is cleared, nothing more is asked for: C11, 7.21.7.1.
    ended: bool,
}

impl Stream {
    /// A stream of a descriptor.
    pub const fn new(descriptor: c_int, buffering: Buffering) -> Stream {
        let state = State { bytes: [0; BUFFER], begin: 0, end: 0, buffering, failed: false, ended: false };
        Stream { descriptor, state: Mutex::new(state) }
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> c_int {
        self.descriptor
    }

    /// Whether a write or read failed.
    pub fn failed(&self) -> bool {
        self.state.lock().failed
    }

    /// Whether a read met the end.
    pub fn ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Forgets that a read met the end and that anything failed.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        (state.failed, state.ended) = (false, false);
    }

    /// From here on it writes out what it has at other times.
    pub fn set_buffering(&self, buffering: Buffering) {
        self.state.lock().buffering = buffering;
    }

    /// Whether the next byte has to be read from the descriptor.
    pub fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.begin == state.end
    }

    /// Puts a byte before those that will be read; whether there is room, which there is for one at least.
    pub fn put_back(&self, byte: u8) -> bool {
        let mut state = self.state.lock();
        if state.begin == state.end {
            (state.begin, state.end) = (BUFFER, BUFFER);
        }
        let Some(begin) = state.begin.checked_sub(1) else { return false };
        state.begin = begin;
        state.bytes[begin] = byte;
        state.ended = false;
        true
    }

    /// Writes out what is buffered; whether all went well.
    pub fn flush(&self) -> bool {
        self.drain(&mut self.state.lock())
    }

    /// Writes; returns how much of it was taken.
    pub fn write(&self, bytes: &[u8]) -> usize {
        if self.write_all(&[bytes]) { bytes.len() } else { 0 }
    }

    /// Writes one thing after the other with nothing of another thread's in between; whether all went well.
    pub fn write_all(&self, parts: &[&[u8]]) -> bool {
        let mut state = self.state.lock();
        let mut well = true;
        for byte in parts.iter().copied().flatten() {
            if state.end == BUFFER {
                well &= self.drain(&mut state);
            }
            let end = state.end;
            state.bytes[end] = *byte;
            state.end += 1;
            if state.buffering == Buffering::Line && *byte == b'\n' {
                well &= self.drain(&mut state);
            }
        }
        if state.buffering == Buffering::None {
            well &= self.drain(&mut state);
        }
        well
    }

    fn drain(&self, state: &mut State) -> bool {
        let State { bytes, begin, end, failed, .. } = state;
        let mut rest = &bytes[*begin..*end];
        let mut well = true;
        while !rest.is_empty() {
            match libkq::write(self.descriptor, rest) {
                Ok(taken) => rest = &rest[taken.min(rest.len())..],
                // Without a terminal there is the kernel's log.
                Err(error) if error.errno == EBADF => {
                    let line = rest.strip_suffix(b"\n").unwrap_or(rest);
                    let _ = rt::sys::log_line(&line[..line.len().min(abi::limits::LOG_LINE)]);
                    break;
                }
                Err(error) => {
                    set_errno(error.errno);
                    (*failed, well) = (true, false);
                    break;
                }
            }
        }
        (*begin, *end) = (0, 0);
        well
    }

    /// Reads until the buffer is full, the stream ends, or after a byte that is the last; returns how much.
    pub fn read(&self, buffer: &mut [u8], is_last: impl Fn(u8) -> bool) -> usize {
        let mut state = self.state.lock();
        for (count, place) in buffer.iter_mut().enumerate() {
            if state.begin == state.end && !self.refill(&mut state) {
                return count;
            }
            *place = state.bytes[state.begin];
            state.begin += 1;
            if is_last(*place) {
                return count + 1;
            }
        }
        buffer.len()
    }

    fn refill(&self, state: &mut State) -> bool {
        if state.ended {
            return false;
        }
        (state.begin, state.end) = (PUT_BACK, PUT_BACK);
        match libkq::read(self.descriptor, &mut state.bytes[PUT_BACK..]) {
            Ok(0) => state.ended = true,
            Ok(count) => state.end += count,
            Err(error) => {
                set_errno(error.errno);
                state.failed = true;
            }
        }
        state.begin < state.end
    }
}
