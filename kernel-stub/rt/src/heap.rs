//! The heap: `talc` over a growing range of mapped memory objects; a large block is a mapping of its own.
//!
//! Memory is never touched before it is mapped and paid for, so a quota that runs out is a null pointer here (and the
//! standard "memory allocation failed" panic for who cannot deal with it), never a fault later.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use abi::flag::MapFlags;
use abi::memory::PAGE;
use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::source::Source;
use talc::sync::TalcLock;

use crate::sync::RawMutex;
use crate::sys::{Memory, Object, map_self, unmap_self};

/// Where the growing range begins: far below where the kernel places maps, far above any program.
const HEAP_START: usize = 0x1000_0000_0000;
/// The range never grows beyond this.
const HEAP_END: usize = 0x1400_0000_0000;
/// The first step of growth; each next one is a quarter of what there is, up to `MAX_STEP`.
const MIN_STEP: usize = 64 << 10;
const MAX_STEP: usize = 1 << 20;
/// A block from here up is a mapping of its own, and goes back to the system when freed.
const LARGE: usize = 256 << 10;

const READ_WRITE: MapFlags = MapFlags::PROT_READ.union(MapFlags::PROT_WRITE);

#[derive(Debug)]
struct Growth {
    end: usize,
    heap_end: Option<NonNull<u8>>,
}

// SAFETY: `heap_end` is an address in a range that belongs to whoever holds this.
unsafe impl Send for Growth {}

// SAFETY: no call here allocates: memory comes from system calls alone.
unsafe impl Source for Growth {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let have = talc.source.end - HEAP_START;
        // The block, its alignment and the allocator's own words.
        let need = layout.size().checked_add(layout.align()).ok_or(())?.checked_add(4096).ok_or(())?;
        let step = need.max((have / 4).clamp(MIN_STEP, MAX_STEP)).next_multiple_of(PAGE as usize);
        let new_end = talc.source.end.checked_add(step).filter(|&end| end <= HEAP_END).ok_or(())?;
        let memory = Memory::create(step).map_err(drop)?;
        // SAFETY: the range is the heap's alone and not in use yet.
        let start = unsafe { map_self(memory.handle(), talc.source.end, 0, step, READ_WRITE) };
        let start = start.map_err(drop)?;
        talc.source.end = new_end;
        let new_top = new_end as *mut u8;
        // SAFETY: the new range is mapped, nobody else's, and joins the old one when there is one.
        talc.source.heap_end = unsafe {
            match talc.source.heap_end {
                Some(top) => Some(talc.extend(top, new_top)),
                None => talc.claim(start.as_ptr(), step),
            }
        };
        talc.source.heap_end.map(drop).ok_or(())
    }
}

struct Heap {
    small: TalcLock<RawMutex, Growth, DefaultBinning>,
}

#[global_allocator]
static HEAP: Heap = Heap { small: TalcLock::new(Growth { end: HEAP_START, heap_end: None }) };

fn is_large(layout: &Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= PAGE as usize
}

fn map_large(layout: &Layout) -> *mut u8 {
    let Ok(memory) = Memory::create(layout.size()) else { return ptr::null_mut() };
    match memory.map(0, layout.size(), READ_WRITE) {
        Ok(mapping) => mapping.leak().as_ptr(),
        Err(_) => ptr::null_mut(),
    }
}

// SAFETY: a block is either the inner allocator's, which is one, or a whole mapping; which of both is a function of the
// layout.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(&layout) {
            return map_large(&layout);
        }
        // SAFETY: the caller gives a layout of non-zero size.
        unsafe { self.small.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(&layout) {
            let length = layout.size().next_multiple_of(PAGE as usize);
            // SAFETY: `map_large` mapped just this range, and its owner gives it back. If the kernel refuses, the
            // range is lost, which is safe.
            let _ = unsafe { unmap_self(block as usize, length) };
            return;
        }
        // SAFETY: the caller gives a block of this allocator with its layout.
        unsafe { self.small.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(&layout) {
            // Memory objects are born zeroed.
            return map_large(&layout);
        }
        // SAFETY: the caller gives a layout of non-zero size.
        let block = unsafe { self.small.alloc(layout) };
        if !block.is_null() {
            // SAFETY: a fresh block of this size.
            unsafe { ptr::write_bytes(block, 0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that `size`, rounded up to the alignment, fits.
        let new_layout = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if !is_large(&layout) && !is_large(&new_layout) {
            // SAFETY: as the caller says, and both are the inner allocator's.
            return unsafe { self.small.realloc(block, layout, size) };
        }
        // SAFETY: a layout of non-zero size.
        let new_block = unsafe { self.alloc(new_layout) };
        if !new_block.is_null() {
            // SAFETY: both blocks have as many bytes, and the new one is fresh; then the old one is the caller's to free.
            unsafe {
                ptr::copy_nonoverlapping(block, new_block, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        new_block
    }
}
