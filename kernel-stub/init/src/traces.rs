//! Traces that programs keep here for whoever wants to look while they run.

use alloc::{collections::BTreeMap, vec::Vec};

use abi::error::{E2BIG, ENOENT, Error, Result};
use init_protocol::limits::TRACES;

/// The traces of each process, in the order in which they came.
#[derive(Debug)]
pub struct Traces<H>(BTreeMap<u32, Vec<H>>);

impl<H> Traces<H> {
    /// None.
    pub const fn new() -> Traces<H> {
        Traces(BTreeMap::new())
    }

    /// Process `pid` has one more.
    pub fn keep(&mut self, pid: u32, trace: H) -> Result<()> {
        let kept = self.0.entry(pid).or_default();
        if kept.len() >= TRACES {
            return Err(Error::new(E2BIG));
        }
        kept.push(trace);
        Ok(())
    }

    /// One of a process.
    pub fn get(&self, pid: u32, index: u32) -> Result<&H> {
        self.0.get(&pid).and_then(|kept| kept.get(index as usize)).ok_or(Error::new(ENOENT))
    }

    /// Process `pid` has ended.
    pub fn forget(&mut self, pid: u32) {
        self.0.remove(&pid);
    }
}
