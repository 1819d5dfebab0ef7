//! Requests that wait.

use crate::files::FileId;
use crate::limits::{PENDING, PENDING_PER_CLIENT, PENDING_PER_FILE};
use abi::error::{ENOMEM, Error, Result};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use event_protocol::cell::Direction;

/// A read or write that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Who waits for the reply.
    pub token: u64,
    /// Whose quota it counts against.
    pub client: u64,
    /// On which file.
    pub file: FileId,
    /// What for.
    pub direction: Direction,
    /// In which queue ([`Driver::queue`](crate::Driver::queue)).
    pub queue: u64,
    /// Where in the file.
    pub offset: Option<u64>,
    /// Read: the most bytes wanted. Write: bytes taken so far.
    pub count: usize,
    /// Write: bytes not taken yet.
    pub rest: Vec<u8>,
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub struct Pending {
    waiting: VecDeque<Waiting>,
}

impl Pending {
    /// Adds one. ENOMEM over quota. The kernel does not tell when a caller's deadline passes, so a file whose places
    /// are all taken may have none that is alive: then the oldest, which is returned, makes room.
    pub fn push(&mut self, new: Waiting) -> Result<Option<Waiting>> {
        let same_file = |old: &Waiting| old.file == new.file && old.direction == new.direction;
        let evicted = if self.waiting.iter().filter(|old| same_file(old)).count() >= PENDING_PER_FILE {
            self.waiting.iter().position(same_file).and_then(|oldest| self.waiting.remove(oldest))
        } else {
            let own = self.waiting.iter().filter(|old| old.client == new.client).count();
            if own >= PENDING_PER_CLIENT || self.waiting.len() >= PENDING {
                return Err(Error::new(ENOMEM));
            }
            None
        };
        self.waiting.push_back(new);
        Ok(evicted)
    }

    /// Whether anybody waits in a queue: then a newcomer must not overtake.
    pub fn has(&self, direction: Direction, queue: u64) -> bool {
        self.waiting.iter().any(|waiting| waiting.direction == direction && waiting.queue == queue)
    }

    /// The first that waits in a queue.
    pub fn take_first(&mut self, direction: Direction, queue: u64) -> Option<Waiting> {
        let first = |waiting: &Waiting| waiting.direction == direction && waiting.queue == queue;
        let at = self.waiting.iter().position(first)?;
        self.waiting.remove(at)
    }

    /// Puts the one just taken back: it is the first still.
    pub fn put_back(&mut self, waiting: Waiting) {
        self.waiting.push_front(waiting);
    }

    /// Takes one that waits on a file.
    pub fn take_of(&mut self, file: FileId) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.file == file)?;
        self.waiting.remove(at)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
