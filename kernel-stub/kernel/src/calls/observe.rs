//! Calls that only look or print.

use super::{Call, Outcome, simple};
use crate::{
    mem::{frames, heap},
    user,
};
use abi::{
    counters::KernelCounters,
    error::{EINVAL, Error},
    limits::LOG_LINE,
};

/// `SYS_NULL`
pub extern "C" fn null(_call: Call<'_>) -> Outcome {
    Outcome::value(0)
}

/// `SYS_LOG`
pub extern "C" fn log(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let length = call.frame.rsi;
    if length > LOG_LINE as u64 {
        return Error::new(EINVAL).into();
    }
    let mut line = [0; LOG_LINE];
    let line = &mut line[..length as usize];
    let result = user::copy_from(call.owner(), call.frame.rdi, line).map(|()| {
        crate::log::write_bytes(line);
        0
    });
    result.into()
}

/// `SYS_COUNTERS`
pub extern "C" fn counters(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let (heap_frames, heap_bytes) = heap::load();
        let counters = KernelCounters {
            frames_total: frames::total_count() as u64,
            frames_free: frames::free_count() as u64,
            heap_frames,
            heap_bytes,
            handles: objects.handle_count,
            processes: objects.processes.len() as u64,
            threads: objects.threads.len() as u64,
            endpoints: objects.endpoints.len() as u64,
            badges: objects.badges.len() as u64,
            notifications: objects.notifications.len() as u64,
            memory_objects: objects.memories.len() as u64,
            mappings: crate::space::mapping_count(),
            watches: objects.watches.len() as u64,
        };
        user::write(call.owner(), call.frame.rdi, &counters, objects.token())?;
        Ok(0)
    })
}
