//! Sockets as a service: open one, or the next connection, beside another.

use crate::address;
use crate::port::Card;
use crate::socket::{Kind, Ready};
use crate::sockets::{Change, Id, SEND_LOW, Sockets, Undo};
use abi::error::{EBADF, EINVAL, ENOENT, EOPNOTSUPP, ESPIPE, Error, Result};
use alloc::collections::BTreeMap;
use core::fmt;
use core::net::SocketAddrV4;
use driver_sdk::{
    Asked, Context, Control, ControlReply, Direction, Driver, FileId, FileType, Filters, Incoming, Level,
    LevelFlags, MessageFlags, Opening, Outgoing, Receiving, Setting, Stat, Taken,
};
use event_protocol::descriptor;
use event_protocol::descriptor::names::{ACCEPT, INET_DATAGRAM_SOCKET, INET_STREAM_SOCKET};

/// Filters that a socket serves.
pub const FILTERS: Filters =
    Filters::READ.union(Filters::WRITE).union(Filters::EXCEPT).union(Filters::HANGUP);

/// All sockets, and the open files that they are to clients.
pub struct Service<C> {
    sockets: Sockets<C>,
    ids: BTreeMap<FileId, Id>,
    files: BTreeMap<Id, FileId>,
    /// How to undo the last receive, until it is known to have arrived.
    last: Undo,
    interrupts: u64,
}

impl<C: Card> Service<C> {
    /// Serves sockets.
    pub fn new(sockets: Sockets<C>) -> Service<C> {
        Service { sockets, ids: BTreeMap::new(), files: BTreeMap::new(), last: Undo::Nothing, interrupts: 0 }
    }

    /// The sockets.
    pub fn sockets(&mut self) -> &mut Sockets<C> {
        &mut self.sockets
    }

    fn id(&self, file: FileId) -> Result<Id> {
        self.ids.get(&file).copied().ok_or(Error::new(EBADF))
    }

    /// Does something to the sockets and lets the stack go on with it; what that changed is told before anybody is answered.
    fn act<R>(&mut self, context: &mut Context<'_>, act: impl FnOnce(&mut Sockets<C>) -> R) -> R {
        self.sockets.stack_mut().set_time(context.now());
        let result = act(&mut self.sockets);
        // What is gone is told before what comes instead: what comes is news then.
        self.sockets.notice();
        self.sockets.run();
        self.tell(context);
        result
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        for change in self.sockets.take_changes() {
            if let Some(&file) = self.files.get(&change.socket) {
                publish(context, file, &change);
            }
        }
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
        file: FileId,
        buffer: &mut [u8],
        flags: MessageFlags,
    ) -> Result<crate::sockets::Received> {
        self.last = Undo::Nothing;
        let id = self.id(file)?;
        let pending = self.sockets.get(id)?.error;
        let (all, peek) = (flags.contains(MessageFlags::WAIT_ALL), flags.contains(MessageFlags::PEEK));
        match self.act(context, |sockets| sockets.receive(id, buffer, all, peek)) {
            Ok((received, undo)) => {
                self.last = undo;
                Ok(received)
            }
            Err(error) => {
                if pending != 0 && error.errno == pending {
                    self.last = Undo::Error(pending);
                }
                Err(error)
            }
        }
    }

    fn put_back(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        let undo = core::mem::take(&mut self.last);
        if let Ok(id) = self.id(file) {
            self.act(context, |sockets| sockets.put_back(id, undo, bytes));
        }
    }

    fn get_option(&self, id: Id, setting: Setting) -> Result<i64> {
        let socket = self.sockets.get(id)?;
        let options = &socket.options;
        Ok(match setting {
            Setting::SendBuffer => options.send_buffer as i64,
            Setting::ReceiveBuffer => options.receive_buffer as i64,
            Setting::ReceiveLowWater => options.receive_low.into(),
            Setting::SendLowWater => options.send_low.into(),
            Setting::SocketType => match socket.kind {
                Kind::Stream => 1,
                Kind::Datagram => 2,
            },
            Setting::Listening => matches!(socket.role, crate::socket::Role::Listening { .. }).into(),
            Setting::KeepAlive => options.keep_alive.into(),
            Setting::NoDelay => options.no_delay.into(),
            // Connections that have ended never keep an address.
            Setting::ReuseAddress => 1,
            Setting::UrgentInline => 0,
        })
    }

