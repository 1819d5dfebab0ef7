//! Addresses and connections.

use super::{BUFFER, Id, MAX_ADDRESS, MAX_BACKLOG, Sockets};
use crate::socket::{Kind, Role};
use abi::error::{
    EAGAIN, ECONNREFUSED, EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP, EPERM, EPROTOTYPE, Error, Result,
};
use alloc::collections::VecDeque;

impl<H> Sockets<H> {
    /// Gives a socket an address. EINVAL when it has one, EADDRINUSE, ENAMETOOLONG, ENOENT (no text), ENOSPC.
    pub fn bind(&mut self, id: Id, name: &str) -> Result<()> {
        let socket = self.get(id)?;
        if socket.name.is_some() || socket.kind.is_connected() && !matches!(socket.role, Role::Idle) {
            return Err(Error::new(EINVAL));
        }
        let client = socket.client;
        let name = self.names.bind(name, MAX_ADDRESS, id, client)?;
        self.get_mut(id)?.name = Some(name);
        Ok(())
    }

    /// Waits for connections, so many at most; fewer than one counts as one, a negative number is the most there can be.
    /// EOPNOTSUPP for datagrams, EINVAL without an address or when connected.
    pub fn listen(&mut self, id: Id, backlog: i32) -> Result<()> {
        let most = usize::try_from(backlog).unwrap_or(MAX_BACKLOG).clamp(1, MAX_BACKLOG);
        let socket = self.get_mut(id)?;
        if !socket.kind.is_connected() {
            return Err(Error::new(EOPNOTSUPP));
        }
        match &mut socket.role {
            Role::Listening { most: limit, .. } => *limit = most,
            Role::Idle if socket.name.is_some() => {
                socket.role = Role::Listening { backlog: VecDeque::new(), most };
            }
            _ => return Err(Error::new(EINVAL)),
        }
        // A longer backlog has room for who was refused.
        self.tell_senders(id, true);
        self.tell_read(id, false);
        Ok(())
    }

    /// Connects a socket to the one of an address. A datagram socket can be connected anew, or with no text to nobody.
    ///
    /// EAGAIN: the backlog is full. ECONNREFUSED: nobody listens there. EPROTOTYPE: it is of another kind. EISCONN,
    /// EINVAL (a listener), ENOENT, EPERM (a datagram socket that is connected to another), ENOBUFS (too many connections wait
    /// to be accepted).
    pub fn connect(&mut self, id: Id, name: &str) -> Result<()> {
        let socket = self.get(id)?;
        let kind = socket.kind;
        match socket.role {
            Role::Listening { .. } => return Err(Error::new(EINVAL)),
            Role::Connected { .. } if kind.is_connected() => return Err(Error::new(EISCONN)),
            _ => {}
        }
        if name.is_empty() && kind == Kind::Datagram {
            self.dissolve(id);
            return Ok(());
        }
        let target = self.names.find(name)?.ok_or(Error::new(ECONNREFUSED))?;
        if self.get(target)?.kind != kind {
            return Err(Error::new(EPROTOTYPE));
        }
        if kind.is_connected() {
            self.connect_to_listener(id, target)
        } else {
            self.connect_datagrams(id, target)
        }
    }

    fn connect_to_listener(&mut self, id: Id, target: Id) -> Result<()> {
        let listener = self.get_mut(target)?;
        let (kind, client, process, shut) =
            (listener.kind, listener.client, listener.process, listener.read_shut);
        let (name, options) = (listener.name.clone(), listener.options);
        let capacity = listener.inbox.capacity();
        match &listener.role {
            Role::Listening { .. } if shut => return Err(Error::new(ECONNREFUSED)),
            Role::Listening { backlog, most } if backlog.len() >= *most => {
                self.block(id, target)?;
                return Err(Error::new(EAGAIN));
            }
            Role::Listening { .. } => {}
            _ => return Err(Error::new(ECONNREFUSED)),
        }
        let own = self.get(id)?;
        let (own_name, own_process, own_client) = (own.name.clone(), own.process, own.client);
        self.count_unaccepted(own_client)?;
        self.unblock(id);
        let other = self.create(kind, client, process);
        let accepted = self.get_mut(other)?;
        accepted.name.clone_from(&name);
        accepted.unaccepted = Some(own_client);
        // As in BSD, connections have their listener's options.
        accepted.options = options;
        accepted.inbox.set_capacity(capacity);
        accepted.role = Role::Connected { peer: id, name: own_name, process: own_process };
        accepted.senders.insert(id);
        let own = self.get_mut(id)?;
        own.role = Role::Connected { peer: other, name, process };
        own.senders.insert(other);
        if let Role::Listening { backlog, .. } = &mut self.get_mut(target)?.role {
            backlog.push_back(other);
        }
        self.tell_read(target, true);
        self.tell_write(id, true);
        Ok(())
    }

