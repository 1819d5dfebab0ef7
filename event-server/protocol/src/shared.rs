//! Typed views of mapped memory: the only module with `unsafe`.
//!
//! Another process may write the memory at any time, so a view is only ever of atomics, every offset is checked against
//! the mapping, and no reference outlives the [`Region`] that keeps the memory mapped.

use crate::activation::{BankLayout, QueueHeader};
use crate::atomic::AtomicU64;
use crate::cell::Cell;
use crate::changed::{Changed, ChangedHeader, ENTRIES_OFFSET};
use crate::fault::Fault;
use crate::park::{MAX_WAITERS, WAITERS_OFFSET, Waiter};
use crate::ring::{Ring, RingHeader};
use crate::slot::Slot;
use crate::trace::Trace;
use alloc::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use alloc::sync::Arc;
use core::ops::Deref;
use core::ptr::NonNull;

/// Memory that stays mapped at one address while the value lives, dropped when it goes.
///
/// # Safety
/// `length` bytes at `address` are mapped readable until the value is dropped, `address` is a multiple of 64, and all
/// programs access them by atomics only. Views that write need them to be writable.
pub unsafe trait Mapped {
    /// Where it begins.
    fn address(&self) -> usize;
    /// How many bytes.
    fn length(&self) -> usize;
}

// SAFETY: the inner value lives as long as any of its owners.
unsafe impl<M: Mapped> Mapped for Arc<M> {
    fn address(&self) -> usize {
        (**self).address()
    }

    fn length(&self) -> usize {
        (**self).length()
    }
}

/// What shared memory may be seen as.
///
/// # Safety
/// The type is `repr(C)` or an atomic, consists of atomics and unused padding words only, and every bit pattern is valid.
unsafe trait Shareable {}

// SAFETY: an atomic.
unsafe impl Shareable for AtomicU64 {}
// SAFETY: repr(C) of atomics and reserved words that nobody reads.
unsafe impl Shareable for Cell {}
// SAFETY: as Cell.
unsafe impl Shareable for Slot {}
// SAFETY: as Cell.
unsafe impl Shareable for Waiter {}
// SAFETY: as Cell.
unsafe impl Shareable for RingHeader {}
// SAFETY: as Cell.
unsafe impl Shareable for QueueHeader {}
// SAFETY: as Cell.
unsafe impl Shareable for ChangedHeader {}
// SAFETY: as Cell.
unsafe impl Shareable for Trace {}

/// Mapped memory and its typed views.
#[derive(Debug)]
pub struct Region<M> {
    memory: M,
}

impl<M: Mapped> Region<M> {
    /// The views of this memory.
    pub const fn new(memory: M) -> Region<M> {
        Region { memory }
    }

    /// The memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    #[inline]
    fn slice<T: Shareable>(&self, offset: usize, count: usize) -> Result<&[T], Fault> {
        let mapped = self.memory.length();
        let length = count.saturating_mul(size_of::<T>());
        let fits = offset.checked_add(length).is_some_and(|end| end <= mapped);
        if !fits || !offset.is_multiple_of(align_of::<T>()) {
            return Err(Fault::Range { offset, length, mapped });
        }
        let first = (self.memory.address() + offset) as *const T;
        // SAFETY: the bytes are mapped while `self.memory` lives, which the borrow keeps (Mapped); they are in range and
        // aligned (checked; the mapping is 64-aligned and no T needs more); T is valid for every pattern and changes of
        // its words by others are atomic (Shareable).
        Ok(unsafe { core::slice::from_raw_parts(first, count) })
    }

    #[inline]
    fn view<T: Shareable>(&self, offset: usize) -> Result<&T, Fault> {
        Ok(&self.slice::<T>(offset, 1)?[0])
    }

    /// A cell of a page of cells.
    #[inline]
    pub fn cell(&self, index: u32) -> Result<&Cell, Fault> {
        self.view((index as usize).saturating_mul(size_of::<Cell>()))
    }

