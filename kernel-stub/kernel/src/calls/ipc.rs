//! Messages. The fast path, words only to a receiver that waits on this CPU, takes one lock, copies five registers and
//! switches directly.

use super::{Call, Outcome};
use crate::{
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
};

/// `SYS_ENDPOINT_CREATE`
pub fn create(call: &mut Call<'_>) -> Outcome {
    super::simple(call, |call, objects| {
        crate::pages::spare()?;
        objects.create_endpoint(call.process()).map(|handle| handle.0)
    })
}

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

#[inline]
fn message(call: &Call<'_>) -> Result<Message> {
    let frame = &call.frame;
    let tag = Tag(frame.rsi);
    if tag.is_valid_from_user() {
        Ok(Message { tag, words: [frame.rdx, frame.r10, frame.r8, frame.r9] })
    } else {
        Err(Error::new(EINVAL))
    }
}

/// Moves bytes and handles of a message from one thread's buffer to another's. All or nothing.
#[cold]
fn payload(objects: &mut ObjectsGuard<'_>, from: &ThreadBlock, to: &ThreadBlock, tag: Tag) -> Result<()> {
    let (Some(source), Some(target)) = (from.buffer, to.buffer) else { return Err(Error::new(EINVAL)) };
    // SAFETY: both are IPC buffers in the direct map that their blocks keep alive; they are user memory that other
    // threads may change at any time, so they are only copied as bytes, and what was copied is what is checked.
    unsafe {
        let mut slots = (&raw const (*source.as_ptr()).slots).read_volatile();
        let slots = &mut slots[..tag.handles()];
        if !slots.is_empty() {
            crate::pages::spare()?;
            let accept = (&raw const (*target.as_ptr()).accept).read_volatile() as usize;
            objects.transfer(from.process, to.process, slots, accept)?;
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
    Ok(())
}

/// `SYS_CALL`
pub fn call(call: &mut Call<'_>) -> Outcome {
    match begin_call(call) {
        Ok(next) => {
            sched::go(next);
            Outcome::Done
        }
        Err(error) => Outcome::Return(abi::mux(Err(error))),
    }
}

#[inline]
fn begin_call(call: &mut Call<'_>) -> Result<Next> {
    let message = message(call)?;
    let deadline = call.frame.r12;
    let mut objects = objects::lock();
    let (id, badge) = endpoint(call, &objects, call.frame.rdi, Rights::WRITE)?;
    let next = match objects.receiver(id)? {
        Some(receiver) => {
            // SAFETY: the objects lock is held, and a thread that waits has not ended.
            let target = unsafe { block::block(receiver) };
            if !message.tag.is_words_only() {
                payload(&mut objects, call.thread, target, message.tag)?;
            }
            let token = objects.call(call.thread.index, id, receiver);
            // SAFETY: the receiver waited until now, and the objects lock is held.
            deliver(unsafe { &mut *target.frame() }, message, badge, token);
            sched::save_current(call.thread);
            sched::claim(receiver, objects.token())
        }
        None if deadline == 0 => return Err(Error::new(ETIMEDOUT)),
        None => {
            sched::save_current(call.thread);
            objects.queue_call(call.thread.index, id, badge);
            Next::Schedule
        }
    };
    set_deadline(&mut objects, call.thread, deadline);
    Ok(leave(&mut objects, call.thread, next))
}

/// The thread has begun to wait: if its end is wanted, it ends here.
#[inline]
pub fn leave(objects: &mut ObjectsGuard<'_>, thread: &ThreadBlock, next: Next) -> Next {
    if thread.attention.load(core::sync::atomic::Ordering::Relaxed) {
        objects::attend_waiting(objects, thread);
    }
    next
}

/// Gives the wait that the running thread has begun a deadline.
#[inline]
pub fn set_deadline(objects: &mut ObjectsGuard<'_>, thread: &ThreadBlock, deadline: u64) {
    if deadline != abi::limits::FOREVER {
        let cpu = crate::arch::cpu::this_cpu().number as u8;
        if objects.set_deadline(thread.index, cpu, deadline) {
            sched::arm(deadline);
        }
    }
}

/// `SYS_RECV`
pub fn receive(call: &mut Call<'_>) -> Outcome {
    let deadline = call.frame.r12;
    let mut objects = objects::lock();
    let result = endpoint(call, &objects, call.frame.rdi, Rights::RECEIVE)
        .and_then(|(id, _)| begin_receive(call, &mut objects, id, deadline, None));
    finish(call, objects, result)
}

/// Puts the result of a receive into registers or gives the CPU away.
pub fn finish(call: &mut Call<'_>, objects: ObjectsGuard<'_>, result: Result<Next>) -> Outcome {
    drop(objects);
    match result {
        Ok(Next::Same) => {
            sched::after_wakes();
            Outcome::Done
        }
        Ok(next) => {
            sched::go(next);
            Outcome::Done
        }
        Err(error) => {
            call.frame.rax = abi::mux(Err(error));
            sched::after_wakes();
            Outcome::Done
        }
    }
}

/// Receives on an endpoint. `woken` is a thread that was just woken, is in no queue yet, and runs if the caller blocks.
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
                    Some(woken) => sched::claim(woken, objects.token()),
                    None => Next::Schedule,
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
                let frame = unsafe { &*source.frame() };
                let message =
                    Message { tag: Tag(frame.rsi), words: [frame.rdx, frame.r10, frame.r8, frame.r9] };
                if !message.tag.is_words_only()
                    && let Err(error) = payload(objects, source, call.thread, message.tag)
                {
                    objects.end_wait(caller);
                    objects.wake_later(caller, kernel_core::thread::Outcome::Error(error.errno));
                    continue;
                }
                deliver(call.frame, message, badge, token);
            }
        }
        ready(objects);
        return Ok(Next::Same);
    }
}

