//! The clients of all shards, and their processes. Set-up looks here, under one lock; the event path never does.

use abi::Handle;
use abi::error::{EEXIST, EINVAL, EMFILE, ENOENT, ENOTCONN, Error, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::activation::BankLayout;
use event_protocol::badge::{ClientId, TicketId};
use event_protocol::control::limits::{MAX_CLIENTS, MAX_QUEUES, MAX_SHARDS};
use event_protocol::park::{MAX_WAITERS, SESSION_SIZE};
use event_protocol::shared::{Mapped, Region};
use init_protocol::caller::Caller;

use crate::account::{Account, Charge, cost};
use crate::arena::Arena;
use crate::processes::Processes;
use crate::session::{Bank, QueueMemory, Session};

/// All client sessions.
#[derive(Debug)]
pub struct Directory<M> {
    members: Arena<Member<M>>,
    processes: Processes,
    shards: u32,
}

#[derive(Debug)]
struct Member<M> {
    session: Arc<Session<M>>,
    queues: BTreeMap<u32, Arc<QueueMemory<M>>>,
    /// Shards whose session handle the client got: a bit for each.
    met: u32,
    /// What its waiters cost, by their numbers.
    waiters: BTreeMap<u32, Charge>,
    _charge: Charge,
}

const _: () = assert!(MAX_SHARDS <= u32::BITS);

impl<M: Mapped> Directory<M> {
    /// A directory without clients, of a server with so many shards and such a quota.
    pub fn new(shards: u32, quota: u64) -> Directory<M> {
        Directory { members: Arena::default(), processes: Processes::new(quota), shards }
    }

    /// Shards of the server.
    pub fn shards(&self) -> u32 {
        self.shards
    }

    /// Client sessions.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The processes that came to a lobby.
    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// The account of a process.
    pub fn account(&mut self, caller: Caller) -> Arc<Account> {
        self.processes.account(caller)
    }

    /// The lobby of a shard for a process. See [`Processes::lobby`].
    pub fn lobby(
        &mut self,
        caller: Caller,
        shard: u32,
        make: impl FnOnce() -> Result<Handle>,
    ) -> Result<Handle> {
        self.processes.lobby(caller, shard, self.shards, make)
    }

    /// A process has ended. See [`Processes::end`].
    pub fn process_ended(&mut self, caller: Caller) -> Vec<Handle> {
        self.processes.end(caller)
    }

    /// Opens a session of a process over zeroed memory of its own. EINVAL: wrong size; EMFILE: too many of its sessions, or of
    /// all; ENOMEM.
    pub fn open(&mut self, caller: Caller, memory: M) -> Result<Arc<Session<M>>> {
        if memory.length() != SESSION_SIZE {
            return Err(Error::new(EINVAL));
        }
        if self.members.len() >= MAX_CLIENTS as usize {
            return Err(Error::new(EMFILE));
        }
        self.members.reserve()?;
        let account = self.processes.begin_session(caller)?;
        let charge = account.charge(cost::SESSION).inspect_err(|_| self.processes.end_session(caller))?;
        let memory = Arc::new(Region::new(memory));
        let index = self.members.insert(|index, generation| Member {
            session: Arc::new(Session::new(ClientId::new(0, index, generation), account, memory)),
            queues: BTreeMap::new(),
            met: 0,
            waiters: BTreeMap::new(),
            _charge: charge,
        });
        self.members.get(index).map(|member| member.session.clone()).ok_or(Error::new(EMFILE))
    }

    fn member(&self, client: ClientId) -> Result<&Member<M>> {
        let member = self.members.get(client.index() as u32);
        member
            .filter(|member| member.session.id() == client && !member.session.is_ended())
            .ok_or(Error::new(ENOTCONN))
    }

    fn member_mut(&mut self, client: ClientId) -> Result<&mut Member<M>> {
        self.member(client)?;
        self.members.get_mut(client.index() as u32).ok_or(Error::new(ENOTCONN))
    }

    /// A session that is not over. ENOTCONN otherwise.
    pub fn session(&self, client: ClientId) -> Result<Arc<Session<M>>> {
        self.member(client).map(|member| member.session.clone())
    }

    /// The session of a client that shows its ticket. ENOTCONN: it is over.
    pub fn shown(&self, ticket: TicketId) -> Result<Arc<Session<M>>> {
        let member = self.members.get(ticket.index()).map(|member| &member.session);
        let session = member.filter(|session| session.ticket() == ticket && !session.is_ended());
        session.cloned().ok_or(Error::new(ENOTCONN))
    }

    /// Makes the session handle of a shard for a client, once: with the last of them closed the session ends, and a client
    /// cannot have the server make handles without end. EEXIST: it was made; EINVAL: no such shard.
    pub fn introduce<T>(
        &mut self,
        client: ClientId,
        shard: u32,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if shard >= self.shards {
            return Err(Error::new(EINVAL));
        }
        let member = self.member_mut(client)?;
        if member.met & 1 << shard != 0 {
            return Err(Error::new(EEXIST));
        }
        let made = make()?;
        member.met |= 1 << shard;
        Ok(made)
    }

    /// Replaces a waiter's notification ([`Handle::NONE`] takes it back); the old one is the caller's to close. EINVAL: no such
    /// waiter; ENOMEM.
    pub fn set_waiter(&mut self, client: ClientId, waiter: u32, notification: Handle) -> Result<Handle> {
        if waiter >= MAX_WAITERS as u32 {
            return Err(Error::new(EINVAL));
        }
        let member = self.member_mut(client)?;
        if notification.is_none() {
            member.waiters.remove(&waiter);
        } else if !member.waiters.contains_key(&waiter) {
            member.waiters.insert(waiter, member.session.account().charge(cost::WAITER)?);
        }
        member.session.set_notification(waiter, notification).ok_or(Error::new(EINVAL))
    }

    /// Makes a queue of one bank.
    pub fn create_queue(&mut self, client: ClientId, number: u32, slots: u32, memory: M) -> Result<()> {
        let bank = self.bank(client, slots, memory)?;
        let member = self.member_mut(client)?;
        if number >= MAX_QUEUES {
            return Err(Error::new(EMFILE));
        }
        if member.queues.contains_key(&number) {
            return Err(Error::new(EEXIST));
        }
        let mut banks = heapless::Vec::new();
        banks.push(bank).map_err(|_| Error::new(EMFILE))?;
        member.queues.insert(number, Arc::new(QueueMemory { banks }));
        Ok(())
    }

    /// Adds a bank; returns its number.
    pub fn grow_queue(&mut self, client: ClientId, number: u32, slots: u32, memory: M) -> Result<u8> {
        let bank = self.bank(client, slots, memory)?;
        let member = self.member_mut(client)?;
        let queue = member.queues.get_mut(&number).ok_or(Error::new(ENOENT))?;
        let mut banks = queue.banks.clone();
        banks.push(bank).map_err(|_| Error::new(EMFILE))?;
        let added = banks.len() as u8 - 1;
        *queue = Arc::new(QueueMemory { banks });
        Ok(added)
    }

    fn bank(&self, client: ClientId, slots: u32, memory: M) -> Result<Arc<Bank<M>>> {
        let layout = BankLayout::new(slots, self.shards).ok_or(Error::new(EINVAL))?;
        if memory.length() != layout.size() {
            return Err(Error::new(EINVAL));
        }
        let index = cost::INDEX * u64::from(slots) * u64::from(self.shards);
        let price = cost::BANK + index + cost::mapped(memory.length());
        let charge = self.member(client)?.session.account().charge(price)?;
        Ok(Arc::new(Bank { region: Arc::new(Region::new(memory)), layout, _charge: charge }))
    }

    /// A queue's memory. ENOENT: no such queue.
    pub fn queue(&self, client: ClientId, number: u32) -> Result<Arc<QueueMemory<M>>> {
        self.member(client)?.queues.get(&number).cloned().ok_or(Error::new(ENOENT))
    }

    /// Nobody can use the queue from here on.
    pub fn close_queue(&mut self, client: ClientId, number: u32) -> Result<()> {
        self.member_mut(client)?.queues.remove(&number);
        Ok(())
    }

    /// Ends a session; its waiters' notifications are the caller's to close. Shards that know it forget it when they
    /// hear that their session handle was closed.
    pub fn end(&mut self, client: ClientId) -> Vec<Handle> {
        let index = client.index() as u32;
        if self.members.get(index).is_none_or(|member| member.session.id() != client) {
            return Vec::new();
        }
        let Some(member) = self.members.remove(index) else { return Vec::new() };
        member.session.end();
        self.processes.end_session(member.session.account().process());
        (0..MAX_WAITERS as u32)
            .filter_map(|waiter| member.session.set_notification(waiter, Handle::NONE))
            .filter(|handle| !handle.is_none())
            .collect()
    }
}
