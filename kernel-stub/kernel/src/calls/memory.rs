//! Memory objects.

use super::{Call, Outcome, simple};
use crate::{
    objects,
    pages::{self, Pages},
    shootdown, space,
};
use abi::{
    Rights,
    error::{EINVAL, ENOMEM, EPERM, Error, Result},
    flag::MapFlags,
    handle::Kind,
    memory::{CONTIGUOUS, PAGE},
};
use kernel_core::object::Object;

/// `SYS_MEMORY_CREATE`
pub extern "C" fn create(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let result = make(call);
    call.end_paid(result, call.frame.rdi)
}

fn make(call: &Call<'_>) -> Result<u64> {
    let (size, flags) = (call.frame.rdi, call.frame.rsi);
    if flags & !CONTIGUOUS != 0 || size == 0 || !size.is_multiple_of(PAGE) {
        return Err(Error::new(EINVAL));
    }
    // Paid before it is taken, taken and zeroed without the lock.
    let charge = objects::lock().charge(call.process(), pages::price(size)?)?;
    let contiguous = flags & CONTIGUOUS != 0;
    let pages = Pages::allocate(size, contiguous)?;
    let rights = Rights::READ | Rights::WRITE | Rights::EXECUTE | Rights::DUPLICATE | Rights::TRANSFER;
    let rights = if contiguous { rights | Rights::PHYSICAL } else { rights };
    insert(call, pages, size, charge, rights)
}

fn insert(
    call: &Call<'_>,
    pages: Pages,
    size: u64,
    charge: kernel_core::quota::Charge,
    rights: Rights,
) -> Result<u64> {
    let word = pages.into_word();
    let created = objects::lock().create_memory(call.process(), word, size, charge, rights);
    match created {
        Ok(handle) => Ok(handle.0),
        Err((error, memory)) => {
            pages::free(memory);
            Err(error)
        }
    }
}

/// `SYS_MEMORY_PHYSICAL`
pub extern "C" fn physical(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let result = make_physical(call);
    call.end_paid(result, 0)
}

fn make_physical(call: &Call<'_>) -> Result<u64> {
    let (base, size) = (call.frame.rsi, call.frame.rdx);
    let charge = {
        let objects = objects::lock();
        call.object(&objects, call.frame.rdi, Kind::Hardware, Rights::CONTROL)?;
        objects.charge(call.process(), abi::limits::cost::MEMORY)?
    };
    let end = base.checked_add(size).ok_or(Error::new(EINVAL))?;
    if size == 0 || !size.is_multiple_of(PAGE) || !base.is_multiple_of(PAGE) || end > 1 << 52 {
        return Err(Error::new(EINVAL));
    }
    if crate::mem::frames::is_managed(base, size) {
        // Pages that the kernel gives out are nobody's device.
        return Err(Error::new(EPERM));
    }
    let rights = Rights::READ | Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER | Rights::PHYSICAL;
    insert(call, Pages::Fixed { base, device: true }, size, charge, rights)
}

/// `SYS_MEMORY_MAP`
pub extern "C" fn map(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    // A map that fails half way unmaps, too.
    if shootdown::is_crowded() {
        return call.again();
    }
    let result = place(call);
    call.end_paid(result, 0)
}

fn place(call: &Call<'_>) -> Result<u64> {
    let frame = &call.frame;
    let protection = MapFlags::from_bits(frame.r9 as usize).ok_or(Error::new(EINVAL))?;
    let (write, execute) = (MapFlags::PROT_WRITE, MapFlags::PROT_EXEC);
    let known = MapFlags::PROT_READ | write | execute;
    if !known.contains(protection)
        || !protection.contains(MapFlags::PROT_READ)
        || protection.contains(write | execute)
    {
        return Err(Error::new(EINVAL));
    }
    let (address, offset, length) = (frame.rdx, frame.r10, frame.r8);
    if length == 0 || !(address | offset | length).is_multiple_of(PAGE) {
        return Err(Error::new(EINVAL));
    }
    let mut needs = Rights::READ;
    needs.set(Rights::WRITE, protection.contains(write));
    needs.set(Rights::EXECUTE, protection.contains(execute));
    let (owner, id, word) = {
        let mut objects = objects::lock();
        let process = call.process_or_own(&objects, frame.rdi, Rights::CONTROL)?;
        let Object::Memory(id) = call.object(&objects, frame.rsi, Kind::Memory, needs)?.object else {
            return Err(Error::new(EINVAL));
        };
        let owner = space::owner_of(&objects, process)?;
        let memory = objects.memories.get_mut(id).ok_or(Error::new(EINVAL))?;
        if offset.checked_add(length).is_none_or(|end| end > memory.size) {
            return Err(Error::new(EINVAL));
        }
        memory.references += 1;
        (owner, id, memory.block)
    };
    // SAFETY: the reference just counted keeps the object.
    let pages = unsafe { Pages::from_word(word) };
    let request = space::Request {
        address,
        offset,
        length,
        write: protection.contains(write),
        execute: protection.contains(execute),
    };
    if let Err(error) = pages::spare() {
        objects::lock().release_memory(id);
        return Err(error);
    }
    owner.map(id, pages, request)
}

/// `SYS_MEMORY_UNMAP`
pub extern "C" fn unmap(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    if shootdown::is_crowded() {
        return call.again();
    }
    let owner = {
        let objects = objects::lock();
        call.process_or_own(&objects, call.frame.rdi, Rights::CONTROL)
            .and_then(|process| space::owner_of(&objects, process))
    };
    let result = owner.and_then(|owner| owner.unmap(call.frame.rsi, call.frame.rdx));
    result.map(|()| 0).into()
}

/// `SYS_MEMORY_ADDRESS`
pub extern "C" fn address(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let entry = call.object(objects, call.frame.rdi, Kind::Memory, Rights::PHYSICAL)?;
        let Object::Memory(id) = entry.object else { return Err(Error::new(EINVAL)) };
        let memory = objects.memories.get(id).ok_or(Error::new(EINVAL))?;
        if call.frame.rsi >= memory.size {
            return Err(Error::new(EINVAL));
        }
        // SAFETY: the handle keeps the object while the lock is held.
        let pages = unsafe { Pages::from_word(memory.block) };
        let page = pages.at(call.frame.rsi).ok_or(Error::new(ENOMEM))?;
        Ok(page + call.frame.rsi % PAGE)
    })
}
