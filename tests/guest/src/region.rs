//! Memory that is shared with the event server.
#![allow(unsafe_code)]

use abi::error::Result;
use abi::flag::MapFlags;
use alloc::sync::Arc;
use event_protocol::shared::{Mapped, Region};
use rt::sys::{Mapping, Memory};

/// A memory object mapped here.
#[derive(Debug)]
pub struct Pages(Mapping);

/// Maps memory for reading and writing.
pub fn writable(memory: &Memory) -> Result<Arc<Region<Pages>>> {
    let mapping = memory.map_all(MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
    Ok(Arc::new(Region::new(Pages(mapping))))
}

/// Maps memory for reading.
pub fn readable(memory: &Memory) -> Result<Arc<Region<Pages>>> {
    Ok(Arc::new(Region::new(Pages(memory.map_all(MapFlags::PROT_READ)?))))
}

// SAFETY: the mapping lives as long as the value, starts on a page, and all programs reach it through the protocol
// crate's views only; what is mapped for reading is a page of cells, of which clients only read.
unsafe impl Mapped for Pages {
    fn address(&self) -> usize {
        self.0.start().as_ptr() as usize
    }

    fn length(&self) -> usize {
        self.0.length()
    }
}
