//! Sizes that init accepts. A whole request is one message: at most [`abi::message::MAX_BYTES`] (3968) bytes of
//! `postcard`, which bounds arguments and environment together; what is longer never leaves the sender (`E2BIG`).

/// Bytes in the name of a program, a service, a device or a handle.
pub const NAME: usize = 64;
/// Bytes in the path of a file of the boot archive.
pub const PATH: usize = 232;
/// Arguments, and environment variables, of one program.
pub const STRINGS: usize = 64;
/// Bytes of a [`StartDocument`](crate::start::StartDocument).
pub const START_DOCUMENT: usize = 16384;
/// Handles that a program is started with, beside those of its devices.
pub const START_HANDLES: usize = 64;
/// Bytes of what a program is told besides by who starts it ([`StartDocument::data`](crate::start::StartDocument::data)).
pub const START_DATA: usize = 8192;
/// Handles that travel with one [`Spawn`](crate::request::Spawn).
pub const SPAWN_HANDLES: usize = abi::message::MAX_HANDLES;
/// Processes in one answer to [`List`](crate::request::Request::List).
pub const LISTED: usize = 32;
/// Bytes of quota that a program needs at the very least to be started.
pub const LEAST_QUOTA: u64 = 256 * 1024;
/// Milliseconds that drivers have to write out what is buffered before the machine is powered off. Many: only one that hangs
/// needs them, and less would lose words on a machine that is slow.
pub const DRAIN_MS: u64 = 10_000;
/// Requests of one process that wait at the same time. One more, and the oldest is answered with `EAGAIN`.
pub const WAITING: usize = 64;
/// Births and ends that an observer has not asked for yet; one more, and it is an observer no longer.
pub const OBSERVED: usize = 4096;
/// Events in one answer to [`Happened`](crate::request::Request::Happened).
pub const HAPPENED: usize = 64;
/// Ended children of one process whose status is kept.
pub const ENDED: usize = 64;
/// Live processes that one manifest entry's program and its descendants may have.
pub const CHILDREN: usize = 256;
/// Traces of one process that others may look at: one a shard of the event server.
pub const TRACES: usize = abi::limits::MAX_CPUS;
