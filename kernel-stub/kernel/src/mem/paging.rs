//! Page tables of programs: 4 levels, 4 KiB pages, the kernel's half shared.
//!
//! A table counts its used entries in bits of the entry that points to it (the processor ignores 52 to 62 there), so it
//! is known at once when one has become empty.

use abi::error::{EEXIST, EINVAL, ENOMEM, Error, Result};
use abi::memory::{PAGE, USER_END};

use crate::arch::memory::{direct_map, kernel_root};
use crate::mem::frames;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const UNCACHED: u64 = 1 << 3 | 1 << 4;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const COUNT_SHIFT: u32 = 52;
const ONE: u64 = 1 << COUNT_SHIFT;
const COUNT: u64 = 0x7ff << COUNT_SHIFT;

/// How a page is mapped. All can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapKind {
    /// May be written.
    pub write: bool,
    /// May be executed; never together with `write`.
    pub exec: bool,
    /// Device registers.
    pub uncached: bool,
}

/// The pages that one process sees. Changing it flushes no TLB.
#[derive(Debug)]
pub struct AddressSpace {
    /// 0 when the tables have been freed.
    root: u64,
    /// Zeroed frames that a map was given before it failed: for the next one.
    spare: heapless::Vec<u64, 3>,
}

/// Entry `index` of a table.
fn slot(table: u64, index: u64) -> *mut u64 {
    direct_map(table).cast::<u64>().wrapping_add(index as usize & 511)
}

fn get(slot: *mut u64) -> u64 {
    // SAFETY: `slot` comes from `slot()` with a table of a live space, of which the caller has a reference. Volatile: the
    // processor sets bits in it meanwhile.
    unsafe { slot.read_volatile() }
}

fn set(slot: *mut u64, entry: u64) {
    // SAFETY: as in `get`, and the caller's reference is exclusive. A bit "accessed" may be lost; nobody looks at it.
    unsafe { slot.write_volatile(entry) };
}

/// Index of an address in the table of a level: 3 is the root's.
fn index(address: u64, level: u32) -> u64 {
    address >> (12 + 9 * level) & 511
}

impl AddressSpace {
    /// No user pages. `allocate` gives a zeroed frame, or not (`ENOMEM`).
    pub fn new(allocate: &mut impl FnMut() -> Option<u64>) -> Result<AddressSpace> {
        let root = allocate().ok_or(Error::new(ENOMEM))?;
        for index in 256..512 {
            set(slot(root, index), get(slot(kernel_root(), index)));
        }
        Ok(AddressSpace { root, spare: heapless::Vec::new() })
    }

    /// Physical address of the root table.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Maps the frame at physical address `frame` at `address`. `EEXIST` when a page is there, `EINVAL` for an address
    /// or kind that cannot be, `ENOMEM` when `allocate` gives no zeroed frame for a table. Then nothing is mapped; frames
    /// that it did give (at most two) are kept for the next map and go back with the tables.
    pub fn map(
        &mut self,
        address: u64,
        frame: u64,
        kind: MapKind,
        allocate: &mut impl FnMut() -> Option<u64>,
    ) -> Result<()> {
        if !address.is_multiple_of(PAGE)
            || address >= USER_END
            || frame & !ADDRESS != 0
            || kind.write && kind.exec
        {
            return Err(Error::new(EINVAL));
        }
        self.collect(address, allocate)?;
        let mut table = self.root;
        let mut parent = core::ptr::null_mut();
        for level in (1..4).rev() {
            let at = slot(table, index(address, level));
            let mut entry = get(at);
            if entry & PRESENT == 0 {
                let fresh = self.spare.pop().ok_or(Error::new(ENOMEM))?;
                entry = fresh | PRESENT | WRITE | USER;
                set(at, entry);
                if level < 3 {
                    set(parent, get(parent) + ONE);
                }
            }
            parent = at;
            table = entry & ADDRESS;
        }
        let at = slot(table, index(address, 0));
        if get(at) & PRESENT != 0 {
            return Err(Error::new(EEXIST));
        }
        let mut entry = frame | PRESENT | USER;
        entry |= if kind.write { WRITE } else { 0 };
        entry |= if kind.exec { 0 } else { NO_EXECUTE };
        entry |= if kind.uncached { UNCACHED } else { 0 };
        set(at, entry);
        set(parent, get(parent) + ONE);
        Ok(())
    }

    /// Makes sure of the tables that mapping `address` will take, so that it fails before it changes anything.
    fn collect(&mut self, address: u64, allocate: &mut impl FnMut() -> Option<u64>) -> Result<()> {
        let mut table = self.root;
        let mut missing = 0;
        for level in (1..4).rev() {
            let entry = get(slot(table, index(address, level)));
            if entry & PRESENT == 0 {
                missing = level as usize;
                break;
            }
            table = entry & ADDRESS;
        }
        while self.spare.len() < missing {
            let frame = allocate().ok_or(Error::new(ENOMEM))?;
            // Three places, and at most three are missing.
            let _ = self.spare.push(frame);
        }
        Ok(())
    }

    /// Unmaps a page and says which frame it was. Tables that become empty are given to `free`; a processor that has the
    /// space loaded may still use the translation, and walk through such a table, until it is flushed.
    pub fn unmap(&mut self, address: u64, free: &mut impl FnMut(u64)) -> Option<u64> {
        if address >= USER_END {
            return None;
        }
        let mut path = [core::ptr::null_mut(); 4];
        let mut table = self.root;
        for level in (0..4).rev() {
            let at = slot(table, index(address, level));
            let entry = get(at);
            if entry & PRESENT == 0 {
                return None;
            }
            path[level as usize] = at;
            table = entry & ADDRESS;
        }
        let frame = table;
        set(path[0], 0);
        for at in path.into_iter().skip(1) {
            let entry = get(at) - ONE;
            if entry & COUNT != 0 {
                set(at, entry);
                break;
            }
            set(at, 0);
            free(entry & ADDRESS);
        }
        Some(frame)
    }

    /// The physical address behind a user address of ordinary memory, and whether the program may write there.
    pub fn translate(&self, address: u64) -> Option<(u64, bool)> {
        if address >= USER_END {
            return None;
        }
        let mut table = self.root;
        for level in (1..4).rev() {
            let entry = get(slot(table, index(address, level)));
            if entry & PRESENT == 0 {
                return None;
            }
            table = entry & ADDRESS;
        }
        let entry = get(slot(table, index(address, 0)));
        // Device memory is not in the direct map, and reading it may do something: it is no memory for the kernel.
        let memory = entry & PRESENT != 0 && entry & UNCACHED == 0;
        memory.then_some((entry & ADDRESS | address & (PAGE - 1), entry & WRITE != 0))
    }

    /// Gives all tables to `free`, the root too; the pages are others'. No processor has the space loaded.
    pub fn free_tables(&mut self, free: &mut impl FnMut(u64)) {
        let root = core::mem::take(&mut self.root);
        if root != 0 {
            free_below(root, 3, 256, free);
            self.spare.iter().copied().for_each(&mut *free);
            self.spare.clear();
            free(root);
        }
    }
}

/// Frees the tables that the first `entries` entries of a table of a level point to.
fn free_below(table: u64, level: u32, entries: u64, free: &mut impl FnMut(u64)) {
    for index in 0..entries {
        let entry = get(slot(table, index));
        if entry & PRESENT != 0 {
            if level > 1 {
                free_below(entry & ADDRESS, level - 1, 512, free);
            }
            free(entry & ADDRESS);
        }
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        self.free_tables(&mut frames::free);
    }
}
