//! The file systems as a service: `/tmp` and `/data`.

use crate::node::Stat;
use crate::system::{Change, FileSystem, How, Limits};
use abi::error::{EINVAL, ENOTSOCK, ENOTTY, Error, Result};
use abi::flag::{O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY};
use alloc::vec::Vec;
use core::fmt;
use driver_sdk::{
    Context, Control, ControlReply, Direction, Driver, FileId, Filters, Kind, Level, LevelFlags, Opening,
    Taken,
};
use event_protocol::descriptor::names::FILES;
use event_protocol::descriptor::{self, Entry, FileType, PathReply, PathRequest, Whence};

/// Memory and names of all files.
pub const LIMITS: Limits = Limits { pages: 8192, names: 8192 };

/// A file is always writable, whatever mark a note has.
const WRITABLE: Level = Level::new(u32::MAX as i64);
/// Bytes of names in one answer, each with room for its numbers.
const LISTED: usize = 3600;
/// What a name takes beside its bytes.
const NUMBERS: usize = 14;

/// Files and who has them open.
pub struct Files {
    system: FileSystem<FileId>,
    /// The last read moved the position of its file.
    moved: bool,
}

impl Default for Files {
    fn default() -> Files {
        Files { system: FileSystem::new(&FILES, LIMITS), moved: false }
    }
}

impl Files {
    /// The file systems.
    pub fn system(&self) -> &FileSystem<FileId> {
        &self.system
    }

    /// Does something to the file systems, and tells what that changed before anybody is answered.
    fn act<R>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(&mut FileSystem<FileId>) -> Result<R>,
    ) -> Result<R> {
        self.system.set_time(context.now().saturating_add(context.realtime_offset()));
        let result = act(&mut self.system);
        for change in self.system.take_changes() {
            match change {
                Change::Note(file, notes) => context.note(file, notes.bits(), 0),
                Change::Distance { open, bytes, grew } => {
                    context.publish(open, Direction::Read, distance(bytes), grew);
                }
            }
        }
        result
    }

    fn open_file(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        client: u64,
        from: Option<FileId>,
        path: &str,
        flags: u64,
    ) -> Result<Opening> {
        let directory = self.act(context, |system| system.open(file, client, from, path, how(flags)))?;
        let (kind, filters) = match directory {
            true => (Kind::Directory, Filters::VNODE),
            false => (Kind::File, Filters::READ | Filters::WRITE | Filters::VNODE),
        };
        Ok(Opening::new(kind, filters).seekable())
    }

    fn list(
        &mut self,
        context: &mut Context<'_>,
        cookie: u64,
        find: impl FnOnce(&mut FileSystem<FileId>) -> Result<u64>,
    ) -> Result<PathReply> {
        self.act(context, |system| {
            let directory = find(system)?;
            let (mut entries, mut at, mut length) = (Vec::new(), cookie, 0);
            while let Some((next, name, inode)) = system.list(directory, at)? {
                length += name.len() + NUMBERS;
                if length > LISTED {
                    return Ok(PathReply::Entries { entries, next: Some(at) });
                }
                at = next;
                let name = name.into();
                let file_type = file_type(system.is_directory(inode));
                entries.push(Entry { name, inode, file_type });
            }
            Ok(PathReply::Entries { entries, next: None })
        })
    }
}

