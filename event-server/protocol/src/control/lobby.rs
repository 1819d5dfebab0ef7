//! What any process may ask.

use crate::badge::{ClientId, DriverId};
use crate::filter::Filters;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// A request on a handle that says which process asks: it can be neither duplicated nor passed on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// The lobby of a shard, to attach there. → [`Reply::Shard`], handle 0 = that shard's lobby, the same each time. EINVAL: no
    /// such shard.
    Shard {
        /// 0 to `shards - 1`.
        shard: u32,
    },
    /// Opens a client's session. Handle 0 = session memory of [`SESSION_SIZE`](crate::park::SESSION_SIZE) zeroed bytes,
    /// read and write. → [`Reply::Session`], handle 0 = the session handle of this shard, handle 1 = the ticket: what the
    /// client gives to drivers when it opens descriptors; it only says who the client is. Handle 2 = the server's
    /// process, to watch for its end.
    ///
    /// Closing the session handle of any shard ends the session; holding tickets does not prolong it. EMFILE: the process has
    /// [`MAX_CLIENTS_OF_PROCESS`](super::limits::MAX_CLIENTS_OF_PROCESS), or all together
    /// [`MAX_CLIENTS`](super::limits::MAX_CLIENTS); ENOMEM: its part of the server's memory is used up.
    OpenSession,
    /// A driver introduces itself to this shard: the one of the CPU it runs on. Handle 0 = memory of
    /// [`changed::memory_size`](crate::changed::memory_size) zeroed bytes, read and write. → [`Reply::Attached`],
    /// handle 0 = driver session handle, handle 1 = doorbell (signal it when [`Told::Ring`](crate::changed::Told)).
    ///
    /// Closing the driver session handle detaches. EPROTONOSUPPORT: another version; EMFILE: the process has
    /// [`MAX_DRIVERS_OF_PROCESS`](super::limits::MAX_DRIVERS_OF_PROCESS), or no place is left but what is kept for
    /// [the manifest's](super::limits::DRIVERS_OF_MANIFEST); ENOMEM as above.
    ///
    /// With handle 1 = a lineage's, of this shard, the session is the next of that lineage. EINVAL: it is none; EPERM: the process
    /// is none of the manifest's; EBUSY: one of its sessions is alive.
    Attach {
        /// The [`VERSION`](super::VERSION) that the driver was built with.
        version: u32,
        /// For logs, up to [`MAX_NAME`](super::limits::MAX_NAME) bytes.
        name: String,
        /// Filters that its sources may serve.
        filters: Filters,
        /// Cells it may have at once, a power of two up to [`MAX_CELLS`](super::limits::MAX_CELLS).
        cells: u32,
    },
    /// The shard's counters. → [`Reply::Stats`]. Sums of all, without a name or an address: they say no more than the kernel's
    /// counters say to everybody.
    Stats,
    /// Where a lineage is at home. Handle 0 = its handle. → [`Reply::Home`]. EINVAL: it is none.
    Home,
    /// Has the shard check its books, which takes as long as there are notes. → [`Reply::Audit`]. EAGAIN: it has done so just
    /// now; audits have a tenth of its time, whoever asks for them.
    Audit,
}

/// Answers to [`Request`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Answer to [`Request::Shard`].
    Shard {
        /// Shards of the server.
        shards: u32,
    },
    /// Answer to [`Request::OpenSession`].
    Session {
        /// The session.
        client: ClientId,
        /// Shards of the server.
        shards: u32,
        /// The shard whose session handle came.
        shard: u32,
    },
    /// Answer to [`Request::Attach`].
    Attached {
        /// The session.
        driver: DriverId,
        /// The shard.
        shard: u32,
        /// Bits to signal the doorbell with.
        doorbell_bits: u64,
    },
    /// Answer to [`Request::Stats`].
    Stats(Stats),
    /// Answer to [`Request::Home`].
    Home {
        /// The shard.
        shard: u32,
    },
    /// Answer to [`Request::Audit`].
    Audit(Audit),
}

/// What a shard finds in its books: each note is in one place.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Audit {
    /// Notes that have nothing to tell.
    pub idle: u64,
    /// Those in an activation ring, or on their client's list.
    pub queued: u64,
    /// Exclusive ones, on their client's list for good.
    pub awaited: u64,
    /// Waiters that were chosen for exclusive notes and have not come back.
    pub leased: u64,
    /// Notes and sources of which a client or driver is just in the middle of something. One that is found so again and again
    /// is lost, or its peer lies.
    pub adrift: u64,
    /// What is wrong, if anything is: it is the server's mistake.
    pub fault: Option<String>,
}

/// Books of one shard. What lives must return to 0 when all sessions have ended; events count up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Client sessions known to the shard.
    pub clients: u64,
    /// Driver sessions.
    pub drivers: u64,
    /// Sources.
    pub sources: u64,
    /// Of these, such as wait for their driver to come back.
    pub orphans: u64,
    /// Pages of cells.
    pub pages: u64,
    /// Knotes: (queue, source) pairs.
    pub knotes: u64,
    /// Notes of knotes.
    pub notes: u64,
    /// Queues known to the shard.
    pub queues: u64,
    /// Doorbells heard.
    pub doorbells: u64,
    /// Changed cells taken from rings.
    pub changes: u64,
    /// Notes put into activation rings.
    pub activations: u64,
    /// Waiters chosen and signalled.
    pub wakes: u64,
    /// Of these, for exclusive notes.
    pub leases: u64,
    /// Of these again, those that went to another since the first did not come, or gave it back.
    pub handed_on: u64,
    /// Requests served.
    pub requests: u64,
    /// Sessions ended for lying.
    pub lies: u64,
}
