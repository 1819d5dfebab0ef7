//! Reading, writing, and what else is done to an open file.

use alloc::sync::Arc;

use abi::error::{EAGAIN, EBADF, EINVAL, EMSGSIZE, Error, Result};
use abi::flag::O_NONBLOCK;
use event_protocol::descriptor::message::MAX_PAYLOAD;
use event_protocol::descriptor::{CURRENT, Control, ControlReply, FileType, Kind, NONBLOCK, Stat, Whence};

use super::{Open, Process};
use crate::conditions::Conditions;
use crate::file::{File, Files};
use crate::platform::{Platform, Read};
use crate::poll::PollFd;

/// How often something is tried that its file seems ready for, before it waits at the driver.
const TRIES: usize = 8;
/// Bytes of `struct pollfd`.
const POLLFD: usize = size_of::<PollFd>();

impl<P: Platform> Process<P> {
    /// Reads what there is, waiting for the first byte unless the file is nonblocking. 0 is the end. `read(2)`.
    pub fn read(&self, fd: i32, buffer: &mut [u8]) -> Result<Read> {
        self.read_at(fd, buffer, CURRENT)
    }

    /// Reads at a position, which stays where it is. `pread(2)`.
    pub fn read_at(&self, fd: i32, buffer: &mut [u8], offset: u64) -> Result<Read> {
        self.read_of(fd, &self.file_or_bad(fd)?, buffer, offset)
    }

    pub(super) fn read_of(
        &self,
        fd: i32,
        file: &Arc<File<P>>,
        buffer: &mut [u8],
        offset: u64,
    ) -> Result<Read> {
        let again = |file: &File<P>| Ok(offset != CURRENT || !file.is_positioned()?);
        self.waiting(fd, file, false, Conditions::IN, |flags| {
            self.lasting(file, flags, again, || self.platform.read(file.handle(), buffer, flags, offset))
        })
    }

    /// Writes; may take less than all. To a /dev/poll set, a list of `struct pollfd`: see
    /// [`devpoll_write`](Process::devpoll_write). `write(2)`.
    pub fn write(&self, fd: i32, bytes: &[u8]) -> Result<usize> {
        if let Ok(Open::DevPoll(set)) = self.open_file(fd) {
            set.write(self, &entries(bytes)?)?;
            return Ok(bytes.len());
        }
        self.write_at(fd, bytes, CURRENT)
    }

    /// Writes at a position, which stays where it is. `pwrite(2)`.
    pub fn write_at(&self, fd: i32, bytes: &[u8], offset: u64) -> Result<usize> {
        let file = self.file_or_bad(fd)?;
        self.fits(&file, bytes.len())?;
        self.write_of(fd, &file, bytes, offset)
    }

    /// A datagram or record goes in one message or not at all: `EMSGSIZE`.
    pub(super) fn fits(&self, file: &File<P>, length: usize) -> Result<()> {
        if length > MAX_PAYLOAD && file.kind() == Kind::Socket && !self.is_stream(file)? {
            return Err(Error::new(EMSGSIZE));
        }
        Ok(())
    }

    pub(super) fn write_of(&self, fd: i32, file: &Arc<File<P>>, bytes: &[u8], offset: u64) -> Result<usize> {
        self.waiting(fd, file, false, Conditions::OUT, |flags| {
            let write = || self.platform.write(file.handle(), bytes, flags, offset);
            self.lasting(file, flags, |_| Ok(false), write)
        })
    }

    /// Anything else that is done to a file. `ioctl(2)`.
    pub fn control(&self, fd: i32, control: Control) -> Result<ControlReply> {
        self.control_file(&self.file_or_bad(fd)?, control)
    }

    pub(super) fn control_file(&self, file: &Arc<File<P>>, control: Control) -> Result<ControlReply> {
        let again = |_: &File<P>| Ok(is_harmless_twice(&control));
        self.lasting(file, 0, again, || file.control(control.clone()))
    }

    /// What the file is. A kqueue is a FIFO, as FreeBSD says, a /dev/poll set the device, and an epoll set nothing that has
    /// a type, as Linux says. `fstat(2)`.
    pub fn stat(&self, fd: i32) -> Result<Stat> {
        match self.open_file(fd)? {
            Open::File(file) => self.stat_of(&file),
            Open::Kqueue(_) => Ok(stat_of_set(FileType::Fifo, 0)),
            Open::Epoll(_) => Ok(stat_of_set(FileType::Anonymous, 0o600)),
            Open::DevPoll(_) => Ok(stat_of_set(FileType::Device, 0o600)),
        }
    }

    /// What kind of descriptor it is. `EINVAL`: a set.
    pub fn kind(&self, fd: i32) -> Result<Kind> {
        self.file(fd).map(|file| file.kind())
    }

