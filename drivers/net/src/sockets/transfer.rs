//! Sending and receiving.

use super::{Id, Sockets};
use crate::address::{endpoint, from_endpoint};
use crate::port::Card;
use crate::socket::{Datagram, Kind, Role, Socket};
use abi::error::{EAGAIN, EDESTADDRREQ, EINVAL, EISCONN, EMSGSIZE, ENOTCONN, EPIPE, Error, Result};
use core::net::SocketAddrV4;
use smoltcp::socket::udp::{self, SendError, UdpMetadata};
use smoltcp::wire::IpAddress;

/// The longest datagram: no frame is longer, and nothing is fragmented.
pub const LONGEST: usize = 1472;
/// Datagrams that wait to be received, at most.
const MOST_DATAGRAMS: usize = 64;

/// What was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Bytes put into the buffer.
    pub count: usize,
    /// Bytes of the whole datagram.
    pub whole: usize,
    /// Who sent a datagram.
    pub from: Option<SocketAddrV4>,
}

/// How to undo a receive.
#[derive(Clone, Debug, Default)]
pub enum Undo {
    /// Nothing was taken.
    #[default]
    Nothing,
    /// Bytes of a stream.
    Bytes,
    /// A datagram.
    Datagram(Datagram),
}

/// Takes datagrams over from the stack, as far as there is room; the others are lost, as on their way.
pub fn collect(udp: &mut udp::Socket<'_>, socket: &mut Socket, peer: Option<SocketAddrV4>) {
    while let Ok((bytes, metadata)) = udp.recv() {
        let from = from_endpoint(metadata.endpoint);
        let fits = socket.inbox.len() < MOST_DATAGRAMS
            && socket.datagram_bytes() + bytes.len() <= socket.options.receive_buffer;
        if fits && !socket.read_shut && peer.is_none_or(|peer| peer == from) {
            socket.inbox.push_back(Datagram { bytes: bytes.into(), from });
        }
    }
}

impl<C: Card> Sockets<C> {
    /// Sends: a stream as much as there is room for, a datagram whole. The bytes taken.
    ///
    /// EAGAIN: no room. EPIPE: nobody will receive it. ENOTCONN, EISCONN (an address, and it is connected), EDESTADDRREQ (no
    /// address, and it is not), EMSGSIZE, ENETUNREACH.
    pub fn send(&mut self, id: Id, bytes: &[u8], to: Option<SocketAddrV4>) -> Result<usize> {
        let socket = self.get_mut(id)?;
        if socket.kind == Kind::Datagram {
            return self.send_datagram(id, bytes, to);
        }
        if to.is_some() {
            return Err(Error::new(EISCONN));
        }
        match socket.role {
            Role::Connected { handle, .. } => {
                if socket.write_shut || !self.stack.tcp(handle).may_send() {
                    return Err(Error::new(EPIPE));
                }
                match self.stack.tcp_mut(handle).send_slice(bytes) {
                    Ok(0) if !bytes.is_empty() => Err(Error::new(EAGAIN)),
                    Ok(count) => Ok(count),
                    Err(_) => Err(Error::new(EPIPE)),
                }
            }
            Role::Connecting { .. } => Err(Error::new(EAGAIN)),
            Role::Failed => Err(Error::new(EPIPE)),
            _ => Err(Error::new(ENOTCONN)),
        }
    }

    fn send_datagram(&mut self, id: Id, bytes: &[u8], to: Option<SocketAddrV4>) -> Result<usize> {
        if bytes.len() > LONGEST {
            return Err(Error::new(EMSGSIZE));
        }
        if self.get(id)?.write_shut {
            return Err(Error::new(EPIPE));
        }
        let peer = match self.get(id)?.role {
            Role::Datagrams { peer, .. } => peer,
            _ => None,
        };
        let to = match (to, peer) {
            (Some(_), Some(_)) => return Err(Error::new(EISCONN)),
            (to, peer) => to.or(peer).ok_or(Error::new(EDESTADDRREQ))?,
        };
        let bound = self.get(id)?.bound.map(|bound| *bound.ip());
        let source = self.stack.source_for(*to.ip(), bound)?;
        self.open_datagrams(id)?;
        let Role::Datagrams { handle, .. } = self.get(id)?.role else { return Err(Error::new(EINVAL)) };
        let mut metadata = UdpMetadata::from(endpoint(to));
        metadata.local_address = Some(IpAddress::Ipv4(source));
        match self.stack.udp_mut(handle).send_slice(bytes, metadata) {
            Ok(()) => Ok(bytes.len()),
            Err(SendError::BufferFull) => Err(Error::new(EAGAIN)),
            Err(SendError::Unaddressable) => Err(Error::new(EINVAL)),
        }
    }

