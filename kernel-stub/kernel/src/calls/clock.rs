//! Clocks and futexes.

use super::{Call, Outcome, ipc, simple};
use crate::{
    arch, objects,
    sched::{self, Next},
    user,
};
use abi::{
    error::{EAGAIN, EINVAL, ETIMEDOUT, Error, Result},
    flag::{CLOCK_MONOTONIC, CLOCK_REALTIME, FUTEX_WAIT, FUTEX_WAKE},
};
use core::sync::atomic::Ordering;

/// Redox's `TimeSpec`: seconds and nanoseconds.
#[derive(Clone, Copy)]
#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: i32,
    padding: i32,
}

/// `SYS_CLOCK_GETTIME`
pub extern "C" fn get_time(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let now = arch::clock::now_ns();
        let ns = match call.frame.rdi as usize {
            CLOCK_MONOTONIC => now,
            CLOCK_REALTIME => now + arch::cpu::hints().realtime_base.load(Ordering::Relaxed),
            _ => return Err(Error::new(EINVAL)),
        };
        let time = TimeSpec {
            seconds: (ns / 1_000_000_000) as i64,
            nanoseconds: (ns % 1_000_000_000) as i32,
            padding: 0,
        };
        user::write(call.owner(), call.frame.rsi, &time, objects.token())?;
        Ok(0)
    })
}

/// `SYS_FUTEX`
pub extern "C" fn futex(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    match call.frame.rsi as usize {
        FUTEX_WAIT => {
            let mut objects = objects::lock();
            let result = wait(call, &mut objects);
            ipc::finish(call, objects, result)
        }
        FUTEX_WAKE => simple(call, |call, objects| {
            user::check_word(call.frame.rdi)?;
            let count = u32::try_from(call.frame.rdx).unwrap_or(u32::MAX);
            Ok(u64::from(objects.wake_futex(call.process(), call.frame.rdi, count)))
        }),
        _ => Error::new(EINVAL).into(),
    }
}

fn wait(call: &mut Call<'_>, objects: &mut objects::ObjectsGuard<'_>) -> Result<Next> {
    let (address, deadline) = (call.frame.rdi, call.frame.r10);
    user::check_word(address)?;
    if user::read_word(call.owner(), address, objects.token())? != call.frame.rdx as u32 {
        return Err(Error::new(EAGAIN));
    }
    if deadline == 0 {
        return Err(Error::new(ETIMEDOUT));
    }
    sched::save_current(call.thread);
    objects.wait_futex(call.thread.index, call.process(), address);
    ipc::set_deadline(objects, call.thread, deadline);
    let next = sched::sleep(call.thread);
    Ok(ipc::leave(objects, call.thread, next))
}
