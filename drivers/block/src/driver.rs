//! The disk as a file.

mod pages;

use crate::cache::PAGE;
use crate::disk::Disk;
use abi::error::{EAGAIN, EINVAL, EIO, ENOENT, ENOSPC, EOPNOTSUPP, EROFS, Error, Result};
use abi::flag::{O_ACCMODE, O_RDONLY, O_WRONLY};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use core::fmt;
use driver_sdk::{
    Asked, Context, Control, ControlReply, DURABLE, Direction, Driver, FileId, FileType, Filters, Kind,
    Level, LevelFlags, Opening, Registers, SharedMemory, Stat, Taken, Whence,
};
use virtio::Fault;

/// The queue of those who wait until what was written is safe; the other queues are pages.
const SAFE: u64 = u64::MAX;
/// Bytes of free room at which it is writable.
const WRITABLE: u32 = PAGE as u32;

/// A disk and those who have it open.
pub struct Block<R, M> {
    disk: Disk<R, M>,
    path: String,
    files: BTreeMap<FileId, Open>,
    /// Pages that wait for a slot.
    starved: BTreeSet<u64>,
    /// Pages that could not be read, until somebody is told.
    failed: BTreeSet<u64>,
    /// Something could not be written while nobody had it open.
    lost: bool,
    /// Power is about to go off.
    is_going: bool,
    drained: bool,
    fault: Option<Fault>,
    counters: Counters,
}

#[derive(Clone, Copy, Default)]
struct Open {
    position: u64,
    /// What the last read moved the position by, to undo it.
    moved: u64,
    /// The page that a read waits for: until it is there the file is not ready.
    awaits: Option<u64>,
    /// Something could not be written, and it was not told: each is, since any may have written it.
    lost: bool,
}

#[derive(Clone, Copy, Default)]
struct Counters {
    interrupts: u64,
    read: u64,
    written: u64,
    failures: u64,
    most_in_flight: u16,
}

impl<R: Registers, M: SharedMemory> Block<R, M> {
    /// The disk as the file of this path.
    pub fn new(disk: Disk<R, M>, path: String) -> Block<R, M> {
        Block {
            disk,
            path,
            files: BTreeMap::new(),
            starved: BTreeSet::new(),
            failed: BTreeSet::new(),
            lost: false,
            is_going: false,
            drained: false,
            fault: None,
            counters: Counters::default(),
        }
    }

    fn position(&self, file: FileId) -> u64 {
        self.files.get(&file).map_or(0, |open| open.position)
    }

    fn level(&self, open: &Open) -> Level {
        let left = self.disk.size().saturating_sub(open.position);
        match (open.awaits, left) {
            (Some(_), _) => Level::new(0),
            (None, 0) => Level::new(0).with(LevelFlags::EOF),
            (None, left) => Level::new(left as i64),
        }
    }

    fn room(&mut self) -> Level {
        Level::new(if self.disk.is_read_only() { 0 } else { (self.disk.cache().room() * PAGE) as i64 })
    }

    fn publish_read(&self, context: &mut Context<'_>, file: FileId, arrived: bool) {
        if let Some(open) = self.files.get(&file) {
            context.keep(file, open.position);
            context.publish(file, Direction::Read, self.level(open), arrived);
        }
    }

    fn publish_room(&mut self, context: &mut Context<'_>, arrived: bool) {
        let room = self.room();
        for &file in self.files.keys() {
            context.publish(file, Direction::Write, room, arrived);
        }
    }

    fn go(&mut self) {
        if self.is_going && !self.drained {
            self.drained = self.disk.make_safe();
        }
    }
}

impl<R: Registers, M: SharedMemory> Driver for Block<R, M> {
    const DURABLE: bool = true;

    fn start(&mut self, _: &mut Context<'_>) {
        self.disk.start();
    }

    fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, flags: u64) -> Result<Opening> {
        if path != self.path {
            return Err(Error::new(ENOENT));
        }
        if self.disk.is_read_only() && flags & O_ACCMODE as u64 != O_RDONLY as u64 {
            return Err(Error::new(EROFS));
        }
        if flags & DURABLE != 0 && flags & O_WRONLY as u64 != 0 {
            // What is written and not on the disk yet dies with the driver: nobody may go on as if it had not.
            return Err(Error::new(EOPNOTSUPP));
        }
        let filters = Filters::READ | Filters::WRITE;
        Ok(Opening::new(Kind::Device, filters).seekable().low_water(1, WRITABLE))
    }

    fn restore(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        path: &str,
        flags: u64,
        kept: u64,
    ) -> Result<Opening> {
        let opening = self.open(context, file, path, flags)?;
        let open = Open { position: kept, ..Open::default() };
        let level = self.level(&open);
        self.files.insert(file, open);
        Ok(opening.keeping(kept).readable(level).writable(self.room()))
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        let lost = core::mem::take(&mut self.lost);
        self.files.insert(file, Open { lost, ..Open::default() });
        self.publish_read(context, file, true);
        let room = self.room();
        context.publish(file, Direction::Write, room, true);
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.files.remove(&file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        let at = offset.unwrap_or(self.position(file));
        let count = self.disk.size().saturating_sub(at).min(buffer.len() as u64) as usize;
        if let Some(open) = self.files.get_mut(&file) {
            (open.moved, open.awaits) = (0, None);
        }
        if count > 0 {
            let (first, last) = (at / PAGE as u64, (at + count as u64 - 1) / PAGE as u64);
            if (first..=last).any(|page| self.failed.remove(&page)) {
                self.publish_read(context, file, true);
                return Err(Error::new(EIO));
            }
            if let Some(page) = self.missing(first, last) {
                if let Some(open) = self.files.get_mut(&file) {
                    open.awaits = Some(page);
                }
                self.publish_read(context, file, false);
                return Err(Error::new(EAGAIN));
            }
        }
        for (page, offset, range) in Self::parts(at, count) {
            let slot = self.disk.cache().find(page).ok_or(Error::new(EIO))?;
            self.disk.copy_out(slot, offset, &mut buffer[range]);
        }
        if let (None, Some(open)) = (offset, self.files.get_mut(&file)) {
            open.position += count as u64;
            open.moved = count as u64;
        }
        self.counters.read += count as u64;
        self.publish_read(context, file, false);
        Ok(Taken { count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, _: &[u8]) {
        if let Some(open) = self.files.get_mut(&file) {
            open.position -= core::mem::take(&mut open.moved);
        }
        self.publish_read(context, file, false);
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        offset: Option<u64>,
    ) -> Result<usize> {
        let at = offset.unwrap_or(self.position(file));
        let count = self.disk.size().saturating_sub(at).min(bytes.len() as u64) as usize;
        self.tell_lost(file)?;
        if count == 0 {
            return Err(Error::new(ENOSPC));
        }
        let (first, last) = (at / PAGE as u64, (at + count as u64 - 1) / PAGE as u64);
        if (first..=last).any(|page| self.failed.remove(&page)) {
            return Err(Error::new(EIO));
        }
        // No request is as long as a page: what is around its bytes has to be there.
        if self.missing(first, last).is_some() {
            self.publish_room(context, false);
            return Err(Error::new(EAGAIN));
        }
        for (page, offset, range) in Self::parts(at, count) {
            let slot = self.disk.cache().find(page).ok_or(Error::new(EIO))?;
            self.disk.copy_in(slot, offset, &bytes[range]);
        }
        if let (None, Some(open)) = (offset, self.files.get_mut(&file)) {
            open.position += count as u64;
        }
        self.counters.written += count as u64;
        self.issue();
        self.publish_read(context, file, false);
        self.publish_room(context, false);
        if count < bytes.len() {
            // The rest is asked for again, and is then told where the disk ends.
            context.wake(Direction::Write, first);
        }
        Ok(count)
    }

    fn control(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        control: &Control,
    ) -> Result<ControlReply> {
        match *control {
            Control::Available => {
                let left = self.disk.size().saturating_sub(self.position(file));
                Ok(ControlReply::Available(left))
            }
            Control::Stat => Ok(ControlReply::Stat(Stat {
                inode: 0,
                file_type: FileType::Device,
                mode: if self.disk.is_read_only() { 0o444 } else { 0o666 },
                links: 1,
                size: self.disk.size(),
                accessed: 0,
                modified: 0,
                changed: 0,
            })),
            Control::Seek { whence, offset } => {
                let from = match whence {
                    Whence::Start => 0,
                    Whence::Current => self.position(file),
                    Whence::End => self.disk.size(),
                };
                let to = from.checked_add_signed(offset).filter(|&to| to <= i64::MAX as u64);
                let to = to.ok_or(Error::new(EINVAL))?;
                if let Some(open) = self.files.get_mut(&file) {
                    open.position = to;
                }
                self.publish_read(context, file, true);
                Ok(ControlReply::Number(to as i64))
            }
            Control::Sync => {
                self.tell_lost(file)?;
                if self.disk.make_safe() { Ok(ControlReply::Done) } else { Err(Error::new(EAGAIN)) }
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Counters { interrupts, read, written, failures, most_in_flight } = self.counters;
        for (name, value) in [
            ("interrupts", interrupts),
            ("bytes_read", read),
            ("bytes_written", written),
            ("failures", failures),
            ("on_their_way", u64::from(self.disk.in_flight())),
            ("most_on_their_way", u64::from(most_in_flight)),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        match self.fault {
            Some(fault) => writeln!(out, "fault {fault}"),
            None => Ok(()),
        }
    }

    fn queue_of(&self, file: FileId, asked: Asked<'_>) -> (Direction, u64) {
        match asked {
            Asked::Control(_) => (Direction::Read, SAFE),
            Asked::Write | Asked::Send(_) => (Direction::Write, self.position(file) / PAGE as u64),
            _ => (Direction::Read, self.position(file) / PAGE as u64),
        }
    }

    fn queue_at(&self, file: FileId, asked: Asked<'_>, offset: Option<u64>) -> (Direction, u64) {
        let (direction, queue) = self.queue_of(file, asked);
        (direction, offset.map_or(queue, |offset| offset / PAGE as u64))
    }

    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        self.counters.interrupts += 1;
        match self.collect(context) {
            Ok(()) => self.go(),
            Err(fault) => self.fault = Some(fault),
        }
        false
    }

    fn lost(&self) -> Option<Error> {
        self.fault.map(Error::from)
    }

    fn has_buffers(&self) -> bool {
        true
    }

    fn power_off(&mut self, _: &mut Context<'_>) {
        self.is_going = true;
        self.go();
    }

    fn is_drained(&self) -> bool {
        self.drained
    }
}
