//! Limits of the protocol. Beyond them a request fails: EINVAL (shape), ENOMEM or EMFILE (quota, R55).

use init_protocol::limits::CHILDREN;

/// Shards that the layouts allow for.
pub const MAX_SHARDS: u32 = 16;
/// Cells of one driver session.
pub const MAX_CELLS: u32 = 1 << 18;
/// Slots of the smallest bank.
pub const MIN_BANK_SLOTS: u32 = 64;
/// Slots of the largest bank.
pub const MAX_BANK_SLOTS: u32 = 65536;
/// Banks of a queue.
pub const MAX_BANKS: usize = 8;
/// Queues of one session.
pub const MAX_QUEUES: u32 = 1024;
/// Notes of one session in one shard.
pub const MAX_NOTES: u32 = 1 << 18;
/// Sources for one client in one shard, open or not yet released.
pub const MAX_SOURCES: u32 = 1 << 17;
/// Client sessions.
pub const MAX_CLIENTS: u32 = 1024;
/// Client sessions of one process. libkq has one; another is for who speaks the protocol itself.
pub const MAX_CLIENTS_OF_PROCESS: u32 = 3;
// A program with all the children that it may have leaves others theirs.
const _: () = assert!(MAX_CLIENTS_OF_PROCESS as usize * (CHILDREN + 1) < MAX_CLIENTS as usize);
/// Driver sessions of one shard: bits of its doorbell.
pub const MAX_DRIVERS: u32 = 63;
/// Driver sessions of one process in one shard.
pub const MAX_DRIVERS_OF_PROCESS: usize = 4;
/// Driver sessions of one shard that are for servers and drivers of the manifest: when one is started again there is a place.
pub const DRIVERS_OF_MANIFEST: usize = 32;
/// Bytes that the server remembers for a process whatever others took: a session with what a small program watches.
pub const LEAST_OF_PROCESS: u64 = 64 << 10;
/// Bytes of a driver's name.
pub const MAX_NAME: usize = 32;
/// Bytes that are kept of a durable source.
pub const MAX_KEPT: usize = 256;
/// Orphans in one answer: so many fit into a message, however large.
pub const ORPHANS: usize = 12;
/// Changes in one [`Request::Change`](super::client::Request::Change): so many fit into a message, however large.
pub const MAX_CHANGES: usize = 96;
/// Bytes of an encoded request or reply.
pub const MAX_BYTES: usize = abi::message::MAX_BYTES;
