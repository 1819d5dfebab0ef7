//! Notifications.

use super::{Call, Outcome, ipc};
use crate::{
    block, objects,
    objects::ObjectsGuard,
    sched::{self, Next},
};
use abi::{
    Handle, Rights,
    error::{EINVAL, EPERM, ETIMEDOUT, Error, Result},
    handle::Kind,
};
use kernel_core::{arena::Id, notification::Notification, object::Object};

/// `SYS_NOTIFICATION_CREATE`
pub fn create(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    super::simple(call, |call, objects| {
        crate::pages::spare()?;
        objects.create_notification(call.process()).map(|handle| handle.0)
    })
}

#[inline(always)]
fn notification(
    call: &Call<'_>,
    objects: &ObjectsGuard<'_>,
    handle: u64,
    right: Rights,
) -> Result<(Id<Notification>, u64)> {
    let entry = objects.lookup(call.process(), Handle(handle))?;
    match entry.object {
        Object::Notification { id, mask } if entry.rights.contains(right) => Ok((id, mask)),
        Object::Notification { .. } => Err(Error::new(EPERM)),
        _ => Err(Error::new(EINVAL)),
    }
}

/// Signals as the caller's handle allows. Returns the thread that this wakes, with its outcome in its registers.
#[inline(always)]
fn send(call: &Call<'_>, objects: &mut ObjectsGuard<'_>, handle: u64, bits: u64) -> Result<Option<u32>> {
    let (id, mask) = notification(call, objects, handle, Rights::WRITE)?;
    let bits = if mask == 0 { bits } else { bits & mask };
    if bits == 0 {
        return Err(Error::new(EINVAL));
    }
    Ok(objects.signal(id, bits).map(|(woken, outcome)| {
        // SAFETY: the objects lock is held and the thread has just stopped waiting.
        unsafe { block::block(woken).set_outcome(outcome) };
        woken
    }))
}

/// `SYS_NOTIFICATION_SIGNAL`
pub fn signal(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let mut objects = objects::lock();
    let next = match send(call, &mut objects, call.frame.rdi, call.frame.rsi) {
        Ok(None) => return Outcome::value(0),
        Ok(Some(woken)) => {
            call.frame.rax = 0;
            sched::wake(call.thread, woken, objects.token())
        }
        Err(error) => return error.into(),
    };
    drop(objects);
    next.into()
}

/// `SYS_NOTIFICATION_POLL`
pub fn poll(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let mut objects = objects::lock();
    let result = notification(call, &objects, call.frame.rdi, Rights::READ).map(|(id, _)| {
        call.frame.rdi = objects.poll_notification(id);
        0
    });
    result.into()
}

/// `SYS_NOTIFICATION_WAIT`
pub fn wait(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let deadline = call.frame.r12;
    let mut objects = objects::lock();
    let result = notification(call, &objects, call.frame.rdi, Rights::READ)
        .and_then(|(id, _)| begin_wait(call, &mut objects, id, deadline, None));
    ipc::finish(call, objects, result)
}

/// Waits for bits. `woken` is a thread that was just woken, is in no queue yet, and runs if the caller blocks.
#[inline(always)]
fn begin_wait(
    call: &mut Call<'_>,
    objects: &mut ObjectsGuard<'_>,
    id: Id<Notification>,
    deadline: u64,
    woken: Option<u32>,
) -> Result<Next> {
    let waited = objects.wait_notification(call.thread.index, id);
    if let Ok(None) = waited {
        if deadline == 0 {
            objects.cancel_wait(call.thread.index);
        } else {
            sched::save_current(call.thread);
            ipc::set_deadline(objects, call.thread, deadline);
            let next = match woken {
                Some(woken) => sched::claim(woken, objects.token()),
                None => Next::Schedule,
            };
            return Ok(ipc::leave(objects, call.thread, next));
        }
    }
    if let Some(woken) = woken {
        sched::make_ready(woken, objects.token());
    }
    match waited? {
        Some(bits) => {
            call.frame.rax = 0;
            call.frame.rdi = bits;
            Ok(Next::Same)
        }
        None => Err(Error::new(ETIMEDOUT)),
    }
}

/// `SYS_SIGNAL_AND_WAIT`
pub fn signal_and_wait(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let (handle, bits, deadline) = (call.frame.rdi, call.frame.rsi, call.frame.r12);
    let mut objects = objects::lock();
    // The target is checked first, so that a failed call has signalled nothing.
    let target = objects.lookup(call.process(), Handle(call.frame.rdx));
    let result = match target {
        Ok(entry) => match entry.object {
            Object::Notification { id, .. } => entry.needs(Rights::READ).and_then(|_| {
                let woken = send(call, &mut objects, handle, bits)?;
                begin_wait(call, &mut objects, id, deadline, woken)
            }),
            Object::Endpoint { id, .. } => entry.needs(Rights::RECEIVE).and_then(|_| {
                let woken = send(call, &mut objects, handle, bits)?;
                ipc::begin_receive(call, &mut objects, id, deadline, woken)
            }),
            _ => Err(Error::new(EINVAL)),
        },
        Err(error) => Err(error),
    };
    ipc::finish(call, objects, result)
}

/// `SYS_NOTIFICATION_BIND`
pub fn bind(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    super::simple(call, |call, objects| {
        let (id, _) = notification(call, objects, call.frame.rdi, Rights::READ)?;
        let thread = match call.frame.rsi {
            0 => call.thread.index,
            handle => match call.object(objects, handle, Kind::Thread, Rights::CONTROL)?.object {
                Object::Thread(id) if objects.threads.get(id).is_some() => id.index(),
                _ => return Err(Error::new(EINVAL)),
            },
        };
        objects.bind_notification(id, thread)?;
        Ok(0)
    })
}
