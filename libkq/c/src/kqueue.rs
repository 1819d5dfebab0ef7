//! `sys/event.h`.

use core::ffi::c_int;

use crate::answer::answer;
use crate::event_lists::{CEvent, CLists};
use crate::given::{TimeSpec, optional};

/// `kqueue(2)`.
#[unsafe(no_mangle)]
extern "C" fn kqueue() -> c_int {
    answer(libkq::kqueue())
}

/// `kevent(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn kevent(
    queue: c_int,
    changes: *const CEvent,
    change_count: c_int,
    events: *mut CEvent,
    event_count: c_int,
    timeout: *const TimeSpec,
) -> c_int {
    let call = || {
        // SAFETY: the C program's pointers, as everywhere.
        let (lists, timeout) =
            unsafe { (CLists::new(changes, change_count, events, event_count), optional(timeout)) };
        let timeout = timeout.map(TimeSpec::duration).transpose()?;
        let process = libkq::process();
        process.queue(queue)?.kevent(&mut lists?, process, timeout)
    };
    answer(call().map(|count| count as c_int))
}
