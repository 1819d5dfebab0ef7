//! Memory that is shared with clients and drivers.
#![allow(unsafe_code)]

use abi::error::{EINVAL, Error, Result};
use abi::flag::MapFlags;
use abi::handle::Kind;
use event_protocol::shared::Mapped;
use rt::sys::{Mapping, Memory, Object};

/// A memory object mapped for reading and writing.
#[derive(Debug)]
pub struct Pages(Mapping);

impl Pages {
    /// Maps memory that came from a peer; it must be of exactly this size, whatever else it is. EINVAL otherwise, and
    /// the kernel's error when it came without the rights.
    pub fn map(memory: &Memory, size: usize) -> Result<Pages> {
        let info = memory.info()?;
        if info.kind != Kind::Memory as u32 || info.detail != size as u64 {
            return Err(Error::new(EINVAL));
        }
        memory.map(0, size, MapFlags::PROT_READ | MapFlags::PROT_WRITE).map(Pages)
    }
}

// SAFETY: the mapping lives as long as the value, starts on a page, was mapped readable and writable, and all programs
// reach it through the protocol crate's views only.
unsafe impl Mapped for Pages {
    #[inline]
    fn address(&self) -> usize {
        self.0.start().as_ptr() as usize
    }

    #[inline]
    fn length(&self) -> usize {
        self.0.length()
    }
}
