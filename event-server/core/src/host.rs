//! What a shard needs from the process that it runs in.

use abi::Handle;
use abi::error::Result;
use event_protocol::badge::{ClientId, DriverId, SourceId};
use event_protocol::fault::Fault;
use event_protocol::shared::Mapped;

/// Effects of a shard.
pub trait Host {
    /// Mapped memory.
    type Memory: Mapped;

    /// A zeroed page for cells, mapped writable, and the handle that is duplicated for drivers and clients.
    fn create_page(&mut self) -> Result<(Self::Memory, Handle)>;

    /// Closes a handle that the shard was given.
    fn close(&mut self, handle: Handle);

    /// The CPU that the shard runs on.
    fn cpu(&self) -> u32;

    /// CPUs of the machine.
    fn cpus(&self) -> u32;

    /// Whether a CPU has nothing to run, as far as anybody knows.
    fn is_idle(&self, cpu: u32) -> bool;

    /// Whether the shard's CPU, as far as anybody knows, has nothing to run but the shard and whoever told it.
    fn is_quiet(&self) -> bool;

    /// Monotonic time in ns.
    fn now(&self) -> u64;

    /// Wakes a waiter. May be put off until the shard has done what it heard of.
    fn signal(&mut self, notification: Handle);

    /// A session was ended because its peer lied.
    fn ended(&mut self, who: Peer<'_>, fault: Fault);

    /// Who was woken for a source did not come to look, and it is handed on to another.
    fn handed_on(&mut self, _source: SourceId) {}
}

/// Whose session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer<'a> {
    /// A client.
    Client(ClientId),
    /// A driver, and what it called itself.
    Driver(DriverId, &'a str),
}
