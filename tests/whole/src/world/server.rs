//! The event server: real shards over a host that remembers what they ask of it.

use abi::Handle;
use event_core::directory::Directory;
use event_core::shard::Shard;
use shard_host::{Kernel, Memory};

/// The handle of a client's waiter, and back.
pub fn notification(client: usize, waiter: u32) -> Handle {
    Handle(1 << 63 | (client as u64) << 32 | u64::from(waiter))
}

/// Whose it is.
pub fn waiter_of(notification: Handle) -> (usize, u32) {
    ((notification.0 >> 32 & 0x7fff_ffff) as usize, notification.0 as u32)
}

/// The shards and what they share.
pub struct Server {
    /// One for each CPU.
    pub shards: Vec<Shard<Memory>>,
    /// The clients.
    pub directory: Directory<Memory>,
    /// What shards do to the world.
    pub kernel: Kernel,
}

/// What lives in all shards together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Clients that shards know.
    pub clients: u64,
    /// Driver sessions.
    pub drivers: u64,
    /// Sources.
    pub sources: u64,
    /// Pages of cells.
    pub pages: u64,
    /// Knotes.
    pub knotes: u64,
    /// Notes.
    pub notes: u64,
    /// Ends of queues.
    pub queues: u64,
}

impl Server {
    /// Without anybody.
    pub fn new(shards: u32) -> Server {
        Server {
            shards: (0..shards).map(Shard::new).collect(),
            directory: Directory::new(shards, u64::MAX),
            kernel: Kernel::of_honest_peers(),
        }
    }

    /// The books.
    pub fn counts(&self) -> Counts {
        self.shards.iter().map(Shard::stats).fold(Counts::default(), |sum, stats| Counts {
            clients: sum.clients + stats.clients,
            drivers: sum.drivers + stats.drivers,
            sources: sum.sources + stats.sources,
            pages: sum.pages + stats.pages,
            knotes: sum.knotes + stats.knotes,
            notes: sum.notes + stats.notes,
            queues: sum.queues + stats.queues,
        })
    }
}
