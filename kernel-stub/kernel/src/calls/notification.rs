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
pub extern "C" fn create(mut call: Call<'_>) -> Outcome {
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

/// The notification, and the bits of `bits` that the caller's handle may signal: `EINVAL` when there are none.
#[inline(always)]
fn bits_of(
    call: &Call<'_>,
    objects: &ObjectsGuard<'_>,
    handle: u64,
    bits: u64,
) -> Result<(Id<Notification>, u64)> {
    let (id, mask) = notification(call, objects, handle, Rights::WRITE)?;
    let bits = if mask == 0 { bits } else { bits & mask };
    if bits == 0 { Err(Error::new(EINVAL)) } else { Ok((id, bits)) }
}

/// Signals. Returns the thread that this wakes, with its outcome in its registers.
#[inline(always)]
fn send(objects: &mut ObjectsGuard<'_>, id: Id<Notification>, bits: u64) -> Option<u32> {
    objects.signal(id, bits).map(|(woken, outcome)| {
        // SAFETY: the objects lock is held and the thread has just stopped waiting.
        unsafe { block::block(woken).set_outcome(outcome) };
        woken
    })
}

/// `SYS_NOTIFICATION_SIGNAL`
pub extern "C" fn signal(call: Call<'_>) -> Outcome {
    // What has to wait, or to wake, is apart, so that this keeps no registers across a call.
    match objects::try_lock() {
        Some(mut objects) => match bits_of(&call, &objects, call.frame.rdi, call.frame.rsi) {
            Ok((id, bits)) if objects.signal_unheard(id, bits) => {
                objects.unlock();
                Outcome::value(0)
            }
            Ok((id, bits)) => signal_and_wake(call, objects, id, bits),
            Err(error) => {
                drop(objects);
                error.into()
            }
        },
        None => signal_after_wait(call),
    }
}

#[cold]
#[inline(never)]
fn signal_after_wait(call: Call<'_>) -> Outcome {
    let objects = objects::lock();
    match bits_of(&call, &objects, call.frame.rdi, call.frame.rsi) {
        Ok((id, bits)) => signal_and_wake(call, objects, id, bits),
        Err(error) => error.into(),
    }
}

#[inline(never)]
fn signal_and_wake(call: Call<'_>, mut objects: ObjectsGuard<'_>, id: Id<Notification>, bits: u64) -> ! {
    // Written before anybody else may run the caller.
    call.frame.rax = 0;
    let next = match send(&mut objects, id, bits) {
        Some(woken) => sched::wake(call.thread, woken, objects.token()),
        None => Next::Same,
    };
    drop(objects);
    super::leave(next)
}

/// `SYS_NOTIFICATION_POLL`
pub extern "C" fn poll(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let mut objects = objects::lock();
    let result = notification(call, &objects, call.frame.rdi, Rights::READ).map(|(id, _)| {
        call.frame.rdi = objects.poll_notification(id);
        0
    });
    result.into()
}

/// `SYS_NOTIFICATION_WAIT`
pub extern "C" fn wait(mut call: Call<'_>) -> Outcome {
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
                Some(woken) => sched::claim(call.thread, woken, objects.token()),
                None => sched::sleep(call.thread),
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
pub extern "C" fn signal_and_wait(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let (handle, bits, deadline) = (call.frame.rdi, call.frame.rsi, call.frame.r12);
    let mut objects = objects::lock();
    // The target is checked first, so that a failed call has signalled nothing.
    let target = objects.lookup(call.process(), Handle(call.frame.rdx));
    let result = match target {
        Ok(entry) => match entry.object {
            Object::Notification { id, .. } => entry.needs(Rights::READ).and_then(|_| {
                let (signalled, bits) = bits_of(call, &objects, handle, bits)?;
                let woken = send(&mut objects, signalled, bits);
                begin_wait(call, &mut objects, id, deadline, woken)
            }),
            Object::Endpoint { id, .. } => entry.needs(Rights::RECEIVE).and_then(|_| {
                let (signalled, bits) = bits_of(call, &objects, handle, bits)?;
                let woken = send(&mut objects, signalled, bits);
                ipc::begin_receive(call, &mut objects, id, deadline, woken)
            }),
            _ => Err(Error::new(EINVAL)),
        },
        Err(error) => Err(error),
    };
    ipc::finish(call, objects, result)
}

/// `SYS_NOTIFICATION_BIND`
pub extern "C" fn bind(mut call: Call<'_>) -> Outcome {
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
