//! What the kernel keeps for a process: its address space, what is mapped there, its I/O ports.

use crate::{
    arch,
    lock::{Before, LockToken, Memory as MemoryLevel, Mutex, MutexGuard},
    mem::{
        frames,
        paging::{AddressSpace, MapKind},
    },
    objects::{self, ObjectsGuard},
    pages::Pages,
    shootdown,
};
use abi::{
    error::{EEXIST, EINVAL, ENOMEM, ESRCH, Error, Result},
    hints::HINTS_ADDRESS,
    limits::cost,
    memory::{PAGE, USER_END, USER_FIRST, USER_PLACED},
};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::{
    cell::UnsafeCell,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};
use kernel_core::{
    arena::Id,
    object::Memory,
    process::Process,
    quota::{Account, Charge},
};

/// Port ranges that one process can have.
const PORT_RANGES: usize = 8;

struct Ports {
    ranges: [(u16, u16); PORT_RANGES],
    count: usize,
}

/// Address space and ports of a process.
pub struct ProcessBlock {
    root: u64,
    space: Mutex<MemoryLevel, Space>,
    ports: UnsafeCell<Ports>,
}

// SAFETY: `ports` changes only under the objects lock while the process has no thread that another CPU could run, or by
// its only running thread; everything else is locked.
unsafe impl Sync for ProcessBlock {}
// SAFETY: nothing in it belongs to one CPU.
unsafe impl Send for ProcessBlock {}

/// The pages of a process.
pub struct Space {
    tables: AddressSpace,
    mappings: BTreeMap<u64, Mapping>,
    /// For mappings and page tables.
    charge: Charge,
    /// Where the next map without an address is tried.
    placed: u64,
}

struct Mapping {
    length: u64,
    memory: Id<Memory>,
}

/// What to map.
#[derive(Clone, Copy)]
pub struct Request {
    /// 0: anywhere.
    pub address: u64,
    /// Into the memory object.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// The program may write.
    pub write: bool,
    /// The program may execute.
    pub execute: bool,
}

/// What an unmap leaves: to be freed when no CPU can reach it any more.
pub struct Released {
    memory: Id<Memory>,
    tables: Vec<u64>,
}

impl Released {
    /// What was mapped.
    pub fn memory(&self) -> Id<Memory> {
        self.memory
    }

    /// Drops the mapping's reference and frees the page tables.
    pub fn free(self) {
        self.tables.into_iter().for_each(frames::free);
        objects::lock().release_memory(self.memory);
    }
}

/// A map that failed half way.
struct Undone {
    error: Error,
    address: u64,
    length: u64,
    tables: Vec<u64>,
}

impl From<Error> for Undone {
    fn from(error: Error) -> Undone {
        Undone { error, address: 0, length: 0, tables: Vec::new() }
    }
}

static MAPPINGS: AtomicU64 = AtomicU64::new(0);

/// Mappings in all processes.
pub fn mapping_count() -> u64 {
    MAPPINGS.load(Ordering::Relaxed)
}

fn table_frame(charge: &mut Charge) -> Option<u64> {
    charge.extend(PAGE).ok()?;
    let frame = frames::alloc_zeroed();
    if frame.is_none() {
        charge.shrink(PAGE);
    }
    frame
}

fn free_table_frame(charge: &mut Charge, frame: u64) {
    frames::free(frame);
    charge.shrink(PAGE);
}

impl Space {
    /// The physical address behind a user address, and whether the program may write there.
    pub fn translate(&self, address: u64) -> Option<(u64, bool)> {
        self.tables.translate(address).map(|(frame, writable)| (frame & !(PAGE - 1), writable))
    }

    fn is_free(&self, address: u64, length: u64) -> bool {
        let before = self.mappings.range(..address + length).next_back();
        before.is_none_or(|(&start, mapping)| start + mapping.length <= address)
    }

    fn find_free(&self, length: u64) -> Option<u64> {
        let mut at = self.placed;
        loop {
            // A page stays free between two maps, so that running over the end of one faults.
            let end = at.checked_add(length + PAGE).filter(|&end| end <= HINTS_ADDRESS)?;
            match self.mappings.range(..end).next_back() {
                Some((&start, mapping)) if start + mapping.length > at => at = start + mapping.length + PAGE,
                _ => return Some(at),
            }
        }
    }