    /// Receives, or only looks. A count of 0 where no empty datagram was sent is the end.
    ///
    /// EAGAIN: nothing is there. EINVAL: it is a listener. ENOTCONN, and the pending error, once, when everything before it is
    /// read.
    pub fn receive(&mut self, id: Id, buffer: &mut [u8], all: bool, peek: bool) -> Result<(Received, Undo)> {
        let socket = self.get(id)?;
        let ready = socket.readable(&self.stack);
        let nothing = Received { count: 0, whole: 0, from: None };
        if matches!(socket.role, Role::Listening { .. }) {
            return Err(Error::new(EINVAL));
        }
        if ready.amount == 0 {
            if socket.error != 0 {
                return Err(Error::new(self.take_error(id)?));
            }
            if ready.end {
                return Ok((nothing, Undo::Nothing));
            }
            let idle = socket.kind == Kind::Stream && matches!(socket.role, Role::Idle);
            return Err(Error::new(if idle { ENOTCONN } else { EAGAIN }));
        }
        if socket.kind == Kind::Datagram {
            return Ok(self.receive_datagram(id, buffer, peek)?.unwrap_or((nothing, Undo::Nothing)));
        }
        let Some(handle) = socket.connection() else { return Err(Error::new(EAGAIN)) };
        let most = self.stack.tcp(handle).recv_capacity();
        if all && ready.amount < buffer.len().min(most) && !ready.end && ready.error == 0 {
            return Err(Error::new(EAGAIN));
        }
        self.touched.push(id);
        let Sockets { sockets, stack, .. } = self;
        let Some(socket) = sockets.get_mut(&id) else { return Ok((nothing, Undo::Nothing)) };
        let first = socket.returned.len().min(buffer.len());
        let (early, late) = buffer.split_at_mut(first);
        early.iter_mut().zip(&socket.returned).for_each(|(byte, &returned)| *byte = returned);
        let tcp = stack.tcp_mut(handle);
        let count = match peek {
            true => first + tcp.peek_slice(late).unwrap_or(0),
            false => {
                socket.returned.drain(..first);
                first + tcp.recv_slice(late).unwrap_or(0)
            }
        };
        Ok((Received { count, whole: count, from: None }, Undo::Bytes))
    }

    fn receive_datagram(
        &mut self,
        id: Id,
        buffer: &mut [u8],
        peek: bool,
    ) -> Result<Option<(Received, Undo)>> {
        let socket = self.get_mut(id)?;
        let Some(datagram) = socket.inbox.front() else { return Ok(None) };
        let count = datagram.bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&datagram.bytes[..count]);
        let received = Received { count, whole: datagram.bytes.len(), from: Some(datagram.from) };
        if peek {
            return Ok(Some((received, Undo::Nothing)));
        }
        Ok(socket.inbox.pop_front().map(|datagram| (received, Undo::Datagram(datagram))))
    }

    /// What was received last did not arrive: it is the next one's. Nothing has happened in between.
    pub fn put_back(&mut self, id: Id, undo: Undo, bytes: &[u8]) {
        let Ok(socket) = self.get_mut(id) else { return };
        match undo {
            Undo::Nothing => {}
            Undo::Bytes => bytes.iter().rev().for_each(|&byte| socket.returned.push_front(byte)),
            Undo::Datagram(datagram) => socket.inbox.push_front(datagram),
        }
    }

    /// The error that a receive told last did not arrive.
    pub fn put_back_error(&mut self, id: Id, error: i32) {
        if let Ok(socket) = self.get_mut(id) {
            socket.error = error;
        }
    }
}
