//! The pages of memory objects.

use crate::{arch::memory::direct_map, mem::frames};
use abi::{
    error::{EINVAL, ENOMEM, Error, Result},
    limits::cost,
    memory::PAGE,
};
use alloc::{boxed::Box, vec::Vec};
use core::ptr::NonNull;
use kernel_core::{object::Memory, quota::Account};

/// Where the pages of a memory object are.
pub enum Pages {
    /// Anywhere.
    Scattered(Vec<u64>),
    /// In one run that the kernel gave.
    Contiguous {
        /// Physical address of the first.
        base: u64,
        /// Pages.
        count: usize,
    },
    /// Device memory or the boot archive, not the kernel's to free.
    Fixed {
        /// Physical address of the first.
        base: u64,
        /// Not to be cached.
        device: bool,
    },
}

impl Pages {
    /// Takes zeroed pages for `size` bytes: `EINVAL` for a size that is zero or no multiple of the page, `ENOMEM`.
    pub fn allocate(size: u64, contiguous: bool) -> Result<Pages> {
        if size == 0 || !size.is_multiple_of(PAGE) {
            return Err(Error::new(EINVAL));
        }
        let count = usize::try_from(size / PAGE).map_err(|_| Error::new(ENOMEM))?;
        if count > frames::free_count().saturating_sub(frames::RESERVE) {
            return Err(Error::new(ENOMEM));
        }
        if contiguous {
            let base = frames::alloc_contiguous(count).ok_or(Error::new(ENOMEM))?;
            for page in 0..count as u64 {
                zero(base + page * PAGE);
            }
            return Ok(Pages::Contiguous { base, count });
        }
        let mut list = Vec::new();
        list.try_reserve_exact(count).map_err(|_| Error::new(ENOMEM))?;
        for _ in 0..count {
            match frames::alloc() {
                Some(frame) => {
                    zero(frame);
                    list.push(frame);
                }
                None => {
                    release(Pages::Scattered(list));
                    return Err(Error::new(ENOMEM));
                }
            }
        }
        Ok(Pages::Scattered(list))
    }

    /// Physical address of the page at an offset that lies within the object.
    pub fn at(&self, offset: u64) -> Option<u64> {
        match self {
            Pages::Scattered(list) => list.get((offset / PAGE) as usize).copied(),
            Pages::Contiguous { base, .. } | Pages::Fixed { base, .. } => Some(base + (offset & !(PAGE - 1))),
        }
    }

    /// Whether the processor must not cache it.
    pub const fn is_device(&self) -> bool {
        matches!(self, Pages::Fixed { device: true, .. })
    }

    /// The word by which the objects know these pages.
    pub fn into_word(self) -> u64 {
        Box::into_raw(Box::new(self)) as u64
    }

    /// The pages behind a word.
    ///
    /// # Safety
    /// The word came from [`Pages::into_word`], and the memory object is referred to for as long as `'a`.
    pub unsafe fn from_word<'a>(word: u64) -> &'a Pages {
        // SAFETY: the caller keeps the object, and so the box, alive.
        unsafe { &*(word as *const Pages) }
    }
}

/// What a memory object of `size` bytes costs.
pub fn price(size: u64) -> Result<u64> {
    size.checked_add(cost::MEMORY).ok_or(Error::new(ENOMEM))
}

/// A frame for the kernel's own use, charged to nobody here.
pub fn kernel_frame() -> Option<NonNull<u8>> {
    let frame = frames::alloc()?;
    zero(frame);
    NonNull::new(direct_map(frame))
}

/// Gives a [`kernel_frame`] back.
pub fn free_kernel_frame(frame: NonNull<u8>) {
    frames::free(crate::arch::memory::physical(frame.as_ptr()));
}

fn zero(frame: u64) {
    // SAFETY: the frame was just allocated, so nobody else has it, and the direct map covers all frames.
    unsafe { core::ptr::write_bytes(direct_map(frame), 0, PAGE as usize) };
}

fn release(pages: Pages) {
    match pages {
        Pages::Scattered(list) => list.into_iter().for_each(frames::free),
        Pages::Contiguous { base, count } => frames::free_contiguous(base, count),
        Pages::Fixed { .. } => {}
    }
}

/// Frees a memory object that nobody refers to any more.
pub fn free(memory: Memory) {
    // SAFETY: the word came from `into_word`, and the last reference is gone.
    release(*unsafe { Box::from_raw(memory.block as *mut Pages) });
}

/// Whether the kernel can spare memory for its own structures during one call.
pub fn spare() -> Result<()> {
    if frames::free_count() > frames::RESERVE { Ok(()) } else { Err(Error::new(ENOMEM)) }
}

/// The quota of the root account: what is free after boot, less the reserve.
pub fn root_account() -> alloc::sync::Arc<Account> {
    Account::root((frames::free_count().saturating_sub(2 * frames::RESERVE)) as u64 * PAGE)
}
