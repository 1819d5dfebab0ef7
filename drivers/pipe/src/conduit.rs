//! The bytes of one pipe or FIFO, who has its ends, and what that means to who looks at them.

use abi::error::{EAGAIN, EBUSY, EINVAL, ENOMEM, EPIPE, Error, Result};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use driver_sdk::{Level, LevelFlags};
use event_protocol::descriptor::PIPE_BUF;

/// Bytes that a pipe holds unless it was told otherwise.
pub const CAPACITY: usize = 65536;
/// The least that a pipe holds: with less, a writer would wait for the last byte to be read.
pub const LEAST: usize = 2 * PIPE_BUF;
/// The most that a pipe can be made to hold.
pub const MOST: usize = 1 << 20;

/// An end, as opened once. FIFOs can be opened for both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// It reads.
    pub reads: bool,
    /// It writes.
    pub writes: bool,
    /// Writers there had been when it was opened, if none was left then: to this reader the pipe never had one until
    /// another comes.
    alone_since: Option<u64>,
}

/// One pipe or FIFO. `K` names an open file.
pub struct Conduit<K> {
    bytes: VecDeque<u8>,
    capacity: usize,
    ends: Vec<(K, End)>,
    /// Ends whose opening waits for the other side.
    opening: Vec<(K, End)>,
    /// Writers that there ever were.
    writers_ever: u64,
}

impl<K: Copy + Eq> Conduit<K> {
    /// An empty one without ends.
    pub const fn new(capacity: usize) -> Conduit<K> {
        Conduit { bytes: VecDeque::new(), capacity, ends: Vec::new(), opening: Vec::new(), writers_ever: 0 }
    }

    /// Adds an end that is open.
    pub fn open(&mut self, key: K, reads: bool, writes: bool) {
        self.opening.retain(|&(other, _)| other != key);
        let alone_since = (!self.has_writer() && !writes).then_some(self.writers_ever);
        self.writers_ever += u64::from(writes);
        self.ends.push((key, End { reads, writes, alone_since }));
    }

    /// Whether a reader or writer may open it now: when there is somebody on the other side, or somebody there waits for
    /// this one.
    pub fn is_met(&self, writes: bool) -> bool {
        if writes {
            // Who only waits to read is perhaps dead: it is let in first.
            return self.ends.iter().any(|(_, end)| end.reads);
        }
        self.has_writer() || self.opening.iter().any(|(_, end)| end.writes)
    }

    /// Whether somebody reads, or waits to.
    pub fn has_reader(&self) -> bool {
        self.ends.iter().chain(&self.opening).any(|(_, end)| end.reads)
    }

    /// Whether somebody writes.
    pub fn has_writer(&self) -> bool {
        self.ends.iter().any(|(_, end)| end.writes)
    }

    /// An end waits to be opened.
    pub fn wait(&mut self, key: K, reads: bool, writes: bool) {
        if !self.is_opening(key) {
            self.opening.push((key, End { reads, writes, alone_since: None }));
        }
    }

    /// Whether it waits to be opened.
    pub fn is_opening(&self, key: K) -> bool {
        self.opening.iter().any(|&(other, _)| other == key)
    }

    /// Removes an end; what it was. What nobody has an end of any more loses its bytes.
    pub fn close(&mut self, key: K) -> Option<End> {
        self.opening.retain(|&(other, _)| other != key);
        let at = self.ends.iter().position(|&(other, _)| other == key)?;
        let (_, end) = self.ends.swap_remove(at);
        if self.ends.is_empty() {
            self.bytes = VecDeque::new();
        }
        Some(end)
    }

    /// The open ends.
    pub fn ends(&self) -> impl Iterator<Item = (K, End)> {
        self.ends.iter().copied()
    }

    /// Whether nobody has an end, or waits for one.
    pub fn is_unused(&self) -> bool {
        self.ends.is_empty() && self.opening.is_empty()
    }

    /// Whether it ever had a writer.
    pub fn had_writer(&self) -> bool {
        self.writers_ever > 0
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no byte is in it.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that it holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Makes it hold so many bytes (F_SETPIPE_SZ): rounded up; EBUSY when more are in it.
    pub fn set_capacity(&mut self, bytes: i64) -> Result<()> {
        let asked = usize::try_from(bytes).map_err(|_| Error::new(EINVAL))?;
        if asked > MOST {
            return Err(Error::new(EINVAL));
        }
        let capacity = asked.next_power_of_two().max(LEAST);
        if self.bytes.len() > capacity {
            return Err(Error::new(EBUSY));
        }
        self.capacity = capacity;
        Ok(())
    }

    fn space(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    /// Takes bytes out. 0: there are none and there is no writer. EAGAIN: there is one.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.bytes.len().min(buffer.len());
        if count == 0 && self.has_writer() {
            return Err(Error::new(EAGAIN));
        }
        for (to, from) in buffer.iter_mut().zip(self.bytes.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    /// Puts bytes back that were just taken.
    pub fn unread(&mut self, bytes: &[u8]) {
        bytes.iter().rev().for_each(|&byte| self.bytes.push_front(byte));
    }

    /// Gives memory back when it holds nothing.
    pub fn shrink(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
        }
    }

    /// Memory that it has for its bytes.
    pub fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Puts bytes in: up to [`PIPE_BUF`] all or none, of more as many as there is space for. EPIPE: nobody reads. ENOMEM: it
    /// would have to hold more than `spare` bytes beyond those that it has memory for.
    pub fn write(&mut self, bytes: &[u8], spare: usize) -> Result<usize> {
        if !self.has_reader() {
            return Err(Error::new(EPIPE));
        }
        let count = bytes.len().min(self.space());
        if count == 0 || count < bytes.len() && bytes.len() <= PIPE_BUF {
            return Err(Error::new(EAGAIN));
        }
        let needed = self.bytes.len() + count;
        if needed > self.bytes.capacity() {
            // Growing by doubling would hold up to twice of what was promised.
            let room = needed.next_power_of_two().min(self.capacity);
            if room - self.bytes.capacity() > spare {
                return Err(Error::new(ENOMEM));
            }
            self.bytes.try_reserve_exact(room - self.bytes.len()).map_err(|_| Error::new(ENOMEM))?;
        }
        self.bytes.extend(&bytes[..count]);
        Ok(count)
    }

    /// What can be read, as an end sees it. R18: the end of file is told with what is left before it, the hang-up once that
    /// is read. R19: both go when a writer comes.
    pub fn read_level(&self, end: &End) -> Level {
        let level = Level::new(self.bytes.len() as i64);
        let never_had_one = end.alone_since == Some(self.writers_ever);
        if self.has_writer() || never_had_one {
            return level;
        }
        let level = level.with(LevelFlags::EOF);
        if self.bytes.is_empty() { level.with(LevelFlags::HANGUP) } else { level }
    }

    /// What can be written (R21).
    pub fn write_level(&self) -> Level {
        if self.has_reader() {
            return Level::new(self.space() as i64);
        }
        Level::new(0).with(LevelFlags::EOF.union(LevelFlags::ERROR))
    }
}