/// Delivers a reply. Returns the caller that it wakes, which is in no queue yet.
#[inline]
fn send_reply(call: &Call<'_>, objects: &mut ObjectsGuard<'_>, token: u64, message: Message) -> Result<u32> {
    let caller = objects.reply_target(call.process(), token)?;
    // SAFETY: the objects lock is held, and the caller waits for the reply.
    let target = unsafe { block::block(caller) };
    if !message.tag.is_words_only() {
        payload(objects, call.thread, target, message.tag)?;
    }
    objects.end_wait(caller);
    // SAFETY: the caller waited until now, and the objects lock is held.
    deliver_reply(unsafe { &mut *target.frame() }, message);
    Ok(caller)
}

/// `SYS_REPLY`
pub fn reply(call: &mut Call<'_>) -> Outcome {
    let result = message(call).and_then(|message| {
        let mut objects = objects::lock();
        let caller = send_reply(call, &mut objects, call.frame.rdi, message)?;
        call.frame.rax = 0;
        Ok(sched::wake(call.thread, caller, objects.token()))
    });
    match result {
        Ok(next) => {
            sched::go(next);
            Outcome::Done
        }
        Err(error) => Outcome::Return(abi::mux(Err(error))),
    }
}

/// `SYS_REPLY_RECV`
pub fn reply_receive(call: &mut Call<'_>) -> Outcome {
    let message = match message(call) {
        Ok(message) => message,
        Err(error) => return Outcome::Return(abi::mux(Err(error))),
    };
    let (deadline, token) = (call.frame.r12, call.frame.r13);
    let mut objects = objects::lock();
    let id = match endpoint(call, &objects, call.frame.rdi, Rights::RECEIVE) {
        Ok((id, _)) => id,
        Err(error) => return Outcome::Return(abi::mux(Err(error))),
    };
    let woken = match send_reply(call, &mut objects, token, message) {
        Ok(caller) => Some(caller),
        // The caller has gone: nobody misses the reply.
        Err(error) if error.errno == abi::error::ESRCH => None,
        Err(error) => return Outcome::Return(abi::mux(Err(error))),
    };
    let result = begin_receive(call, &mut objects, id, deadline, woken);
    finish(call, objects, result)
}
