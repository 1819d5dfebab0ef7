//! All pipes, whose they are, and the memory that they hold.

use crate::conduit::{CAPACITY, Conduit, LEAST};
use crate::names::Names;
use crate::pools::{self, Pools};
use abi::error::{EBADF, Error, Result};
use alloc::collections::BTreeMap;
use driver_sdk::FileId;

pub(crate) struct Pipe {
    pub(crate) conduit: Conduit<FileId>,
    /// Permissions of a FIFO; nobody asks for them but stat.
    pub(crate) mode: u16,
    pub(crate) named: bool,
    /// To whom its bytes were promised; of a FIFO nobody, since it outlives who made it.
    pub(crate) maker: u64,
    /// Whose its bytes are: who opened it when nobody had it.
    pub(crate) owner: u64,
}

/// All of them.
pub struct Pipes {
    pub(crate) pipes: BTreeMap<u64, Pipe>,
    pub(crate) names: Names,
    /// The pipe of each open file, and of those that wait to be opened.
    pub(crate) files: BTreeMap<FileId, u64>,
    pub(crate) last: u64,
    pub(crate) pools: Pools,
}

impl Default for Pipes {
    fn default() -> Self {
        Pipes::new()
    }
}

impl Pipes {
    /// None.
    pub const fn new() -> Pipes {
        Pipes::holding(pools::HELD)
    }

    /// None, and memory for so many bytes in them.
    pub const fn holding(most_held: usize) -> Pipes {
        Pipes {
            pipes: BTreeMap::new(),
            names: Names::new(),
            files: BTreeMap::new(),
            last: 0,
            pools: Pools::new(most_held),
        }
    }

    /// How many there are, and names of them.
    pub fn count(&self) -> (usize, usize) {
        (self.pipes.len(), self.names.len())
    }

    pub(crate) fn create(&mut self, mode: u16, named: bool, maker: u64) -> u64 {
        let capacity = if self.pools.can_promise(maker, CAPACITY) { CAPACITY } else { LEAST };
        self.pools.promise(maker, 0, capacity);
        self.last += 1;
        let pipe = Pipe { conduit: Conduit::new(capacity), mode, named, maker, owner: maker };
        self.pipes.insert(self.last, pipe);
        self.last
    }

    /// Writes what the pipe must have more memory for.
    #[cold]
    pub(crate) fn write_more(&mut self, number: u64, bytes: &[u8]) -> Result<usize> {
        let owner = self.pipes.get(&number).ok_or(Error::new(EBADF))?.owner;
        let spare = self.pools.spare(owner);
        let conduit = &mut self.pipes.get_mut(&number).ok_or(Error::new(EBADF))?.conduit;
        let held = conduit.held();
        let count = conduit.write(bytes, spare)?;
        self.holds(number, held);
        Ok(count)
    }

    /// An empty pipe gives its memory back when its owner, or all together, have used half of what they may.
    #[cold]
    pub(crate) fn shrink(&mut self, number: u64) {
        let owner = self.pipes.get(&number).map_or(0, |pipe| pipe.owner);
        let is_short = self.pools.is_short(owner);
        if let Some(Pipe { conduit, .. }) = self.pipes.get_mut(&number)
            && is_short
        {
            let held = conduit.held();
            conduit.shrink();
            self.holds(number, held);
        }
    }

    /// The memory of a pipe is other than it was.
    pub(crate) fn holds(&mut self, number: u64, before: usize) {
        let Some(Pipe { conduit, owner, .. }) = self.pipes.get(&number) else { return };
        let (now, owner) = (conduit.held(), *owner);
        if now == before {
            return;
        }
        self.pools.hold(owner, before, now);
    }

    /// Who opens a pipe that nobody has owns what will be in it.
    pub(crate) fn own(&mut self, number: u64, client: u64) {
        if let Some(pipe) = self.pipes.get_mut(&number)
            && pipe.conduit.is_unused()
            && pipe.conduit.held() == 0
        {
            pipe.owner = client;
        }
    }

    pub(crate) fn drop_if_unused(&mut self, number: u64) {
        let unused = |pipe: &Pipe| !pipe.named && pipe.conduit.is_unused();
        if self.pipes.get(&number).is_some_and(unused)
            && let Some(pipe) = self.pipes.remove(&number)
        {
            let (promised, held) = (pipe.conduit.capacity(), pipe.conduit.held());
            self.pools.promise(pipe.maker, promised, 0);
            self.pools.hold(pipe.owner, held, 0);
        }
    }

    pub(crate) fn pipe_of(&mut self, file: FileId) -> Result<(u64, &mut Conduit<FileId>)> {
        let number = *self.files.get(&file).ok_or(Error::new(EBADF))?;
        let pipe = self.pipes.get_mut(&number).ok_or(Error::new(EBADF))?;
        Ok((number, &mut pipe.conduit))
    }

    /// A FIFO lost a name, perhaps its last.
    pub(crate) fn unnamed(&mut self, number: u64) {
        if let Some(pipe) = self.pipes.get_mut(&number) {
            pipe.named = self.names.links(number) > 0;
        }
        self.drop_if_unused(number);
    }
}
