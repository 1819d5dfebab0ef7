//! Threads.

use super::{Call, Outcome, simple};
use crate::{
    arch::{self, frame::Frame},
    block::{self, ThreadBlock},
    objects::{self, ObjectsGuard},
    pages, sched, space,
};
use abi::{
    IpcBuffer, Rights,
    error::{EFAULT, EINVAL, ENOMEM, EPERM, ESRCH, Error, Result},
    handle::Kind,
    limits::{MAX_CPUS, PRIORITIES},
    memory::{PAGE, USER_END},
    thread::ThreadOptions,
};
use core::ptr::NonNull;
use kernel_core::{arena::Id, object::Object, process::Process, thread::Thread};

/// `SYS_THREAD_CREATE`
pub extern "C" fn create(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let frame = &call.frame;
        let process = call.process_or_own(objects, frame.rdi, Rights::CONTROL)?;
        let request = Request {
            entry: frame.rsi,
            stack: frame.rdx,
            argument: frame.r10,
            buffer: frame.r8,
            options: ThreadOptions(frame.r9),
        };
        objects.process_mut(call.process())?.handles.reserve()?;
        let id = make(objects, process, request)?;
        let object = Object::Thread(id);
        objects.insert_handle(call.process(), object, object.all_rights()).map(|handle| handle.0)
    })
}

/// What a new thread starts with.
pub struct Request {
    /// First instruction.
    pub entry: u64,
    /// Stack pointer.
    pub stack: u64,
    /// First argument.
    pub argument: u64,
    /// User address of the IPC buffer; 0 for none.
    pub buffer: u64,
    /// Priority and CPUs.
    pub options: ThreadOptions,
}

/// Makes a suspended thread.
pub fn make(objects: &mut ObjectsGuard<'_>, process: Id<Process>, request: Request) -> Result<Id<Thread>> {
    let priority = request.options.priority().ok_or(Error::new(EINVAL))?;
    let affinity = usable(request.options.affinity().ok_or(Error::new(EINVAL))?)?;
    if request.entry >= USER_END || request.stack > USER_END || !request.buffer.is_multiple_of(PAGE) {
        return Err(Error::new(EINVAL));
    }
    if priority > objects.process(process)?.highest_priority {
        return Err(Error::new(EPERM));
    }
    pages::spare()?;
    let owner = space::owner_of(objects, process)?;
    let buffer = match request.buffer {
        0 => None,
        address => {
            let (page, memory) =
                owner.writable_page(address, &mut objects.token()).ok_or(Error::new(EFAULT))?;
            let page =
                NonNull::new(arch::memory::direct_map(page).cast::<IpcBuffer>()).ok_or(Error::new(EFAULT))?;
            Some((page, memory))
        }
    };
    let page = pages::kernel_frame().ok_or(Error::new(ENOMEM))?;
    let id = match objects.create_thread(process, page.as_ptr() as u64) {
        Ok(id) => id,
        Err(error) => {
            pages::free_kernel_frame(page);
            return Err(error);
        }
    };
    if let Some(memory) = buffer.and_then(|(_, memory)| objects.memories.get_mut(memory)) {
        memory.references += 1;
    }
    let frame = Frame::new(request.entry, request.stack, request.argument);
    let pointer = page.as_ptr().cast::<ThreadBlock>();
    let contents = ThreadBlock::new(
        id.index(),
        process,
        owner.root(),
        space::pointer_of(objects, process)?,
        buffer,
        frame,
    );
    // SAFETY: the page is fresh, page-aligned and a block fits; nobody else knows it yet.
    unsafe { pointer.write(contents) };
    block::set_block(id.index(), pointer);
    let thread = sched::schedulable(id.index());
    thread.set_priority(priority);
    thread.set_affinity(affinity);
    thread.set_cpu(first_cpu(affinity));
    Ok(id)
}

/// A new thread begins where it is made if it may, so that starting threads in one place does not gather them on CPU 0.
fn first_cpu(affinity: u32) -> u8 {
    let here = arch::cpu::this_cpu().number;
    if affinity >> here & 1 != 0 { here as u8 } else { affinity.trailing_zeros() as u8 }
}

