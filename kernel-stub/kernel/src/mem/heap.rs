//! The kernel's heap: size classes from page frames, one spin lock.
//!
//! A class has pages of equal objects; a page's notes are outside it (`frames::Record`), so that objects of 2 KiB fill
//! theirs. A page that becomes wholly free goes back, except one per class, which keeps a loop of allocate and free from
//! taking and giving a frame each time. Larger objects are frames in a row.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

use abi::memory::PAGE;

use crate::arch::memory::{direct_map, physical};
use crate::lock::{Heap as HeapLevel, Mutex};
use crate::mem::frames::{self, Record, record};

const SMALLEST: usize = 16;
const CLASSES: usize = 8;
/// End of a list; frame 0 is never the heap's.
const NO_FRAME: u32 = 0;
const NO_OBJECT: u16 = u16::MAX;

/// Pages of one class that have room, as frame numbers in a doubly linked list.
#[derive(Clone, Copy)]
struct Class {
    first: u32,
    /// How many of them are wholly free: 0 or 1.
    spare: u32,
    /// Pages that the class has, full ones too.
    frames: u32,
    /// Objects in use.
    used: u32,
}

impl Class {
    const EMPTY: Class = Class { first: NO_FRAME, spare: 0, frames: 0, used: 0 };
}

struct Heap([Class; CLASSES]);

struct KernelAllocator(Mutex<HeapLevel, Heap>);

#[global_allocator]
static ALLOCATOR: KernelAllocator = KernelAllocator(Mutex::new(Heap([Class::EMPTY; CLASSES])));

/// Frames that the classes have, and bytes in them that are in use. Frames in a row are in neither.
pub fn load() -> (u64, u64) {
    let heap = ALLOCATOR.0.lock_leaf();
    let classes = heap.0.iter().enumerate();
    classes.fold((0, 0), |(frames, bytes), (index, class)| {
        (frames + u64::from(class.frames), bytes + u64::from(class.used) * (SMALLEST << index) as u64)
    })
}

/// The class that a layout falls into, if it is not for whole frames.
fn class_of(layout: &Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
    let class = (size / SMALLEST).trailing_zeros() as usize;
    (class < CLASSES).then_some(class)
}

fn pages_of(layout: &Layout) -> usize {
    layout.size().div_ceil(PAGE as usize)
}

// SAFETY: objects of a class do not overlap and are aligned to their size, which is at least the layout's alignment; runs
// of frames are aligned as asked. Both are the caller's until given back.
unsafe impl GlobalAlloc for KernelAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(class) = class_of(&layout) {
            return self.0.lock_leaf().alloc(class);
        }
        let align = layout.align().div_ceil(PAGE as usize);
        frames::alloc_aligned(pages_of(&layout), align).map_or(null_mut(), direct_map)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match class_of(&layout) {
            Some(class) => self.0.lock_leaf().free(class, pointer),
            None => frames::free_contiguous(physical(pointer), pages_of(&layout)),
        }
    }
}

/// The note about a frame of the heap, by its number.
fn note(frame: u32) -> &'static mut Record {
    // SAFETY: only called under the heap's lock, for frames that the heap has, one at a time.
    unsafe { &mut *record(u64::from(frame) * PAGE) }
}

/// The link that a free object holds: the index of the next one in its page.
fn link(frame: u32, class: usize, object: u16) -> *mut u16 {
    direct_map(u64::from(frame) * PAGE).wrapping_add(usize::from(object) * (SMALLEST << class)).cast()
}

impl Heap {
    fn alloc(&mut self, class: usize) -> *mut u8 {
        if self.0[class].first == NO_FRAME && !self.grow(class) {
            return null_mut();
        }
        let frame = self.0[class].first;
        let page = note(frame);
        let object = link(frame, class, page.free_list);
        // SAFETY: the object is free and in a page of the heap, so its first bytes are the heap's.
        page.free_list = unsafe { object.read() };
        if page.used == 0 {
            self.0[class].spare -= 1;
        }
        page.used += 1;
        self.0[class].used += 1;
        if page.free_list == NO_OBJECT {
            self.unlink(class, frame);
        }
        object.cast()
    }

    fn free(&mut self, class: usize, pointer: *mut u8) {
        let address = physical(pointer);
        let frame = (address / PAGE) as u32;
        let object = ((address % PAGE) as usize / (SMALLEST << class)) as u16;
        let page = note(frame);
        let was_full = page.free_list == NO_OBJECT;
        // SAFETY: the object has just been given back.
        unsafe { pointer.cast::<u16>().write(page.free_list) };
        page.free_list = object;
        page.used -= 1;
        self.0[class].used -= 1;
        let empty = page.used == 0;
        if was_full {
            self.push(class, frame);
        }
        if empty {
            if self.0[class].spare > 0 {
                self.unlink(class, frame);
                self.0[class].frames -= 1;
                frames::free(u64::from(frame) * PAGE);
            } else {
                self.0[class].spare = 1;
            }
        }
    }

    /// Adds an empty page.
    fn grow(&mut self, class: usize) -> bool {
        let Some(address) = frames::alloc() else { return false };
        let frame = (address / PAGE) as u32;
        let count = (PAGE as usize / (SMALLEST << class)) as u16;
        for object in 0..count {
            let next = if object + 1 < count { object + 1 } else { NO_OBJECT };
            // SAFETY: the page is the heap's and holds nothing yet.
            unsafe { link(frame, class, object).write(next) };
        }
        *note(frame) = Record { next: NO_FRAME, previous: NO_FRAME, free_list: 0, used: 0 };
        self.push(class, frame);
        self.0[class].spare += 1;
        self.0[class].frames += 1;
        true
    }

    fn push(&mut self, class: usize, frame: u32) {
        let first = core::mem::replace(&mut self.0[class].first, frame);
        note(frame).next = first;
        note(frame).previous = NO_FRAME;
        if first != NO_FRAME {
            note(first).previous = frame;
        }
    }

    fn unlink(&mut self, class: usize, frame: u32) {
        let Record { next, previous, .. } = *note(frame);
        if next != NO_FRAME {
            note(next).previous = previous;
        }
        match previous {
            NO_FRAME => self.0[class].first = next,
            previous => note(previous).next = next,
        }
    }
}
