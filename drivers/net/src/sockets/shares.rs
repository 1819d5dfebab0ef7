//! What one client may have of the stack's sockets, each with its buffers (R55).

use abi::error::{ENOBUFS, Error, Result};
use alloc::collections::BTreeMap;

/// Sockets of the stack in all.
pub const MOST: usize = 512;
/// Those of one client.
pub const MOST_OF_CLIENT: usize = MOST / 4;

/// Who has how many.
#[derive(Debug, Default)]
pub struct Shares {
    clients: BTreeMap<u64, usize>,
    all: usize,
}

impl Shares {
    /// How many there are.
    pub fn all(&self) -> usize {
        self.all
    }

    /// Whether a client may have another.
    pub fn has_room(&self, client: u64) -> bool {
        let own = self.clients.get(&client).copied().unwrap_or(0);
        own < MOST_OF_CLIENT && self.all < MOST
    }

    /// Whether a client may have another and only the others have left none.
    pub fn are_spent_by_others(&self, client: u64) -> bool {
        self.all >= MOST && self.clients.get(&client).is_none_or(|&own| own < MOST_OF_CLIENT)
    }

    /// A client takes another. ENOBUFS.
    pub fn take(&mut self, client: u64) -> Result<()> {
        if !self.has_room(client) {
            return Err(Error::new(ENOBUFS));
        }
        *self.clients.entry(client).or_default() += 1;
        self.all += 1;
        Ok(())
    }

    /// It gives one back.
    pub fn give_back(&mut self, client: u64) {
        let Some(own) = self.clients.get_mut(&client) else { return };
        *own -= 1;
        self.all -= 1;
        if *own == 0 {
            self.clients.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r55_one_client_leaves_sockets_to_others() {
        let mut shares = Shares::default();
        assert_eq!((0..MOST).take_while(|_| shares.take(1).is_ok()).count(), MOST_OF_CLIENT);
        assert!(shares.has_room(2));
        shares.give_back(1);
        assert!(shares.take(1).is_ok());
        assert!(!shares.are_spent_by_others(1) && !shares.are_spent_by_others(2));
        (2..5).for_each(|client| (0..MOST_OF_CLIENT).for_each(|_| shares.take(client).unwrap()));
        assert_eq!((shares.all(), shares.take(9)), (MOST, Err(Error::new(ENOBUFS))));
        // Who has its part gains nothing by what others give up.
        assert!(shares.are_spent_by_others(9) && !shares.are_spent_by_others(1));
    }
}
