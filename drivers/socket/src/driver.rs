//! Local sockets as an address family of the sdk.

use crate::inbox::Undo;
use crate::socket::{Kind, Role};
use crate::sockets::{self, Id, SEND_LOW, Sent, Sockets, Take};
use abi::error::{EINVAL, ENOENT, ENOPROTOOPT, Error, Result};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use driver_sdk::sockets::{Change, Family, Ready, stat};
use driver_sdk::{Incoming, MessageFlags, Outgoing, Parcel, PathReply, PathRequest, Receiving, Setting};
use event_protocol::descriptor::names::{DATAGRAM_SOCKET, RECORD_SOCKET, STREAM_SOCKET};

/// All sockets, and the open files that they are to clients.
pub type Service = driver_sdk::sockets::Service<Sockets<Parcel>>;

impl Family for Sockets<Parcel> {
    type Undo = Undo<Parcel>;

    const KNOWS_CALLERS: bool = true;
    const SEND_LOW: u32 = SEND_LOW;

    fn create(&mut self, path: &str, _: u64, caller: u32) -> Result<Id> {
        let kind = match path {
            STREAM_SOCKET => Kind::Stream,
            DATAGRAM_SOCKET => Kind::Datagram,
            RECORD_SOCKET => Kind::Record,
            // A socket's name is not for opening.
            _ => return Err(Error::new(ENOENT)),
        };
        Ok(Sockets::create(self, kind, caller.into(), caller.into()))
    }

    fn accept(&mut self, listener: Id) -> Result<Id> {
        Sockets::accept(self, listener)
    }

    fn pair(&mut self, socket: Id) -> Result<Id> {
        let one = self.get(socket)?;
        let (client, process) = (one.client, one.process);
        Sockets::pair(self, socket, client, process)
    }

    fn close(&mut self, socket: Id) {
        Sockets::close(self, socket);
    }

    fn ready(&self, socket: Id) -> Result<[Ready; 2]> {
        Ok([self.get(socket)?.readable(), self.writable(socket)])
    }

    /// What one act does to a socket is one change, told in the place of the first.
    fn changes(&mut self) -> Vec<Change> {
        let mut told: Vec<Change> = Vec::new();
        for change in self.take_changes() {
            let socket = change.socket();
            let Ok(ready) = Family::ready(self, socket) else { continue };
            let (direction, news) = match change {
                sockets::Change::Read { news, .. } => (0, news),
                sockets::Change::Write { news, .. } => (1, news),
            };
            let at = told.iter().position(|one| one.socket == socket).unwrap_or_else(|| {
                told.push(Change { socket, ready: [None; 2], news: [false; 2] });
                told.len() - 1
            });
            told[at].ready[direction] = Some(ready[direction]);
            told[at].news[direction] |= news;
        }
        told
    }

    fn send(&mut self, socket: Id, message: &mut Outgoing<'_>) -> Result<usize> {
        let sent = Sent {
            bytes: message.bytes,
            to: Some(message.address).filter(|to| !to.is_empty()),
            handles: &mut message.parcels,
            urgent: message.flags.contains(MessageFlags::OOB),
        };
        Sockets::send(self, socket, sent)
    }

    fn receive(
        &mut self,
        socket: Id,
        buffer: &mut [u8],
        receiving: Receiving,
    ) -> Result<(Incoming, Undo<Parcel>)> {
        let Receiving { flags, parcels } = receiving;
        let take =
            Take { urgent: flags.contains(MessageFlags::OOB), all: flags.contains(MessageFlags::WAIT_ALL) };
        let found = self.get(socket)?;
        let is_record = found.kind == Kind::Record && found.readable().amount > 0;
        let (count, whole, from, parcels, undo) = if flags.contains(MessageFlags::PEEK) {
            let peeked = self.peek(socket, buffer, take)?;
            let parcels = peeked.handles.iter().take(parcels).cloned().collect();
            (peeked.count, peeked.whole, peeked.from, parcels, Undo::Nothing)
        } else {
            let (received, undo) = Sockets::receive(self, socket, buffer, take)?;
            (received.count, received.whole, received.from, received.handles, undo)
        };
        let mut flags = MessageFlags::empty();
        flags.set(MessageFlags::TRUNCATED, whole > count);
        flags.set(MessageFlags::OOB, take.urgent);
        flags.set(MessageFlags::END_OF_RECORD, is_record);
        let address = from.as_deref().unwrap_or("").into();
        Ok((Incoming { count, whole, flags, address, parcels }, undo))
    }

