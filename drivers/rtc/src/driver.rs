//! The clock as a file: a read takes the time and the number of seconds that have begun since the last one.

use crate::chip::Chip;
use abi::error::{EAGAIN, EINVAL, EIO, ENOENT, ESPIPE, Error, Result};
use alloc::collections::BTreeMap;
use core::fmt;
use driver_sdk::{
    Context, Control, ControlReply, Direction, Driver, FileId, Filters, Kind, Level, Opening, Registers,
    Taken,
};

/// Path of the clock.
pub const PATH: &str = "/dev/rtc";
/// Bytes of a reading: seconds since 1970, and how many have begun since the reader's last one; 64 bits each, little-endian.
pub const READING: usize = 16;

/// What a reader has not read yet.
#[derive(Clone, Copy, Default)]
struct Reader {
    /// Seconds that have begun.
    begun: u64,
    /// It has never read: it need not wait.
    is_new: bool,
    /// Those that its last read took, and whether that was its first.
    taken: (u64, bool),
}

/// The clock and its readers.
pub struct Clock<R> {
    chip: Chip<R>,
    readers: BTreeMap<FileId, Reader>,
    seconds: u64,
    interrupts: u64,
}

impl<R: Registers> Clock<R> {
    /// The clock behind its ports.
    pub fn new(ports: R) -> Clock<R> {
        Clock { chip: Chip::new(ports), readers: BTreeMap::new(), seconds: 0, interrupts: 0 }
    }
}

fn level(reader: Reader) -> Level {
    Level::new(if reader.is_new || reader.begun > 0 { READING as i64 } else { 0 })
}

impl<R: Registers> Driver for Clock<R> {
    fn start(&mut self, _: &mut Context<'_>) {
        self.chip.listen(false);
    }

    fn open(&mut self, _: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != PATH {
            return Err(Error::new(ENOENT));
        }
        if self.readers.is_empty() {
            self.chip.listen(true);
        }
        let reader = Reader { is_new: true, ..Reader::default() };
        self.readers.insert(file, reader);
        Ok(Opening::new(Kind::Device, Filters::READ).readable(level(reader)))
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.readers.remove(&file);
        if self.readers.is_empty() {
            // Nobody waits: nobody is interrupted.
            self.chip.listen(false);
        }
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        if offset.is_some() {
            return Err(Error::new(ESPIPE));
        }
        let place = buffer.first_chunk_mut::<READING>().ok_or(Error::new(EINVAL))?;
        let reader = self.readers.get_mut(&file).ok_or(Error::new(EINVAL))?;
        if !reader.is_new && reader.begun == 0 {
            return Err(Error::new(EAGAIN));
        }
        let time = self.chip.time().ok_or(Error::new(EIO))?;
        place[..8].copy_from_slice(&time.to_le_bytes());
        place[8..].copy_from_slice(&reader.begun.to_le_bytes());
        *reader = Reader { begun: 0, is_new: false, taken: (reader.begun, reader.is_new) };
        context.publish(file, Direction::Read, level(*reader), false);
        Ok(Taken { count: READING, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, _: &[u8]) {
        if let Some(reader) = self.readers.get_mut(&file) {
            let (begun, was_new) = core::mem::take(&mut reader.taken);
            reader.begun += begun;
            reader.is_new |= was_new;
            context.publish(file, Direction::Read, level(*reader), false);
        }
    }

    fn control(&mut self, _: &mut Context<'_>, file: FileId, control: &Control) -> Result<ControlReply> {
        match control {
            Control::Available => {
                let reader = self.readers.get(&file).copied().unwrap_or_default();
                Ok(ControlReply::Available(level(reader).amount as u64))
            }
            Control::Seek { .. } => Err(Error::new(ESPIPE)),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        self.interrupts += 1;
        if self.chip.interrupted() {
            self.seconds += 1;
            for (&file, reader) in &mut self.readers {
                reader.begun += 1;
                context.publish(file, Direction::Read, level(*reader), true);
            }
        }
        false
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "interrupts {}", self.interrupts)?;
        writeln!(out, "seconds {}", self.seconds)
    }
}
