//! The serving side.

use alloc::vec::Vec;

use abi::error::{ENOBUFS, ENOMEM, ETIMEDOUT, Error, Result};
use abi::limits::FOREVER;
use abi::message::{LABEL_CLOSED, LABEL_NOTIFICATION, MAX_HANDLES, WORDS};
use abi::{Message, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::buffer::{decode, encode, set_accept, write_bytes};
use super::transfer::{self, Arrivals, Transfer};
use crate::clock::now_ns;
use crate::sys::{Endpoint, Received};

/// A request that arrived. Its bytes are in the IPC buffer until the thread's next message.
#[derive(Debug)]
pub struct Request {
    /// Badge of the handle that the caller used.
    pub badge: u64,
    /// What is asked.
    pub label: u32,
    /// The words.
    pub words: [u64; WORDS],
    /// Bytes in the IPC buffer.
    pub bytes: usize,
    /// Who waits for the reply: keep it to answer later with [`Reply::send`].
    pub token: u64,
    /// The handles; those not taken are closed.
    pub arrivals: Arrivals,
}

impl Request {
    fn new(received: &Received) -> Request {
        Request {
            badge: received.badge,
            label: received.tag.label(),
            words: received.words,
            bytes: received.tag.bytes(),
            token: received.token,
            arrivals: Arrivals::of(received.tag),
        }
    }

    /// The document: `EBADMSG` when it is none.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        decode(self.bytes)
    }
}

/// An answer. Its bytes lie in the IPC buffer, so it is made last: no other message in between.
#[derive(Debug, Default)]
pub struct Reply {
    label: u32,
    words: [u64; WORDS],
    bytes: usize,
    handles: Vec<Transfer>,
}

impl Reply {
    /// Success with nothing to tell.
    pub fn ok(label: u32) -> Reply {
        Reply { label, ..Reply::default() }
    }

    /// Failure.
    pub fn error(label: u32, error: Error) -> Reply {
        Reply::ok(label).word(0, error.errno as u64)
    }

    /// Success with a document, or `E2BIG` as a failure.
    pub fn document<T: Serialize + ?Sized>(label: u32, document: &T) -> Reply {
        match encode(document) {
            Ok(bytes) => Reply { bytes, ..Reply::ok(label) },
            Err(error) => Reply::error(label, error),
        }
    }

    /// Success with bytes, or `E2BIG` as a failure.
    pub fn data(label: u32, data: &[u8]) -> Reply {
        match write_bytes(data) {
            Ok(bytes) => Reply { bytes, ..Reply::ok(label) },
            Err(error) => Reply::error(label, error),
        }
    }

    /// The first `bytes` of the IPC buffer, which the caller has filled, are part of it.
    pub fn in_place(mut self, bytes: usize) -> Reply {
        self.bytes = bytes;
        self
    }

    /// Sets a word. Word 0 is the errno.
    pub fn word(mut self, index: usize, value: u64) -> Reply {
        self.words[index] = value;
        self
    }

    /// Adds a handle.
    pub fn handle(mut self, transfer: Transfer) -> Reply {
        self.handles.push(transfer);
        self
    }

    fn message(&self) -> Message {
        Message { tag: Tag::new(self.label, self.bytes, self.handles.len()), words: self.words }
    }

    /// Answers now. When the answer itself cannot be delivered (too many handles for the caller, its quota is used up),
    /// the caller gets that error instead. `ESRCH`: it waits no longer.
    pub fn send(self, token: u64) -> Result<()> {
        let sent = transfer::set(&self.handles).and_then(|_| Endpoint::reply(token, self.message()));
        match sent {
            Ok(()) => {
                self.handles.into_iter().for_each(Transfer::delivered);
                Ok(())
            }
            Err(error) if error.errno == abi::error::ESRCH => Err(error),
            Err(error) => Endpoint::reply(token, Reply::error(self.label, to_caller(error)).message()),
        }
    }

    /// As [`send`](Reply::send), but an error whenever it was not this answer that the caller got.
    pub fn deliver(self, token: u64) -> Result<()> {
        let label = self.label;
        let sent = transfer::set(&self.handles).and_then(|_| Endpoint::reply(token, self.message()));
        match sent {
            Ok(()) => self.handles.into_iter().for_each(Transfer::delivered),
            Err(error) if error.errno == abi::error::ESRCH => return Err(error),
            Err(error) => {
                // The caller waits; if it does no longer, it needs no error either.
                let _ = Endpoint::reply(token, Reply::error(label, to_caller(error)).message());
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The error of an answer as its caller knows it: what it cannot pay for is its own affair.
fn to_caller(error: Error) -> Error {
    if error.errno == ENOBUFS { Error::new(ENOMEM) } else { error }
}

/// What a server does with what it hears.
pub trait Service {
    /// A request: an answer, or `None` to answer later by [`Reply::send`] with the request's token.
    fn request(&mut self, request: Request) -> Option<Reply>;

    /// The last handle with a badge is closed.
    fn closed(&mut self, _badge: u64) {}

    /// The bound notification was signalled.
    fn notified(&mut self, _bits: u64) {}

    /// When [`Service::expired`] is called next, whatever is heard until then.
    fn deadline(&self) -> u64 {
        FOREVER
    }

    /// The deadline passed.
    fn expired(&mut self) {}
}

/// Serves an endpoint until receiving from it fails; returns the error. One kernel entry a request: the reply and the next
/// receive go together, unless handles travel.
pub fn serve(endpoint: &Endpoint, service: &mut impl Service) -> Error {
    let mut answer: Option<(u64, Message)> = None;
    loop {
        set_accept(MAX_HANDLES as u32);
        let deadline = service.deadline();
        let received = match answer.take() {
            Some((token, message)) => match endpoint.reply_recv(token, message, deadline) {
                // Either the reply could not be delivered, then the caller is told why; or it was, and it is the receive
                // that failed: the next one fails too.
                Err(error) if error.errno != ETIMEDOUT => {
                    let _ = Endpoint::reply(token, Reply::error(message.tag.label(), error).message());
                    continue;
                }
                received => received,
            },
            None => endpoint.recv(deadline),
        };
        let received = match received {
            Ok(received) => received,
            Err(error) if error.errno == ETIMEDOUT => {
                service.expired();
                continue;
            }
            Err(error) => return error,
        };
        match received.tag.label() {
            LABEL_NOTIFICATION => service.notified(received.words[0]),
            LABEL_CLOSED => service.closed(received.badge),
            _ => {
                let request = Request::new(&received);
                match service.request(request) {
                    Some(reply) if reply.handles.is_empty() => {
                        answer = Some((received.token, reply.message()));
                    }
                    Some(reply) => {
                        // `ESRCH`: the caller gave up, which is its right.
                        let _ = reply.send(received.token);
                    }
                    None => {}
                }
            }
        }
        // Looked at after each message too: a stream of them does not hold it off.
        let deadline = service.deadline();
        if deadline != FOREVER && deadline <= now_ns() {
            if let Some((token, message)) = answer.take() {
                // The buffer is the next message's.
                if let Err(error) = Endpoint::reply(token, message) {
                    let _ = Endpoint::reply(token, Reply::error(message.tag.label(), error).message());
                }
            }
            service.expired();
        }
    }
}
