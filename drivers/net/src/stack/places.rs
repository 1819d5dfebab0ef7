//! Which socket a packet is for: by its two addresses, or by the one that a socket waits at. Of several that wait for connections
//! at one address (`SO_REUSEPORT`) it is the one that has waited longest: who has taken one goes to the end.

use super::table::Handle;
use crate::heading::{Content, Heading};
use alloc::collections::BTreeSet;
use core::net::{Ipv4Addr, SocketAddrV4};
use driver_sdk::sockets::Id;

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
    /// Those that wait for a connection, with the turn at which they began.
    listeners: BTreeSet<(u16, Ipv4Addr, u64, Handle)>,
    turns: u64,
    datagrams: BTreeSet<(u16, Handle, Ipv4Addr)>,
    /// Those whose listeners have no room, with those.
    full: BTreeSet<(u16, Ipv4Addr, Id)>,
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
            Place::Listener(at) => {
                self.turns += 1;
                self.listeners.insert((at.port(), *at.ip(), self.turns, handle))
            }
            Place::Datagrams(at) => self.datagrams.insert((at.port(), handle, *at.ip())),
        };
    }

    /// A socket is no longer at a place.
    pub fn remove(&mut self, place: Place, handle: Handle) {
        _ = match place {
            Place::Connection { local, remote } => {
                self.connections.remove(&(local.port(), *local.ip(), remote, handle))
            }
            Place::Listener(at) => {
                let found = self.at(at).find(|waiting| waiting.3 == handle).copied();
                found.is_some_and(|found| self.listeners.remove(&found))
            }
            Place::Datagrams(at) => self.datagrams.remove(&(at.port(), handle, *at.ip())),
        };
    }

    /// Whether a listener at an address has no room.
    pub fn set_full(&mut self, listener: Id, at: SocketAddrV4, is_full: bool) {
        let key = (at.port(), *at.ip(), listener);
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

    /// Who waits for connections at exactly an address, longest first.
    fn at(&self, at: SocketAddrV4) -> impl Iterator<Item = &(u16, Ipv4Addr, u64, Handle)> {
        let key = |turn, handle| (at.port(), *at.ip(), turn, handle);
        self.listeners.range(key(0, Handle::LEAST)..=key(u64::MAX, Handle::MOST))
    }

    /// To whom a packet goes that begins a connection with an address: who has that one comes before who has all.
    pub fn listener(&self, to: SocketAddrV4) -> Way {
        let places = [to, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, to.port())];
        if let Some(&(.., handle)) = places.into_iter().find_map(|at| self.at(at).next()) {
            return Way::To(handle);
        }
        let is_full = |at: &SocketAddrV4| {
            let key = |id| (at.port(), *at.ip(), id);
            self.full.range(key(Id::MIN)..=key(Id::MAX)).next().is_some()
        };
        if places.iter().any(is_full) { Way::Full } else { Way::Nobody }
    }

    /// To whom a packet goes. `is_of_many`: its address is nobody's in particular.
    pub fn find(&self, heading: &Heading, is_of_many: bool) -> Way {
        let Heading { from, to, content } = *heading;
        let found = match content {
            Content::Datagram => nearest(&self.datagrams, to, is_of_many),
            Content::Segment => self.connection(to, from),
            Content::First | Content::Stray => match (self.connection(to, from), self.listener(to)) {
                (None, Way::To(handle)) => Some(handle),
                (None, Way::Full) if content == Content::First => return Way::Full,
                (found, _) => found,
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
