//! Messages. The fast path, words only to a receiver that waits on this CPU, takes one lock, copies five registers and
//! switches directly.

use super::{Call, Outcome};
use crate::{
    arch::frame::Frame,
    block::{self, ThreadBlock, deliver, deliver_reply},
    objects::{self, ObjectsGuard},
    sched::{self, Next},
};
use abi::{
    Handle, IpcBuffer, Message, Rights, Tag,
    error::{EINVAL, EPERM, ETIMEDOUT, Error, Result},
};
use kernel_core::{
    arena::Id,
    endpoint::{Endpoint, Received},
    object::Object,
    transfer::Moved,
};

/// `SYS_ENDPOINT_CREATE`
pub extern "C" fn create(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    super::simple(call, |call, objects| {
        crate::pages::spare()?;
        objects.create_endpoint(call.process()).map(|handle| handle.0)
    })
}

#[inline(always)]
fn endpoint(
    call: &Call<'_>,
    objects: &ObjectsGuard<'_>,
    handle: u64,
    right: Rights,
) -> Result<(Id<Endpoint>, u64)> {
    let entry = objects.lookup(call.process(), Handle(handle))?;
    match entry.object {
        Object::Endpoint { id, badge, .. } if entry.rights.contains(right) => Ok((id, badge)),
        Object::Endpoint { .. } => Err(Error::new(EPERM)),
        _ => Err(Error::new(EINVAL)),
    }
}

/// The tag of the caller's message: `EINVAL` when it is none.
#[inline(always)]
fn tag(call: &Call<'_>) -> Result<Tag> {
    let tag = Tag(call.frame.rsi);
    // The common case at one stroke: words only, a user's label.
    if tag.0 & !(0x7fff_ffff << 16) == 0 { Ok(tag) } else { other_tag(tag) }
}

#[cold]
#[inline(never)]
fn other_tag(tag: Tag) -> Result<Tag> {
    if tag.is_valid_from_user() { Ok(tag) } else { Err(Error::new(EINVAL)) }
}

/// The message in a caller's registers.
#[inline(always)]
fn message(frame: &Frame) -> Message {
    Message { tag: Tag(frame.rsi), words: [frame.rdx, frame.r10, frame.r8, frame.r9] }
}

/// Moves bytes and handles of a message from one thread's buffer to another's. All or nothing.
#[cold]
fn payload(objects: &mut ObjectsGuard<'_>, from: &ThreadBlock, to: &ThreadBlock, tag: Tag) -> Result<Moved> {
    let (Some(source), Some(target)) = (from.buffer, to.buffer) else { return Err(Error::new(EINVAL)) };
    let mut moved = Moved::NOTHING;
    // SAFETY: both are IPC buffers in the direct map that their blocks keep alive; they are user memory that other
    // threads may change at any time, so they are only copied as bytes, and what was copied is what is checked.
    unsafe {
        let mut slots = (&raw const (*source.as_ptr()).slots).read_volatile();
        let slots = &mut slots[..tag.handles()];
        if !slots.is_empty() {
            crate::pages::spare()?;
            let accept = (&raw const (*target.as_ptr()).accept).read_volatile() as usize;
            moved = objects.transfer(from.process, to.process, slots, accept)?;
            for (i, slot) in slots.iter().enumerate() {
                (&raw mut (*target.as_ptr()).slots[i]).write_volatile(*slot);
            }
        }
        let offset = core::mem::offset_of!(IpcBuffer, bytes);
        let (source, target) = (source.as_ptr().cast::<u8>(), target.as_ptr().cast::<u8>());
        if source != target {
            core::ptr::copy_nonoverlapping(source.add(offset), target.add(offset), tag.bytes());
        }
    }
    Ok(moved)
}

/// `SYS_CALL`
pub extern "C" fn call(mut call: Call<'_>) -> Outcome {
    match begin_call(&mut call) {
        Ok(next) => super::leave(next),
        Err(error) => call.fail(error),
    }
}

#[inline(always)]
fn begin_call(call: &mut Call<'_>) -> Result<Next> {
    let tag = tag(call)?;
    if !tag.is_words_only() {
        return begin_long_call(call, tag);
    }
    let mut objects = objects::lock();
    let (id, badge) = endpoint(call, &objects, call.frame.rdi, Rights::WRITE)?;
    let next = send(call, &mut objects, id, badge)?;
    objects.unlock();
    Ok(next)
}