    fn set_option(&mut self, id: Id, setting: Setting, value: i64) -> Result<()> {
        let sockets = &mut self.sockets;
        match setting {
            Setting::SendBuffer => sockets.set_send_buffer(id, value),
            Setting::ReceiveBuffer => sockets.set_receive_buffer(id, value),
            Setting::ReceiveLowWater => sockets.set_low_water(id, Some(value), None),
            Setting::SendLowWater => sockets.set_low_water(id, None, Some(value)),
            Setting::KeepAlive => sockets.set_behaviour(id, None, Some(value != 0)),
            Setting::NoDelay => sockets.set_behaviour(id, Some(value != 0), None),
            Setting::ReuseAddress => Ok(()),
            Setting::UrgentInline => Err(Error::new(EOPNOTSUPP)),
            Setting::SocketType | Setting::Listening => Err(Error::new(EINVAL)),
        }
    }
}

impl<C: Card> Driver for Service<C> {
    fn start(&mut self, context: &mut Context<'_>) {
        self.sockets.stack_mut().port_mut().card.start();
        self.act(context, |_| {});
    }

    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        let kind = match path {
            INET_STREAM_SOCKET => Kind::Stream,
            INET_DATAGRAM_SOCKET => Kind::Datagram,
            _ => return Err(Error::new(ENOENT)),
        };
        let id = self.sockets.create(kind, context.client());
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
        match path {
            ACCEPT => {
                let id = self.act(context, |sockets| sockets.accept(beside))?;
                Ok(self.adopt(file, id))
            }
            _ => Err(Error::new(ENOENT)),
        }
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        if let Ok(socket) = self.id(file)
            && let Ok(ready) = self.sockets.ready(socket)
        {
            publish(context, file, &Change { socket, ready, news: [true; 2] });
        }
    }

    fn close(&mut self, context: &mut Context<'_>, file: FileId) {
        // An accept that waited has none.
        let Some(id) = self.ids.remove(&file) else { return };
        self.files.remove(&id);
        self.act(context, |sockets| sockets.close(id));
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        // What is undone is this read or nothing.
        self.last = Undo::Nothing;
        seekless(offset)?;
        let received = self.take(context, file, buffer, MessageFlags::empty())?;
        Ok(Taken { count: received.count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        self.put_back(context, file, bytes);
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
        self.act(context, |sockets| sockets.send(id, bytes, None))
    }

    fn send(&mut self, context: &mut Context<'_>, file: FileId, message: &mut Outgoing<'_>) -> Result<usize> {
        let id = self.id(file)?;
        // Neither handles nor urgent bytes go over a network.
        if message.flags.contains(MessageFlags::OOB) || !message.parcels.is_empty() {
            return Err(Error::new(EOPNOTSUPP));
        }
        let to = optional(message.address)?;
        self.act(context, |sockets| sockets.send(id, message.bytes, to))
    }

    fn receive(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        receiving: Receiving,
    ) -> Result<Incoming> {
        self.last = Undo::Nothing;
        if receiving.flags.contains(MessageFlags::OOB) {
            return Err(Error::new(EINVAL));
        }
        let received = self.take(context, file, buffer, receiving.flags)?;
        let mut flags = MessageFlags::empty();
        flags.set(MessageFlags::TRUNCATED, received.whole > received.count);
        Ok(Incoming {
            count: received.count,
            whole: received.whole,
            flags,
            address: address::text(received.from),
            ..Incoming::default()
        })
    }

    fn unreceive(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8], _: Incoming) {
        self.put_back(context, file, bytes);
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
            Control::Bind(name) => {
                let address = address::parse(name)?;
                self.act(context, |sockets| sockets.bind(id, address))?;
            }
            Control::Listen(backlog) => self.act(context, |sockets| sockets.listen(id, *backlog))?,
            Control::Connect(name) => {
                let address = optional(name)?;
                self.act(context, |sockets| sockets.connect(id, address))?;
            }
            Control::Connected => self.act(context, |sockets| sockets.connected(id))?,
            Control::Shutdown { read, write } => {
                self.act(context, |sockets| sockets.shutdown(id, *read, *write))?;
            }
            Control::Set(setting, value) => self.set_option(id, *setting, *value)?,
            Control::Get(setting) => return number(self.get_option(id, *setting)?),
            Control::TakeError => return number(self.act(context, |sockets| sockets.take_error(id))?.into()),
            Control::AtMark => return number(0),
            Control::Available => return Ok(ControlReply::Available(self.sockets.available(id)? as u64)),
            Control::Name => return Ok(ControlReply::Address(address::text(self.sockets.name(id)?))),
            Control::Peer => return Ok(ControlReply::Address(address::text(Some(self.sockets.peer(id)?)))),
            Control::Stat => return Ok(ControlReply::Stat(stat(id))),
            Control::Seek { .. } => return Err(Error::new(ESPIPE)),
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(ControlReply::Done)
    }

    fn queue_of(&self, file: FileId, asked: Asked<'_>) -> (Direction, u64) {
        let (direction, file) = match asked {
            Asked::Read | Asked::Receive(_) => (Direction::Read, file),
            // Who waits for a connection waits to write.
            Asked::Write | Asked::Send(_) | Asked::Control(_) => (Direction::Write, file),
            Asked::Open { beside, .. } => (Direction::Read, beside.unwrap_or(file)),
        };
        (direction, file.badge())
    }

    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        self.interrupts += 1;
        self.sockets.stack_mut().port_mut().card.interrupted();
        self.act(context, |_| {});
        self.sockets.has_more()
    }

    fn deadline(&self) -> u64 {
        self.sockets.deadline()
    }

    fn expired(&mut self, context: &mut Context<'_>) {
        self.act(context, |_| {});
    }

    fn lost(&self) -> Option<Error> {
        self.sockets.stack().port().card.fault().map(Error::from)
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let (sockets, connections, lingering) = self.sockets.load();
        let port = self.sockets.stack().port();
        let counters = port.counters();
        for (name, value) in [
            ("interrupts", self.interrupts),
            ("received", counters.received),
            ("sent", counters.sent),
            ("turned", counters.turned),
            ("dropped", counters.dropped),
            ("sockets", sockets as u64),
            ("connections", connections as u64),
            ("lingering", lingering as u64),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        if let Some(address) = self.sockets.stack().address() {
            writeln!(out, "address {address}")?;
        }
        match port.card.fault() {
            Some(fault) => writeln!(out, "fault {fault}"),
            None => Ok(()),
        }
    }
}

fn publish(context: &mut Context<'_>, file: FileId, change: &Change) {
    let [read, write] = change.ready;
    context.set_error(file, read.error);
    context.publish_both(file, [(level(read), change.news[0]), (level(write), change.news[1])]);
}

fn level(ready: Ready) -> Level {
    let mut level = Level::new(ready.amount as i64);
    level.flags.set(LevelFlags::EOF, ready.end);
    level.flags.set(LevelFlags::ERROR, ready.error != 0);
    level.flags.set(LevelFlags::HANGUP, ready.hangup);
    level
}

fn optional(text: &str) -> Result<Option<SocketAddrV4>> {
    if text.is_empty() { Ok(None) } else { address::parse(text).map(Some) }
}

fn stat(inode: Id) -> Stat {
    Stat {
        inode,
        file_type: FileType::Socket,
        mode: 0o777,
        links: 0,
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
