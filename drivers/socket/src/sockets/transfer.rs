//! Sending and receiving.

use super::{Id, Sockets};
use crate::inbox::{Inbox, OVERHEAD, Peeked, Received, Undo};
use crate::socket::{Kind, Role};
use abi::error::{
    EAGAIN, ECONNREFUSED, EINVAL, EISCONN, EMSGSIZE, ENOTCONN, EOPNOTSUPP, EPERM, EPIPE, EPROTOTYPE, Error,
    Result,
};
use alloc::vec::Vec;

/// What is sent.
#[derive(Debug)]
pub struct Sent<'a, H> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// To where, if not to the other side.
    pub to: Option<&'a str>,
    /// Handles: taken when the send succeeds, left otherwise.
    pub handles: &'a mut Vec<H>,
    /// The last byte is urgent.
    pub urgent: bool,
}

/// How to receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Take {
    /// The urgent byte.
    pub urgent: bool,
    /// Not before the buffer can be filled, or never will be.
    pub all: bool,
}

impl<H> Sockets<H> {
    /// Sends: a stream as much as there is room for, a message whole. The bytes taken.
    ///
    /// EAGAIN: no room. EPIPE: nobody will receive it. ENOTCONN, EISCONN (a stream with an address), EMSGSIZE, EOPNOTSUPP
    /// (urgent messages), ECONNREFUSED, ENOENT and EPROTOTYPE (the address), EPERM (the receiver is connected to another),
    /// EINVAL (handles without a byte to go with).
    pub fn send(&mut self, id: Id, sent: Sent<'_, H>) -> Result<usize> {
        let socket = self.get(id)?;
        let (kind, name) = (socket.kind, socket.name.clone());
        if sent.urgent && kind != Kind::Stream {
            return Err(Error::new(EOPNOTSUPP));
        }
        let target = self.receiver(id, sent.to)?;
        let (sender, receiver) = (self.get(id)?, self.get(target)?);
        if sender.write_shut || receiver.read_shut {
            return Err(Error::new(EPIPE));
        }
        let room = self.room(sender, receiver, kind);
        if kind.has_messages() {
            let most = receiver.inbox.capacity().min(sender.options.send_buffer);
            if sent.bytes.len() + OVERHEAD > most {
                return Err(Error::new(EMSGSIZE));
            }
            if sent.bytes.len() > room || receiver.inbox.room() < OVERHEAD {
                return self.refuse(id, target);
            }
        } else if sent.bytes.is_empty() {
            return if sent.handles.is_empty() { Ok(0) } else { Err(Error::new(EINVAL)) };
        } else if room == 0 {
            return self.refuse(id, target);
        }
        let inbox = &mut self.get_mut(target)?.inbox;
        let count = match kind {
            Kind::Datagram | Kind::Record => {
                let from = name.filter(|_| kind == Kind::Datagram);
                inbox.push_datagram(sent.bytes, from, sent.handles)?;
                sent.bytes.len()
            }
            Kind::Stream => push_stream(inbox, sent, room)?,
        };
        self.unblock(id);
        self.tell_read(target, true);
        self.tell_senders(target, false);
        Ok(count)
    }

    fn refuse(&mut self, id: Id, target: Id) -> Result<usize> {
        self.block(id, target)?;
        Err(Error::new(EAGAIN))
    }

    /// Who gets what a socket sends.
    fn receiver(&self, id: Id, to: Option<&str>) -> Result<Id> {
        let socket = self.get(id)?;
        let target = match (&socket.role, to) {
            (Role::Connected { .. }, Some(_)) if socket.kind.is_connected() => {
                return Err(Error::new(EISCONN));
            }
            (_, Some(name)) if !socket.kind.is_connected() => {
                self.names.find(name)?.ok_or(Error::new(ECONNREFUSED))?
            }
            (Role::Connected { peer, .. }, _) => *peer,
            _ => return Err(Error::new(ENOTCONN)),
        };
        let Some(receiver) = self.sockets.get(&target) else {
            return Err(Error::new(if socket.kind.is_connected() { EPIPE } else { ECONNREFUSED }));
        };
        if receiver.kind != socket.kind {
            return Err(Error::new(EPROTOTYPE));
        }
        if !socket.kind.is_connected() && receiver.peer().is_some_and(|peer| peer != id) {
            return Err(Error::new(EPERM));
        }
        Ok(target)
    }

