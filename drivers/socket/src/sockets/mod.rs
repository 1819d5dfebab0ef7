//! All sockets, and what has to be told of each act.

mod connect;
mod end;
mod options;
mod transfer;

use crate::inbox::Inbox;
use crate::names::Names;
use crate::socket::{Kind, Options, Role, Socket};
use abi::error::{EBADF, EINVAL, ENOBUFS, Error, Result};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use driver_sdk::sockets::{LowWater, Ready};

pub use driver_sdk::sockets::Id;
pub use transfer::{Sent, Take};

/// Bytes of an address.
pub const MAX_ADDRESS: usize = 107;
/// Bytes that a socket holds for its receiver, unless it is told otherwise.
pub const BUFFER: usize = 16 * 1024;
/// The smallest and largest that it can be told to hold.
pub const BUFFERS: core::ops::RangeInclusive<usize> = 4096..=32 * 1024;
/// Space at which a socket is writable, unless it is told otherwise.
pub const SEND_LOW: u32 = 2048;
/// Connections to one listener that wait to be accepted, at most.
pub const MAX_BACKLOG: usize = 128;
/// Connections of all listeners that wait to be accepted (R55): they hold bytes though their clients may be gone.
pub const MAX_UNACCEPTED: usize = 512;
/// Those that one client has made.
pub const MAX_UNACCEPTED_OF_CLIENT: usize = MAX_UNACCEPTED / 4;

/// A direction of a socket whose readiness may have changed. News are also that what was refused can be tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Reading; `news` when something came.
    Read {
        /// Whose.
        socket: Id,
        /// Even who only wants news wants to know.
        news: bool,
    },
    /// Writing; `news` when space came.
    Write {
        /// Whose.
        socket: Id,
        /// Even who only wants news wants to know.
        news: bool,
    },
}

impl Change {
    /// Whose it is.
    pub fn socket(&self) -> Id {
        let (Change::Read { socket, .. } | Change::Write { socket, .. }) = *self;
        socket
    }
}

/// Sockets, with handles of the caller's sort travelling in their messages.
pub struct Sockets<H> {
    sockets: BTreeMap<Id, Socket<H>>,
    names: Names,
    next: Id,
    /// Connections that wait to be accepted, by who made them.
    unaccepted: BTreeMap<u64, usize>,
    changes: Vec<Change>,
}

impl<H> Default for Sockets<H> {
    fn default() -> Sockets<H> {
        Sockets {
            sockets: BTreeMap::new(),
            names: Names::default(),
            next: 1,
            unaccepted: BTreeMap::new(),
            changes: Vec::new(),
        }
    }
}

impl<H> Sockets<H> {
    /// A new socket of a client's process.
    pub fn create(&mut self, kind: Kind, client: u64, process: i64) -> Id {
        let id = self.next;
        self.next += 1;
        let socket = Socket {
            kind,
            role: Role::Idle,
            name: None,
            inbox: Inbox::new(BUFFER),
            read_shut: false,
            write_shut: false,
            error: 0,
            options: Options {
                low_water: LowWater { receive: 1, send: SEND_LOW },
                send_buffer: BUFFER,
                inline: false,
                reuse: false,
            },
            client,
            unaccepted: None,
            process,
            senders: BTreeSet::new(),
            refused: BTreeSet::new(),
            blocked: None,
        };
        self.sockets.insert(id, socket);
        id
    }

    /// A socket. EBADF.
    pub fn get(&self, id: Id) -> Result<&Socket<H>> {
        self.sockets.get(&id).ok_or(Error::new(EBADF))
    }

    fn get_mut(&mut self, id: Id) -> Result<&mut Socket<H>> {
        self.sockets.get_mut(&id).ok_or(Error::new(EBADF))
    }

    /// How ready a socket is to be written to (R20, R22).
    pub fn writable(&self, id: Id) -> Ready {
        let Some(socket) = self.sockets.get(&id) else { return Ready::default() };
        let error = socket.error;
        let amount = match (&socket.role, socket.kind) {
            (Role::Listening { .. }, _) => return Ready::default(),
            // Another message may have room where that one had none; but who waits is not to be told to go on.
            (_, kind) if kind.has_messages() && socket.blocked.is_some() => 0,
            (Role::Idle, Kind::Datagram) => socket.options.send_buffer,
            (Role::Idle, _) => return Ready { error, ..Ready::default() },
            (Role::Connected { .. }, _) if socket.write_shut => 0,
            (Role::Connected { peer, .. }, kind) => match self.sockets.get(peer) {
                Some(receiver) => self.room(socket, receiver, kind),
                // A send is told at once that nobody is there.
                None => socket.options.send_buffer,
            },
        };
        Ready { amount, end: socket.write_shut, error, ..Ready::default() }
    }

