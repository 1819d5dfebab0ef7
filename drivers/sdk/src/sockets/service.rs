//! Sockets as a driver: open one, or the other end of a pair, or the next connection, beside another.

use super::{Change, FILTERS, Family, Id, stat};
use crate::context::Context;
use crate::driver::{Asked, Driver, Opening, Taken};
use crate::files::FileId;
use crate::message::{Incoming, Outgoing, Receiving};
use crate::parcels::Parcel;
use abi::error::{EBADF, EINVAL, ENOENT, Error, Result};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::{fmt, mem};
use event_protocol::cell::Direction;
use event_protocol::descriptor::message::MessageFlags;
use event_protocol::descriptor::names::{ACCEPT, PEER};
use event_protocol::descriptor::{Control, ControlReply, Kind, PathReply, PathRequest};

/// What the last receive took, until it is known to have arrived.
enum Last<U> {
    Nothing,
    Taken(U),
    Error(i32),
}

/// The sockets of a family, and the open files that they are to clients.
pub struct Service<F: Family> {
    sockets: F,
    ids: BTreeMap<FileId, Id>,
    files: BTreeMap<Id, FileId>,
    last: Last<F::Undo>,
}

impl<F: Family + Default> Default for Service<F> {
    fn default() -> Service<F> {
        Service::new(F::default())
    }
}

impl<F: Family> Service<F> {
    /// Serves sockets.
    pub const fn new(sockets: F) -> Service<F> {
        Service { sockets, ids: BTreeMap::new(), files: BTreeMap::new(), last: Last::Nothing }
    }

    /// The sockets.
    pub const fn sockets(&self) -> &F {
        &self.sockets
    }

    fn id(&self, file: FileId) -> Result<Id> {
        self.ids.get(&file).copied().ok_or(Error::new(EBADF))
    }

    /// Does something to the sockets, and tells what that changed before anybody is answered.
    fn act<R>(&mut self, context: &mut Context<'_>, act: impl FnOnce(&mut F) -> R) -> R {
        self.sockets.set_time(context.now());
        let result = act(&mut self.sockets);
        for change in self.sockets.changes() {
            if let Some(&file) = self.files.get(&change.socket) {
                publish(context, file, &change);
            }
        }
        result
    }

    fn adopt(&mut self, file: FileId, id: Id) -> Opening {
        self.ids.insert(file, id);
        self.files.insert(id, file);
        Opening::new(Kind::Socket, FILTERS).low_water(1, F::SEND_LOW)
    }

