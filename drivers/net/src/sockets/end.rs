//! Half a connection ends, or all of it.

use super::{Id, Sockets};
use crate::address::from_endpoint;
use crate::port::Card;
use crate::ports::overlap;
use crate::socket::{Role, Socket};
use crate::stack::PATIENCE;
use abi::error::{EADDRINUSE, ENOTCONN, Error, Result};
use abi::limits::FOREVER;
use core::net::SocketAddrV4;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant;

/// Connections that have ended and only keep their addresses from being used again (TIME_WAIT), at most: they cost as much as
/// others do.
const REMEMBERED: usize = 32;

/// A connection whose owner is gone, until what it has sent has arrived and its end is acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Lingering {
    handle: SocketHandle,
    client: u64,
    /// Then it is given up.
    until: Instant,
}

impl<C: Card> Sockets<C> {
    /// No more is received, sent, or both. What came before stays to be read (R20). A listener takes no more connections, and
    /// its sleepers wake (R51). ENOTCONN.
    pub fn shutdown(&mut self, id: Id, read: bool, write: bool) -> Result<()> {
        let socket = self.get_mut(id)?;
        match socket.role {
            Role::Listening { .. } => socket.read_shut |= read,
            Role::Connected { handle, .. } => {
                socket.read_shut |= read;
                socket.write_shut |= write;
                if write {
                    let tcp = self.stack.tcp_mut(handle);
                    tcp.close();
                    let is = tcp.state();
                    if let Role::Connected { state, .. } = &mut self.get_mut(id)?.role {
                        *state = is;
                    }
                }
            }
            Role::Datagrams { peer: Some(_), .. } => {
                socket.read_shut |= read;
                socket.write_shut |= write;
            }
            Role::Idle | Role::Connecting { .. } | Role::Failed | Role::Datagrams { .. } => {
                return Err(Error::new(ENOTCONN));
            }
        }
        Ok(())
    }

    /// Nobody has the socket any more. What it has sent goes on to its peer, who is told that it was in the midst of something
    /// when it has not read everything (ECONNRESET there).
    pub fn close(&mut self, id: Id) {
        let Some(socket) = self.sockets.remove(&id) else { return };
        let Socket { client, role, returned, .. } = socket;
        match role {
            Role::Idle | Role::Failed => {}
            Role::Datagrams { handle, .. } => self.release(client, handle),
            Role::Listening { waiting, .. } => {
                for handle in waiting {
                    self.reset(client, handle);
                }
            }
            Role::Connecting { handle, .. } => self.reset(client, handle),
            Role::Connected { handle, .. } => {
                if !returned.is_empty() || self.stack.tcp(handle).can_recv() {
                    self.reset(client, handle);
                } else {
                    self.stack.tcp_mut(handle).close();
                    self.linger(client, handle);
                }
            }
        }
    }

    fn reset(&mut self, client: u64, handle: SocketHandle) {
        self.stack.tcp_mut(handle).abort();
        self.linger(client, handle);
    }

    fn linger(&mut self, client: u64, handle: SocketHandle) {
        let until = self.stack.now() + PATIENCE;
        self.lingering.push_back(Lingering { handle, client, until });
    }

    /// Lets go of the connections that have come to their end.
    pub(super) fn look_after_lingering(&mut self) {
        let now = self.stack.now();
        let is_remembered =
            |sockets: &Self, one: &Lingering| sockets.stack.tcp(one.handle).state() == State::TimeWait;
        let remembered = self.lingering.iter().filter(|one| is_remembered(self, one)).count();
        let mut excess = remembered.saturating_sub(REMEMBERED);
        for _ in 0..self.lingering.len() {
            let Some(one) = self.lingering.pop_front() else { return };
            let tcp = self.stack.tcp(one.handle);
            // Closed with somebody to tell it is not yet told.
            let ended = tcp.state() == State::Closed && tcp.remote_endpoint().is_none();
            let forgotten = excess > 0 && tcp.state() == State::TimeWait;
            if ended || forgotten || now >= one.until {
                excess -= usize::from(forgotten);
                self.release(one.client, one.handle);
            } else {
                self.lingering.push_back(one);
            }
        }
    }

    /// The ended connection between two addresses, seen from the first one.
    fn lingering_at(&self, local: SocketAddrV4, remote: SocketAddrV4) -> Option<usize> {
        self.lingering.iter().position(|one| {
            let tcp = self.stack.tcp(one.handle);
            tcp.local_endpoint().map(from_endpoint) == Some(local)
                && tcp.remote_endpoint().map(from_endpoint) == Some(remote)
        })
    }

    /// Two addresses are to be connected anew: what is only remembered of their last connection (TIME_WAIT) is forgotten.
    /// EADDRINUSE: that one is still ending.
    pub(super) fn forget(&mut self, local: SocketAddrV4, remote: SocketAddrV4) -> Result<()> {
        let Some(at) = self.lingering_at(local, remote) else { return Ok(()) };
        if self.stack.tcp(self.lingering[at].handle).state() != State::TimeWait {
            return Err(Error::new(EADDRINUSE));
        }
        if let Some(one) = self.lingering.remove(at) {
            self.release(one.client, one.handle);
        }
        Ok(())
    }

    /// A first segment for a listener reopens a connection that is only remembered (RFC 1122, 4.2.2.13); it would take the
    /// segment for a stray one of its own.
    pub(super) fn reopen(&mut self) {
        let Some((remote, local)) = self.stack.port().begins() else { return };
        let listens = |socket: &Socket| {
            matches!(socket.role, Role::Listening { .. })
                && socket.bound.is_some_and(|bound| overlap(bound, local))
        };
        if !self.lingering.is_empty() && self.sockets.values().any(listens) {
            // What is still ending is not forgotten: it answers, and the other side tries again.
            _ = self.forget(local, remote);
        }
    }

    /// Whether a connection that ends, or has ended, was that of an address.
    pub(super) fn lingers(&self, local: SocketAddrV4) -> bool {
        let locals = self.lingering.iter().filter_map(|one| self.stack.tcp(one.handle).local_endpoint());
        locals.map(from_endpoint).any(|ended| overlap(ended, local))
    }

    /// The oldest ended connection of a client makes room for another.
    pub(super) fn evict(&mut self, client: u64) {
        let of_client = |one: &Lingering| one.client == client;
        let remembered = self
            .lingering
            .iter()
            .position(|one| of_client(one) && self.stack.tcp(one.handle).state() == State::TimeWait);
        let at = remembered.or_else(|| self.lingering.iter().position(of_client));
        if let Some(one) = at.and_then(|at| self.lingering.remove(at)) {
            self.release(one.client, one.handle);
        }
    }

    pub(super) fn lingering_deadline(&self) -> u64 {
        let first = self.lingering.iter().map(|one| one.until).min();
        first.map_or(FOREVER, |until| {
            u64::try_from(until.total_micros()).unwrap_or(0).saturating_add(1).saturating_mul(1000)
        })
    }
}