    /// Maps, or says how much was mapped for a moment and is not any more.
    fn map(
        &mut self,
        memory: Id<Memory>,
        pages: &Pages,
        request: Request,
    ) -> core::result::Result<u64, Undone> {
        let Request { address, offset, length, write, execute } = request;
        let address = if address == 0 { self.find_free(length).ok_or(Error::new(ENOMEM))? } else { address };
        let end = address.checked_add(length).ok_or(Error::new(EINVAL))?;
        if address < USER_FIRST || end > USER_END {
            return Err(Error::new(EINVAL).into());
        }
        if !self.is_free(address, length) || (address <= HINTS_ADDRESS && HINTS_ADDRESS < end) {
            return Err(Error::new(EEXIST).into());
        }
        self.charge.extend(cost::MAPPING)?;
        let kind = MapKind { write, exec: execute, uncached: pages.is_device() };
        let mut done = 0;
        while done < length {
            let charge = &mut self.charge;
            let frame = pages.at(offset + done).ok_or(Error::new(EINVAL));
            let mapped = frame
                .and_then(|frame| self.tables.map(address + done, frame, kind, &mut || table_frame(charge)));
            if let Err(error) = mapped {
                let tables = self.clear(address, done);
                self.charge.shrink(cost::MAPPING);
                return Err(Undone { error, address, length: done, tables });
            }
            done += PAGE;
        }
        self.mappings.insert(address, Mapping { length, memory });
        if request.address == 0 {
            self.placed = end + PAGE;
        }
        MAPPINGS.fetch_add(1, Ordering::Relaxed);
        Ok(address)
    }

    /// Clears entries and returns the frames of tables that became empty: other CPUs may still walk them.
    fn clear(&mut self, address: u64, length: u64) -> Vec<u64> {
        let mut empty = Vec::new();
        for page in 0..length / PAGE {
            self.tables.unmap(address + page * PAGE, &mut |frame| empty.push(frame));
        }
        self.charge.shrink(empty.len() as u64 * PAGE);
        empty
    }

    fn unmap(&mut self, address: u64) -> Option<Released> {
        let mapping = self.mappings.remove(&address)?;
        let tables = self.clear(address, mapping.length);
        self.charge.shrink(cost::MAPPING);
        if address < self.placed && address >= USER_PLACED {
            self.placed = address;
        }
        MAPPINGS.fetch_sub(1, Ordering::Relaxed);
        Some(Released { memory: mapping.memory, tables })
    }
}

impl ProcessBlock {
    /// An empty address space but for the hint page.
    pub fn new(account: &Arc<Account>) -> Result<Arc<ProcessBlock>> {
        let mut charge = account.charge(0)?;
        let mut tables = AddressSpace::new(&mut || table_frame(&mut charge))?;
        let kind = MapKind { write: false, exec: false, uncached: false };
        tables.map(HINTS_ADDRESS, arch::cpu::hints_frame(), kind, &mut || table_frame(&mut charge))?;
        let root = tables.root();
        let space = Space { tables, mappings: BTreeMap::new(), charge, placed: USER_PLACED };
        let ports = Ports { ranges: [(0, 0); PORT_RANGES], count: 0 };
        Ok(Arc::new(ProcessBlock { root, space: Mutex::new(space), ports: UnsafeCell::new(ports) }))
    }

    /// Another reference to the block behind the word of a process.
    ///
    /// # Safety
    /// The word came from `Arc::into_raw`, and that reference is still counted.
    pub unsafe fn from_word(word: u64) -> Arc<ProcessBlock> {
        let pointer = word as *const ProcessBlock;
        // SAFETY: the caller says that the pointer is one of a counted `Arc`.
        unsafe {
            Arc::increment_strong_count(pointer);
            Arc::from_raw(pointer)
        }
    }

