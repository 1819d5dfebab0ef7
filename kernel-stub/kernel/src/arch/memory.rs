//! The kernel's half of every address space.
//!
//! | from | what |
//! |---|---|
//! | `0xffff_8000_0000_0000` | the direct map: physical memory, writable, never executable |
//! | `0xffff_c000_0000_0000` | the window: device registers, and stacks with guard pages |
//! | `0xffff_ffff_8000_0000` | the kernel's image: text read-only and executable, constants read-only, data |
//!
//! The three top-level entries are made at boot and shared by all address spaces, so nothing has to be copied later. The
//! image's read-only part is read-only in the direct map too.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::memory::PAGE;
use firmware::pvh::{RegionKind, StartInfo};
use firmware::{Error, PhysicalMemory};

use crate::arch;
use crate::mem::frames;

/// Address of physical 0 in the image's mapping.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;
/// Address of physical 0 in the direct map.
pub const DIRECT: u64 = 0xffff_8000_0000_0000;
const WINDOW: u64 = 0xffff_c000_0000_0000;
/// What the boot page tables map.
const BOOT_MAPPED: u64 = 1 << 32;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const UNCACHED: u64 = 1 << 3 | 1 << 4;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const LARGE_PAGE: u64 = 2 << 20;

static ROOT: AtomicU64 = AtomicU64::new(0);
static WINDOW_NEXT: AtomicU64 = AtomicU64::new(WINDOW);

unsafe extern "C" {
    static kernel_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static kernel_end: u8;
}

/// Where the kernel sees physical memory.
#[inline(always)]
pub fn direct_map(physical: u64) -> *mut u8 {
    (DIRECT + physical) as *mut u8
}

/// The physical address behind a pointer into the direct map.
#[inline(always)]
pub fn physical(pointer: *const u8) -> u64 {
    pointer as u64 - DIRECT
}

/// Physical addresses of the kernel's image.
pub fn image() -> core::ops::Range<u64> {
    (&raw const kernel_start) as u64 - KERNEL_BASE..(&raw const kernel_end) as u64 - KERNEL_BASE
}

/// Root of the page tables that hold the kernel's half and nothing else.
pub fn kernel_root() -> u64 {
    ROOT.load(Ordering::Relaxed)
}

/// Physical memory as the boot page tables map it.
pub struct BootMemory;

impl PhysicalMemory for BootMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let length = buffer.len();
        if address.checked_add(length as u64).is_none_or(|end| end > BOOT_MAPPED) {
            return Err(Error::OutOfRange { address, length });
        }
        // SAFETY: the range is in the direct map, and the buffer is the kernel's, so no firmware table.
        unsafe { core::ptr::copy_nonoverlapping(direct_map(address), buffer.as_mut_ptr(), length) };
        Ok(())
    }
}

/// Builds the final page tables and leaves those of the boot code.
pub fn init(info: &StartInfo) {
    let root = table();
    ROOT.store(root, Ordering::Relaxed);
    for index in [256, 384, 511] {
        write(root, index, table() | PRESENT | WRITE);
    }
    let read_only_end = (&raw const rodata_end) as u64 - KERNEL_BASE;
    let read_only = image().start..read_only_end;
    for region in info.regions.iter().filter(|region| region.kind != RegionKind::Reserved) {
        let end = region.end().min(frames::LIMIT).next_multiple_of(LARGE_PAGE);
        let mut page = region.start & !(LARGE_PAGE - 1);
        while page < end {
            if page < read_only.end && page + LARGE_PAGE > read_only.start {
                for small in (page..page + LARGE_PAGE).step_by(PAGE as usize) {
                    let write = if read_only.contains(&small) { 0 } else { WRITE };
                    map(root, DIRECT + small, small, write | NO_EXECUTE);
                }
            } else {
                map_large(root, DIRECT + page, page, WRITE | NO_EXECUTE);
            }
            page += LARGE_PAGE;
        }
    }
    let executable_end = (&raw const text_end) as u64 - KERNEL_BASE;
    for page in image().step_by(PAGE as usize) {
        let flags = match page {
            page if page < executable_end => 0,
            page if page < read_only_end => NO_EXECUTE,
            _ => WRITE | NO_EXECUTE,
        };
        map(root, KERNEL_BASE + page, page, flags);
    }
    arch::load_kernel_root();
}

/// Whether the direct map has any page of a physical range, that is, whether it is memory rather than a device.
pub fn is_ram(start: u64, end: u64) -> bool {
    let mut page = start & !(LARGE_PAGE - 1);
    while page < end.min(frames::LIMIT) {
        let directory = read(kernel_root(), DIRECT >> 39);
        let directory = read(directory & ADDRESS, (DIRECT + page) >> 30);
        if directory & PRESENT != 0 && read(directory & ADDRESS, (DIRECT + page) >> 21) & PRESENT != 0 {
            return true;
        }
        page += LARGE_PAGE;
    }
    false
}

/// Maps device registers, uncached. Only before other CPUs run.
pub fn map_device(address: u64, length: u64) -> *mut u8 {
    let first = address & !(PAGE - 1);
    let pages = (address + length - first).div_ceil(PAGE);
    let window = WINDOW_NEXT.fetch_add((pages + 1) * PAGE, Ordering::Relaxed);
    for page in 0..pages {
        map(kernel_root(), window + page * PAGE, first + page * PAGE, WRITE | NO_EXECUTE | UNCACHED);
    }
    (window + address - first) as *mut u8
}

/// A stack of `pages` with an unmapped page below: its upper end. Only before other CPUs run.
pub fn stack(pages: u64) -> u64 {
    let address = WINDOW_NEXT.fetch_add((pages + 2) * PAGE, Ordering::Relaxed) + PAGE;
    for page in 0..pages {
        map(kernel_root(), address + page * PAGE, table(), WRITE | NO_EXECUTE);
    }
    address + pages * PAGE
}

/// A zeroed frame. Without memory at boot there is no system.
fn table() -> u64 {
    match frames::alloc_zeroed() {
        Some(frame) => frame,
        None => panic!("no memory for the kernel's page tables"),
    }
}

fn read(table: u64, index: u64) -> u64 {
    // SAFETY: `table` is a page table of the kernel's half, which only boot code changes, on one CPU.
    unsafe { *(direct_map(table) as *const u64).add(index as usize & 511) }
}

fn write(table: u64, index: u64, entry: u64) {
    // SAFETY: as in `read`.
    unsafe { (direct_map(table) as *mut u64).add(index as usize & 511).write_volatile(entry) };
}

/// The table below an entry, made if missing.
fn below(parent: u64, index: u64) -> u64 {
    let entry = read(parent, index);
    if entry & PRESENT != 0 {
        return entry & ADDRESS;
    }
    let below = table();
    write(parent, index, below | PRESENT | WRITE);
    below
}

fn map(root: u64, address: u64, physical: u64, flags: u64) {
    let directory = below(below(root, address >> 39), address >> 30);
    write(below(directory, address >> 21), address >> 12, physical | flags | PRESENT | GLOBAL);
}

fn map_large(root: u64, address: u64, physical: u64, flags: u64) {
    let directory = below(below(root, address >> 39), address >> 30);
    // Regions share a large page when one ends where another begins; the finer mapping stays.
    if read(directory, address >> 21) & PRESENT == 0 {
        write(directory, address >> 21, physical | flags | PRESENT | GLOBAL | LARGE);
    }
}
