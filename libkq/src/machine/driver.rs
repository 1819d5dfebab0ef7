//! An open file at its driver.

use alloc::vec;
use alloc::vec::Vec;

use abi::error::{EBADMSG, ENODEV, EPERM, EPIPE, Error, Result};
use abi::limits::FOREVER;
use abi::message::WORDS;
use abi::{Message, Rights, Tag};
use event_protocol::descriptor::{
    CURRENT, Control, ControlReply, Kind, MAX_TRANSFER, Open, Opened, label, words,
};
use rt::ipc::{Transfer, call_postcard, read_bytes, write_bytes};
use rt::sys::Endpoint;

use crate::platform::Read;

/// The descriptor handle and the watch handle.
#[derive(Debug)]
pub struct OpenFile {
    descriptor: Endpoint,
    watch: Option<Endpoint>,
    kind: Kind,
}

/// What a driver may do with a client's ticket: show it to the event server.
const SHOW: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER);

impl OpenFile {
    /// Opens a path at a driver; `ticket` tells it whose the source shall be.
    pub fn open(service: &Endpoint, request: &Open, ticket: &Endpoint) -> Result<OpenFile> {
        let send = vec![Transfer::copy_with(ticket, SHOW)];
        let (Opened { kind }, mut handles) = call_postcard(service, label::OPEN, request, send, FOREVER)?;
        Ok(OpenFile { descriptor: handles.object(0)?, watch: handles.object(1).ok(), kind })
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The right to be told about its source. `EPERM`: it has none.
    pub fn watch(&self) -> Result<&Endpoint> {
        self.watch.as_ref().ok_or(Error::new(EPERM))
    }

    /// See [`Platform::read`](crate::platform::Platform::read).
    pub fn read(&self, buffer: &mut [u8], flags: u64) -> Result<Read> {
        let length = buffer.len().min(MAX_TRANSFER);
        let reply = self.transfer(Tag::words(label::READ), [length as u64, flags, CURRENT, 0])?;
        let count = count(&reply, length.min(reply.tag.bytes()))?;
        read_bytes(count, buffer);
        Ok(Read { count, arrival: reply.words[words::ARRIVAL] })
    }

    /// See [`Platform::write`](crate::platform::Platform::write).
    pub fn write(&self, bytes: &[u8], flags: u64) -> Result<usize> {
        let length = bytes.len().min(MAX_TRANSFER);
        write_bytes(&bytes[..length])?;
        let reply = self.transfer(Tag::new(label::WRITE, length, 0), [0, flags, CURRENT, 0])?;
        count(&reply, length)
    }

    /// See [`Platform::control`](crate::platform::Platform::control).
    pub fn control(&self, control: Control) -> Result<ControlReply> {
        call_postcard(&self.descriptor, label::CONTROL, &control, Vec::new(), FOREVER)
            .map(|(reply, _)| reply)
            .map_err(dead)
    }

    fn transfer(&self, tag: Tag, words: [u64; WORDS]) -> Result<Message> {
        let reply = self.descriptor.call(Message { tag, words }, FOREVER).map_err(dead)?;
        match i32::try_from(reply.words[words::ERRNO]) {
            Ok(0) => Ok(reply),
            Ok(errno @ 1..=4095) => Err(Error::new(errno)),
            _ => Err(Error::new(EBADMSG)),
        }
    }
}

/// The count of a reply, which cannot be more than was asked for (R56).
fn count(reply: &Message, most: usize) -> Result<usize> {
    match usize::try_from(reply.words[words::COUNT]) {
        Ok(count) if count <= most => Ok(count),
        _ => Err(Error::new(EBADMSG)),
    }
}

/// The kernel says `EPIPE` of a call to the dead; to the program its device is gone (R57).
fn dead(error: Error) -> Error {
    if error.errno == EPIPE { Error::new(ENODEV) } else { error }
}
