//! Quotas: a process pays for what it makes the kernel keep.
//!
//! A child's limit comes out of its parent's account and goes back when the last thing charged to the child is gone, so
//! the sum of what all accounts can use never exceeds the machine.

use abi::error::{ENOMEM, Error, Result};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

/// What one process may use and does use, in bytes.
pub struct Account {
    limit: u64,
    used: AtomicU64,
    parent: Option<Arc<Account>>,
}

impl Account {
    /// The account that all others come from.
    pub fn root(limit: u64) -> Arc<Account> {
        Arc::new(Account { limit, used: AtomicU64::new(0), parent: None })
    }

    /// Splits `limit` bytes off `parent`: `ENOMEM` when it has not that much left.
    pub fn child(parent: &Arc<Account>, limit: u64) -> Result<Arc<Account>> {
        parent.take(limit)?;
        Ok(Arc::new(Account { limit, used: AtomicU64::new(0), parent: Some(parent.clone()) }))
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be used.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Charges `amount` until the returned [`Charge`] is dropped: `ENOMEM` beyond the limit.
    pub fn charge(self: &Arc<Account>, amount: u64) -> Result<Charge> {
        self.take(amount)?;
        Ok(Charge { account: self.clone(), amount })
    }

    fn take(&self, amount: u64) -> Result<()> {
        let within = |used: u64| used.checked_add(amount).filter(|&sum| sum <= self.limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(ENOMEM)),
        }
    }

    fn give_back(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(parent) = &self.parent {
            parent.give_back(self.limit);
        }
    }
}

/// Bytes in use for one object; dropping it gives them back.
pub struct Charge {
    account: Arc<Account>,
    amount: u64,
}

impl Charge {
    /// The account that pays.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Bytes.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Charges more to the same account.
    pub fn extend(&mut self, amount: u64) -> Result<()> {
        self.account.take(amount)?;
        self.amount += amount;
        Ok(())
    }

    /// Gives a part back.
    pub fn shrink(&mut self, amount: u64) {
        let amount = amount.min(self.amount);
        self.amount -= amount;
        self.account.give_back(amount);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give_back(self.amount);
    }
}