#[inline(never)]
fn begin_long_call(call: &mut Call<'_>, tag: Tag) -> Result<Next> {
    let mut objects = objects::lock();
    let (id, badge) = endpoint(call, &objects, call.frame.rdi, Rights::WRITE)?;
    let moved = match objects.receiver(id)? {
        // SAFETY: the objects lock is held, and a thread that waits has not ended.
        Some(receiver) => payload(&mut objects, call.thread, unsafe { block::block(receiver) }, tag)?,
        None => Moved::NOTHING,
    };
    let next = send(call, &mut objects, id, badge)?;
    objects.let_go(moved);
    Ok(next)
}

/// Gives the caller's words to a waiting receiver, or makes the caller wait for one.
#[inline(always)]
fn send(call: &mut Call<'_>, objects: &mut ObjectsGuard<'_>, id: Id<Endpoint>, badge: u64) -> Result<Next> {
    let next = match objects.call(call.thread.index, id)? {
        Some((receiver, token)) => {
            // SAFETY: the receiver waited until now, and the objects lock is held.
            let target = unsafe { &mut *block::block(receiver).frame() };
            deliver(target, message(call.frame), badge, token);
            sched::save_current(call.thread);
            sched::claim(call.thread, receiver, objects.token())
        }
        None if call.frame.r12 == 0 => return Err(Error::new(ETIMEDOUT)),
        None => {
            sched::save_current(call.thread);
            objects.queue_call(call.thread.index, id, badge);
            sched::sleep(call.thread)
        }
    };
    set_deadline(objects, call.thread, call.frame.r12);
    Ok(leave(objects, call.thread, next))
}

/// The thread has begun to wait: if its end is wanted, it ends here.
#[inline(always)]
pub fn leave(objects: &mut ObjectsGuard<'_>, thread: &ThreadBlock, next: Next) -> Next {
    if thread.attention.load(core::sync::atomic::Ordering::Relaxed) {
        objects::attend_waiting(objects, thread);
    }
    next
}

/// Gives the wait that the running thread has begun a deadline.
#[inline(always)]
pub fn set_deadline(objects: &mut ObjectsGuard<'_>, thread: &ThreadBlock, deadline: u64) {
    if deadline != abi::limits::FOREVER {
        let cpu = crate::arch::cpu::this_cpu().number as u8;
        if objects.set_deadline(thread.index, cpu, deadline) {
            sched::arm(deadline);
        }
    }
}

/// `SYS_RECV`
pub extern "C" fn receive(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let deadline = call.frame.r12;
    let mut objects = objects::lock();
    let result = endpoint(call, &objects, call.frame.rdi, Rights::RECEIVE)
        .and_then(|(id, _)| begin_receive(call, &mut objects, id, deadline, None));
    finish(call, objects, result)
}

/// Puts the result of a receive into registers or gives the CPU away.
#[inline(always)]
pub fn finish(call: &mut Call<'_>, objects: ObjectsGuard<'_>, result: Result<Next>) -> Outcome {
    objects.unlock();
    match result {
        Ok(Next::Same) => {
            sched::after_wakes();
            Outcome::DONE
        }
        Ok(next) => super::leave(next),
        Err(error) => {
            call.frame.rax = abi::mux(Err(error));
            sched::after_wakes();
            Outcome::DONE
        }
    }
}

