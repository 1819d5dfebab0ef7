//! Pipes and FIFOs as a driver.

use crate::conduit::{CAPACITY, Conduit, End, LEAST};
use crate::names::{self, Names, Place};
use crate::pools::{self, Pools};
use abi::error::{
    EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOMEM, ENOTDIR, ENXIO, EPERM, ESPIPE, Error,
    Result,
};
use abi::flag::{O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK, O_RDONLY, O_WRONLY};
use alloc::collections::BTreeMap;
use core::fmt;
use driver_sdk::{
    Asked, Context, Control, ControlReply, Direction, Driver, FileId, FileType, Filters, Kind, Opening,
    PathReply, PathRequest, Setting, Stat, Taken,
};
use event_protocol::descriptor::PIPE_BUF;
use event_protocol::descriptor::names::{PIPE, WRITER};

/// Filters that ends serve.
pub const FILTERS: Filters = Filters::READ.union(Filters::WRITE).union(Filters::HANGUP);

struct Pipe {
    conduit: Conduit<FileId>,
    /// Permissions of a FIFO; nobody asks for them but stat.
    mode: u16,
    named: bool,
    /// To whom its bytes were promised; of a FIFO nobody, since names are limited.
    maker: u64,
    /// Whose its bytes are: who opened it when nobody had it.
    owner: u64,
}

/// All of them.
pub struct Pipes {
    pipes: BTreeMap<u64, Pipe>,
    names: Names,
    /// The pipe of each open file, and of those that wait to be opened.
    files: BTreeMap<FileId, u64>,
    last: u64,
    pools: Pools,
}

impl Default for Pipes {
    fn default() -> Self {
        Pipes::new()
    }
}

/// The queue in which reads and writes of a pipe wait; the next is that of its openings.
const fn queue(pipe: u64) -> u64 {
    2 * pipe
}

impl Pipes {
    /// None.
    pub const fn new() -> Pipes {
        Pipes::holding(pools::HELD)
    }

    /// None, and memory for so many bytes in them.
    pub const fn holding(most_held: usize) -> Pipes {
        Pipes {
            pipes: BTreeMap::new(),
            names: Names::new(),
            files: BTreeMap::new(),
            last: 0,
            pools: Pools::new(most_held),
        }
    }

    /// How many there are, and names of them.
    pub fn count(&self) -> (usize, usize) {
        (self.pipes.len(), self.names.len())
    }

    fn create(&mut self, mode: u16, named: bool, maker: u64) -> u64 {
        let capacity = if self.pools.can_promise(maker, CAPACITY) { CAPACITY } else { LEAST };
        self.pools.promise(maker, 0, capacity);
        self.last += 1;
        let pipe = Pipe { conduit: Conduit::new(capacity), mode, named, maker, owner: maker };
        self.pipes.insert(self.last, pipe);
        self.last
    }

    /// Writes what the pipe must have more memory for.
    #[cold]
    fn write_more(&mut self, number: u64, bytes: &[u8]) -> Result<usize> {
        let owner = self.pipes.get(&number).ok_or(Error::new(EBADF))?.owner;
        let spare = self.pools.spare(owner);
        let conduit = &mut self.pipes.get_mut(&number).ok_or(Error::new(EBADF))?.conduit;
        let held = conduit.held();
        let count = conduit.write(bytes, spare)?;
        self.holds(number, held);
        Ok(count)
    }

    /// An empty pipe gives its memory back when its owner, or all together, have used half of what they may.
    #[cold]
    fn shrink(&mut self, number: u64) {
        let owner = self.pipes.get(&number).map_or(0, |pipe| pipe.owner);
        let is_short = self.pools.is_short(owner);
        if let Some(Pipe { conduit, .. }) = self.pipes.get_mut(&number)
            && is_short
        {
            let held = conduit.held();
            conduit.shrink();
            self.holds(number, held);
        }
    }

    /// The memory of a pipe is other than it was.
    fn holds(&mut self, number: u64, before: usize) {
        let Some(Pipe { conduit, owner, .. }) = self.pipes.get(&number) else { return };
        let (now, owner) = (conduit.held(), *owner);
        if now == before {
            return;
        }
        self.pools.hold(owner, before, now);
    }

    /// Who opens a pipe that nobody has owns what will be in it.
    fn own(&mut self, number: u64, client: u64) {
        if let Some(pipe) = self.pipes.get_mut(&number)
            && pipe.conduit.is_unused()
            && pipe.conduit.held() == 0
        {
            pipe.owner = client;
        }
    }

    fn drop_if_unused(&mut self, number: u64) {
        let unused = |pipe: &Pipe| !pipe.named && pipe.conduit.is_unused();
        if self.pipes.get(&number).is_some_and(unused)
            && let Some(pipe) = self.pipes.remove(&number)
        {
            let (promised, held) = (pipe.conduit.capacity(), pipe.conduit.held());
            self.pools.promise(pipe.maker, promised, 0);
            self.pools.hold(pipe.owner, held, 0);
        }
    }

    fn pipe_of(&mut self, file: FileId) -> Result<(u64, &mut Conduit<FileId>)> {
        let number = *self.files.get(&file).ok_or(Error::new(EBADF))?;
        let pipe = self.pipes.get_mut(&number).ok_or(Error::new(EBADF))?;
        Ok((number, &mut pipe.conduit))
    }

