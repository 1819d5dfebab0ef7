//! Addresses and connections.

use super::{Id, MAX_BACKLOG, Sockets};
use crate::address::from_endpoint;
use crate::port::Card;
use crate::socket::{Kind, Role, Socket, is_made};
use abi::error::{
    EAGAIN, EALREADY, ECONNABORTED, EDESTADDRREQ, EINPROGRESS, EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP, Error,
    Result,
};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

impl<C: Card> Sockets<C> {
    /// Gives a socket an address; port 0 is any that is free. EINVAL when it has one, EADDRINUSE, EADDRNOTAVAIL.
    pub fn bind(&mut self, id: Id, address: SocketAddrV4) -> Result<()> {
        let socket = self.get(id)?;
        if socket.bound.is_some() || !matches!(socket.role, Role::Idle) {
            return Err(Error::new(EINVAL));
        }
        self.stack.check_own(*address.ip())?;
        let address = self.choose_port(socket.kind, address, socket.options.reuse_port)?;
        self.set_bound(id, Some(address))?;
        if self.get(id)?.kind == Kind::Datagram {
            self.open_datagrams(id).inspect_err(|_| _ = self.set_bound(id, None))?;
        }
        Ok(())
    }

    fn choose_port(&mut self, kind: Kind, wanted: SocketAddrV4, shares: bool) -> Result<SocketAddrV4> {
        let stack = &mut self.stack;
        // Who asks for a port gets it; who leaves the choice gets one without a past.
        self.ports.choose(kind, wanted, shares, |address| kind == Kind::Stream && stack.is_spoken_to(address))
    }

