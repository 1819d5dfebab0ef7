//! Records with serial numbers, and the channels that they go through.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::error::{EAGAIN, EINVAL, Error, Result};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_WRONLY};
use guest_tests::{Failure, Outcome};
use libkq::process::SocketType;
use rt::clock;

/// Bytes of a record. A channel holds a multiple of it, so that no record is ever torn.
pub const RECORD: usize = 16;
/// Records of a channel that may be on their way.
const WINDOW: u64 = 8192;
const MAGIC: u32 = 0x50a1_c0de;

/// What carries the records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Pipe,
    Fifo,
    Stream,
    Packets,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Pipe, Kind::Fifo, Kind::Stream, Kind::Packets];

    /// Its two ends, the one that is read first; neither waits.
    fn open(self, number: usize) -> Result<(i32, i32)> {
        let process = libkq::process();
        match self {
            Kind::Pipe => libkq::pipe(O_NONBLOCK),
            Kind::Fifo => {
                let path = format!("/run/fifo/soak-{number}");
                process.mkfifo(&path, 0o600)?;
                let reader = libkq::open(&path, O_RDONLY | O_NONBLOCK)?;
                let writer = libkq::open(&path, O_WRONLY | O_NONBLOCK)?;
                process.unlink(&path)?;
                Ok((reader, writer))
            }
            Kind::Stream => process.socketpair(SocketType::Stream, O_NONBLOCK as u64),
            Kind::Packets => process.socketpair(SocketType::SeqPacket, O_NONBLOCK as u64),
        }
    }
}

/// A source of records and what is known of them: each is read once, by whoever was told of it.
pub struct Channel {
    pub number: usize,
    pub kind: Kind,
    /// The number that stays open to the end; who watches may watch a duplicate of it.
    pub reader: i32,
    pub writer: i32,
    /// A producer is at it.
    busy: AtomicBool,
    written: AtomicU64,
    read: AtomicU64,
    /// A bit per serial number of the window: not read yet.
    unread: Vec<AtomicU64>,
    /// When a record was last written with nothing unread before it, or read.
    progress: AtomicU64,
}

impl Channel {
    pub fn open(number: usize, kind: Kind) -> Result<Channel> {
        let (reader, writer) = kind.open(number)?;
        Ok(Channel {
            number,
            kind,
            reader,
            writer,
            busy: AtomicBool::new(false),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            unread: (0..WINDOW / 64).map(|_| AtomicU64::new(0)).collect(),
            progress: AtomicU64::new(0),
        })
    }

    /// Puts another process between its two ends: what that is given, to read from and to write to.
    pub fn relay(&mut self) -> Result<(i32, i32)> {
        let (reader, writer) = self.kind.open(self.number)?;
        Ok((core::mem::replace(&mut self.reader, reader), writer))
    }

    /// Both ends.
    pub fn close(&self) -> Result<()> {
        libkq::close(self.writer).and(libkq::close(self.reader))
    }

    /// Records that nobody has read.
    pub fn outstanding(&self) -> u64 {
        let read = self.read.load(Ordering::SeqCst);
        self.written.load(Ordering::SeqCst).saturating_sub(read)
    }

    /// Records that were written, and the one that just is.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Records that were read.
    pub fn count(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    /// For how long nothing has moved although there is something.
    pub fn stuck_for(&self) -> u64 {
        match self.outstanding() {
            0 => 0,
            _ => clock::now_ns().saturating_sub(self.progress.load(Ordering::SeqCst)),
        }
    }

    /// Makes the caller its only producer for the time of `body`, unless there is another.
    pub fn produce<T>(&self, body: impl FnOnce(&Producer<'_>) -> T) -> Option<T> {
        self.busy.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let result = body(&Producer(self));
        self.busy.store(false, Ordering::Release);
        Some(result)
    }

    /// Reads up to so many records. `None`: there is none.
    fn read(&self, from: i32, records: usize) -> Result<Option<Vec<u8>>> {
        let mut bytes = alloc::vec![0; records * RECORD];
        match libkq::read(from, &mut bytes) {
            Ok(count) => {
                bytes.truncate(count);
                Ok(Some(bytes))
            }
            Err(error) if error.errno == EAGAIN => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads once, or until there is nothing (`all`), through number `from`, and accounts for what came. Returns how many.
    pub fn take(&self, channels: &[Channel], from: i32, records: usize, all: bool) -> Outcome<usize> {
        let mut taken = 0;
        while let Some(bytes) = self.read(from, records)? {
            if bytes.is_empty() {
                return Err(Failure::new(format!("channel {}: end of file", self.number)));
            }
            for record in bytes.chunks(RECORD) {
                account(channels, record)?;
                taken += 1;
            }
            if !all {
                break;
            }
        }
        Ok(taken)
    }

    fn seen(&self, serial: u64) -> Outcome {
        let (written, read) = (self.written.load(Ordering::SeqCst), self.read.load(Ordering::SeqCst));
        let bit = 1 << (serial % 64);
        let word = &self.unread[(serial % WINDOW / 64) as usize];
        if serial >= written || word.fetch_and(!bit, Ordering::SeqCst) & bit == 0 {
            let why =
                format!("channel {}: record {serial} of {written} came twice ({read} read)", self.number);
            return Err(Failure::new(why));
        }
        self.progress.store(clock::now_ns(), Ordering::SeqCst);
        self.read.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// What a dump says of it.
    pub fn describe(&self) -> String {
        let (written, stuck) = (self.written.load(Ordering::SeqCst), self.stuck_for() / 1_000_000);
        let outstanding = self.outstanding();
        format!(
            "channel {} {:?}: {written} written, {outstanding} unread for {stuck} ms",
            self.number, self.kind
        )
    }
}

/// Accounts for the bytes of one record, whatever channel they came through.
pub fn account(channels: &[Channel], record: &[u8]) -> Outcome {
    let torn = || Failure::new(format!("{} bytes that are no record: {record:?}", record.len()));
    let (head, serial) = record.split_at_checked(8).ok_or_else(torn)?;
    let head = u64::from_le_bytes(head.try_into().map_err(|_| torn())?);
    let serial = u64::from_le_bytes(serial.try_into().map_err(|_| torn())?);
    let channel = channels.get((head >> 32) as usize).filter(|_| head as u32 == MAGIC).ok_or_else(torn)?;
    channel.seen(serial)
}

/// The right to write into a channel.
pub struct Producer<'a>(&'a Channel);

impl Producer<'_> {
    /// Writes the next record. `EAGAIN`: there is no room.
    pub fn write(&self) -> Result<()> {
        let channel = self.0;
        if channel.outstanding() >= WINDOW {
            return Err(Error::new(EAGAIN));
        }
        if channel.outstanding() == 0 {
            channel.progress.store(clock::now_ns(), Ordering::SeqCst);
        }
        // Known before anybody can read it.
        let serial = channel.written.load(Ordering::SeqCst);
        let (word, bit) = (&channel.unread[(serial % WINDOW / 64) as usize], 1 << (serial % 64));
        word.fetch_or(bit, Ordering::SeqCst);
        channel.written.store(serial + 1, Ordering::SeqCst);
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(&((channel.number as u64) << 32 | u64::from(MAGIC)).to_le_bytes());
        record[8..].copy_from_slice(&serial.to_le_bytes());
        match libkq::write(channel.writer, &record) {
            Ok(RECORD) => Ok(()),
            other => {
                word.fetch_and(!bit, Ordering::SeqCst);
                channel.written.store(serial, Ordering::SeqCst);
                // A part of a record cannot be.
                Err(other.err().unwrap_or(Error::new(EINVAL)))
            }
        }
    }
}
