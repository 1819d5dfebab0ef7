//! Page frames of the machine: who has them is the `frames` crate's logic, this module gives it the boot memory map.
//!
//! Never handed out: the first MiB (firmware, the trampoline of other CPUs), the kernel's image, the boot module, and what
//! the map does not call usable.

use core::ops::Range;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use abi::memory::PAGE;
use firmware::pvh::{RegionKind, StartInfo};
use frames::Frames;

use crate::arch::memory::{direct_map, image};
use crate::lock::{self, Mutex};

/// Frames that user requests leave alone, so that the kernel can finish what it has begun.
pub const RESERVE: usize = 256;
/// Physical memory from here up is not used: 64 GiB.
pub const LIMIT: u64 = 64 << 30;
const LOW: u64 = 1 << 20;
/// What the boot page tables map: the books are kept below.
const BOOT_MAPPED: u64 = 1 << 32;

static FRAMES: Mutex<lock::Frames, Option<Frames<'static>>> = Mutex::new(None);
/// Copies of the counts, so that looking needs no lock.
static FREE: AtomicUsize = AtomicUsize::new(0);
static TOTAL: AtomicUsize = AtomicUsize::new(0);
static RECORDS: AtomicPtr<Record> = AtomicPtr::new(core::ptr::null_mut());

/// What the heap notes about a frame that it has.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Record {
    pub next: u32,
    pub previous: u32,
    pub free_list: u16,
    pub used: u16,
}

/// Sets the allocator up from the boot memory map.
pub(super) fn init(info: &StartInfo) {
    let usable = info.regions.iter().filter(|region| region.kind == RegionKind::Usable);
    let end = usable.map(|region| region.end()).max().unwrap_or(0).min(LIMIT);
    let count = (end / PAGE) as usize;
    let records = count * size_of::<Record>();
    let words = frames::words_for(count);
    let size = (records as u64 + words as u64 * 8).next_multiple_of(PAGE);
    let mut taken: heapless::Vec<Range<u64>, 4> = heapless::Vec::new();
    let module =
        info.module.clone().map(|module| module.start & !(PAGE - 1)..module.end.next_multiple_of(PAGE));
    for range in [Some(0..LOW), Some(image()), module].into_iter().flatten() {
        let _ = taken.push(range);
    }
    let Some(books) = place(info, &taken, size) else {
        panic!("no room for {size} bytes that say which memory is free");
    };
    let _ = taken.push(books..books + size);

    // SAFETY: the range is usable memory that nothing else is in, below what the boot page tables map.
    let storage = unsafe {
        core::ptr::write_bytes(direct_map(books), 0, size as usize);
        RECORDS.store(direct_map(books).cast(), Ordering::Relaxed);
        core::slice::from_raw_parts_mut(direct_map(books + records as u64).cast::<u64>(), words)
    };
    let Some(mut frames) = Frames::new(storage, count) else { panic!("the books of memory are too small") };
    for region in info.regions.iter().filter(|region| region.kind == RegionKind::Usable) {
        for page in pages(region.start.next_multiple_of(PAGE)..region.end().min(LIMIT) & !(PAGE - 1)) {
            let reserved = info.regions.iter().any(|other| {
                other.kind != RegionKind::Usable && other.start < page + PAGE && page < other.end()
            });
            if !reserved && !taken.iter().any(|range| range.contains(&page)) {
                // Usable regions that overlap name a frame twice; once is enough.
                let _ = frames.add((page / PAGE) as usize);
            }
        }
    }
    TOTAL.store(frames.total(), Ordering::Relaxed);
    FREE.store(frames.free_count(), Ordering::Relaxed);
    *FRAMES.lock_leaf() = Some(frames);
}

fn pages(range: Range<u64>) -> impl Iterator<Item = u64> {
    range.step_by(PAGE as usize)
}

/// The first place in usable memory, right behind something or at the start of a region, where nothing is.
fn place(info: &StartInfo, taken: &[Range<u64>], size: u64) -> Option<u64> {
    let starts = info.regions.iter().map(|region| region.start).chain(taken.iter().map(|range| range.end));
    starts.map(|start| start.next_multiple_of(PAGE)).find(|&start| {
        let end = start + size;
        let usable = |region: &&firmware::pvh::Region| region.kind == RegionKind::Usable;
        end <= BOOT_MAPPED
            && info.regions.iter().filter(usable).any(|region| region.start <= start && end <= region.end())
            && !info
                .regions
                .iter()
                .any(|region| !usable(&region) && region.start < end && start < region.end())
            && !taken.iter().any(|range| range.start < end && start < range.end)
    })
}

fn with<R>(operate: impl FnOnce(&mut Frames<'static>) -> R) -> Option<R> {
    let mut guard = FRAMES.lock_leaf();
    let frames = guard.as_mut()?;
    let result = operate(frames);
    FREE.store(frames.free_count(), Ordering::Relaxed);
    Some(result)
}

/// Physical address of a frame, with whatever is in it.
pub fn alloc() -> Option<u64> {
    with(Frames::alloc).flatten().map(|frame| frame as u64 * PAGE)
}

/// Physical address of a frame full of zeros.
pub fn alloc_zeroed() -> Option<u64> {
    let frame = alloc()?;
    // SAFETY: the frame is the caller's alone, and the direct map covers it.
    unsafe { core::ptr::write_bytes(direct_map(frame), 0, PAGE as usize) };
    Some(frame)
}

/// Physical address of the first of `count` frames in a row.
pub fn alloc_contiguous(count: usize) -> Option<u64> {
    alloc_aligned(count, 1)
}

/// The same, with the number of the first frame a multiple of `align`, a power of two.
pub(super) fn alloc_aligned(count: usize, align: usize) -> Option<u64> {
    with(|frames| frames.alloc_run(count, align)).flatten().map(|frame| frame as u64 * PAGE)
}

/// Gives a frame back.
pub fn free(frame: u64) {
    free_contiguous(frame, 1);
}

/// Gives frames in a row back.
pub fn free_contiguous(base: u64, count: usize) {
    with(|frames| {
        for frame in (base / PAGE) as usize..(base / PAGE) as usize + count {
            // The kernel's own books would be wrong: going on would hand one frame to two.
            if let Err(error) = frames.free(frame) {
                panic!("frame {frame:#x} given back wrongly: {error:?}");
            }
        }
    });
}

/// Frames that are free.
#[inline]
pub fn free_count() -> usize {
    FREE.load(Ordering::Relaxed)
}

/// Frames that the kernel manages.
pub fn total_count() -> usize {
    TOTAL.load(Ordering::Relaxed)
}

/// Whether any part of a physical range is memory that this system keeps something in: then it is nobody's device.
pub fn is_managed(base: u64, size: u64) -> bool {
    let Some(end) = base.checked_add(size) else { return true };
    let image = image();
    base < image.end && image.start < end || crate::arch::memory::is_ram(base, end)
}

/// The heap's note about a frame.
pub(super) fn record(frame: u64) -> *mut Record {
    RECORDS.load(Ordering::Relaxed).wrapping_add((frame / PAGE) as usize)
}
