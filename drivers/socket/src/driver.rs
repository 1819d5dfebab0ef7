//! Sockets as a service: open one, or the other end of a pair, or the next connection, beside another.

use crate::inbox::Undo;
use crate::socket::{Kind, Ready, Role};
use crate::sockets::{Change, Id, SEND_LOW, Sent, Sockets, Take};
use abi::error::{EBADF, EINVAL, ENOENT, ENOPROTOOPT, ESPIPE, Error, Result};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use driver_sdk::{
    Asked, Context, Control, ControlReply, Direction, Driver, FileId, Filters, Incoming, Level, LevelFlags,
    MessageFlags, Opening, Outgoing, Parcel, Receiving, Taken,
};
use event_protocol::descriptor::names::{ACCEPT, DATAGRAM_SOCKET, PEER, RECORD_SOCKET, STREAM_SOCKET};
use event_protocol::descriptor::{self, FileType, PathReply, PathRequest, Setting, Stat};

/// Filters that a socket serves.
pub const FILTERS: Filters =
    Filters::READ.union(Filters::WRITE).union(Filters::EXCEPT).union(Filters::HANGUP);

/// What the last receive took, until it is known to have arrived.
enum Last {
    Nothing,
    Taken(Undo<Parcel>),
    Error(i32),
}

/// All sockets, and the open files that they are to clients.
pub struct Service {
    sockets: Sockets<Parcel>,
    ids: BTreeMap<FileId, Id>,
    files: BTreeMap<Id, FileId>,
    last: Last,
}

impl Default for Service {
    fn default() -> Service {
        Service {
            sockets: Sockets::default(),
            ids: BTreeMap::new(),
            files: BTreeMap::new(),
            last: Last::Nothing,
        }
    }
}

impl Service {
    /// The sockets.
    pub fn sockets(&self) -> &Sockets<Parcel> {
        &self.sockets
    }

    fn id(&self, file: FileId) -> Result<Id> {
        self.ids.get(&file).copied().ok_or(Error::new(EBADF))
    }

    /// Does something to the sockets, and tells what that changed before anybody is answered.
    fn act<R>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(&mut Sockets<Parcel>) -> Result<R>,
    ) -> Result<R> {
        let result = act(&mut self.sockets);
        let changes = self.sockets.take_changes();
        for (at, change) in changes.iter().enumerate() {
            let socket = change.socket();
            // What one act does to a socket is one change, told in the place of the first.
            if changes[..at].iter().any(|before| before.socket() == socket) {
                continue;
            }
            let (mut read, mut write) = (None, None);
            for change in changes[at..].iter().filter(|change| change.socket() == socket) {
                let (known, news) = match *change {
                    Change::Read { news, .. } => (&mut read, news),
                    Change::Write { news, .. } => (&mut write, news),
                };
                *known = Some(known.unwrap_or(false) || news);
            }
            match (read, write) {
                (Some(read), Some(write)) => self.publish_both(context, socket, [read, write]),
                (Some(news), None) => self.publish(context, socket, Direction::Read, news),
                (None, Some(news)) => self.publish(context, socket, Direction::Write, news),
                (None, None) => {}
            }
        }
        result
    }

    fn publish_both(&self, context: &mut Context<'_>, socket: Id, news: [bool; 2]) {
        let (Some(&file), Ok(found)) = (self.files.get(&socket), self.sockets.get(socket)) else { return };
        let levels = [level(found.readable()), level(self.sockets.writable(socket))];
        context.set_error(file, found.error);
        context.publish_both(file, [(levels[0], news[0]), (levels[1], news[1])]);
    }

    fn publish(&self, context: &mut Context<'_>, socket: Id, direction: Direction, news: bool) {
        let (Some(&file), Ok(found)) = (self.files.get(&socket), self.sockets.get(socket)) else { return };
        let ready = match direction {
            Direction::Read => found.readable(),
            Direction::Write => self.sockets.writable(socket),
        };
        context.set_error(file, found.error);
        context.publish(file, direction, level(ready), news);
    }

    fn adopt(&mut self, file: FileId, id: Id) -> Opening {
        self.ids.insert(file, id);
        self.files.insert(id, file);
        Opening::new(descriptor::Kind::Socket, FILTERS).low_water(1, SEND_LOW)
    }

    /// Receives, and remembers how to undo it.
    fn take(
        &mut self,
        context: &mut Context<'_>,
        id: Id,
        buffer: &mut [u8],
        take: Take,
    ) -> Result<crate::inbox::Received<Parcel>> {
        self.last = Last::Nothing;
        let pending = self.sockets.get(id)?.error;
        match self.act(context, |sockets| sockets.receive(id, buffer, take)) {
            Ok((received, undo)) => {
                self.last = Last::Taken(undo);
                Ok(received)
            }
            Err(error) => {
                if pending != 0 && error.errno == pending {
                    self.last = Last::Error(pending);
                }
                Err(error)
            }
        }
    }

    fn put_back(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8], parcels: Vec<Parcel>) {
        let last = core::mem::replace(&mut self.last, Last::Nothing);
        let Ok(id) = self.id(file) else { return };
        // Neither can fail.
        _ = self.act(context, |sockets| {
            match last {
                Last::Nothing => {}
                Last::Taken(undo) => sockets.put_back(id, undo, bytes, parcels),
                Last::Error(error) => sockets.put_back_error(id, error),
            }
            Ok(())
        });
    }

    fn get_option(&self, id: Id, setting: Setting) -> Result<i64> {
        let socket = self.sockets.get(id)?;
        Ok(match setting {
            Setting::SendBuffer => socket.options.send_buffer as i64,
            Setting::ReceiveBuffer => socket.inbox.capacity() as i64,
            Setting::ReceiveLowWater => socket.options.receive_low.into(),
            Setting::SendLowWater => socket.options.send_low.into(),
            Setting::SocketType => match socket.kind {
                Kind::Stream => 1,
                Kind::Datagram => 2,
                Kind::Record => 5,
            },
            Setting::Listening => socket.is_listening().into(),
            Setting::UrgentInline => socket.options.inline.into(),
            Setting::ReuseAddress => socket.options.reuse.into(),
            Setting::KeepAlive | Setting::NoDelay => return Err(Error::new(ENOPROTOOPT)),
        })
    }

    fn set_option(&mut self, context: &mut Context<'_>, id: Id, setting: Setting, value: i64) -> Result<()> {
        self.act(context, |sockets| match setting {
            Setting::SendBuffer => sockets.set_send_buffer(id, value),
            Setting::ReceiveBuffer => sockets.set_receive_buffer(id, value),
            Setting::ReceiveLowWater => sockets.set_low_water(id, Some(value), None),
            Setting::SendLowWater => sockets.set_low_water(id, None, Some(value)),
            Setting::UrgentInline => sockets.set_inline(id, value != 0),
            Setting::SocketType | Setting::Listening => Err(Error::new(EINVAL)),
            Setting::ReuseAddress => sockets.set_reuse(id, value != 0),
            Setting::KeepAlive | Setting::NoDelay => Err(Error::new(ENOPROTOOPT)),
        })
    }
}

