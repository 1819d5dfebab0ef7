//! What a shard does for clients: adoption, changes, queues (R2, R31, R34).

use abi::Handle;
use abi::error::{EACCES, EBADF, EINVAL, ENOENT, ENOMEM, ENOTCONN, Error, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::badge::{Badge, ClientId, SourceId};
use event_protocol::control::client::{Adopted, Change, Failure};
use event_protocol::control::limits::MAX_CHANGES;
use event_protocol::shared::Mapped;

use super::{Client, Shard};
use crate::host::Host;
use crate::queue::Queue;
use crate::session::{QueueMemory, Session};

impl<M: Mapped> Shard<M> {
    /// Makes a client known here, if it is not. It has a session handle of this shard, whose closing tells the shard of its
    /// end.
    pub fn enter(&mut self, session: Arc<Session<M>>) -> Result<()> {
        let id = session.id();
        if self.client_slots.contains_key(&id) {
            return Ok(());
        }
        self.clients.reserve()?;
        let held = &mut self.graph.held;
        held.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        self.client_slots.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        let slot = self.clients.insert(|_, _| Client { session, queues: Vec::new() });
        self.client_slots.insert(id, slot);
        held.resize(held.len().max(slot as usize + 1), 0);
        Ok(())
    }

    pub(super) fn client_slot(&self, id: ClientId) -> Result<u32> {
        self.client_slots.get(&id).copied().ok_or(Error::new(ENOTCONN))
    }

    /// A client that shows a watch handle may have notes on the source from here on. Returns the page's memory object
    /// besides, which stays the shard's. The client has the handle from a driver, who may have given it any (R56). EBADF:
    /// no watch handle; ENOENT: no source of this shard; EACCES: the source is another client's.
    pub fn adopt<H: Host<Memory = M>>(
        &mut self,
        client: ClientId,
        shown: Badge,
        host: &mut H,
    ) -> Result<(Adopted, Handle)> {
        let slot = self.client_slot(client)?;
        let Badge::Source(source) = shown else { return Err(Error::new(EBADF)) };
        let (index, found) = self.graph.source(source).ok_or(Error::new(ENOENT))?;
        if found.client.is_some_and(|owner| owner != client) {
            return Err(Error::new(EACCES));
        }
        let (hub, is_view) = (found.share.hub, found.share.is_view());
        let page = self.graph.pages.get(found.page).ok_or(Error::new(ENOENT))?;
        self.adoptions.add(slot, index)?;
        let adopted = Adopted {
            source,
            page: page.number,
            cell: found.number,
            filters: found.filters,
            low_water: found.low_water,
        };
        let handle = page.handle;
        if is_view {
            self.graph.link(hub, host);
        }
        Ok((adopted, handle))
    }

    /// R31: a client gives a source up; its notes go in all of its queues.
    pub fn release<H: Host<Memory = M>>(
        &mut self,
        client: ClientId,
        source: SourceId,
        host: &mut H,
    ) -> Result<()> {
        let slot = self.client_slot(client)?;
        let Some((index, _)) = self.graph.source(source) else { return Ok(()) };
        self.graph.remove_notes_of_source(index, |queue| queue.client == slot);
        self.adoptions.remove(slot, index);
        self.graph.settle(host);
        Ok(())
    }

    /// Applies changes in order until `failures_allowed` have failed; how many were looked at, and which failed.
    pub fn change<H: Host<Memory = M>>(
        &mut self,
        client: ClientId,
        number: u32,
        memory: &QueueMemory<M>,
        failures_allowed: u32,
        changes: &[Change],
        host: &mut H,
    ) -> Result<(u32, Vec<Failure>)> {
        let slot = self.client_slot(client)?;
        if changes.len() > MAX_CHANGES {
            return Err(Error::new(EINVAL));
        }
        let queue = self.queue(slot, number, memory)?;
        let mut failures = Vec::new();
        let mut processed = 0;
        for (index, &change) in changes.iter().enumerate() {
            processed += 1;
            if let Err(error) = self.apply(slot, queue, change, host) {
                failures.push(Failure { index: index as u32, errno: error.errno as u32 });
                if failures.len() as u32 >= failures_allowed.max(1) {
                    break;
                }
            }
        }
        self.graph.settle(host);
        if !self.graph.liars.is_empty() {
            self.end_liars(host);
        }
        Ok((processed, failures))
    }

    /// This shard's end of a queue.
    fn queue(&mut self, client: u32, number: u32, memory: &QueueMemory<M>) -> Result<u32> {
        let found = self.find_queue(client, number);
        if let Some(index) = found {
            let current = self.graph.queues.get_mut(index).filter(|queue| queue.is_of(memory));
            if let Some(queue) = current {
                queue.extend(self.graph.shard, memory)?;
                return Ok(index);
            }
            // A queue that was closed through another shard, and its number used again.
            self.drop_queue(client, index);
        }
        self.graph.queues.reserve()?;
        let member = self.clients.get_mut(client).ok_or(Error::new(ENOTCONN))?;
        let mut queue = Queue::new(client, number, member.session.clone(), memory)?;
        queue.extend(self.graph.shard, memory)?;
        let index = self.graph.queues.insert(|_, _| queue);
        member.queues.push((number, index));
        Ok(index)
    }

    fn find_queue(&self, client: u32, number: u32) -> Option<u32> {
        let queues = &self.clients.get(client)?.queues;
        queues.iter().find(|(own, _)| *own == number).map(|&(_, index)| index)
    }

    fn drop_queue(&mut self, client: u32, index: u32) {
        self.graph.remove_notes_of_queue(index);
        self.graph.queues.remove(index);
        if let Some(member) = self.clients.get_mut(client) {
            member.queues.retain(|&(_, own)| own != index);
        }
    }

    /// Drops a client's queue and its notes here.
    pub fn close_queue<H: Host<Memory = M>>(
        &mut self,
        client: ClientId,
        number: u32,
        host: &mut H,
    ) -> Result<()> {
        let slot = self.client_slot(client)?;
        if let Some(index) = self.find_queue(slot, number) {
            self.drop_queue(slot, index);
            self.graph.settle(host);
        }
        Ok(())
    }

    /// A waiter of a client that was chosen on a queue is not for it.
    pub fn hand_back<H: Host<Memory = M>>(
        &mut self,
        client: ClientId,
        number: u32,
        host: &mut H,
    ) -> Result<()> {
        let slot = self.client_slot(client)?;
        if let Some(index) = self.find_queue(slot, number) {
            self.graph.hand_back(index, host);
        }
        Ok(())
    }

    /// A client's session handle of this shard is closed, or it lied: all that it has here goes, and its session is over
    /// for the other shards too.
    pub fn client_closed<H: Host<Memory = M>>(&mut self, id: ClientId, host: &mut H) {
        if let Some(client) = self.client_slots.get(&id).and_then(|&slot| self.clients.get(slot)) {
            client.session.end();
        }
        let Some(slot) = self.client_slots.remove(&id) else { return };
        let queues = self.clients.get(slot).map(|client| client.queues.clone()).unwrap_or_default();
        for (_, index) in queues {
            self.drop_queue(slot, index);
        }
        self.clients.remove(slot);
        self.adoptions.remove_client(slot);
        // Not before: none of its own waiters comes any more.
        self.graph.settle(host);
    }
}
