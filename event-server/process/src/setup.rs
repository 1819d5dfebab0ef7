//! What the shards share. Only set-up comes here: no lock of this is on the event path.

use abi::error::{EINVAL, Error, Result};
use abi::{Handle, Rights};
use alloc::vec::Vec;
use event_core::directory::Directory;
use event_protocol::badge::ClientId;
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
    /// A server without clients.
    pub fn new(gates: Vec<Gate>, process: Handle) -> Setup {
        let directory = Mutex::new(Directory::new(gates.len() as u32));
        Setup { gates, directory, process }
    }

    /// A handle to a shard's endpoint with a badge; 0 for the lobby.
    pub fn handle(&self, shard: u32, badge: u64) -> Result<Endpoint> {
        let gate = self.gates.get(shard as usize).ok_or(Error::new(EINVAL))?;
        gate.endpoint.with_badge(CLIENT, badge)
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
