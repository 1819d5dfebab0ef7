//! `malloc` and its kin over the run-time's heap.
//!
//! The run-time wants to be told the layout of what it frees; C programs do not tell. So the words before each block say
//! its length and its alignment.

use alloc::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use core::ffi::{c_int, c_void};
use core::ptr;

use abi::error::{EINVAL, ENOMEM};

use crate::own::set_errno;

/// What `malloc` aligns to, and room for the header.
const ALIGN: usize = 16;

#[repr(C)]
struct Header {
    /// Bytes that were asked for.
    length: usize,
    /// Alignment of the block, and distance of it from what the run-time gave.
    align: usize,
}

const _: () = assert!(size_of::<Header>() <= ALIGN);

/// Layout of a block with its header.
fn layout(length: usize, align: usize) -> Option<Layout> {
    Layout::from_size_align(length.checked_add(align)?, align).ok()
}

fn give(length: usize, align: usize, zeroed: bool) -> *mut c_void {
    let align = align.max(ALIGN);
    let Some(layout) = layout(length, align) else { return no_memory() };
    // SAFETY: it is not empty: it has a header.
    let start = unsafe { if zeroed { alloc_zeroed(layout) } else { alloc(layout) } };
    if start.is_null() {
        return no_memory();
    }
    // SAFETY: the layout has `align` bytes before the block, enough for the header, which is aligned as blocks are.
    unsafe {
        let block = start.add(align);
        block.cast::<Header>().sub(1).write(Header { length, align });
        block.cast()
    }
}

fn no_memory() -> *mut c_void {
    set_errno(ENOMEM);
    ptr::null_mut()
}

/// `malloc(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(length: usize) -> *mut c_void {
    give(length, ALIGN, false)
}

/// `calloc(3)`.
#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, length: usize) -> *mut c_void {
    count.checked_mul(length).map_or_else(no_memory, |length| give(length, ALIGN, true))
}

/// `free(3)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: the C program says that the block is one of `give`'s, which has a header before it and was allocated with
    // this layout.
    unsafe {
        let Header { length, align } = block.cast::<Header>().sub(1).read();
        dealloc(block.cast::<u8>().sub(align), Layout::from_size_align_unchecked(length + align, align));
    }
}

/// `realloc(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, length: usize) -> *mut c_void {
    let fresh = malloc(length);
    if !block.is_null() && !fresh.is_null() {
        // SAFETY: as for `free`; both blocks have so many bytes, and the new one is nobody else's.
        unsafe {
            let old = block.cast::<Header>().sub(1).read().length;
            ptr::copy_nonoverlapping(block.cast::<u8>(), fresh.cast(), old.min(length));
            free(block);
        }
    }
    fresh
}

/// `aligned_alloc(3)`.
#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, length: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        set_errno(EINVAL);
        return ptr::null_mut();
    }
    give(length, align, false)
}

/// `posix_memalign(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, align: usize, length: usize) -> c_int {
    if place.is_null() || !align.is_power_of_two() || align < size_of::<*mut c_void>() {
        return EINVAL;
    }
    let block = give(length, align, false);
    if block.is_null() {
        return ENOMEM;
    }
    // SAFETY: the C program's pointer.
    unsafe { place.write(block) };
    0
}