    /// The waiters of a session's memory.
    #[inline]
    pub fn waiters(&self) -> Result<&[Waiter], Fault> {
        self.slice(WAITERS_OFFSET, MAX_WAITERS)
    }

    /// The changed ring of a driver session's memory with so many cells.
    #[inline]
    pub fn changed(&self, cells: u32) -> Result<Changed<'_>, Fault> {
        let entries = self.slice::<AtomicU64>(ENTRIES_OFFSET, cells as usize)?;
        Changed::new(self.view::<ChangedHeader>(0)?, entries).ok_or(Fault::Reference(u64::from(cells)))
    }

    /// The trace of a program.
    pub fn trace(&self) -> Result<&Trace, Fault> {
        self.view(0)
    }

    /// The words of a queue, in its first bank.
    #[inline]
    pub fn queue_header(&self) -> Result<&QueueHeader, Fault> {
        self.view(0)
    }

    /// A shard's activation ring in a bank.
    #[inline]
    pub fn ring(&self, layout: BankLayout, shard: u32) -> Result<Ring<'_>, Fault> {
        if shard >= layout.shards() {
            return Err(Fault::Reference(u64::from(shard)));
        }
        let entries = self.slice::<AtomicU64>(layout.ring_entries(shard), layout.slots() as usize)?;
        let header = self.view::<RingHeader>(layout.ring_header(shard))?;
        Ring::new(header, entries).ok_or(Fault::Reference(u64::from(layout.slots())))
    }

    /// The slots of a bank.
    #[inline]
    pub fn slots(&self, layout: BankLayout) -> Result<&[Slot], Fault> {
        self.slice(layout.slot(0), layout.slots() as usize)
    }
}

/// A view that keeps its memory mapped, for those who look often: it was checked when it was made.
#[derive(Debug)]
pub struct Kept<M, T: ?Sized> {
    view: NonNull<T>,
    region: Arc<Region<M>>,
}

// SAFETY: a `Kept` is a shared reference to memory that its region keeps mapped: it may go where both may.
unsafe impl<M: Send + Sync, T: Sync + ?Sized> Send for Kept<M, T> {}
// SAFETY: as above.
unsafe impl<M: Send + Sync, T: Sync + ?Sized> Sync for Kept<M, T> {}

impl<M, T: ?Sized> Clone for Kept<M, T> {
    fn clone(&self) -> Self {
        Kept { view: self.view, region: self.region.clone() }
    }
}

impl<M, T: ?Sized> Deref for Kept<M, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: it was a valid view of the region when it was made, and the region keeps the memory mapped at one
        // address (Mapped) for as long as `self` lives.
        unsafe { self.view.as_ref() }
    }
}

/// A ring that was checked once.
#[derive(Debug)]
pub struct KeptRing<M> {
    header: Kept<M, RingHeader>,
    entries: Kept<M, [AtomicU64]>,
}

impl<M> KeptRing<M> {
    /// The ring.
    #[inline]
    pub fn get(&self) -> Ring<'_> {
        Ring::checked(&self.header, &self.entries)
    }
}

/// A driver session's ring that was checked once.
#[derive(Debug)]
pub struct KeptChanged<M> {
    header: Kept<M, ChangedHeader>,
    entries: Kept<M, [AtomicU64]>,
}

impl<M> KeptChanged<M> {
    /// The ring.
    #[inline]
    pub fn get(&self) -> Changed<'_> {
        Changed::checked(&self.header, &self.entries)
    }
}

impl<M: Mapped> Region<M> {
    fn keep<T: ?Sized>(self: &Arc<Self>, view: &T) -> Kept<M, T> {
        Kept { view: NonNull::from(view), region: self.clone() }
    }

    /// [`Region::cell`], kept.
    pub fn keep_cell(self: &Arc<Self>, index: u32) -> Result<Kept<M, Cell>, Fault> {
        Ok(self.keep(self.cell(index)?))
    }

    /// [`Region::waiters`], kept.
    pub fn keep_waiters(self: &Arc<Self>) -> Result<Kept<M, [Waiter]>, Fault> {
        Ok(self.keep(self.waiters()?))
    }

