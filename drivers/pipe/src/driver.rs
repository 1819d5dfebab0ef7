//! Pipes and FIFOs as a driver.

use crate::conduit::{Conduit, End};
use crate::names::{self, Place};
use abi::error::{
    EBADF, EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOMEM, ENOTDIR, EPERM, ESPIPE, Error, Result,
};
use abi::flag::{O_CREAT, O_DIRECTORY, O_EXCL, O_WRONLY};
use core::fmt;
use driver_sdk::{
    Asked, Context, Control, ControlReply, Direction, Driver, FileId, Filters, Opening, PathReply,
    PathRequest, Setting, Taken,
};
use event_protocol::descriptor::names::{PIPE, WRITER};

use crate::opening::{access, opening};
use crate::pipes::{Pipe, Pipes};

/// Filters that ends serve.
pub const FILTERS: Filters = Filters::READ.union(Filters::WRITE).union(Filters::HANGUP);

/// The queue in which reads and writes of a pipe wait; the next is that of its openings.
pub(crate) const fn queue(pipe: u64) -> u64 {
    2 * pipe
}

impl Driver for Pipes {
    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, flags: u64) -> Result<Opening> {
        let has = |flag: usize| flags & flag as u64 == flag as u64;
        if path == PIPE {
            if access(flags)? != (true, false) {
                return Err(Error::new(EINVAL));
            }
            let number = self.create(0o600, false, context.client());
            self.files.insert(file, number);
            if let Some(pipe) = self.pipes.get_mut(&number) {
                pipe.conduit.open(file, true, false);
            }
            return Ok(opening(true, false));
        }
        // One that waited knows where, though the name be gone.
        if let Some(&number) = self.files.get(&file) {
            return self.open_fifo(context, number, file, flags);
        }
        let name = match names::place(path)? {
            Place::Directory => return Err(Error::new(EISDIR)),
            Place::Name(name) => name,
        };
        let number = self.names.find(name)?;
        if has(O_DIRECTORY) {
            return Err(Error::new(ENOTDIR));
        }
        if has(O_CREAT | O_EXCL) {
            return Err(Error::new(EEXIST));
        }
        self.open_fifo(context, number, file, flags)
    }

    fn open_at(
        &mut self,
        _: &mut Context<'_>,
        beside: FileId,
        file: FileId,
        path: &str,
        flags: u64,
    ) -> Result<Opening> {
        if path != WRITER {
            return Err(Error::new(ENOENT));
        }
        if access(flags)? != (false, true) {
            return Err(Error::new(EINVAL));
        }
        let number = *self.files.get(&beside).ok_or(Error::new(EBADF))?;
        let pipe = self.pipes.get_mut(&number).ok_or(Error::new(EBADF))?;
        if pipe.named || pipe.conduit.had_writer() {
            // Who has one end is not given the other, except to make a pipe of it.
            return Err(Error::new(EBUSY));
        }
        pipe.conduit.open(file, false, true);
        self.files.insert(file, number);
        Ok(opening(false, true))
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        let Ok((number, conduit)) = self.pipe_of(file) else { return };
        let Some((_, end)) = conduit.ends().find(|&(other, _)| other == file) else { return };
        // R19: who saw the end of file sees that it is gone. A pipe that was empty is news to its writer, as is somebody to
        // write to.
        self.tell(context, number, false, true);
        if end.writes {
            context.wake(Direction::Read, queue(number) + 1);
        }
        if end.reads {
            context.wake(Direction::Write, queue(number) + 1);
        }
    }

    fn close(&mut self, context: &mut Context<'_>, file: FileId) {
        let Ok((number, conduit)) = self.pipe_of(file) else { return };
        let before = (conduit.has_writer(), conduit.has_reader());
        let held = conduit.held();
        conduit.close(file);
        let writers_left = before.0 && !conduit.has_writer();
        let readers_left = before.1 && !conduit.has_reader();
        self.holds(number, held);
        self.files.remove(&file);
        self.tell(context, number, writers_left, readers_left);
        self.drop_if_unused(number);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        let (number, conduit) = self.pipe_of(file)?;
        let count = conduit.read(buffer)?;
        let hung_up = conduit.is_empty() && !conduit.has_writer();
        if self.pools.may_be_short() {
            self.shrink(number);
        }
        if count > 0 {
            // The hang-up shows when the last byte is read: that is news to readers.
            self.tell(context, number, hung_up, true);
        }
        Ok(Taken { count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        let Ok((number, conduit)) = self.pipe_of(file) else { return };
        let held = conduit.held();
        conduit.unread(bytes);
        self.holds(number, held);
        self.tell(context, number, true, false);
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        _: Option<u64>,
    ) -> Result<usize> {
        let (number, conduit) = self.pipe_of(file)?;
        // Most writes need no more memory than there is.
        let count = match conduit.write(bytes, 0) {
            Err(error) if error.errno == ENOMEM => self.write_more(number, bytes)?,
            written => written?,
        };
        self.tell(context, number, true, false);
        Ok(count)
    }

    fn control(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        control: &Control,
    ) -> Result<ControlReply> {
        let (number, conduit) = self.pipe_of(file)?;
        match control {
            Control::Available => Ok(ControlReply::Available(conduit.len() as u64)),
            Control::Stat => self.stat(number).map(ControlReply::Stat),
            Control::Truncate(_) => Err(Error::new(ESPIPE)),
            Control::Get(Setting::SendBuffer) => Ok(ControlReply::Number(conduit.capacity() as i64)),
            Control::Set(Setting::SendBuffer, bytes) => {
                let before = conduit.capacity();
                conduit.set_capacity(*bytes)?;
                let after = conduit.capacity();
                let maker = self.pipes.get(&number).map_or(0, |pipe| pipe.maker);
                if after > before && !self.pools.can_promise(maker, after - before) {
                    let (_, conduit) = self.pipe_of(file)?;
                    conduit.set_capacity(before as i64)?;
                    return Err(Error::new(EPERM));
                }
                self.pools.promise(maker, before, after);
                self.tell(context, number, false, after > before);
                Ok(ControlReply::Done)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn path(&mut self, _: &mut Context<'_>, request: &PathRequest) -> Result<PathReply> {
        self.act_on_name(request)
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let bytes: usize = self.pipes.values().map(|pipe| pipe.conduit.len()).sum();
        for (name, value) in [
            ("pipes", self.pipes.len()),
            ("names", self.names.len()),
            ("bytes", bytes),
            ("promised", self.pools.used().promised),
            ("held", self.pools.used().held),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        Ok(())
    }

    fn queue(&self, file: FileId, _: Direction) -> u64 {
        self.files.get(&file).map_or(0, |&number| queue(number))
    }

    fn queue_of(&self, file: FileId, asked: Asked<'_>) -> (Direction, u64) {
        let own = self.queue(file, Direction::Read);
        match asked {
            Asked::Open { flags, .. } if flags & O_WRONLY as u64 != 0 => (Direction::Write, own + 1),
            Asked::Open { .. } => (Direction::Read, own + 1),
            Asked::Write | Asked::Send(_) => (Direction::Write, own),
            Asked::Read | Asked::Receive(_) | Asked::Control(_) => (Direction::Read, own),
        }
    }
}

impl Pipes {
    /// Publishes what an act on a pipe changed: `read` and `written` say that something arrived for who reads, or writes.
    fn tell(&self, context: &mut Context<'_>, number: u64, read: bool, written: bool) {
        let Some(Pipe { conduit, .. }) = self.pipes.get(&number) else { return };
        for (file, end) in conduit.ends() {
            publish(context, conduit, file, &end, read, written);
        }
    }
}

fn publish(
    context: &mut Context<'_>,
    conduit: &Conduit<FileId>,
    file: FileId,
    end: &End,
    read: bool,
    written: bool,
) {
    if end.reads {
        context.publish(file, Direction::Read, conduit.read_level(end), read);
    }
    if end.writes {
        context.publish(file, Direction::Write, conduit.write_level(), written);
    }
}
