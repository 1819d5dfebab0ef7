//! What the server remembers for one process, in all shards together (R55).
//!
//! Peers make the server remember things: sessions, sources, notes. Each is paid for out of the account of the process that
//! wanted it, and comes back to it when the thing goes, also after the process: who shows what it took to others has it still.

use abi::error::{ENOMEM, Error, Result};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use init_protocol::caller::Caller;

/// What things cost the server, in bytes: its own tables with the room that they grow by, and what the kernel has its quota
/// pay.
pub mod cost {
    use abi::limits::cost;
    use abi::memory::PAGE;

    /// A client's session: its mapping, and a place for each waiter's notification and the handle in it.
    pub const SESSION: u64 = 3 * PAGE + 64 * cost::HANDLE;
    /// A bank of a queue, besides an index of its slots in each shard.
    pub const BANK: u64 = 512;
    /// An entry of such an index.
    pub const INDEX: u64 = 4;
    /// A driver's session, besides what its ring is mapped with.
    pub const DRIVER: u64 = 1024;
    /// A page of cells.
    pub const PAGE_OF_CELLS: u64 = PAGE + cost::MEMORY + cost::MAPPING + 2 * cost::HANDLE + 128;
    /// A source, its adoption, its watch handle's badge.
    pub const SOURCE: u64 = 272 + cost::BADGE;
    /// What is kept of a durable source, besides the bytes: its place, and the handle of a descriptor.
    pub const DURABLE: u64 = 96 + cost::HANDLE;
    /// A lineage, and its handle's badge.
    pub const LINEAGE: u64 = 64 + cost::BADGE;
    /// A note and its knote.
    pub const NOTE: u64 = 128;

    /// A mapping and its page tables.
    pub const fn mapped(bytes: usize) -> u64 {
        cost::MAPPING + bytes as u64 / 512
    }
}

/// A process's account.
#[derive(Debug)]
pub struct Account {
    process: Caller,
    most: u64,
    used: AtomicU64,
}

/// Something that is paid for until it goes.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Account {
    /// That of a process that may have the server remember so many bytes.
    pub fn new(process: Caller, most: u64) -> Account {
        Account { process, most, used: AtomicU64::new(0) }
    }

    /// Whose it is.
    pub fn process(&self) -> Caller {
        self.process
    }

    /// Bytes that are remembered for it.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes bytes that [`Account::give_back`] returns. ENOMEM: the process has no more.
    pub fn take(&self, bytes: u64) -> Result<()> {
        // A count, which orders nothing.
        let taken = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if taken > self.most {
            self.give_back(bytes);
            return Err(Error::new(ENOMEM));
        }
        Ok(())
    }

    /// Returns bytes that were taken.
    pub fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes bytes for something that has the charge with it.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge> {
        self.take(bytes)?;
        Ok(Charge { account: self.clone(), bytes })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r55_nobody_has_more_than_its_part_and_what_goes_comes_back() {
        let account = Arc::new(Account::new(Caller { pid: 7, provider: false }, 100));
        let first = account.charge(60).unwrap();
        assert_eq!(account.charge(41).unwrap_err().errno, ENOMEM);
        assert_eq!(account.used(), 60, "what was refused costs nothing");
        let second = account.charge(40).unwrap();
        drop(first);
        assert_eq!((account.used(), account.charge(60).map(drop)), (40, Ok(())));
        drop(second);
        assert_eq!(account.used(), 0);
    }
}
