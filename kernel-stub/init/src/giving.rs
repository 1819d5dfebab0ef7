//! What is kept for the next program that a process starts.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use abi::error::{E2BIG, EINVAL, Error, Result};
use init_protocol::limits::{START_DATA, START_HANDLES};

use crate::check::is_name;

/// What a program is given.
#[derive(Debug)]
pub struct Given<H> {
    /// Handles, by name.
    pub handles: Vec<(String, H)>,
    /// What it is told besides.
    pub data: Vec<u8>,
}

impl<H> Default for Given<H> {
    fn default() -> Given<H> {
        Given { handles: Vec::new(), data: Vec::new() }
    }
}

/// What each process has given.
#[derive(Debug)]
pub struct Giving<H>(BTreeMap<u32, Given<H>>);

impl<H> Giving<H> {
    /// Nothing.
    pub const fn new() -> Giving<H> {
        Giving(BTreeMap::new())
    }

    /// Process `caller` gives this for its next program.
    pub fn give(
        &mut self,
        caller: u32,
        afresh: bool,
        names: Vec<String>,
        handles: Vec<H>,
        data: &[u8],
    ) -> Result<()> {
        if afresh {
            self.forget(caller);
        }
        if names.len() != handles.len() || !names.iter().all(|name| is_name(name)) {
            return Err(Error::new(EINVAL));
        }
        if names.is_empty() && data.is_empty() {
            return Ok(());
        }
        let kept = self.0.entry(caller).or_default();
        if kept.handles.len() + names.len() > START_HANDLES || kept.data.len() + data.len() > START_DATA {
            return Err(Error::new(E2BIG));
        }
        kept.handles.extend(names.into_iter().zip(handles));
        kept.data.extend_from_slice(data);
        Ok(())
    }

    /// What is there for the program that `caller` starts now.
    pub fn take(&mut self, caller: u32) -> Given<H> {
        self.0.remove(&caller).unwrap_or_default()
    }

    /// Process `pid` has ended.
    pub fn forget(&mut self, pid: u32) {
        self.0.remove(&pid);
    }
}
