//! What each client has of something that has an end (R55).

use abi::error::{ENOSPC, Error, Result};
use alloc::collections::BTreeMap;

/// At least so many clients share it: none may have more than this part.
const LEAST_CLIENTS: u64 = 4;

/// Books of one thing. What a client made outlives it, and is in its name until it is gone.
#[derive(Clone, Debug)]
pub struct Quota {
    most: u64,
    used: u64,
    clients: BTreeMap<u64, u64>,
}

impl Quota {
    /// So much there is in all.
    pub const fn new(most: u64) -> Quota {
        Quota { most, used: 0, clients: BTreeMap::new() }
    }

    /// A client takes one more: ENOSPC when nothing is left, or nothing for that client.
    pub fn take(&mut self, client: u64) -> Result<()> {
        let own = self.clients.get(&client).copied().unwrap_or(0);
        if self.used >= self.most || own >= (self.most / LEAST_CLIENTS).max(1) {
            return Err(Error::new(ENOSPC));
        }
        self.used += 1;
        self.clients.insert(client, own + 1);
        Ok(())
    }

    /// A client gives one back.
    pub fn give(&mut self, client: u64) {
        if let Some(own) = self.clients.get_mut(&client) {
            *own -= 1;
            self.used -= 1;
            if *own == 0 {
                self.clients.remove(&client);
            }
        }
    }

    /// How much is taken.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How much there is.
    pub fn most(&self) -> u64 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r55_one_client_leaves_the_others_theirs() {
        let mut quota = Quota::new(8);
        let full = Err(Error::new(ENOSPC));
        assert_eq!((quota.take(1), quota.take(1), quota.take(1)), (Ok(()), Ok(()), full));
        for client in [2, 2, 3, 3, 4, 4] {
            assert_eq!(quota.take(client), Ok(()));
        }
        assert_eq!(quota.take(5), full, "all are taken");
        quota.give(1);
        quota.give(9);
        assert_eq!((quota.take(5), quota.used()), (Ok(()), 8));
    }
}