    /// The stack's side of a datagram socket, whose address is any if it has none.
    pub(super) fn open_datagrams(&mut self, id: Id) -> Result<()> {
        let socket = self.get(id)?;
        if !matches!(socket.role, Role::Idle) {
            return Ok(());
        }
        let (client, options) = (socket.client, socket.options);
        let local = match socket.bound {
            Some(bound) => bound,
            None => self.choose_port(Kind::Datagram, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), false)?,
        };
        if !self.shares.has_room(client) {
            self.evict(client, true);
        }
        self.shares.take(client)?;
        match self.stack.add_udp(local, options.receive_buffer, options.send_buffer) {
            Ok(handle) => {
                self.stack.set_owner(handle, Some(id));
                if self.get(id)?.bound.is_none() {
                    self.set_bound(id, Some(local))?;
                }
                self.get_mut(id)?.role = Role::Datagrams { handle, peer: None };
                Ok(())
            }
            Err(error) => {
                self.shares.give_back(client);
                Err(error)
            }
        }
    }

    /// Waits for connections, so many at most; fewer than one counts as one, a negative number is the most there can be.
    /// EOPNOTSUPP for datagrams, EDESTADDRREQ without an address, EINVAL when connected.
    pub fn listen(&mut self, id: Id, backlog: i32) -> Result<()> {
        let limit = usize::try_from(backlog).unwrap_or(MAX_BACKLOG).clamp(1, MAX_BACKLOG);
        let socket = self.get_mut(id)?;
        if socket.kind != Kind::Stream {
            return Err(Error::new(EOPNOTSUPP));
        }
        match &mut socket.role {
            Role::Listening { most, .. } => *most = limit,
            Role::Idle if socket.bound.is_some() => {
                socket.role = Role::Listening { waiting: Vec::new(), most: limit };
            }
            Role::Idle => return Err(Error::new(EDESTADDRREQ)),
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(())
    }

    /// Connects a socket. A datagram socket can be connected anew, or with no address to nobody. EINPROGRESS: a connection is
    /// being made ([`Sockets::connected`]). EALREADY: it was being made before. EISCONN, EINVAL (a listener), ENETUNREACH,
    /// EADDRINUSE, ENOBUFS.
    pub fn connect(&mut self, id: Id, address: Option<SocketAddrV4>) -> Result<()> {
        let socket = self.get(id)?;
        // As in BSD, no address in particular is this machine.
        let address = address.map(|address| match address.ip().is_unspecified() {
            true => SocketAddrV4::new(Ipv4Addr::LOCALHOST, address.port()),
            false => address,
        });
        if socket.kind == Kind::Datagram {
            return self.connect_datagrams(id, address);
        }
        match socket.role {
            Role::Idle => {}
            Role::Connecting { .. } => return Err(Error::new(EALREADY)),
            Role::Connected { .. } => return Err(Error::new(EISCONN)),
            Role::Failed => return Err(Error::new(ECONNABORTED)),
            Role::Listening { .. } | Role::Datagrams { .. } => return Err(Error::new(EINVAL)),
        }
        let address = address.ok_or(Error::new(EINVAL))?;
        let (client, options, bound) = (socket.client, socket.options, socket.bound);
        let source = self.stack.source_for(*address.ip(), bound.map(|bound| *bound.ip()))?;
        let local = match bound {
            Some(bound) => SocketAddrV4::new(source, bound.port()),
            None => self.choose_port(Kind::Stream, SocketAddrV4::new(source, 0), false)?,
        };
        self.forget(local, address)?;
        let handle = self.acquire(client, options, true)?;
        if let Err(error) = self.stack.connect(handle, local, address) {
            self.release(client, handle);
            return Err(error);
        }
        self.stack.set_owner(handle, Some(id));
        self.set_bound(id, Some(local))?;
        let since = self.stack.now();
        self.get_mut(id)?.role = Role::Connecting { handle, since };
        Err(Error::new(EINPROGRESS))
    }

    fn connect_datagrams(&mut self, id: Id, address: Option<SocketAddrV4>) -> Result<()> {
        if let Some(address) = address {
            let bound = self.get(id)?.bound.map(|bound| *bound.ip());
            self.stack.source_for(*address.ip(), bound)?;
        }
        self.open_datagrams(id)?;
        let socket = self.get_mut(id)?;
        if let Role::Datagrams { peer, .. } = &mut socket.role {
            *peer = address;
            // What others sent before is nothing to who speaks with one.
            socket.inbox.retain(|datagram| address.is_none_or(|address| datagram.from == address));
        }
        Ok(())
    }

    /// Whether the connection is made that was begun. EAGAIN: not yet. What it failed of is told here, and no longer pending.
    pub fn connected(&mut self, id: Id) -> Result<()> {
        match self.get(id)?.role {
            Role::Connected { .. } | Role::Datagrams { .. } => Ok(()),
            Role::Connecting { .. } => Err(Error::new(EAGAIN)),
            Role::Failed => match self.take_error(id)? {
                0 => Err(Error::new(ECONNABORTED)),
                error => Err(Error::new(error)),
            },
            Role::Idle | Role::Listening { .. } => Err(Error::new(ENOTCONN)),
        }
    }

    /// The next connection of a listener. EAGAIN: there is none yet. EINVAL: it does not listen, or no longer (R51).
    pub fn accept(&mut self, id: Id) -> Result<Id> {
        let listener = self.get(id)?;
        let (client, options, shut) = (listener.client, listener.options, listener.read_shut);
        let Role::Listening { waiting, .. } = &listener.role else { return Err(Error::new(EINVAL)) };
        let Some(at) = waiting.iter().position(|&handle| is_made(self.stack.tcp(handle).state())) else {
            return Err(Error::new(if shut { EINVAL } else { EAGAIN }));
        };
        let Role::Listening { waiting, .. } = &mut self.get_mut(id)?.role else {
            return Err(Error::new(EINVAL));
        };
        let handle = waiting.remove(at);
        let state = self.stack.tcp(handle).state();
        let role = Role::Connected { handle, state };
        let accepted = self.insert(Socket::new(Kind::Stream, client, role, options));
        self.stack.set_owner(handle, Some(accepted));
        Ok(accepted)
    }

    /// A socket's own address, no address in particular when it has none. Of a connection it is the one that the other side speaks to.
    pub fn name(&self, id: Id) -> Result<SocketAddrV4> {
        let socket = self.get(id)?;
        let local = socket.connection().and_then(|handle| self.stack.tcp(handle).local_endpoint());
        let own = local.map(from_endpoint).or(socket.bound);
        Ok(own.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)))
    }

    /// The address of a socket's other side. ENOTCONN.
    pub fn peer(&self, id: Id) -> Result<SocketAddrV4> {
        let peer = match self.get(id)?.role {
            Role::Connected { handle, .. } => self.stack.tcp(handle).remote_endpoint().map(from_endpoint),
            Role::Datagrams { peer, .. } => peer,
            _ => None,
        };
        peer.ok_or(Error::new(ENOTCONN))
    }
}
