//! Transfers as POSIX has them: whole. One request to a driver takes what a message has room for; here are as many of them as
//! it needs, on the same open file, whatever becomes of its number meanwhile.
//!
//! What has begun does not fail: a signal, an error or, of what is nonblocking, `EAGAIN` ends it with the count so far, and an
//! error is told by the next call. Datagrams and records are one request each, and so is what a pipe takes in one piece.

use abi::error::{EBADF, Error, Result};
use event_protocol::descriptor::message::{MAX_PAYLOAD, MessageFlags};
use event_protocol::descriptor::{CURRENT, Kind};

use super::sockets::Message;
use super::{Open, Process};
use crate::platform::Platform;

impl<P: Platform> Process<P> {
    /// Reads: of a regular file as much as there is up to its end, of anything else what there is. At `offset`, or at
    /// [`CURRENT`]. `read(2)`, `pread(2)`.
    pub fn read_whole(&self, fd: i32, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let file = self.file_or_bad(fd)?;
        let length = if file.kind() == Kind::File { buffer.len() } else { 0 };
        whole(length, |done| {
            let read = self.read_of(fd, &file, &mut buffer[done..], behind(offset, done))?;
            Ok(read.count)
        })
    }

    /// Writes all of it. At `offset`, or at [`CURRENT`]. To a /dev/poll set, a list of `struct pollfd`. `write(2)`,
    /// `pwrite(2)`.
    pub fn write_whole(&self, fd: i32, bytes: &[u8], offset: u64) -> Result<usize> {
        let file = match self.open_file(fd)? {
            Open::File(file) => file,
            Open::DevPoll(_) if offset == CURRENT => return self.write(fd, bytes),
            _ => return Err(Error::new(EBADF)),
        };
        self.fits(&file, bytes.len())?;
        whole(bytes.len(), |done| self.write_of(fd, &file, &bytes[done..], behind(offset, done)))
    }

    /// [`send`](Process::send), of a stream all of it. `sendmsg(2)`.
    pub fn send_whole(
        &self,
        fd: i32,
        bytes: &[u8],
        address: &str,
        descriptors: &[i32],
        flags: MessageFlags,
    ) -> Result<usize> {
        let file = self.file_or_bad(fd)?;
        // What fits into one request is one: most are, and its driver is asked nothing else.
        let is_stream = bytes.len() > MAX_PAYLOAD && self.is_stream(&file)?;
        whole(bytes.len(), |done| {
            let rest = &bytes[done..];
            let (part, flags) = match is_stream && rest.len() > MAX_PAYLOAD {
                // Urgent is the last byte.
                true => (&rest[..MAX_PAYLOAD], flags.difference(MessageFlags::OOB)),
                false => (rest, flags),
            };
            self.send_of(fd, &file, part, address, if done == 0 { descriptors } else { &[] }, flags)
        })
    }

    /// [`receive`](Process::receive), with `WAIT_ALL` of a stream as much as there is room for, up to the end or to where the
    /// stream is not one piece. `recvmsg(2)`.
    pub fn receive_whole(
        &self,
        fd: i32,
        buffer: &mut [u8],
        descriptors: usize,
        flags: MessageFlags,
    ) -> Result<Message> {
        let file = self.file_or_bad(fd)?;
        let once = !flags.contains(MessageFlags::WAIT_ALL) || flags.intersects(ONE_PIECE);
        // Who does not wait gets what is there.
        let at_once = flags.contains(MessageFlags::NONBLOCK) || file.is_nonblocking();
        let flags = if at_once { flags.difference(MessageFlags::WAIT_ALL) } else { flags };
        let mut message = self.receive_of(fd, &file, buffer, descriptors, flags)?;
        if once || message.count < MAX_PAYLOAD || !self.is_stream(&file)? {
            return Ok(message);
        }
        while message.count < buffer.len() && message.count.is_multiple_of(MAX_PAYLOAD) {
            let rest = &mut buffer[message.count..];
            match self.receive_of(fd, &file, rest, 0, flags) {
                Ok(more) if more.count > 0 => message.count += more.count,
                _ => break,
            }
        }
        message.whole = message.count;
        Ok(message)
    }

    /// Whether a socket carries bytes without ends of messages.
    pub fn is_stream_socket(&self, fd: i32) -> Result<bool> {
        let file = self.file_or_bad(fd)?;
        self.is_stream(&file)
    }
}

/// Received with these, no more is asked for.
const ONE_PIECE: MessageFlags = MessageFlags::PEEK.union(MessageFlags::OOB);

/// Where a transfer goes on.
fn behind(offset: u64, done: usize) -> u64 {
    if offset == CURRENT { CURRENT } else { offset.saturating_add(done as u64).min(CURRENT - 1) }
}

/// Goes on with what is left until nothing is, or nothing more is done; an error counts if it is the first thing.
fn whole(length: usize, mut step: impl FnMut(usize) -> Result<usize>) -> Result<usize> {
    let mut done = step(0)?;
    while done < length {
        match step(done) {
            Ok(more @ 1..) => done += more,
            _ => break,
        }
    }
    Ok(done)
}
