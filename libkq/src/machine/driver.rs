//! An open file at its driver.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;

use abi::error::{EBADMSG, ENODEV, EOWNERDEAD, EPERM, EPIPE, Error, Result};
use abi::flag::O_NONBLOCK;
use abi::limits::FOREVER;
use abi::message::WORDS;
use abi::{Message, Rights, Tag};
use event_protocol::descriptor::{
    Control, ControlReply, DURABLE, Kind, MAX_TRANSFER, NONBLOCK, Open, Opened, label, words,
};
use event_protocol::trace::Event;
use rt::ipc::{Transfer, call, decode, encode, read_bytes, write_bytes};
use rt::sync::{Mutex, OnceLock};
use rt::sys::{Endpoint, Object};

use super::{trace, unpaid};
use crate::platform::Read;

/// What a driver gives out as the right to be told about a source.
#[derive(Debug)]
pub struct Watch {
    /// To be shown to the event server. Nobody has looked at it: it is not to be called.
    pub handle: Endpoint,
    /// The shard that knows it, as the driver says.
    pub home: u64,
}

impl Watch {
    fn of(reply: &Message, handle: Endpoint) -> Watch {
        Watch { handle, home: reply.words[words::HOME] }
    }
}

/// The descriptor handle and the watch handle.
#[derive(Debug)]
pub struct OpenFile {
    descriptor: Descriptor,
    watch: OnceLock<Watch>,
    kind: Kind,
}

/// The handle by which a driver knows a file.
#[derive(Debug)]
enum Descriptor {
    /// It is that as long as the driver lives.
    Fixed(Endpoint),
    /// Of a durable file: another one comes from each next driver.
    Renewed(Mutex<Arc<Endpoint>>),
}

/// A descriptor handle for the time of a call.
pub enum Route<'a> {
    /// The only one that the file ever has.
    Fixed(&'a Endpoint),
    /// The present one.
    Renewed(Arc<Endpoint>),
}

impl Deref for Route<'_> {
    type Target = Endpoint;

    #[inline]
    fn deref(&self) -> &Endpoint {
        match self {
            Route::Fixed(endpoint) => endpoint,
            Route::Renewed(endpoint) => endpoint,
        }
    }
}

impl Descriptor {
    fn new(endpoint: Endpoint, flags: u64) -> Descriptor {
        match flags & DURABLE {
            0 => Descriptor::Fixed(endpoint),
            _ => Descriptor::Renewed(Mutex::new(Arc::new(endpoint))),
        }
    }
}

/// What a driver may do with a client's ticket: show it to the event server.
const SHOW: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER);

impl OpenFile {
    /// Opens a path at a driver, or beside an open file of its; `ticket` tells it whose the source shall be.
    pub fn open(service: &Endpoint, request: &Open, ticket: &Endpoint) -> Result<OpenFile> {
        let send = vec![Transfer::copy_with(ticket, SHOW)];
        let mut request_words = [0; WORDS];
        request_words[words::FLAGS] = if request.flags & O_NONBLOCK as u64 != 0 { NONBLOCK } else { 0 };
        let bytes = encode(request)?;
        let (reply, mut handles) =
            call(service, label::OPEN, request_words, bytes, send, FOREVER).map_err(unpaid)?;
        let Opened { kind } = decode(reply.tag.bytes())?;
        let (descriptor, watch) = (Descriptor::new(handles.object(0)?, request.flags), OnceLock::new());
        if let Ok(handle) = handles.object(1) {
            watch.get_or_init(|| Watch::of(&reply, handle));
        }
        Ok(OpenFile { descriptor, watch, kind })
    }

    /// A descriptor that came from another process, and the flags that it was opened with.
    pub fn adopt(descriptor: Endpoint) -> Result<(OpenFile, u64)> {
        let file = OpenFile {
            descriptor: Descriptor::Fixed(descriptor),
            watch: OnceLock::new(),
            kind: Kind::Device,
        };
        let ControlReply::Described { kind, flags } = file.control(Control::Describe, 0)? else {
            return Err(Error::new(EBADMSG));
        };
        let Descriptor::Fixed(descriptor) = file.descriptor else { return Err(Error::new(EBADMSG)) };
        Ok((OpenFile { descriptor: Descriptor::new(descriptor, flags), kind, ..file }, flags))
    }

    /// Opens what a path means beside this file.
    pub fn open_beside(&self, request: &Open, ticket: &Endpoint) -> Result<OpenFile> {
        OpenFile::open(&self.descriptor(), request, ticket).map_err(dead)
    }

