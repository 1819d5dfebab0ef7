//! Processes that came to a lobby: what each of them has at once, and its handles of other shards' lobbies.

use abi::Handle;
use abi::error::{EINVAL, EMFILE, Error, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::control::limits::MAX_CLIENTS_OF_PROCESS;
use init_protocol::caller::Caller;

use crate::account::{Account, Budget};

/// All of them. A process is here from its first request until its lobbies are closed, which is when it has ended, and its
/// sessions.
#[derive(Debug)]
pub struct Processes {
    known: BTreeMap<u32, Process>,
    /// What the server remembers for them.
    budget: Arc<Budget>,
}

#[derive(Debug)]
struct Process {
    account: Arc<Account>,
    /// A lobby of each shard, or none yet.
    lobbies: Vec<Handle>,
    sessions: u32,
    ended: bool,
}

impl Processes {
    /// None yet, of a server with such a quota.
    pub fn new(quota: u64) -> Processes {
        Processes { known: BTreeMap::new(), budget: Arc::new(Budget::new(quota)) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn of(&mut self, caller: Caller) -> &mut Process {
        let budget = &self.budget;
        self.known.entry(caller.pid).or_insert_with(|| Process {
            account: Arc::new(Account::new(caller, budget.clone())),
            lobbies: Vec::new(),
            sessions: 0,
            ended: false,
        })
    }

    /// The account of a process.
    pub fn account(&mut self, caller: Caller) -> Arc<Account> {
        self.of(caller).account.clone()
    }

    /// The lobby of a shard for a process, made once: the server pays for the badge. It stays the server's. EINVAL: no such
    /// shard.
    pub fn lobby(
        &mut self,
        caller: Caller,
        shard: u32,
        shards: u32,
        make: impl FnOnce() -> Result<Handle>,
    ) -> Result<Handle> {
        if shard >= shards {
            return Err(Error::new(EINVAL));
        }
        let process = self.of(caller);
        process.lobbies.resize(shards as usize, Handle::NONE);
        let lobby = &mut process.lobbies[shard as usize];
        if lobby.is_none() {
            *lobby = make()?;
        }
        Ok(*lobby)
    }

    /// A process has one session more. EMFILE: it has enough of them.
    pub fn begin_session(&mut self, caller: Caller) -> Result<Arc<Account>> {
        let process = self.of(caller);
        if process.sessions >= MAX_CLIENTS_OF_PROCESS {
            return Err(Error::new(EMFILE));
        }
        process.sessions += 1;
        Ok(process.account.clone())
    }

    /// A session of a process is over.
    pub fn end_session(&mut self, caller: Caller) {
        if let Some(process) = self.known.get_mut(&caller.pid) {
            process.sessions -= 1;
            self.forget(caller);
        }
    }

    /// A process has ended: nobody has a handle of its lobby any more. The lobbies that were made for it are the caller's to
    /// close.
    pub fn end(&mut self, caller: Caller) -> Vec<Handle> {
        let Some(process) = self.known.get_mut(&caller.pid) else { return Vec::new() };
        process.ended = true;
        let mut lobbies = core::mem::take(&mut process.lobbies);
        lobbies.retain(|lobby| !lobby.is_none());
        self.forget(caller);
        lobbies
    }

    fn forget(&mut self, caller: Caller) {
        if self.known.get(&caller.pid).is_some_and(|process| process.ended && process.sessions == 0) {
            self.known.remove(&caller.pid);
        }
    }
}
