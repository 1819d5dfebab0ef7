//! What the server remembers for one process, in all shards together (R55).
//!
//! Peers make the server remember things: sessions, sources, notes. Each is paid for out of the account of the process that
//! wanted it, and comes back to it when the thing goes, also after the process: who shows what it took to others has it still.
//!
//! How much one may have depends on how much is left ([`Budget`]): half of everything when it is alone, and the less the more
//! others took, so that no number of processes takes all. A little is everybody's, whatever others took.
//!
//! What a process pays for is not always its own doing: whoever it opens something at may make sources for it. So of that a
//! driver causes less than all ([`Account::charge_for`]), and the files of other drivers can be opened still.

use abi::error::{ENOMEM, Error, Result};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use event_protocol::control::limits::LEAST_OF_PROCESS;
use init_protocol::caller::Caller;

/// What things cost the server, in bytes: its own tables with the room that they grow by, and what the kernel has its quota
/// pay.
pub mod cost {
    use abi::limits::cost;
    use abi::memory::PAGE;

    /// A client's session: its mapping, and a place for each waiter's notification.
    pub const SESSION: u64 = 3 * PAGE;
    /// A waiter: its notification's handle, what says so, and as many leases as a full list has for one that has not come back.
    pub const WAITER: u64 = cost::HANDLE + 64 + 2 * LEASE;
    /// A waiter that was chosen and has not come back.
    pub const LEASE: u64 = 40;
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

/// What the server can remember, for all processes.
#[derive(Debug)]
pub struct Budget {
    most: u64,
    used: AtomicU64,
}

impl Budget {
    /// That of a server with such a quota. A quarter of it is for what is everybody's: [`LEAST_OF_PROCESS`] each.
    pub fn new(quota: u64) -> Budget {
        Budget { most: quota / 4 * 3, used: AtomicU64::new(0) }
    }

    /// Whether one driver may make a process pay for so many bytes, when all have so many: three quarters of what
    /// [`Budget::allows`].
    fn allows_driver(&self, caused: u64, all: u64) -> bool {
        caused <= LEAST_OF_PROCESS / 2 || caused <= self.most.saturating_sub(all).saturating_mul(3) / 2
    }

    /// Whether a process may have so many bytes, when all have so many: twice what is left then.
    fn allows(&self, own: u64, all: u64) -> bool {
        own <= LEAST_OF_PROCESS || own <= self.most.saturating_sub(all).saturating_mul(2)
    }
}

/// A process's account.
#[derive(Debug)]
pub struct Account {
    process: Caller,
    budget: Arc<Budget>,
    used: AtomicU64,
    /// Bytes that drivers caused, in the place of each ([`place_of`]).
    caused: [AtomicU64; DRIVERS],
}

/// Places for drivers. More of them share some, which only limits them together.
const DRIVERS: usize = 16;

/// Drivers of the manifest have places by their pids, which follow one another. All others have the last one: a process may
/// start children that attach as it did.
fn place_of(driver: Caller) -> usize {
    if driver.provider { driver.pid as usize % (DRIVERS - 1) } else { DRIVERS - 1 }
}

/// Something that is paid for until it goes.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    bytes: u64,
    /// The place of the driver that caused it.
    caused: Option<usize>,
}

impl Account {
    /// That of a process, for which the server remembers nothing yet.
    pub fn new(process: Caller, budget: Arc<Budget>) -> Account {
        Account { process, budget, used: AtomicU64::new(0), caused: Default::default() }
    }

    /// Whose it is.
    pub fn process(&self) -> Caller {
        self.process
    }

    /// Bytes that are remembered for it.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes bytes that [`Account::give_back`] returns. ENOMEM: the process may have no more.
    pub fn take(&self, bytes: u64) -> Result<()> {
        // Counts, which order nothing.
        let own = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let all = self.budget.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if !self.budget.allows(own, all) {
            self.give_back(bytes);
            return Err(Error::new(ENOMEM));
        }
        Ok(())
    }

    /// Takes bytes of something that takes the place of another, which gives back as many next.
    pub fn hold(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns bytes that were taken.
    pub fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes bytes for something that has the charge with it.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge> {
        self.take(bytes)?;
        Ok(Charge { account: self.clone(), bytes, caused: None })
    }

    /// The same for something that a driver makes for this process. ENOMEM: or the driver may cause no more of it.
    pub fn charge_for(self: &Arc<Self>, driver: Caller, bytes: u64) -> Result<Charge> {
        let mut charge = self.charge(bytes)?;
        if driver.pid != self.process.pid {
            let place = place_of(driver);
            let caused = self.caused[place].fetch_add(bytes, Ordering::Relaxed) + bytes;
            charge.caused = Some(place);
            if !self.budget.allows_driver(caused, self.budget.used.load(Ordering::Relaxed)) {
                return Err(Error::new(ENOMEM));
            }
        }
        Ok(charge)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
        if let Some(place) = self.caused {
            self.account.caused[place].fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn account(memory: &Arc<Budget>) -> Arc<Account> {
        Arc::new(Account::new(Caller { pid: 7, provider: false }, memory.clone()))
    }

    #[test]
    fn r55_nobody_has_more_than_its_part_and_what_goes_comes_back() {
        const MOST: u64 = 100 * LEAST_OF_PROCESS;
        let account = account(&Arc::new(Budget::new(2 * MOST)));
        let first = account.charge(MOST / 5 * 3).unwrap();
        assert_eq!(account.charge(MOST / 5 * 2 + 1).unwrap_err().errno, ENOMEM);
        assert_eq!(account.used(), MOST / 5 * 3, "what was refused costs nothing");
        let second = account.charge(MOST / 5 * 2).unwrap();
        drop(first);
        assert_eq!((account.used(), account.charge(MOST / 5 * 3).map(drop)), (MOST / 5 * 2, Ok(())));
        drop(second);
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn r55_however_many_take_what_they_can_each_has_a_little() {
        const QUOTA: u64 = 1024 * LEAST_OF_PROCESS;
        let memory = Arc::new(Budget::new(QUOTA));
        let accounts: Vec<_> = (0..256).map(|_| account(&memory)).collect();
        let mut charges = Vec::new();
        for account in &accounts {
            charges.extend(core::iter::from_fn(|| account.charge(LEAST_OF_PROCESS / 4).ok()));
            assert!(account.used() >= LEAST_OF_PROCESS);
        }
        assert_eq!(accounts[0].used(), QUOTA / 2);
        assert!(accounts.is_sorted_by(|one, next| one.used() >= next.used()));
        let all: u64 = accounts.iter().map(|account| account.used()).sum();
        assert!(all <= QUOTA, "{all} of {QUOTA}");
        drop(charges);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }
}