    /// Receives, and remembers how to undo it: this or nothing.
    fn take(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        receiving: Receiving,
    ) -> Result<Incoming> {
        self.last = Last::Nothing;
        let id = self.id(file)?;
        let pending = self.sockets.error(id)?;
        match self.act(context, |sockets| sockets.receive(id, buffer, receiving)) {
            Ok((message, undo)) => {
                self.last = Last::Taken(undo);
                Ok(message)
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
        let last = mem::replace(&mut self.last, Last::Nothing);
        let Ok(id) = self.id(file) else { return };
        self.act(context, |sockets| match last {
            Last::Nothing => {}
            Last::Taken(undo) => sockets.put_back(id, undo, bytes, parcels),
            Last::Error(errno) => sockets.put_back_error(id, errno),
        });
    }
}

impl<F: Family> Driver for Service<F> {
    const KNOWS_CALLERS: bool = F::KNOWS_CALLERS;

    fn start(&mut self, context: &mut Context<'_>) {
        self.act(context, F::start);
    }

    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        let id = self.sockets.create(path, context.client(), context.caller())?;
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
        let id = match path {
            ACCEPT => self.act(context, |sockets| sockets.accept(beside))?,
            PEER => self.act(context, |sockets| sockets.pair(beside))?,
            _ => return Err(Error::new(ENOENT)),
        };
        Ok(self.adopt(file, id))
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        if let Ok(socket) = self.id(file)
            && let Ok(ready) = self.sockets.ready(socket)
        {
            publish(context, file, &Change::whole(socket, ready));
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
        _: Option<u64>,
    ) -> Result<Taken> {
        let plain = Receiving { flags: MessageFlags::empty(), parcels: 0 };
        let count = self.take(context, file, buffer, plain)?.count;
        Ok(Taken { count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        self.put_back(context, file, bytes, Vec::new());
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        _: Option<u64>,
    ) -> Result<usize> {
        let mut message = Outgoing { address: "", flags: MessageFlags::empty(), bytes, parcels: Vec::new() };
        self.send(context, file, &mut message)
    }

    fn send(&mut self, context: &mut Context<'_>, file: FileId, message: &mut Outgoing<'_>) -> Result<usize> {
        let id = self.id(file)?;
        self.act(context, |sockets| sockets.send(id, message))
    }

    fn receive(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        receiving: Receiving,
    ) -> Result<Incoming> {
        self.take(context, file, buffer, receiving)
    }

    fn unreceive(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8], message: Incoming) {
        self.put_back(context, file, bytes, message.parcels);
    }

    fn visit_parcels(&self, file: FileId, visit: &mut dyn FnMut(&Parcel)) {
        if let Ok(id) = self.id(file) {
            self.sockets.visit_parcels(id, visit);
        }
    }

    fn path(&mut self, context: &mut Context<'_>, request: &PathRequest) -> Result<PathReply> {
        self.act(context, |sockets| sockets.path(request))
    }

    fn control(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        control: &Control,
    ) -> Result<ControlReply> {
        let id = self.id(file)?;
        let done = |()| ControlReply::Done;
        match control {
            Control::Bind(address) => self.act(context, |sockets| sockets.bind(id, address)).map(done),
            Control::Listen(backlog) => self.act(context, |sockets| sockets.listen(id, *backlog)).map(done),
            Control::Connect(address) => self.act(context, |sockets| sockets.connect(id, address)).map(done),
            Control::Connected => self.act(context, |sockets| sockets.connected(id)).map(done),
            Control::Shutdown { read, write } => {
                self.act(context, |sockets| sockets.shutdown(id, *read, *write)).map(done)
            }
            Control::Set(setting, value) => {
                self.act(context, |sockets| sockets.set_option(id, *setting, *value)).map(done)
            }
            Control::Get(setting) => self.sockets.option(id, *setting).map(ControlReply::Number),
            Control::TakeError => {
                let errno = self.act(context, |sockets| sockets.take_error(id))?;
                Ok(ControlReply::Number(errno.into()))
            }
            Control::PeerProcess => self.sockets.peer_process(id).map(ControlReply::Number),
            Control::AtMark => self.sockets.is_at_mark(id).map(|is| ControlReply::Number(is.into())),
            Control::Available => {
                self.sockets.available(id).map(|bytes| ControlReply::Available(bytes as u64))
            }
            Control::Name => self.sockets.name(id).map(ControlReply::Address),
            Control::Peer => self.sockets.peer(id).map(ControlReply::Address),
            Control::Stat => Ok(ControlReply::Stat(stat(id, 0))),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn queue_of(&self, file: FileId, asked: Asked<'_>) -> (Direction, u64) {
        let (direction, file) = match asked {
            Asked::Read | Asked::Receive(_) => (Direction::Read, file),
            // A connect waits for room, as a send does, or for its connection, which can be written to then.
            Asked::Write | Asked::Send(_) | Asked::Control(_) => (Direction::Write, file),
            Asked::Open { beside, .. } => (Direction::Read, beside.unwrap_or(file)),
        };
        (direction, file.badge())
    }

    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        self.act(context, F::interrupt);
        self.sockets.has_more()
    }

    fn deadline(&self) -> u64 {
        self.sockets.deadline()
    }

    fn expired(&mut self, context: &mut Context<'_>) {
        self.act(context, |_| {});
    }

    fn lost(&self) -> Option<Error> {
        self.sockets.lost()
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.sockets.report(out)
    }
}

fn publish(context: &mut Context<'_>, file: FileId, change: &Change) {
    let [read, write] = change.ready;
    let Some(known) = read.or(write) else { return };
    context.set_error(file, known.error);
    match (read, write) {
        (Some(read), Some(write)) => {
            let [came, went] = change.news;
            context.publish_both(file, [(read.level(), came), (write.level(), went)]);
        }
        (Some(read), None) => context.publish(file, Direction::Read, read.level(), change.news[0]),
        (None, Some(write)) => context.publish(file, Direction::Write, write.level(), change.news[1]),
        (None, None) => {}
    }
}