    /// Receives. A count of 0 where no empty message was sent is the end.
    ///
    /// EAGAIN: nothing is there. EINVAL: no urgent byte waits, or it is a listener. ENOTCONN, EOPNOTSUPP (urgent
    /// messages), and the pending error, once, when everything before it is read.
    pub fn receive(&mut self, id: Id, buffer: &mut [u8], take: Take) -> Result<(Received<H>, Undo<H>)> {
        if take.urgent {
            return self.receive_urgent(id, buffer);
        }
        self.can_receive(id, buffer.len(), take.all)?;
        let socket = self.get_mut(id)?;
        let (received, undo) = if socket.kind.has_messages() {
            socket.inbox.take_datagram(buffer).unwrap_or_else(nothing)
        } else {
            socket.inbox.take_stream(socket.options.inline, buffer)
        };
        self.tell_read(id, false);
        self.tell_senders(id, true);
        Ok((received, undo))
    }

    /// What [`Sockets::receive`] would give.
    pub fn peek(&mut self, id: Id, buffer: &mut [u8], take: Take) -> Result<Peeked<'_, H>> {
        if take.urgent {
            let byte = self.urgent_of(id)?;
            let first = buffer.first_mut().ok_or(Error::new(EINVAL))?;
            *first = byte;
            return Ok(Peeked { count: 1, whole: 1, ..Peeked::nothing() });
        }
        self.can_receive(id, buffer.len(), take.all)?;
        let socket = self.get(id)?;
        if socket.kind.has_messages() {
            return Ok(socket.inbox.peek_datagram(buffer).unwrap_or(Peeked::nothing()));
        }
        Ok(socket.inbox.peek_stream(socket.options.inline, buffer))
    }

    /// Whether a receive has something to say: then it is `Ok`.
    fn can_receive(&mut self, id: Id, wanted: usize, all: bool) -> Result<()> {
        let socket = self.get(id)?;
        if socket.is_listening() {
            return Err(Error::new(EINVAL));
        }
        let ready = socket.readable();
        if ready.amount > 0 {
            let is_full = || socket.peer().is_none_or(|peer| self.writable(peer).amount == 0);
            let enough = socket.kind.has_messages()
                || !all
                || ready.amount >= wanted
                || is_full()
                || ready.end
                || ready.error != 0
                || socket.inbox.stops_within(wanted);
            return if enough { Ok(()) } else { Err(Error::new(EAGAIN)) };
        }
        if socket.error != 0 {
            return Err(Error::new(self.take_error(id)?));
        }
        if ready.end {
            return Ok(());
        }
        if socket.kind.is_connected() && matches!(socket.role, Role::Idle) {
            return Err(Error::new(ENOTCONN));
        }
        Err(Error::new(EAGAIN))
    }

    fn urgent_of(&self, id: Id) -> Result<u8> {
        let socket = self.get(id)?;
        if socket.kind != Kind::Stream {
            return Err(Error::new(EOPNOTSUPP));
        }
        let byte = socket.inbox.peek_urgent().filter(|_| !socket.options.inline);
        byte.ok_or(Error::new(EINVAL))
    }

    fn receive_urgent(&mut self, id: Id, buffer: &mut [u8]) -> Result<(Received<H>, Undo<H>)> {
        self.urgent_of(id)?;
        let first = buffer.first_mut().ok_or(Error::new(EINVAL))?;
        let (byte, handles) = self.get_mut(id)?.inbox.take_urgent().ok_or(Error::new(EINVAL))?;
        *first = byte;
        self.tell_read(id, false);
        self.tell_senders(id, true);
        Ok((Received { count: 1, whole: 1, from: None, handles }, Undo::Urgent(byte)))
    }

    /// What was received last did not arrive: it is the next one's. Nothing has happened in between.
    pub fn put_back(&mut self, id: Id, undo: Undo<H>, bytes: &[u8], handles: Vec<H>) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.inbox.put_back(undo, bytes, handles);
            self.tell_read(id, true);
            self.tell_senders(id, false);
        }
    }

    /// The error that a receive told last did not arrive.
    pub fn put_back_error(&mut self, id: Id, error: i32) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.error = error;
            self.tell_read(id, true);
            self.tell_write(id, false);
        }
    }
}

fn nothing<H>() -> (Received<H>, Undo<H>) {
    (Received { count: 0, whole: 0, from: None, handles: Vec::new() }, Undo::Nothing)
}

/// Urgent data is the last byte, and only if all before it fits.
fn push_stream<H>(inbox: &mut Inbox<H>, sent: Sent<'_, H>, room: usize) -> Result<usize> {
    let whole = sent.bytes.len();
    let part = &sent.bytes[..whole.min(room)];
    if !sent.urgent || part.len() < whole {
        return inbox.push_stream(part, sent.handles);
    }
    let Some((&byte, before)) = part.split_last() else { return Ok(0) };
    let ordinary = if before.is_empty() { 0 } else { inbox.push_stream(before, sent.handles)? };
    // There is room for both.
    inbox.push_urgent(byte, sent.handles)?;
    Ok(ordinary + 1)
}