impl Driver for Files {
    const KNOWS_CALLERS: bool = true;

    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, flags: u64) -> Result<Opening> {
        let client = context.caller().into();
        self.open_file(context, file, client, None, path, flags)
    }

    fn open_at(
        &mut self,
        context: &mut Context<'_>,
        beside: FileId,
        file: FileId,
        path: &str,
        flags: u64,
    ) -> Result<Opening> {
        let client = self.system.client(beside)?;
        self.open_file(context, file, client, Some(beside), path, flags)
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        if let Ok(bytes) = self.system.distance(file) {
            context.publish(file, Direction::Read, distance(bytes), true);
            context.publish(file, Direction::Write, WRITABLE, true);
        }
    }

    fn close(&mut self, context: &mut Context<'_>, file: FileId) {
        // Closing cannot fail.
        _ = self.act(context, |system| {
            system.close(file);
            Ok(())
        });
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        self.moved = offset.is_none();
        let count = self.act(context, |system| system.read(file, buffer, offset))?;
        Ok(Taken { count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        if self.moved {
            // As for closing.
            _ = self.act(context, |system| {
                system.unread(file, bytes.len());
                Ok(())
            });
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        offset: Option<u64>,
    ) -> Result<usize> {
        let count = self.act(context, |system| system.write(file, bytes, offset))?;
        if count < bytes.len() {
            // The rest is to be tried at once, and fails: files do not wait for room.
            context.wake(Direction::Write, self.queue(file, Direction::Write));
        }
        Ok(count)
    }

    fn control(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        control: &Control,
    ) -> Result<ControlReply> {
        match control {
            Control::ReadDirectory(cookie) => {
                self.list(context, *cookie, |system| system.listing_open(file)).map(ControlReply::Path)
            }
            Control::Seek { whence, offset } => {
                let position = self.act(context, |system| system.seek(file, from(*whence), *offset))?;
                Ok(ControlReply::Number(position as i64))
            }
            Control::Truncate(size) => {
                self.act(context, |system| system.truncate_open(file, *size)).map(|()| ControlReply::Done)
            }
            Control::SetMode(mode) => {
                self.act(context, |system| system.set_mode_open(file, *mode)).map(|()| ControlReply::Done)
            }
            Control::Stat => self.system.stat_open(file).map(told).map(ControlReply::Stat),
            Control::Available => Ok(ControlReply::Available(self.system.distance(file)?.max(0) as u64)),
            // What is in memory is as safe as it will be.
            Control::Sync => Ok(ControlReply::Done),
            Control::Bind(_)
            | Control::Listen(_)
            | Control::Connect(_)
            | Control::Shutdown { .. }
            | Control::TakeError
            | Control::Name
            | Control::Peer
            | Control::PeerProcess
            | Control::AtMark => Err(Error::new(ENOTSOCK)),
            Control::TerminalMode | Control::SetTerminalMode(_) => Err(Error::new(ENOTTY)),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn path(&mut self, context: &mut Context<'_>, request: &PathRequest) -> Result<PathReply> {
        if let PathRequest::ReadDirectory { path, cookie } = request {
            return self.list(context, *cookie, |system| system.listing(None, path));
        }
        let client = context.caller().into();
        self.act(context, |system| {
            match request {
                PathRequest::Unlink { path } => system.unlink(None, path),
                PathRequest::Rename { from, to } => system.rename(None, from, to),
                PathRequest::Link { from, to } => system.link(client, None, from, to),
                PathRequest::MakeDirectory { path, mode } => system.mkdir(client, None, path, *mode),
                PathRequest::RemoveDirectory { path } => system.rmdir(None, path),
                PathRequest::Truncate { path, length } => system.truncate(None, path, *length),
                PathRequest::SetMode { path, mode } => system.set_mode(None, path, *mode),
                PathRequest::Stat { path } => return system.stat(None, path).map(told).map(PathReply::Stat),
                // FIFOs have a service of their own.
                PathRequest::MakeFifo { .. } | PathRequest::ReadDirectory { .. } => Err(Error::new(EINVAL)),
            }?;
            Ok(PathReply::Done)
        })
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let (pages, names) = self.system.used();
        writeln!(out, "pages {pages}\nnames {names}\nnodes {}", self.system.nodes())
    }
}

fn distance(bytes: i64) -> Level {
    Level::new(bytes).with(LevelFlags::SIGNED)
}

/// `O_*`, and the permissions in the low 12 bits.
fn how(flags: u64) -> How {
    let has = |flag: usize| flags & flag as u64 != 0;
    How {
        read: has(O_RDONLY),
        write: has(O_WRONLY),
        create: has(O_CREAT),
        exclusive: has(O_EXCL),
        truncate: has(O_TRUNC),
        append: has(O_APPEND),
        directory: has(O_DIRECTORY),
        mode: flags as u16 & crate::node::MODE,
    }
}

fn from(whence: Whence) -> crate::system::Whence {
    match whence {
        Whence::Start => crate::system::Whence::Start,
        Whence::Current => crate::system::Whence::Current,
        Whence::End => crate::system::Whence::End,
    }
}

fn file_type(directory: bool) -> FileType {
    if directory { FileType::Directory } else { FileType::Regular }
}

fn told(stat: Stat) -> descriptor::Stat {
    descriptor::Stat {
        inode: stat.node,
        file_type: file_type(stat.directory),
        mode: stat.mode,
        links: stat.links,
        size: stat.size,
        accessed: stat.times.accessed,
        modified: stat.times.modified,
        changed: stat.times.changed,
    }
}