    /// The handle by which the driver knows the file.
    #[inline]
    pub fn descriptor(&self) -> Route<'_> {
        match &self.descriptor {
            Descriptor::Fixed(endpoint) => Route::Fixed(endpoint),
            Descriptor::Renewed(endpoint) => Route::Renewed(endpoint.lock().clone()),
        }
    }

    /// The same for another process, or for a message.
    pub fn given(&self) -> Result<Transfer> {
        match self.descriptor() {
            Route::Fixed(endpoint) => Ok(Transfer::copy(endpoint)),
            // It may be another one by the time that it goes.
            Route::Renewed(endpoint) => endpoint.duplicate().map(Transfer::moved),
        }
    }

    /// The file goes on with another driver, by this handle.
    pub fn renew(&self, renewed: Endpoint) {
        if let Descriptor::Renewed(endpoint) = &self.descriptor {
            let old = core::mem::replace(&mut *endpoint.lock(), Arc::new(renewed));
            drop(old);
        }
    }

    /// Whether the driver that knew the file by the present handle is gone.
    pub(super) fn is_left(&self) -> bool {
        self.descriptor().info().is_ok_and(|info| info.detail != 0)
    }

    /// What an error of a call means. Of a durable file it is told whether its driver died over it.
    fn failed(&self, error: Error) -> Error {
        match self.descriptor {
            Descriptor::Renewed(_) if error.errno == EPIPE => Error::new(EOWNERDEAD),
            _ => dead(error),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The right to be told about its source, asked for the first time that it is needed. `EPERM`: it has none.
    pub fn watch(&self, ticket: &Endpoint) -> Result<&Watch> {
        self.watch.get_or_try_init(|| {
            let send = vec![Transfer::copy_with(ticket, SHOW)];
            let (reply, mut handles) =
                call(&self.descriptor(), label::WATCH, [0; WORDS], 0, send, FOREVER)
                    .map_err(|error| trace::failed(Event::DriverFailed, label::WATCH, dead(unpaid(error))))?;
            let handle = handles.object(0).map_err(|_| Error::new(EPERM))?;
            Ok(Watch::of(&reply, handle))
        })
    }

    /// See [`Platform::read`](crate::platform::Platform::read).
    pub fn read(&self, buffer: &mut [u8], flags: u64, offset: u64) -> Result<Read> {
        let length = buffer.len().min(MAX_TRANSFER);
        let reply = self.transfer(Tag::words(label::READ), [length as u64, flags, offset, 0])?;
        let count = count(&reply, length.min(reply.tag.bytes()))?;
        read_bytes(count, buffer);
        Ok(Read { count, arrival: reply.words[words::ARRIVAL] })
    }

    /// See [`Platform::write`](crate::platform::Platform::write).
    pub fn write(&self, bytes: &[u8], flags: u64, offset: u64) -> Result<usize> {
        let length = bytes.len().min(MAX_TRANSFER);
        write_bytes(&bytes[..length])?;
        let reply = self.transfer(Tag::new(label::WRITE, length, 0), [0, flags, offset, 0])?;
        count(&reply, length)
    }

    /// See [`Platform::control`](crate::platform::Platform::control).
    pub fn control(&self, control: Control, flags: u64) -> Result<ControlReply> {
        let mut request = [0; WORDS];
        request[words::FLAGS] = flags;
        let bytes = encode(&control)?;
        let (reply, _) = call(&self.descriptor(), label::CONTROL, request, bytes, Vec::new(), FOREVER)
            .map_err(|error| trace::failed(Event::DriverFailed, label::CONTROL, self.failed(error)))?;
        decode(reply.tag.bytes())
    }

    /// Whether the driver is gone. After an `EPIPE`, which may be the kernel's or the driver's own.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.control(Control::Describe, 0), Err(error) if error.errno == ENODEV)
    }

    fn transfer(&self, tag: Tag, words: [u64; WORDS]) -> Result<Message> {
        let message = Message { tag, words };
        let failed = |error| trace::failed(Event::DriverFailed, tag.label(), error);
        let reply = self.descriptor().call(message, FOREVER).map_err(|error| failed(self.failed(error)))?;
        match i32::try_from(reply.words[words::ERRNO]) {
            Ok(0) => Ok(reply),
            Ok(errno @ 1..=4095) => Err(failed(Error::new(errno))),
            _ => Err(failed(Error::new(EBADMSG))),
        }
    }
}

/// The count of a reply, which cannot be more than was asked for (R56).
pub(super) fn count(reply: &Message, most: usize) -> Result<usize> {
    match usize::try_from(reply.words[words::COUNT]) {
        Ok(count) if count <= most => Ok(count),
        _ => Err(Error::new(EBADMSG)),
    }
}

/// The kernel says `EPIPE` of a call to the dead; to the program its device is gone (R57).
pub(super) fn dead(error: Error) -> Error {
    if error.errno == EPIPE { Error::new(ENODEV) } else { error }
}