impl Driver for Service {
    const KNOWS_CALLERS: bool = true;

    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        let kind = match path {
            STREAM_SOCKET => Kind::Stream,
            DATAGRAM_SOCKET => Kind::Datagram,
            RECORD_SOCKET => Kind::Record,
            // A socket's name is not for opening.
            _ => return Err(Error::new(ENOENT)),
        };
        let caller = context.caller();
        let id = self.sockets.create(kind, caller.into(), caller.into());
        Ok(self.adopt(file, id))
    }

    fn open_at(
        &mut self,
        context: &mut Context<'_>,
        beside: FileId,
        file: FileId,
        path: &str,
        _: u64,
    ) -> Result<Opening> {
        let beside = self.id(beside)?;
        let socket = self.sockets.get(beside)?;
        let (client, process) = (socket.client, socket.process);
        let id = match path {
            ACCEPT => self.act(context, |sockets| sockets.accept(beside))?,
            PEER => self.act(context, |sockets| sockets.pair(beside, client, process))?,
            _ => return Err(Error::new(ENOENT)),
        };
        Ok(self.adopt(file, id))
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        if let Ok(id) = self.id(file) {
            self.publish(context, id, Direction::Read, true);
            self.publish(context, id, Direction::Write, true);
        }
    }

    fn close(&mut self, context: &mut Context<'_>, file: FileId) {
        // An accept that waited has none.
        let Some(id) = self.ids.remove(&file) else { return };
        self.files.remove(&id);
        // Closing cannot fail.
        _ = self.act(context, |sockets| {
            sockets.close(id);
            Ok(())
        });
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        // What is undone is this read or nothing.
        self.last = Last::Nothing;
        seekless(offset)?;
        let id = self.id(file)?;
        let received = self.take(context, id, buffer, Take::default())?;
        Ok(Taken { count: received.count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        self.put_back(context, file, bytes, Vec::new());
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        offset: Option<u64>,
    ) -> Result<usize> {
        seekless(offset)?;
        let id = self.id(file)?;
        let sent = Sent { bytes, to: None, handles: &mut vec![], urgent: false };
        self.act(context, |sockets| sockets.send(id, sent))
    }

    fn send(&mut self, context: &mut Context<'_>, file: FileId, message: &mut Outgoing<'_>) -> Result<usize> {
        let id = self.id(file)?;
        let sent = Sent {
            bytes: message.bytes,
            to: Some(message.address).filter(|to| !to.is_empty()),
            handles: &mut message.parcels,
            urgent: message.flags.contains(MessageFlags::OOB),
        };
        self.act(context, |sockets| sockets.send(id, sent))
    }

    fn receive(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        receiving: Receiving,
    ) -> Result<Incoming> {
        self.last = Last::Nothing;
        let id = self.id(file)?;
        let Receiving { flags, parcels } = receiving;
        let take =
            Take { urgent: flags.contains(MessageFlags::OOB), all: flags.contains(MessageFlags::WAIT_ALL) };
        let ended = self.sockets.get(id)?.readable().amount == 0;
        let (count, whole, from, parcels) = if flags.contains(MessageFlags::PEEK) {
            let pending = self.sockets.get(id)?.error;
            let peeked = self.sockets.peek(id, buffer, take).inspect_err(|error| {
                if pending != 0 && error.errno == pending {
                    self.last = Last::Error(pending);
                }
            })?;
            let parcels = peeked.handles.iter().take(parcels).cloned().collect();
            (peeked.count, peeked.whole, peeked.from, parcels)
        } else {
            let received = self.take(context, id, buffer, take)?;
            (received.count, received.whole, received.from, received.handles)
        };
        let mut flags = MessageFlags::empty();
        flags.set(MessageFlags::TRUNCATED, whole > count);
        flags.set(MessageFlags::OOB, take.urgent);
        let is_record = self.sockets.get(id)?.kind == Kind::Record && !ended;
        flags.set(MessageFlags::END_OF_RECORD, is_record);
        Ok(Incoming { count, whole, flags, address: from.as_deref().unwrap_or("").into(), parcels })
    }

    fn unreceive(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8], message: Incoming) {
        self.put_back(context, file, bytes, message.parcels);
    }

    fn visit_parcels(&self, file: FileId, visit: &mut dyn FnMut(&Parcel)) {
        let Ok(socket) = self.id(file).and_then(|id| self.sockets.get(id)) else { return };
        socket.inbox.handles().for_each(&mut *visit);
        // What waits in connections that nobody has accepted is reached through their listener.
        if let Role::Listening { backlog, .. } = &socket.role {
            for connection in backlog.iter().filter_map(|&id| self.sockets.get(id).ok()) {
                connection.inbox.handles().for_each(&mut *visit);
            }
        }
    }

    fn path(&mut self, _: &mut Context<'_>, request: &PathRequest) -> Result<PathReply> {
        match request {
            PathRequest::Unlink { path } => self.sockets.unlink(path).map(|()| PathReply::Done),
            PathRequest::Stat { path } => {
                self.sockets.find(path).map(|socket| PathReply::Stat(stat(socket.unwrap_or(0), 1)))
            }
            // Names of sockets are in no directory.
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn control(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        control: &Control,
    ) -> Result<ControlReply> {
        let id = self.id(file)?;
        let number = |number| Ok(ControlReply::Number(number));
        match control {
            Control::Bind(name) => self.act(context, |sockets| sockets.bind(id, name))?,
            Control::Listen(backlog) => self.act(context, |sockets| sockets.listen(id, *backlog))?,
            Control::Connect(name) => self.act(context, |sockets| sockets.connect(id, name))?,
            Control::Shutdown { read, write } => {
                self.act(context, |sockets| sockets.shutdown(id, *read, *write))?;
            }
            Control::Set(setting, value) => self.set_option(context, id, *setting, *value)?,
            Control::Get(setting) => return number(self.get_option(id, *setting)?),
            Control::TakeError => return number(self.act(context, |sockets| sockets.take_error(id))?.into()),
            Control::PeerProcess => return number(self.sockets.peer_process(id)?),
            Control::AtMark => return number(self.sockets.get(id)?.inbox.is_at_mark().into()),
            Control::Available => {
                return Ok(ControlReply::Available(self.sockets.available(id)? as u64));
            }
            Control::Name => {
                let name = self.sockets.get(id)?.name.as_deref().unwrap_or("");
                return Ok(ControlReply::Address(name.into()));
            }
            Control::Peer => return Ok(ControlReply::Address(self.sockets.peer_name(id)?.into())),
            Control::Stat => return Ok(ControlReply::Stat(stat(id, 0))),
            Control::Seek { .. } => return Err(Error::new(ESPIPE)),
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(ControlReply::Done)
    }

    fn queue_of(&self, file: FileId, asked: Asked<'_>) -> (Direction, u64) {
        let (direction, file) = match asked {
            Asked::Read | Asked::Receive(_) => (Direction::Read, file),
            // A connect waits for its listener to have room, as a send does.
            Asked::Write | Asked::Send(_) | Asked::Control(_) => (Direction::Write, file),
            Asked::Open { beside, .. } => (Direction::Read, beside.unwrap_or(file)),
        };
        (direction, file.badge())
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let (names, sockets) = self.sockets.load();
        writeln!(out, "names {names}\nsockets {sockets}")
    }
}

fn level(ready: Ready) -> Level {
    let mut level = Level::new(ready.amount as i64);
    level.flags.set(LevelFlags::EOF, ready.end);
    level.flags.set(LevelFlags::ERROR, ready.error);
    level.flags.set(LevelFlags::HANGUP, ready.hangup);
    level.flags.set(LevelFlags::EXCEPT, ready.urgent);
    level
}

fn stat(inode: Id, links: u32) -> Stat {
    Stat {
        inode,
        file_type: FileType::Socket,
        mode: 0o777,
        links,
        size: 0,
        accessed: 0,
        modified: 0,
        changed: 0,
    }
}

fn seekless(offset: Option<u64>) -> Result<()> {
    match offset {
        None => Ok(()),
        Some(_) => Err(Error::new(ESPIPE)),
    }
}