    /// What a file's driver says that it is.
    pub(super) fn stat_of(&self, file: &Arc<File<P>>) -> Result<Stat> {
        match self.control_file(file, Control::Stat)? {
            ControlReply::Stat(stat) => Ok(stat),
            _ => Err(Error::new(abi::error::EBADMSG)),
        }
    }

    /// Moves the position, and returns it. `lseek(2)`.
    pub fn seek(&self, fd: i32, offset: i64, whence: Whence) -> Result<u64> {
        match self.control(fd, Control::Seek { whence, offset })? {
            ControlReply::Number(at) => u64::try_from(at).map_err(|_| Error::new(EINVAL)),
            _ => Err(Error::new(abi::error::EBADMSG)),
        }
    }

    /// Cuts or extends the file. `ftruncate(2)`.
    pub fn truncate(&self, fd: i32, length: u64) -> Result<()> {
        self.control(fd, Control::Truncate(length)).map(drop)
    }

    /// Waits until what was written is where it stays. `fsync(2)`.
    pub fn sync(&self, fd: i32) -> Result<()> {
        self.control(fd, Control::Sync).map(drop)
    }

    /// The `O_*` flags of the open file. `fcntl(F_GETFL)`.
    pub fn flags(&self, fd: i32) -> Result<u64> {
        Ok(self.file_or_bad(fd)?.flags())
    }

    /// Sets `O_NONBLOCK` and `O_APPEND` of the open file to what they are in `flags`. `fcntl(F_SETFL)`.
    pub fn set_flags(&self, fd: i32, flags: u64) -> Result<()> {
        self.file_or_bad(fd).map(|file| file.set_flags(flags))
    }

    /// Makes calls on the open file wait or not. `fcntl(2)`, `O_NONBLOCK`.
    pub fn set_nonblocking(&self, fd: i32, nonblocking: bool) -> Result<()> {
        let file = self.file_or_bad(fd)?;
        let rest = file.flags() & !(O_NONBLOCK as u64);
        file.set_flags(if nonblocking { rest | O_NONBLOCK as u64 } else { rest });
        Ok(())
    }

    /// Does something that may have to wait. In a process that hears of signals it waits here, where it can be interrupted
    /// (R49), and otherwise at the driver.
    pub(super) fn waiting<T>(
        &self,
        fd: i32,
        file: &Arc<File<P>>,
        at_once: bool,
        until: Conditions,
        mut act: impl FnMut(u64) -> Result<T>,
    ) -> Result<T> {
        if at_once || file.is_nonblocking() {
            return act(NONBLOCK);
        }
        // What cannot be watched is waited for at its driver.
        if self.interruption().is_none() || !matches!(file.pollable(), Ok(Some(_))) {
            return act(0);
        }
        for _ in 0..TRIES {
            match act(NONBLOCK) {
                Err(error) if error.errno == EAGAIN => {
                    let mut list = [PollFd::new(fd, until)];
                    self.poll(&mut list, None, None)?;
                    if list[0].revents.contains(Conditions::NVAL) {
                        return Err(Error::new(EBADF));
                    }
                }
                done => return done,
            }
        }
        // It is ready and still not to be done, as a datagram that needs more room than there is.
        act(0)
    }
}

/// Whether a control that was perhaps heard may be asked again: with the same end, and the same answer.
fn is_harmless_twice(control: &Control) -> bool {
    match control {
        Control::Seek { whence: Whence::Current, offset } => *offset == 0,
        Control::Seek { .. } => true,
        Control::Describe
        | Control::Stat
        | Control::Available
        | Control::TerminalMode
        | Control::SetTerminalMode(_)
        | Control::Get(_)
        | Control::Set(..)
        | Control::Truncate(_)
        | Control::Sync => true,
        _ => false,
    }
}

/// What is said of a set, which is nothing but memory of its process.
pub(super) fn stat_of_set(file_type: FileType, mode: u16) -> Stat {
    Stat { inode: 0, file_type, mode, links: 1, size: 0, accessed: 0, modified: 0, changed: 0 }
}

/// A list of `struct pollfd` as it is written. `EINVAL`: not a whole number of them.
fn entries(bytes: &[u8]) -> Result<alloc::vec::Vec<PollFd>> {
    let (entries, rest) = bytes.as_chunks::<POLLFD>();
    if !rest.is_empty() {
        return Err(Error::new(EINVAL));
    }
    let entry = |&[a, b, c, d, low, high, ..]: &[u8; POLLFD]| {
        let events = u16::from_le_bytes([low, high]);
        PollFd::new(i32::from_le_bytes([a, b, c, d]), Conditions::from_bits_retain(events))
    };
    Ok(entries.iter().map(entry).collect())
}
