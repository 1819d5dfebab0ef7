//! The driver's logic: no system calls, so that tests run it on the host.

use abi::error::{EAGAIN, EBADF, EINVAL, ENOENT, Error, Result};
use alloc::collections::{BTreeMap, VecDeque};
use core::fmt;
use driver_sdk::{Context, Control, ControlReply, Driver, FileId, Filters, Kind, Level, Opening, Taken};

/// The path that clients open. `/dev/NAME` and what is below it is asked of service NAME.
pub const PATH: &str = "/dev/template";
/// What its files can be watched for.
pub const FILTERS: Filters = Filters::READ.union(Filters::WRITE);
/// Bytes that an open file holds.
pub const CAPACITY: usize = 4096;

/// All open files, each with what was written to it and not read yet.
#[derive(Default)]
pub struct Template {
    files: BTreeMap<FileId, VecDeque<u8>>,
}

impl Template {
    fn bytes(&mut self, file: FileId) -> Result<&mut VecDeque<u8>> {
        self.files.get_mut(&file).ok_or(Error::new(EBADF))
    }
}

/// Says how ready a file is. The sdk does the rest: who watches is told, who waits is asked again.
fn publish(context: &mut Context<'_>, file: FileId, waiting: usize, [came, went]: [bool; 2]) {
    let (read, write) = (Level::new(waiting as i64), Level::new((CAPACITY - waiting) as i64));
    context.publish_both(file, [(read, came), (write, went)]);
}

impl Driver for Template {
    const DURABLE: bool = true;

    fn open(&mut self, _: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != PATH {
            return Err(Error::new(ENOENT));
        }
        self.files.insert(file, VecDeque::new());
        Ok(Opening::new(Kind::Device, FILTERS).writable(Level::new(CAPACITY as i64)))
    }

    /// What waited in memory is gone with the driver that had it; the file goes on empty.
    fn restore(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        path: &str,
        flags: u64,
        _: u64,
    ) -> Result<Opening> {
        self.open(context, file, path, flags)
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.files.remove(&file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        let bytes = self.bytes(file)?;
        let count = bytes.len().min(buffer.len());
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        buffer.iter_mut().zip(bytes.drain(..count)).for_each(|(place, byte)| *place = byte);
        publish(context, file, bytes.len(), [false, true]);
        Ok(Taken { count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, taken: &[u8]) {
        if let Ok(bytes) = self.bytes(file) {
            taken.iter().rev().for_each(|&byte| bytes.push_front(byte));
            publish(context, file, bytes.len(), [true, false]);
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        given: &[u8],
        _: Option<u64>,
    ) -> Result<usize> {
        let bytes = self.bytes(file)?;
        let count = given.len().min(CAPACITY - bytes.len());
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        bytes.extend(&given[..count]);
        publish(context, file, bytes.len(), [true, false]);
        Ok(count)
    }

    fn control(&mut self, _: &mut Context<'_>, file: FileId, control: &Control) -> Result<ControlReply> {
        match control {
            Control::Available => Ok(ControlReply::Available(self.bytes(file)?.len() as u64)),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "bytes {}", self.files.values().map(VecDeque::len).sum::<usize>())
    }
}
