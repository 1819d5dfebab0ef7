//! Memory shared with the event server.
#![allow(unsafe_code)]

use abi::error::Result;
use abi::flag::MapFlags;
use event_protocol::shared::{Mapped, Region};
use rt::sys::{Mapping, Memory};

/// A memory object mapped for reading and writing.
pub struct Shared(Mapping);

impl Shared {
    /// Maps all of it.
    pub fn map(memory: &Memory) -> Result<Region<Shared>> {
        memory.map_all(MapFlags::PROT_READ | MapFlags::PROT_WRITE).map(|mapping| Region::new(Shared(mapping)))
    }
}

// SAFETY: the mapping lives as long as the value, starts on a page, was mapped readable and writable, and all programs
// reach it through the protocol crate's views only.
unsafe impl Mapped for Shared {
    fn address(&self) -> usize {
        self.0.start().as_ptr() as usize
    }

    fn length(&self) -> usize {
        self.0.length()
    }
}
