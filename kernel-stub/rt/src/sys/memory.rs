//! Memory objects and their maps.

use core::ptr::NonNull;

use abi::Handle;
use abi::error::{EINVAL, Error, Result};
use abi::flag::MapFlags;
use abi::memory::{CONTIGUOUS, PAGE};
use abi::number::{SYS_MEMORY_ADDRESS, SYS_MEMORY_CREATE, SYS_MEMORY_MAP, SYS_MEMORY_UNMAP};

use super::handle::{Object, object};
use super::raw::syscall;

object! {
    /// A memory object.
    Memory
}

impl Memory {
    /// Zeroed memory; `size` is rounded up to whole pages.
    pub fn create(size: usize) -> Result<Memory> {
        Memory::create_with(size, 0)
    }

    /// Zeroed memory that is physically contiguous.
    pub fn create_contiguous(size: usize) -> Result<Memory> {
        Memory::create_with(size, CONTIGUOUS)
    }

    fn create_with(size: usize, flags: u64) -> Result<Memory> {
        let size = (size as u64).checked_next_multiple_of(PAGE).ok_or(Error::new(EINVAL))?;
        // SAFETY: registers only.
        unsafe { syscall(SYS_MEMORY_CREATE, [size, flags, 0, 0, 0, 0]) }
            .map(|h| Memory::from_handle(Handle(h)))
    }

    /// Size in bytes.
    pub fn size(&self) -> Result<usize> {
        self.info().map(|info| info.detail as usize)
    }

    /// Maps `length` bytes from `offset` on at a place that the kernel chooses.
    pub fn map(&self, offset: usize, length: usize, protection: MapFlags) -> Result<Mapping> {
        let length = length.checked_next_multiple_of(PAGE as usize).ok_or(Error::new(EINVAL))?;
        // SAFETY: address 0 asks for a free range, so nothing that the compiler knows of changes.
        let start = unsafe { map_self(self.handle(), 0, offset, length, protection) }?;
        Ok(Mapping { start, length })
    }

    /// Maps all of it.
    pub fn map_all(&self, protection: MapFlags) -> Result<Mapping> {
        self.map(0, self.size()?, protection)
    }

    /// Physical address of an offset; only of contiguous or device memory.
    pub fn physical(&self, offset: usize) -> Result<u64> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_MEMORY_ADDRESS, [self.handle().0, offset as u64, 0, 0, 0, 0]) }
    }
}

/// Maps memory into this process, at `address` or, with 0, where the kernel likes.
///
/// # Safety
/// A range at a chosen address must not be one that anything else in the program counts on.
pub unsafe fn map_self(
    memory: Handle,
    address: usize,
    offset: usize,
    length: usize,
    protection: MapFlags,
) -> Result<NonNull<u8>> {
    let arguments = [0, memory.0, address as u64, offset as u64, length as u64, protection.bits() as u64];
    // SAFETY: the caller vouches for the range; the kernel refuses one that is in use.
    let start = unsafe { syscall(SYS_MEMORY_MAP, arguments) }?;
    NonNull::new(start as *mut u8).ok_or(Error::new(EINVAL))
}

/// Unmaps a range of this process that one call mapped.
///
/// # Safety
/// Nothing may point into it any more.
pub unsafe fn unmap_self(address: usize, length: usize) -> Result<()> {
    // SAFETY: the caller vouches.
    unsafe { syscall(SYS_MEMORY_UNMAP, [0, address as u64, length as u64, 0, 0, 0]) }.map(drop)
}

/// Mapped memory of this process; unmapped when dropped. It does not need the memory object's handle any more.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a range of the address space, which all threads share; access to it is by raw pointers.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Its first byte.
    #[inline]
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Its size in bytes.
    #[inline]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Keeps it mapped for the rest of the process's life.
    pub fn leak(self) -> NonNull<u8> {
        let start = self.start;
        core::mem::forget(self);
        start
    }

    /// The contents.
    ///
    /// # Safety
    /// It must be readable, and nobody (no other process either) may write it during the reference's life.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the range is mapped while `self` lives; the caller vouches for the rest.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// The contents, to be written.
    ///
    /// # Safety
    /// It must be writable, and nobody else (no other process either) may touch it during the reference's life.
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: the range is mapped while `self` lives; the caller vouches for the rest.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: references into it borrow `self`; raw pointers are their holders' affair. It was mapped by one call,
        // so the kernel has no reason to refuse.
        let _ = unsafe { unmap_self(self.start.as_ptr() as usize, self.length) };
    }
}