/// The CPUs of a mask that are up: `EINVAL` when none is.
fn usable(mask: u64) -> Result<u32> {
    let up = (1_u64 << arch::cpu::count()) - 1;
    match mask & up {
        0 => Err(Error::new(EINVAL)),
        _ if mask >> MAX_CPUS != 0 => Err(Error::new(EINVAL)),
        // A thread that may run everywhere keeps the whole mask, so that it is not taken for a pinned one.
        usable => Ok(usable as u32),
    }
}

/// The thread that a handle names; 0 is the caller.
fn target_or_own(call: &Call<'_>, objects: &ObjectsGuard<'_>, handle: u64) -> Result<u32> {
    if handle == 0 { Ok(call.thread.index) } else { target(call, objects, handle) }
}

/// The thread that a handle names: `ESRCH` when it has ended.
fn target(call: &Call<'_>, objects: &ObjectsGuard<'_>, handle: u64) -> Result<u32> {
    match call.object(objects, handle, Kind::Thread, Rights::CONTROL)?.object {
        Object::Thread(id) => match objects.threads.get(id) {
            Some(thread) if !thread.dead => Ok(id.index()),
            _ => Err(Error::new(ESRCH)),
        },
        _ => Err(Error::new(EINVAL)),
    }
}

/// `SYS_THREAD_START`
pub extern "C" fn start(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let index = target(call, objects, call.frame.rdi)?;
        resume(objects, index);
        Ok(0)
    })
}

/// Lets a suspended thread run.
pub fn resume(objects: &mut ObjectsGuard<'_>, index: u32) {
    if objects.resume(index) {
        sched::make_ready(index, objects.token());
    }
}

/// `SYS_THREAD_SUSPEND`
pub extern "C" fn suspend(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let index = target(call, objects, call.frame.rdi)?;
        if let Some(thread) = objects.threads.at_mut(index) {
            thread.suspended = true;
            if !thread.parked {
                // SAFETY: the objects lock is held and the thread has not ended.
                let block = unsafe { block::block(index) };
                sched::call_attention(block, u32::from(sched::schedulable(index).cpu()));
            }
        }
        Ok(0)
    })
}

/// `SYS_THREAD_KILL`
pub extern "C" fn kill(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let mut objects = objects::lock();
    let own = match target_or_own(call, &objects, call.frame.rdi) {
        Ok(index) => objects::kill_thread(&mut objects, index),
        Err(error) => return error.into(),
    };
    call.end_kill(objects, own)
}

/// `SYS_THREAD_PRIORITY`
pub extern "C" fn priority(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let index = target_or_own(call, objects, call.frame.rdi)?;
        let priority = call.frame.rsi;
        let process = objects.threads.at(index).ok_or(Error::new(ESRCH))?.process;
        if priority >= PRIORITIES as u64 {
            return Err(Error::new(EINVAL));
        }
        if priority > u64::from(objects.process(process)?.highest_priority) {
            return Err(Error::new(EPERM));
        }
        change(objects, index, |thread| thread.set_priority(priority as u8));
        Ok(0)
    })
}

/// `SYS_THREAD_AFFINITY`
pub extern "C" fn affinity(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let index = target_or_own(call, objects, call.frame.rdi)?;
        let mask = usable(call.frame.rsi)?;
        change(objects, index, |thread| thread.set_affinity(mask));
        Ok(0)
    })
}

fn change(objects: &mut ObjectsGuard<'_>, index: u32, apply: impl Fn(&kernel_core::run_queue::Schedulable)) {
    let waits = objects
        .threads
        .at(index)
        .is_none_or(|thread| thread.parked || thread.wait != kernel_core::thread::Wait::Not);
    if waits {
        apply(sched::schedulable(index));
    } else {
        sched::reschedule(index, objects.token(), apply);
    }
}

/// `SYS_THREAD_POINTER`
pub extern "C" fn pointer(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let address = call.frame.rdi;
    if address >= USER_END {
        return Error::new(EINVAL).into();
    }
    call.thread.set_fs_base(address);
    arch::set_fs_base(address);
    sched::note_fs_base(address);
    Outcome::value(0)
}

/// `SYS_YIELD`
pub extern "C" fn yield_now(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    call.frame.rax = 0;
    sched::yield_now(call.thread);
    Outcome::DONE
}
