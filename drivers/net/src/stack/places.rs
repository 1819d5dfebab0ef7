//! Which socket a packet is for: by its two addresses, or by the one that a socket waits at.

use super::table::Handle;
use crate::heading::{Content, Heading};
use alloc::collections::BTreeSet;
use core::net::{Ipv4Addr, SocketAddrV4};

/// Which packets are for a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Those of one connection.
    Connection {
        /// Its address here.
        local: SocketAddrV4,
        /// The other side's.
        remote: SocketAddrV4,
    },
    /// Those that begin one with an address.
    Listener(SocketAddrV4),
    /// Datagrams to an address.
    Datagrams(SocketAddrV4),
}

/// To whom a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// To a socket.
    To(Handle),
    /// To a listener that has no room: it is dropped, and its sender tries again.
    Full,
    /// To nobody.
    Nobody,
}

/// A connection, those with one port together.
type Pair = (u16, Ipv4Addr, SocketAddrV4, Handle);

/// Where sockets are.
#[derive(Default)]
pub struct Places {
    connections: BTreeSet<Pair>,
    listeners: BTreeSet<(u16, Handle, Ipv4Addr)>,
    datagrams: BTreeSet<(u16, Handle, Ipv4Addr)>,
    full: BTreeSet<(u16, Ipv4Addr)>,
}

/// Less and more than any other handle or address.
const LEAST: (Ipv4Addr, SocketAddrV4, Handle) =
    (Ipv4Addr::UNSPECIFIED, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), Handle::LEAST);
const MOST: (Ipv4Addr, SocketAddrV4, Handle) =
    (Ipv4Addr::BROADCAST, SocketAddrV4::new(Ipv4Addr::BROADCAST, u16::MAX), Handle::MOST);

impl Places {
    /// A socket is at a place from now on.
    pub fn insert(&mut self, place: Place, handle: Handle) {
        _ = match place {
            Place::Connection { local, remote } => {
                self.connections.insert((local.port(), *local.ip(), remote, handle))
            }
            Place::Listener(at) => self.listeners.insert((at.port(), handle, *at.ip())),
            Place::Datagrams(at) => self.datagrams.insert((at.port(), handle, *at.ip())),
        };
    }

    /// A socket is no longer at a place.
    pub fn remove(&mut self, place: Place, handle: Handle) {
        _ = match place {
            Place::Connection { local, remote } => {
                self.connections.remove(&(local.port(), *local.ip(), remote, handle))
            }
            Place::Listener(at) => self.listeners.remove(&(at.port(), handle, *at.ip())),
            Place::Datagrams(at) => self.datagrams.remove(&(at.port(), handle, *at.ip())),
        };
    }

    /// Whether the listener of an address has no room.
    pub fn set_full(&mut self, at: SocketAddrV4, is_full: bool) {
        let key = (at.port(), *at.ip());
        _ = if is_full { self.full.insert(key) } else { self.full.remove(&key) };
    }

    /// The connection between two addresses, seen from the first one.
    pub fn connection(&self, local: SocketAddrV4, remote: SocketAddrV4) -> Option<Handle> {
        let key = |handle| (local.port(), *local.ip(), remote, handle);
        self.connections.range(key(Handle::LEAST)..=key(Handle::MOST)).next().map(|pair| pair.3)
    }

    /// Whether an address, or one of all addresses with its port, is that of a connection.
    pub fn is_spoken_to(&self, local: SocketAddrV4) -> bool {
        let any = local.ip().is_unspecified();
        let (first, last) = if any { (LEAST.0, MOST.0) } else { (*local.ip(), *local.ip()) };
        let range = (local.port(), first, LEAST.1, LEAST.2)..=(local.port(), last, MOST.1, MOST.2);
        self.connections.range(range).next().is_some()
    }

    /// Whether the listener of an address has no room.
    pub fn is_full(&self, at: SocketAddrV4) -> bool {
        let is = |ip| self.full.contains(&(at.port(), ip));
        !self.full.is_empty() && (is(*at.ip()) || is(Ipv4Addr::UNSPECIFIED))
    }

    /// Who waits for connections with an address.
    pub fn listener(&self, at: SocketAddrV4) -> Option<Handle> {
        nearest(&self.listeners, at, false)
    }

    /// To whom a packet goes. `is_of_many`: its address is nobody's in particular.
    pub fn find(&self, heading: &Heading, is_of_many: bool) -> Way {
        let Heading { from, to, content } = *heading;
        let found = match content {
            Content::Datagram => nearest(&self.datagrams, to, is_of_many),
            Content::Segment => self.connection(to, from),
            Content::First | Content::Stray => match self.connection(to, from) {
                None if content == Content::First && self.is_full(to) => return Way::Full,
                found => found.or_else(|| self.listener(to)),
            },
        };
        found.map_or(Way::Nobody, Way::To)
    }
}

/// The first socket at exactly an address, otherwise the first at all addresses; what is for many goes to the first of the port.
fn nearest(
    sockets: &BTreeSet<(u16, Handle, Ipv4Addr)>,
    to: SocketAddrV4,
    is_of_many: bool,
) -> Option<Handle> {
    let port = to.port();
    let range = (port, Handle::LEAST, LEAST.0)..=(port, Handle::MOST, MOST.0);
    let mut general = None;
    for &(_, handle, ip) in sockets.range(range) {
        if is_of_many || ip == *to.ip() {
            return Some(handle);
        }
        if ip.is_unspecified() {
            general = general.or(Some(handle));
        }
    }
    general
}
