//! What the shards share. Only set-up comes here: no lock of this is on the event path.

use abi::error::{EINVAL, Error, Result};
use abi::{Handle, Rights};
use alloc::vec::Vec;
use event_core::directory::Directory;
use event_protocol::badge::ClientId;
use init_protocol::caller::Caller;
use rt::sync::Mutex;
use rt::sys::{Endpoint, Notification, Object, close};

use crate::memory::Pages;

/// What badged handles of clients can be used for: to call, to show and to pass on.
const CLIENT: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER);

/// What handles to a shard are made of.
#[derive(Debug)]
pub struct Gate {
    /// Its endpoint, not to be received from.
    pub endpoint: Endpoint,
    /// Its doorbell.
    pub doorbell: Notification,
}

/// The server as all its shards know it.
#[derive(Debug)]
pub struct Setup {
    /// One for each shard.
    pub gates: Vec<Gate>,
    /// The clients.
    pub directory: Mutex<Directory<Pages>>,
    /// The server's process, which clients watch.
    pub process: Handle,
}

impl Setup {
    /// A server without clients, with such a quota.
    pub fn new(gates: Vec<Gate>, process: Handle, quota: u64) -> Setup {
        let directory = Mutex::new(Directory::new(gates.len() as u32, quota));
        Setup { gates, directory, process }
    }

    /// A handle to a shard's endpoint with a badge.
    pub fn handle(&self, shard: u32, badge: u64) -> Result<Endpoint> {
        let gate = self.gates.get(shard as usize).ok_or(Error::new(EINVAL))?;
        gate.endpoint.with_badge(CLIENT, badge)
    }

    /// The lobby of a shard for a process, which stays the server's.
    pub fn lobby(&self, caller: Caller, shard: u32) -> Result<Handle> {
        let make = || self.handle(shard, caller.badge()).map(Object::into_handle);
        self.directory.lock().lobby(caller, shard, make)
    }

    /// A process has ended: the lobbies that were made for it go.
    pub fn process_ended(&self, caller: Caller) {
        let lobbies = self.directory.lock().process_ended(caller);
        for lobby in lobbies {
            // The server's own handle: there is nothing to refuse.
            let _ = close(lobby);
        }
    }

    /// Ends a client's session for all shards.
    pub fn end_client(&self, client: ClientId) {
        let notifications = self.directory.lock().end(client);
        for notification in notifications {
            // Its threads are gone; a number that is stale already is nobody's.
            let _ = close(notification);
        }
    }
}