    fn connect_datagrams(&mut self, id: Id, target: Id) -> Result<()> {
        let receiver = self.get(target)?;
        if receiver.peer().is_some_and(|peer| peer != id) {
            return Err(Error::new(EPERM));
        }
        let (name, process) = (receiver.name.clone(), receiver.process);
        self.dissolve(id);
        self.unblock(id);
        self.get_mut(id)?.role = Role::Connected { peer: target, name, process };
        self.get_mut(target)?.senders.insert(id);
        self.tell_write(id, true);
        Ok(())
    }

    /// A datagram socket has no other side any more.
    fn dissolve(&mut self, id: Id) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let Some(peer) = socket.peer() else { return };
        socket.role = Role::Idle;
        if let Some(peer) = self.sockets.get_mut(&peer) {
            peer.senders.remove(&id);
        }
        self.tell_write(id, true);
    }

    /// The other one of a pair. EISCONN when the socket is connected already, EINVAL when it listens or has an address.
    pub fn pair(&mut self, id: Id, client: u64, process: i64) -> Result<Id> {
        if self.get(id)?.peer().is_some() {
            return Err(Error::new(EISCONN));
        }
        let socket = self.idle(id)?;
        if socket.name.is_some() || socket.read_shut || socket.write_shut {
            return Err(Error::new(EINVAL));
        }
        let (kind, own_process) = (socket.kind, socket.process);
        let other = self.create(kind, client, process);
        for (one, another, process) in [(id, other, process), (other, id, own_process)] {
            let socket = self.get_mut(one)?;
            socket.role = Role::Connected { peer: another, name: None, process };
            socket.senders.insert(another);
            self.tell_write(one, true);
        }
        Ok(other)
    }

    /// The next connection of a listener. EAGAIN: there is none yet. EINVAL: it does not listen, or no longer (R51).
    pub fn accept(&mut self, id: Id) -> Result<Id> {
        let listener = self.get_mut(id)?;
        let shut = listener.read_shut;
        let Role::Listening { backlog, .. } = &mut listener.role else { return Err(Error::new(EINVAL)) };
        let Some(next) = backlog.pop_front() else {
            return Err(Error::new(if shut { EINVAL } else { EAGAIN }));
        };
        let waited_for = self.get_mut(next)?.unaccepted.take();
        self.discount_unaccepted(waited_for);
        self.tell_read(id, false);
        self.tell_senders(id, true);
        // Its readiness begins to be published.
        self.tell_read(next, true);
        self.tell_write(next, true);
        Ok(next)
    }

    /// The address of a socket's other side. ENOTCONN.
    pub fn peer_name(&self, id: Id) -> Result<&str> {
        match &self.get(id)?.role {
            Role::Connected { name, .. } => Ok(name.as_deref().unwrap_or("")),
            _ => Err(Error::new(ENOTCONN)),
        }
    }

    /// The process of a socket's other side. ENOTCONN.
    pub fn peer_process(&self, id: Id) -> Result<i64> {
        match self.get(id)?.role {
            Role::Connected { process, .. } => Ok(process),
            _ => Err(Error::new(ENOTCONN)),
        }
    }
}

const _: () = assert!(BUFFER >= super::SEND_LOW as usize);