    /// [`Region::trace`], kept.
    pub fn keep_trace(self: &Arc<Self>) -> Result<Kept<M, Trace>, Fault> {
        Ok(self.keep(self.trace()?))
    }

    /// [`Region::queue_header`], kept.
    pub fn keep_queue_header(self: &Arc<Self>) -> Result<Kept<M, QueueHeader>, Fault> {
        Ok(self.keep(self.queue_header()?))
    }

    /// [`Region::slots`], kept.
    pub fn keep_slots(self: &Arc<Self>, layout: BankLayout) -> Result<Kept<M, [Slot]>, Fault> {
        Ok(self.keep(self.slots(layout)?))
    }

    /// A slot of [`Region::slots`], kept.
    pub fn keep_slot(self: &Arc<Self>, layout: BankLayout, slot: u32) -> Result<Kept<M, Slot>, Fault> {
        let slots = self.slots(layout)?;
        Ok(self.keep(slots.get(slot as usize).ok_or(Fault::Reference(u64::from(slot)))?))
    }

    /// [`Region::ring`], kept.
    pub fn keep_ring(self: &Arc<Self>, layout: BankLayout, shard: u32) -> Result<KeptRing<M>, Fault> {
        let (header, entries) = self.ring(layout, shard)?.parts();
        Ok(KeptRing { header: self.keep(header), entries: self.keep(entries) })
    }

    /// [`Region::changed`], kept.
    pub fn keep_changed(self: &Arc<Self>, cells: u32) -> Result<KeptChanged<M>, Fault> {
        self.changed(cells)?;
        let entries = self.slice(ENTRIES_OFFSET, cells as usize)?;
        Ok(KeptChanged { header: self.keep(self.view(0)?), entries: self.keep(entries) })
    }
}

/// Zeroed memory of this process, in place of mapped memory: for tests, and for queues that no server knows.
#[derive(Debug)]
pub struct Owned {
    first: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory belongs to the value and is accessed by atomics only.
unsafe impl Send for Owned {}
// SAFETY: as Send.
unsafe impl Sync for Owned {}

impl Owned {
    /// `length` zeroed bytes, at least 1, aligned to a page.
    pub fn new(length: usize) -> Owned {
        let layout = Layout::from_size_align(length.max(1), 4096).unwrap_or(Layout::new::<u8>());
        // SAFETY: the size is not zero.
        let first = unsafe { alloc_zeroed(layout) };
        let Some(first) = NonNull::new(first) else { handle_alloc_error(layout) };
        Owned { first, layout }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout, and no view outlives the value.
        unsafe { dealloc(self.first.as_ptr(), self.layout) }
    }
}

// SAFETY: the memory is the value's own, page-aligned, and only views of this module reach it.
unsafe impl Mapped for Owned {
    fn address(&self) -> usize {
        self.first.as_ptr() as usize
    }

    fn length(&self) -> usize {
        if self.layout.align() < 64 { 0 } else { self.layout.size() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_view_leaves_the_mapping(pages in 1usize..5, index: u32, cells in 0u32..20000) {
            let region = Region::new(Owned::new(pages * 4096));
            let fits = (index as usize + 1) * 64 <= pages * 4096;
            prop_assert_eq!(region.cell(index).is_ok(), fits);
            let ring = region.changed(cells).is_ok();
            prop_assert_eq!(ring, cells.is_power_of_two() && 192 + cells as usize * 8 <= pages * 4096);
        }
    }

    #[test]
    fn a_bank_fits_its_size_exactly() {
        for slots in [64, 256, 1024] {
            for shards in [1, 2, 16] {
                let layout = BankLayout::new(slots, shards).unwrap();
                let whole = Region::new(Owned::new(layout.size()));
                assert!(whole.slots(layout).is_ok() && whole.ring(layout, shards - 1).is_ok());
                assert!(whole.ring(layout, shards).is_err());
                let short = Region::new(Owned::new(layout.size() - 4096));
                assert!(short.slots(layout).is_err());
            }
        }
    }
}