    /// Opens an end of a FIFO: R19's rules of open(2).
    fn open_fifo(
        &mut self,
        context: &mut Context<'_>,
        number: u64,
        file: FileId,
        flags: u64,
    ) -> Result<Opening> {
        let (reads, writes) = access(flags)?;
        self.own(number, context.client());
        let conduit = &mut self.pipes.get_mut(&number).ok_or(Error::new(ENOENT))?.conduit;
        let again = conduit.is_opening(file);
        let waits_not = flags & O_NONBLOCK as u64 != 0;
        let ready = match (reads, writes) {
            // Who does both waits for nobody.
            (true, true) => true,
            _ if conduit.is_met(writes) => true,
            (true, _) => waits_not,
            // Somebody who waits to read will be let in at once.
            _ if waits_not && conduit.has_reader() => true,
            _ if waits_not => return Err(Error::new(ENXIO)),
            _ => false,
        };
        if !ready {
            conduit.wait(file, reads, writes);
            self.files.insert(file, number);
            if !again && writes {
                // Readers that wait to be let in have somebody to meet; then they let this one in.
                context.wake(Direction::Read, queue(number) + 1);
            }
            return Err(Error::new(EAGAIN));
        }
        conduit.open(file, reads, writes);
        self.files.insert(file, number);
        Ok(opening(reads, writes))
    }

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

fn access(flags: u64) -> Result<(bool, bool)> {
    match (flags & O_RDONLY as u64 != 0, flags & O_WRONLY as u64 != 0) {
        (false, false) => Err(Error::new(EINVAL)),
        access => Ok(access),
    }
}

fn opening(reads: bool, writes: bool) -> Opening {
    let mut filters = Filters::HANGUP;
    filters.set(Filters::READ, reads);
    filters.set(Filters::WRITE, writes);
    Opening::new(Kind::Pipe, filters).low_water(1, PIPE_BUF as u32)
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
        offset: Option<u64>,
    ) -> Result<Taken> {
        seekless(offset)?;
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
        offset: Option<u64>,
    ) -> Result<usize> {
        seekless(offset)?;
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
            Control::Seek { .. } | Control::Truncate(_) => Err(Error::new(ESPIPE)),
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
        match request {
            PathRequest::MakeFifo { path, mode } => {
                let name = match names::place(path)? {
                    Place::Directory => return Err(Error::new(EEXIST)),
                    Place::Name(name) => name,
                };
                // Nothing is made before the name is known to be free.
                self.names.add(name, self.last + 1)?;
                self.create(*mode & 0o7777, true, 0);
            }
            PathRequest::Unlink { path } => {
                let number = self.names.remove(names::name(path)?)?;
                self.unnamed(number);
            }
            PathRequest::Rename { from, to } => {
                if let Some(number) = self.names.rename(names::name(from)?, names::name(to)?)? {
                    self.unnamed(number);
                }
            }
            PathRequest::Link { from, to } => {
                let number = self.names.find(names::name(from)?)?;
                self.names.add(names::name(to)?, number)?;
            }
            PathRequest::Stat { path } => {
                return match names::place(path)? {
                    Place::Directory => Ok(PathReply::Stat(stat(0, FileType::Directory, 0o777, 2))),
                    Place::Name(name) => self.stat(self.names.find(name)?).map(PathReply::Stat),
                };
            }
            PathRequest::ReadDirectory { path, cookie } => {
                return match names::place(path)? {
                    Place::Directory => self.names.list(*cookie),
                    Place::Name(name) => {
                        Err(self.names.find(name).map_or_else(|e| e, |_| Error::new(ENOTDIR)))
                    }
                };
            }
            PathRequest::SetMode { path, mode } => {
                let number = self.names.find(names::name(path)?)?;
                if let Some(pipe) = self.pipes.get_mut(&number) {
                    pipe.mode = *mode & 0o7777;
                }
            }
            PathRequest::Truncate { path, .. } => {
                self.names.find(names::name(path)?)?;
                return Err(Error::new(EINVAL));
            }
            PathRequest::MakeDirectory { .. } | PathRequest::RemoveDirectory { .. } => {
                return Err(Error::new(EPERM));
            }
        }
        Ok(PathReply::Done)
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
    /// A FIFO lost a name, perhaps its last.
    fn unnamed(&mut self, number: u64) {
        if let Some(pipe) = self.pipes.get_mut(&number) {
            pipe.named = self.names.links(number) > 0;
        }
        self.drop_if_unused(number);
    }

    fn stat(&self, number: u64) -> Result<Stat> {
        let pipe = self.pipes.get(&number).ok_or(Error::new(ENOENT))?;
        Ok(stat(number, FileType::Fifo, pipe.mode, self.names.links(number)))
    }
}

/// Times are not kept.
fn stat(inode: u64, file_type: FileType, mode: u16, links: u32) -> Stat {
    Stat { inode, file_type, mode, links, size: 0, accessed: 0, modified: 0, changed: 0 }
}

fn seekless(offset: Option<u64>) -> Result<()> {
    match offset {
        None => Ok(()),
        Some(_) => Err(Error::new(ESPIPE)),
    }
}