    /// Bytes that one more message may have.
    fn room(&self, sender: &Socket<H>, receiver: &Socket<H>, kind: Kind) -> usize {
        let used = receiver.inbox.capacity() - receiver.inbox.room().min(receiver.inbox.capacity());
        let room = receiver.inbox.room().min(sender.options.send_buffer.saturating_sub(used));
        if kind.has_messages() { room.saturating_sub(crate::inbox::OVERHEAD) } else { room }
    }

    /// Names and how many sockets there are, accepted or not.
    pub fn load(&self) -> (usize, usize) {
        (self.names.len(), self.sockets.len())
    }

    /// Every handle that is on its way, with the socket that it will be received from.
    pub fn handles(&self) -> impl Iterator<Item = (Id, &H)> {
        self.sockets.iter().flat_map(|(&id, socket)| socket.inbox.handles().map(move |handle| (id, handle)))
    }

    /// Removes the name of a socket. ENOENT.
    pub fn unlink(&mut self, name: &str) -> Result<()> {
        self.names.unlink(name)
    }

    /// Whether a name is bound. ENOENT.
    pub fn find(&self, name: &str) -> Result<Option<Id>> {
        self.names.find(name)
    }

    /// What has to be told since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        core::mem::take(&mut self.changes)
    }

    fn tell_read(&mut self, socket: Id, news: bool) {
        self.changes.push(Change::Read { socket, news });
    }

    fn tell_write(&mut self, socket: Id, news: bool) {
        self.changes.push(Change::Write { socket, news });
    }

    /// A connection that waits to be accepted counts against who made it. ENOBUFS.
    fn count_unaccepted(&mut self, client: u64) -> Result<()> {
        let own = self.unaccepted.get(&client).copied().unwrap_or(0);
        if own >= MAX_UNACCEPTED_OF_CLIENT || self.unaccepted.values().sum::<usize>() >= MAX_UNACCEPTED {
            return Err(Error::new(ENOBUFS));
        }
        self.unaccepted.insert(client, own + 1);
        Ok(())
    }

    /// It is accepted, or closed.
    fn discount_unaccepted(&mut self, client: Option<u64>) {
        let Some(client) = client else { return };
        if let Some(own) = self.unaccepted.get_mut(&client) {
            *own -= 1;
            if *own == 0 {
                self.unaccepted.remove(&client);
            }
        }
    }

    /// There is more room in a socket's inbox, or will never be: whoever sends there is told.
    fn tell_senders(&mut self, id: Id, news: bool) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let refused = core::mem::take(&mut socket.refused);
        self.changes.extend(socket.senders.iter().map(|&socket| Change::Write { socket, news }));
        if !news {
            socket.refused = refused;
            return;
        }
        for waiting in refused {
            if let Some(socket) = self.sockets.get_mut(&waiting) {
                socket.blocked = None;
                self.tell_write(waiting, true);
            }
        }
    }

    /// A socket finds no room at another, and is told when there is some.
    fn block(&mut self, id: Id, target: Id) -> Result<()> {
        self.unblock(id);
        self.get_mut(target)?.refused.insert(id);
        self.get_mut(id)?.blocked = Some(target);
        self.tell_write(id, false);
        Ok(())
    }

    /// A socket waits no longer for room.
    fn unblock(&mut self, id: Id) {
        let Some(target) = self.sockets.get_mut(&id).and_then(|socket| socket.blocked.take()) else { return };
        if let Some(target) = self.sockets.get_mut(&target) {
            target.refused.remove(&id);
        }
        self.tell_write(id, true);
    }

    /// What a call asks of a socket that is not what it should be.
    fn idle(&self, id: Id) -> Result<&Socket<H>> {
        let socket = self.get(id)?;
        match socket.role {
            Role::Idle => Ok(socket),
            _ => Err(Error::new(EINVAL)),
        }
    }
}
