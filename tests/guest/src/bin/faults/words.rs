//! Shared memory as the specification has it: words at offsets. What the driver and the fuzzer here write goes past the views of the
//! protocol's own crate.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU32, AtomicU64};

use abi::error::Result;
use abi::flag::MapFlags;
use rt::sys::{Mapping, Memory};

/// Memory that somebody else has too.
#[derive(Debug)]
pub struct Words(Mapping);

impl Words {
    /// Maps all of it for reading and writing.
    pub fn map(memory: &Memory) -> Result<Words> {
        Ok(Words(memory.map_all(MapFlags::PROT_READ | MapFlags::PROT_WRITE)?))
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        self.0.length()
    }

    /// The word of 8 bytes at an offset.
    pub fn long(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.length());
        // SAFETY: in range and aligned, mapped writable while `self` lives; everybody uses atomics.
        unsafe { &*self.0.start().as_ptr().add(offset).cast() }
    }

    /// The word of 4 bytes at an offset.
    pub fn short(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.length());
        // SAFETY: as above.
        unsafe { &*self.0.start().as_ptr().add(offset).cast() }
    }
}