    fn put_back(&mut self, socket: Id, undo: Undo<Parcel>, bytes: &[u8], parcels: Vec<Parcel>) {
        Sockets::put_back(self, socket, undo, bytes, parcels);
    }

    fn put_back_error(&mut self, socket: Id, errno: i32) {
        Sockets::put_back_error(self, socket, errno);
    }

    fn visit_parcels(&self, socket: Id, visit: &mut dyn FnMut(&Parcel)) {
        let Ok(found) = self.get(socket) else { return };
        found.inbox.handles().for_each(&mut *visit);
        // What waits in connections that nobody has accepted is reached through their listener.
        if let Role::Listening { backlog, .. } = &found.role {
            for connection in backlog.iter().filter_map(|&id| self.get(id).ok()) {
                connection.inbox.handles().for_each(&mut *visit);
            }
        }
    }

    fn bind(&mut self, socket: Id, address: &str) -> Result<()> {
        Sockets::bind(self, socket, address)
    }

    fn listen(&mut self, socket: Id, backlog: i32) -> Result<()> {
        Sockets::listen(self, socket, backlog)
    }

    fn connect(&mut self, socket: Id, address: &str) -> Result<()> {
        Sockets::connect(self, socket, address)
    }

    fn shutdown(&mut self, socket: Id, read: bool, write: bool) -> Result<()> {
        Sockets::shutdown(self, socket, read, write)
    }

    fn name(&self, socket: Id) -> Result<String> {
        Ok(self.get(socket)?.name.as_deref().unwrap_or("").into())
    }

    fn peer(&self, socket: Id) -> Result<String> {
        Ok(self.peer_name(socket)?.into())
    }

    fn peer_process(&self, socket: Id) -> Result<i64> {
        Sockets::peer_process(self, socket)
    }

    fn option(&self, socket: Id, setting: Setting) -> Result<i64> {
        let socket = self.get(socket)?;
        Ok(match setting {
            Setting::SendBuffer => socket.options.send_buffer as i64,
            Setting::ReceiveBuffer => socket.inbox.capacity() as i64,
            Setting::ReceiveLowWater => socket.options.low_water.receive.into(),
            Setting::SendLowWater => socket.options.low_water.send.into(),
            Setting::SocketType => match socket.kind {
                Kind::Stream => 1,
                Kind::Datagram => 2,
                Kind::Record => 5,
            },
            Setting::Listening => socket.is_listening().into(),
            Setting::UrgentInline => socket.options.inline.into(),
            Setting::ReuseAddress => socket.options.reuse.into(),
            Setting::KeepAlive | Setting::NoDelay | Setting::ReusePort => {
                return Err(Error::new(ENOPROTOOPT));
            }
        })
    }

    fn set_option(&mut self, socket: Id, setting: Setting, value: i64) -> Result<()> {
        match setting {
            Setting::SendBuffer => self.set_send_buffer(socket, value),
            Setting::ReceiveBuffer => self.set_receive_buffer(socket, value),
            Setting::ReceiveLowWater => self.set_low_water(socket, Some(value), None),
            Setting::SendLowWater => self.set_low_water(socket, None, Some(value)),
            Setting::UrgentInline => self.set_inline(socket, value != 0),
            Setting::SocketType | Setting::Listening => Err(Error::new(EINVAL)),
            Setting::ReuseAddress => self.set_reuse(socket, value != 0),
            Setting::KeepAlive | Setting::NoDelay | Setting::ReusePort => Err(Error::new(ENOPROTOOPT)),
        }
    }

    fn error(&self, socket: Id) -> Result<i32> {
        Ok(self.get(socket)?.error)
    }

    fn take_error(&mut self, socket: Id) -> Result<i32> {
        Sockets::take_error(self, socket)
    }

    fn available(&self, socket: Id) -> Result<usize> {
        Sockets::available(self, socket)
    }

    fn is_at_mark(&self, socket: Id) -> Result<bool> {
        Ok(self.get(socket)?.inbox.is_at_mark())
    }

    fn path(&mut self, request: &PathRequest) -> Result<PathReply> {
        match request {
            PathRequest::Unlink { path } => self.unlink(path).map(|()| PathReply::Done),
            PathRequest::Stat { path } => {
                self.find(path).map(|socket| PathReply::Stat(stat(socket.unwrap_or(0), 1)))
            }
            // Names of sockets are in no directory.
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let (names, sockets) = self.load();
        writeln!(out, "names {names}\nsockets {sockets}")
    }
}
