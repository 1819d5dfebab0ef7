//! Half a connection ends, or all of it.

use super::{Id, Sockets};
use crate::port::Card;
use crate::socket::{Role, Socket};
use crate::stack::{Handle, PATIENCE};
use abi::error::{EADDRINUSE, ENOTCONN, Error, Result};
use abi::limits::FOREVER;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddrV4;
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant;

/// Connections that have ended and only keep their addresses from being used again (TIME_WAIT), at most: they cost as much
/// memory as others do.
const REMEMBERED: usize = 32;

/// Connections whose owners are gone, until what they have sent has arrived and their ends are acknowledged.
#[derive(Debug, Default)]
pub struct Lingering {
    ended: BTreeMap<Handle, Ended>,
    /// By the time when they are given up: oldest first.
    by_age: BTreeSet<(Instant, Handle)>,
    /// Those of them that are only remembered.
    remembered: BTreeSet<(Instant, Handle)>,
    /// Those to which something has happened.
    noted: Vec<Handle>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    client: u64,
    until: Instant,
}

impl Lingering {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ended.len()
    }

    /// Something has happened to a socket of the stack that is nobody's.
    pub fn note(&mut self, handle: Handle) {
        self.noted.push(handle);
    }

    fn insert(&mut self, handle: Handle, ended: Ended) {
        self.ended.insert(handle, ended);
        self.by_age.insert((ended.until, handle));
        self.note(handle);
    }

    fn remove(&mut self, handle: Handle) -> Option<Ended> {
        let ended = self.ended.remove(&handle)?;
        self.by_age.remove(&(ended.until, handle));
        self.remembered.remove(&(ended.until, handle));
        Some(ended)
    }
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
        let Socket { kind, client, role, bound, returned, .. } = socket;
        if let Some(bound) = bound {
            self.ports.give_back(kind, bound, id);
        }
        match role {
            Role::Idle | Role::Failed => {}
            Role::Datagrams { handle, .. } => self.release(client, handle),
            Role::Listening { waiting, .. } => {
                self.starved.remove(&(client, id));
                if let Some(bound) = bound {
                    self.stack.set_full(id, bound, false);
                }
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

    fn reset(&mut self, client: u64, handle: Handle) {
        self.stack.tcp_mut(handle).abort();
        self.linger(client, handle);
    }

    fn linger(&mut self, client: u64, handle: Handle) {
        self.stack.set_owner(handle, None);
        let until = self.stack.now() + PATIENCE;
        self.lingering.insert(handle, Ended { client, until });
        // It may give way to another.
        self.freed.push(client);
    }

    fn let_go(&mut self, handle: Handle) {
        if let Some(ended) = self.lingering.remove(handle) {
            self.release(ended.client, handle);
        }
    }

    /// Lets go of the connections that have come to their end.
    pub(super) fn look_after_lingering(&mut self) {
        for handle in mem::take(&mut self.lingering.noted) {
            let Some(&Ended { until, client }) = self.lingering.ended.get(&handle) else { continue };
            let tcp = self.stack.tcp(handle);
            match tcp.state() {
                State::TimeWait => {
                    self.lingering.remembered.insert((until, handle));
                    self.freed.push(client);
                }
                // Closed with somebody to tell it is not yet told.
                State::Closed if tcp.remote_endpoint().is_none() => self.let_go(handle),
                _ => {}
            }
        }
        while self.lingering.remembered.len() > REMEMBERED {
            let Some(&(_, handle)) = self.lingering.remembered.first() else { break };
            self.let_go(handle);
        }
        let now = self.stack.now();
        while let Some(&(_, handle)) = self.lingering.by_age.first().filter(|(until, _)| *until <= now) {
            self.let_go(handle);
        }
    }

    /// Two addresses are to be connected anew: what is only remembered of their last connection (TIME_WAIT) is forgotten, or no
    /// longer hears anything, if somebody still has it. EADDRINUSE: that one is still open, or ending.
    pub(super) fn forget(&mut self, local: SocketAddrV4, remote: SocketAddrV4) -> Result<()> {
        let Some(handle) = self.stack.connection(local, remote) else { return Ok(()) };
        if self.stack.tcp(handle).state() != State::TimeWait {
            return Err(Error::new(EADDRINUSE));
        }
        match self.stack.owner(handle) {
            Some(_) => self.stack.set_apart(handle),
            None => self.let_go(handle),
        }
        Ok(())
    }

    /// A first segment for a listener reopens a connection that is only remembered (RFC 1122, 4.2.2.13); it would take the
    /// segment for a stray one of its own.
    pub(super) fn reopen(&mut self) {
        if let Some((remote, local)) = self.stack.begins() {
            // What is still open or ending is not forgotten.
            _ = self.forget(local, remote);
        }
    }

    /// The oldest ended connection of a client makes room for another: one that is only remembered or, with `force`, one that has
    /// something to send. If it is others who leave it no room, it is one of the client that has most of them.
    pub(super) fn evict(&mut self, client: u64, force: bool) {
        let Lingering { ended, by_age, remembered, .. } = &self.lingering;
        let mut client = client;
        if self.shares.are_spent_by_others(client) {
            let mut each = BTreeMap::new();
            ended.values().for_each(|one| *each.entry(one.client).or_insert(0) += 1);
            client = each.into_iter().max_by_key(|(_, count)| *count).map_or(client, |(most, _)| most);
        }
        let of_client =
            |(_, handle): &&(Instant, Handle)| ended.get(handle).is_some_and(|one| one.client == client);
        let oldest =
            remembered.iter().find(of_client).or_else(|| by_age.iter().filter(|_| force).find(of_client));
        if let Some(&(_, handle)) = oldest {
            self.let_go(handle);
        }
    }

    pub(super) fn lingering_deadline(&self) -> u64 {
        self.lingering.by_age.first().map_or(FOREVER, |(until, _)| {
            u64::try_from(until.total_micros()).unwrap_or(0).saturating_add(1).saturating_mul(1000)
        })
    }
}
