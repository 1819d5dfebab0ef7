//! Messages with addresses and open files.

use alloc::string::String;
use alloc::vec::Vec;

use abi::error::{EBADMSG, EINVAL, EMSGSIZE, ENAMETOOLONG, ENODEV, EPIPE, Error, Result};
use abi::limits::FOREVER;
use event_protocol::descriptor::message::{MAX_ADDRESS, MAX_HANDLES, MAX_PAYLOAD, MessageFlags, unpack};
use event_protocol::descriptor::{label, words};
use event_protocol::trace::Event;
use rt::ipc::{Transfer, call, with_bytes, with_bytes_mut};
use rt::sys::Endpoint;

use super::driver::{OpenFile, count};
use super::trace;
use crate::platform::Received;

impl OpenFile {
    /// See [`Platform::send`](crate::platform::Platform::send).
    pub fn send(
        &self,
        address: &str,
        bytes: &[u8],
        files: &[&OpenFile],
        flags: MessageFlags,
    ) -> Result<usize> {
        if address.len() > MAX_ADDRESS {
            return Err(Error::new(ENAMETOOLONG));
        }
        if files.len() > MAX_HANDLES {
            return Err(Error::new(EINVAL));
        }
        if bytes.len() > MAX_PAYLOAD {
            return Err(Error::new(EMSGSIZE));
        }
        let handles = files.iter().map(|file| file.given()).collect::<Result<Vec<Transfer>>>()?;
        let (start, whole) = (address.len(), address.len() + bytes.len());
        with_bytes_mut(whole, |buffer| {
            buffer[..start].copy_from_slice(address.as_bytes());
            buffer[start..].copy_from_slice(bytes);
        });
        let request = [start as u64, flags.bits(), 0, 0];
        let (reply, _) = call(&self.descriptor(), label::SEND, request, whole, handles, FOREVER)
            .map_err(|error| trace::failed(Event::DriverFailed, label::SEND, self.which(error)))?;
        count(&reply, bytes.len())
    }

    /// See [`Platform::receive`](crate::platform::Platform::receive).
    pub fn receive(
        &self,
        buffer: &mut [u8],
        files: usize,
        flags: MessageFlags,
    ) -> Result<Received<OpenFile>> {
        let length = buffer.len().min(MAX_PAYLOAD);
        let request = [length as u64, flags.bits(), files.min(MAX_HANDLES) as u64, 0];
        let (reply, mut handles) = call(&self.descriptor(), label::RECEIVE, request, 0, Vec::new(), FOREVER)
            .map_err(|error| trace::failed(Event::DriverFailed, label::RECEIVE, self.which(error)))?;
        let (flags, start) = unpack(reply.words[words::MESSAGE]);
        // R56: what a driver says of its message is believed as far as it fits.
        let count = count(&reply, length.min(reply.tag.bytes().saturating_sub(start)))?;
        let address = with_bytes(reply.tag.bytes(), |bytes| {
            let (address, payload) = bytes.split_at_checked(start).ok_or(Error::new(EBADMSG))?;
            buffer[..count].copy_from_slice(&payload[..count]);
            core::str::from_utf8(address).map(String::from).map_err(|_| Error::new(EBADMSG))
        })?;
        let whole = usize::try_from(reply.words[words::WHOLE]).unwrap_or(count).max(count);
        let mut received = Received { count, whole, flags, address, files: Vec::new() };
        // Each is described by a call of its own: what the message brought is in hand.
        while let Ok(handle) = handles.object::<Endpoint>(received.files.len()) {
            match OpenFile::adopt(handle) {
                Ok(file) => received.files.push(file),
                // Its driver is gone, or it is no descriptor at all.
                Err(_) => {
                    received.flags |= MessageFlags::HANDLES_TRUNCATED;
                    break;
                }
            }
        }
        Ok(received)
    }

    /// `EPIPE` is a peer that receives no more, unless it is the driver that is no more.
    #[cold]
    fn which(&self, error: Error) -> Error {
        if error.errno == EPIPE && self.is_dead() { Error::new(ENODEV) } else { error }
    }
}