/// Receives on an endpoint. `woken` is a thread that was just woken, is in no queue yet, and runs if the caller blocks.
#[inline(always)]
pub fn begin_receive(
    call: &mut Call<'_>,
    objects: &mut ObjectsGuard<'_>,
    id: Id<Endpoint>,
    deadline: u64,
    woken: Option<u32>,
) -> Result<Next> {
    let ready = |objects: &mut ObjectsGuard<'_>| {
        if let Some(woken) = woken {
            sched::make_ready(woken, objects.token());
        }
    };
    loop {
        let received = match objects.receive(call.thread.index, call.process(), id) {
            Ok(received) => received,
            Err(error) => {
                ready(objects);
                return Err(error);
            }
        };
        match received {
            Received::Blocked if deadline == 0 => {
                objects.cancel_wait(call.thread.index);
                ready(objects);
                return Err(Error::new(ETIMEDOUT));
            }
            Received::Blocked => {
                sched::save_current(call.thread);
                set_deadline(objects, call.thread, deadline);
                let next = match woken {
                    Some(woken) => sched::claim(call.thread, woken, objects.token()),
                    None => sched::sleep(call.thread),
                };
                return Ok(leave(objects, call.thread, next));
            }
            Received::Notification(bits) => {
                let outcome = kernel_core::thread::Outcome::NotificationMessage(bits);
                // SAFETY: the thread runs on this CPU.
                unsafe { call.thread.set_outcome(outcome) };
            }
            Received::Closed(badge) => {
                let outcome = kernel_core::thread::Outcome::ClosedMessage(badge);
                // SAFETY: the thread runs on this CPU.
                unsafe { call.thread.set_outcome(outcome) };
            }
            Received::Message { caller, badge, token } => {
                // SAFETY: the objects lock is held, and the caller waits for a reply.
                let source = unsafe { block::block(caller) };
                // SAFETY: the same; its registers hold the message since it called.
                let message = message(unsafe { &*source.frame() });
                if message.tag.is_words_only() {
                    deliver(call.frame, message, badge, token);
                } else {
                    match payload(objects, source, call.thread, message.tag) {
                        Ok(moved) => {
                            deliver(call.frame, message, badge, token);
                            objects.let_go(moved);
                        }
                        Err(error) => {
                            objects.end_wait(caller);
                            objects.wake_later(caller, kernel_core::thread::Outcome::Error(error.errno));
                            continue;
                        }
                    }
                }
            }
        }
        ready(objects);
        return Ok(Next::Same);
    }
}

/// Delivers the caller's message as a reply. Returns the thread that it wakes, which is in no queue yet.
#[inline(always)]
fn send_reply(call: &Call<'_>, objects: &mut ObjectsGuard<'_>, token: u64, tag: Tag) -> Result<u32> {
    let caller = objects.reply_target(call.process(), token)?;
    // SAFETY: the objects lock is held, and the caller waits for the reply.
    let target = unsafe { block::block(caller) };
    if !tag.is_words_only() {
        // The caller is named by its token: a notice of what moved cannot reach it.
        let moved = payload(objects, call.thread, target, tag)?;
        objects.let_go(moved);
    }
    objects.end_wait(caller);
    // SAFETY: the caller waited until now, and the objects lock is held.
    deliver_reply(unsafe { &mut *target.frame() }, message(call.frame));
    Ok(caller)
}

/// `SYS_REPLY`
pub extern "C" fn reply(call: Call<'_>) -> Outcome {
    let result = tag(&call).and_then(|tag| {
        let mut objects = objects::lock();
        let caller = send_reply(&call, &mut objects, call.frame.rdi, tag)?;
        call.frame.rax = 0;
        Ok(sched::wake(call.thread, caller, objects.token()))
    });
    match result {
        Ok(next) => super::leave(next),
        Err(error) => call.fail(error),
    }
}

/// `SYS_REPLY_RECV`
pub extern "C" fn reply_receive(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let tag = match tag(call) {
        Ok(tag) => tag,
        Err(error) => return error.into(),
    };
    let objects = objects::lock();
    let id = match endpoint(call, &objects, call.frame.rdi, Rights::RECEIVE) {
        Ok((id, _)) => id,
        Err(error) => return error.into(),
    };
    if tag.is_words_only() {
        answer(call, objects, id, tag)
    } else {
        answer_at_length(call, objects, id, tag)
    }
}

#[inline(never)]
fn answer_at_length(call: &mut Call<'_>, objects: ObjectsGuard<'_>, id: Id<Endpoint>, tag: Tag) -> Outcome {
    answer(call, objects, id, tag)
}

/// The reply of a [`reply_receive`], and its receive on the endpoint that the caller has the right to.
#[inline(always)]
fn answer(call: &mut Call<'_>, mut objects: ObjectsGuard<'_>, id: Id<Endpoint>, tag: Tag) -> Outcome {
    let woken = match send_reply(call, &mut objects, call.frame.r13, tag) {
        Ok(caller) => Some(caller),
        // The caller has gone: nobody misses the reply.
        Err(error) if error.errno == abi::error::ESRCH => None,
        Err(error) => return error.into(),
    };
    if !tag.is_words_only()
        && let Err(error) = endpoint(call, &objects, call.frame.rdi, Rights::RECEIVE)
    {
        // The reply has taken the right with it.
        if let Some(woken) = woken {
            sched::make_ready(woken, objects.token());
        }
        return finish(call, objects, Err(error));
    }
    let deadline = call.frame.r12;
    let result = begin_receive(call, &mut objects, id, deadline, woken);
    finish(call, objects, result)
}