    /// Physical address of the page tables.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Locks the pages.
    pub fn lock<'a, P: Before<MemoryLevel>>(
        &'a self,
        token: &'a mut LockToken<'_, P>,
    ) -> MutexGuard<'a, MemoryLevel, Space> {
        self.space.lock(token)
    }

    /// Maps a memory object, whose reference the mapping takes over; it is dropped when that fails.
    pub fn map(&self, memory: Id<Memory>, pages: &Pages, request: Request) -> Result<u64> {
        let mut token = LockToken::at_kernel_entry();
        let result = self.lock(&mut token).map(memory, pages, request);
        result.map_err(|undone| {
            let released = Released { memory, tables: undone.tables };
            shootdown::release_after_flush(self.root, undone.address, undone.length, released);
            undone.error
        })
    }

    /// Undoes one map: `EINVAL` when the range is not exactly one.
    pub fn unmap(&self, address: u64, length: u64) -> Result<()> {
        let released = {
            let mut token = LockToken::at_kernel_entry();
            let mut space = self.lock(&mut token);
            match space.mappings.get(&address) {
                Some(mapping) if mapping.length == length => {}
                _ => return Err(Error::new(EINVAL)),
            }
            space.unmap(address).ok_or(Error::new(EINVAL))?
        };
        shootdown::release_after_flush(self.root, address, length, released);
        Ok(())
    }

    /// Drops up to `count` mappings of a process that no CPU has loaded. Returns whether none is left.
    pub fn unmap_some(&self, count: usize) -> bool {
        for _ in 0..count {
            let released = {
                let mut token = LockToken::at_kernel_entry();
                let mut space = self.lock(&mut token);
                let Some((&address, _)) = space.mappings.first_key_value() else { return true };
                space.unmap(address)
            };
            if let Some(released) = released {
                released.free();
            }
        }
        false
    }

    /// The frame and the memory object of a page that the program may write.
    pub fn writable_page<P: Before<MemoryLevel>>(
        &self,
        address: u64,
        token: &mut LockToken<'_, P>,
    ) -> Option<(u64, Id<Memory>)> {
        let space = self.lock(token);
        let (&start, mapping) = space.mappings.range(..=address).next_back()?;
        if address - start >= mapping.length {
            return None;
        }
        let (frame, writable) = space.translate(address)?;
        writable.then_some((frame, mapping.memory))
    }

    /// Port ranges, as first port and count.
    pub fn ports(&self) -> &[(u16, u16)] {
        // SAFETY: see `Sync`: nobody changes it while another CPU can look.
        let ports = unsafe { &*self.ports.get() };
        &ports.ranges[..ports.count]
    }

    /// Adds a port range: `ENOMEM` when there are too many. Under the objects lock; the process has no thread, or the
    /// caller is its only one.
    pub fn grant_ports(&self, first: u16, count: u16) -> Result<()> {
        // SAFETY: see `Sync`; the caller of the system call was checked for it.
        let ports = unsafe { &mut *self.ports.get() };
        let slot = ports.ranges.get_mut(ports.count).ok_or(Error::new(ENOMEM))?;
        *slot = (first, count);
        ports.count += 1;
        arch::gdt::ports_changed();
        Ok(())
    }
}

impl Drop for ProcessBlock {
    fn drop(&mut self) {
        if !self.ports().is_empty() {
            arch::gdt::ports_changed();
        }
        let mut token = LockToken::at_kernel_entry();
        let mut space = self.space.lock(&mut token);
        let Space { tables, charge, .. } = &mut *space;
        tables.free_tables(&mut |frame| free_table_frame(charge, frame));
    }
}

/// A counted reference to a process's block: `ESRCH` when the process has ended.
pub fn owner_of(objects: &ObjectsGuard<'_>, process: Id<Process>) -> Result<Arc<ProcessBlock>> {
    match objects.process(process)?.block {
        0 => Err(Error::new(ESRCH)),
        // SAFETY: the word is the process's own reference, which it gives up under the objects lock.
        word => Ok(unsafe { ProcessBlock::from_word(word) }),
    }
}

/// The same as a pointer, for the threads of the process, which do not outlive its reference.
pub fn pointer_of(objects: &ObjectsGuard<'_>, process: Id<Process>) -> Result<NonNull<ProcessBlock>> {
    NonNull::new(objects.process(process)?.block as *mut ProcessBlock).ok_or(Error::new(ESRCH))
}
