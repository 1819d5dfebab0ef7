//! Requests: who may ask what, and how the answers travel.

use abi::error::{EACCES, EBADF, Error, Result};
use abi::message::{Message, WORDS};
use abi::{Rights, Tag};
use alloc::vec::Vec;
use event_protocol::badge::Badge;
use event_protocol::control::label;
use event_protocol::trace::Event;
use rt::ipc::{Arrivals, Reply, Transfer, encode};
use rt::sys::Received;

use crate::serve::{ShardThread, refusal};

/// What a request comes to: the document is in the IPC buffer already.
#[derive(Debug)]
pub struct Answer {
    bytes: usize,
    handles: Vec<Transfer>,
}

impl Answer {
    /// A document without handles.
    pub fn document<T: serde::Serialize>(document: &T) -> Result<Answer> {
        Ok(Answer { bytes: encode(document)?, handles: Vec::new() })
    }

    /// The same with handles.
    pub fn with(mut self, handles: Vec<Transfer>) -> Answer {
        self.handles = handles;
        self
    }
}

/// Rights of the handles that go with answers.
pub mod rights {
    use super::Rights;

    /// A lobby: who has one is it, so it is not to be passed on.
    pub const CALL: Rights = Rights::WRITE;
    /// A page of cells, for a client.
    pub const LOOK: Rights = Rights::READ;
    /// A page of cells, for its driver.
    pub const PUBLISH: Rights = Rights::READ.union(Rights::WRITE);
}

impl ShardThread {
    /// Serves a request. `None`: it is answered already, since handles went with the answer.
    pub fn request(&mut self, received: &Received) -> Option<Message> {
        let arrivals = Arrivals::of(received.tag);
        let bytes = received.tag.bytes();
        let answer = match (Badge::decode(received.badge), received.tag.label()) {
            (Badge::Lobby(caller), label::LOBBY) => self.lobby(caller, bytes, arrivals),
            (Badge::Client(client), label::CLIENT) => self.client(client, bytes, arrivals),
            (Badge::Driver(driver), label::DRIVER) => self.driver(driver, bytes, arrivals),
            (Badge::Ticket(_) | Badge::Source(_) | Badge::Lineage(_), _) => Err(Error::new(EACCES)),
            _ => Err(Error::new(EBADF)),
        };
        match answer {
            Err(error) => {
                self.world.trace.add(Event::Refused, error.errno.unsigned_abs(), received.badge);
                Some(refusal(error))
            }
            Ok(Answer { bytes, handles }) if handles.is_empty() => {
                Some(Message { tag: Tag::new(label::REPLY, bytes, 0), words: [0; WORDS] })
            }
            Ok(Answer { bytes, handles }) => {
                let reply = Reply::ok(label::REPLY).in_place(bytes);
                let reply = handles.into_iter().fold(reply, Reply::handle);
                // A caller that is gone, or took no handles, has lost them: they are closed, which tells the shard.
                let _ = reply.send(received.token);
                None
            }
        }
    }
}
