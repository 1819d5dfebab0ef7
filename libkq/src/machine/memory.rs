//! Memory that other processes have mapped too.
#![allow(unsafe_code)]

use abi::error::Result;
use abi::flag::MapFlags;
use event_protocol::shared::Mapped;
use rt::sys::{Mapping, Memory};

/// A mapping that lasts as long as the value.
#[derive(Debug)]
pub struct SharedMemory(Mapping);

impl SharedMemory {
    /// Maps all of it, to be read and written.
    pub fn writable(memory: &Memory) -> Result<SharedMemory> {
        memory.map_all(MapFlags::PROT_READ | MapFlags::PROT_WRITE).map(SharedMemory)
    }

    /// Maps all of it, to be read.
    pub fn readable(memory: &Memory) -> Result<SharedMemory> {
        memory.map_all(MapFlags::PROT_READ).map(SharedMemory)
    }
}

// SAFETY: a `Mapping` is whole pages, mapped until it is dropped, and is reached only through the views that are made of
// this value. What is mapped by `readable` is pages of cells and the traces of others, which this library never writes.
unsafe impl Mapped for SharedMemory {
    #[inline]
    fn address(&self) -> usize {
        self.0.start().as_ptr() as usize
    }

    #[inline]
    fn length(&self) -> usize {
        self.0.length()
    }
}
