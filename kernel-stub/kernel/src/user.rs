//! The one place where the kernel touches memory of programs by address.
//!
//! Every access translates the address in software, under the lock of the address space, and goes through the direct
//! map: SMAP stays on all the time, a bad pointer is `EFAULT` and never a fault in the kernel, and no page can be
//! unmapped in the middle of a copy.

use crate::{
    arch::memory::direct_map,
    lock::{Before, LockToken, Memory},
    space::ProcessBlock,
};
use abi::{
    error::{EFAULT, EINVAL, Error, Result},
    memory::{PAGE, USER_END},
};
use core::sync::atomic::{AtomicU32, Ordering};

fn check(address: u64, length: usize) -> Result<()> {
    match address.checked_add(length as u64) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(Error::new(EFAULT)),
    }
}

/// Copies bytes in.
pub fn copy_from(owner: &ProcessBlock, address: u64, to: &mut [u8]) -> Result<()> {
    check(address, to.len())?;
    let mut token = LockToken::at_kernel_entry();
    let space = owner.lock(&mut token);
    let mut done = 0;
    while done < to.len() {
        let at = address + done as u64;
        let (page, _) = space.translate(at).ok_or(Error::new(EFAULT))?;
        let count = (to.len() - done).min((PAGE - at % PAGE) as usize);
        // SAFETY: the page is mapped while the space is locked, so its memory object is alive; the direct map covers
        // it, and `count` stays within the page. Other threads may write it meanwhile: only bytes are copied.
        unsafe {
            core::ptr::copy_nonoverlapping(
                direct_map(page).add((at % PAGE) as usize),
                to[done..].as_mut_ptr(),
                count,
            );
        }
        done += count;
    }
    Ok(())
}

fn copy_to<P: Before<Memory>>(
    owner: &ProcessBlock,
    address: u64,
    from: &[u8],
    mut token: LockToken<'_, P>,
) -> Result<()> {
    check(address, from.len())?;
    let space = owner.lock(&mut token);
    // All pages first, so that a bad pointer leaves nothing half written.
    let last = address + from.len().max(1) as u64 - 1;
    let mut page = address & !(PAGE - 1);
    while page <= last {
        if !space.translate(page).is_some_and(|(_, writable)| writable) {
            return Err(Error::new(EFAULT));
        }
        page += PAGE;
    }
    let mut done = 0;
    while done < from.len() {
        let at = address + done as u64;
        let (page, _) = space.translate(at).ok_or(Error::new(EFAULT))?;
        let count = (from.len() - done).min((PAGE - at % PAGE) as usize);
        // SAFETY: as in `copy_from`, and the page is writable for the program.
        unsafe {
            core::ptr::copy_nonoverlapping(
                from[done..].as_ptr(),
                direct_map(page).add((at % PAGE) as usize),
                count,
            );
        }
        done += count;
    }
    Ok(())
}

/// Copies a plain value out. `T` has no padding that could tell secrets: all such types are `repr(C)` of integers.
pub fn write<T: Copy, P: Before<Memory>>(
    owner: &ProcessBlock,
    address: u64,
    value: &T,
    token: LockToken<'_, P>,
) -> Result<()> {
    // SAFETY: `value` is valid for reads of its size.
    let bytes =
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast::<u8>(), size_of::<T>()) };
    copy_to(owner, address, bytes, token)
}

/// Whether a futex word may lie there: `EINVAL` when it is not aligned, `EFAULT` when it is not the program's.
pub fn check_word(address: u64) -> Result<()> {
    if !address.is_multiple_of(4) {
        return Err(Error::new(EINVAL));
    }
    check(address, 4)
}

/// Reads an aligned word.
pub fn read_word<P: Before<Memory>>(
    owner: &ProcessBlock,
    address: u64,
    mut token: LockToken<'_, P>,
) -> Result<u32> {
    check_word(address)?;
    let space = owner.lock(&mut token);
    let (page, _) = space.translate(address).ok_or(Error::new(EFAULT))?;
    // SAFETY: the page is mapped while the space is locked; the word is aligned and so lies within the page.
    let word = unsafe { &*direct_map(page).add((address % PAGE) as usize).cast::<AtomicU32>() };
    Ok(word.load(Ordering::SeqCst))
}
