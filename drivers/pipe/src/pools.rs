//! What the bytes of all pipes may take, and which part of it one client may have.

use alloc::collections::BTreeMap;

/// Bytes that all pipes together may hold before new ones are small: what was written is never given up, so it is promised
/// carefully.
const POOL: usize = 16 << 20;
/// Bytes that all pipes together have memory for. There can be so many small ones that not all can be full.
pub const HELD: usize = 32 << 20;
/// Of both one client has this part at most (R55): what others write finds memory, whatever it does.
const SHARE: usize = 4;

/// What is used of the pools.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Use {
    /// Bytes that pipes may come to hold.
    pub promised: usize,
    /// Bytes that they have memory for.
    pub held: usize,
}

/// The books. Client 0 is nobody.
pub struct Pools {
    used: Use,
    clients: BTreeMap<u64, Use>,
    most_held: usize,
}

impl Pools {
    /// Nothing is used, of memory for so many bytes.
    pub const fn new(most_held: usize) -> Pools {
        Pools { used: Use { promised: 0, held: 0 }, clients: BTreeMap::new(), most_held }
    }

    /// What all use together.
    pub fn used(&self) -> Use {
        self.used
    }

    fn used_by(&self, client: u64) -> Use {
        self.clients.get(&client).copied().unwrap_or_default()
    }

    fn account(&mut self, client: u64, change: impl Fn(&mut Use)) {
        change(&mut self.used);
        let used = self.clients.entry(client).or_default();
        change(used);
        if *used == Use::default() {
            self.clients.remove(&client);
        }
    }

    /// Whether a pipe of this client's making can be so much larger. Nobody's, which are FIFOs, have one share together: whoever
    /// makes many leaves the others theirs.
    pub fn can_promise(&self, maker: u64, more: usize) -> bool {
        self.used_by(maker).promised + more <= POOL / SHARE && self.used.promised + more <= POOL
    }

    /// A client was promised `before` and now is promised `now`.
    pub fn promise(&mut self, maker: u64, before: usize, now: usize) {
        self.account(maker, |used| used.promised = used.promised + now - before);
    }

    /// A pipe of a client held `before` and now holds `now`.
    pub fn hold(&mut self, owner: u64, before: usize, now: usize) {
        self.account(owner, |used| used.held = used.held + now - before);
    }

    /// Bytes for which the pipes of a client can still have memory.
    pub fn spare(&self, owner: u64) -> usize {
        let own = (self.most_held / SHARE).saturating_sub(self.used_by(owner).held);
        own.min(self.most_held - self.used.held)
    }

    /// Whether a client, or all together, have used half of what they may.
    pub fn is_short(&self, owner: u64) -> bool {
        self.used.held > self.most_held / 2 || self.used_by(owner).held > self.most_held / SHARE / 2
    }

    /// Whether that can be so of any client: no share is used by half while the sum of all is less.
    #[inline]
    pub fn may_be_short(&self) -> bool {
        self.used.held > self.most_held / SHARE / 2
    }
}
