//! `sys/event.h`.

use core::ffi::{c_int, c_short};

use abi::error::{EINVAL, Error, Result};
use libkq::{Filter, WakePolicy};

use crate::answer::{answer, done};
use crate::event_lists::{CEvent, CLists};
use crate::given::{TimeSpec, optional};

/// `kqueue(2)`.
#[unsafe(no_mangle)]
extern "C" fn kqueue() -> c_int {
    answer(libkq::kqueue())
}

/// A policy of the headers; -1: none of one's own.
pub fn policy(number: c_int) -> Result<Option<WakePolicy>> {
    match u8::try_from(number) {
        Ok(number) => WakePolicy::from_number(number).map(Some).ok_or(Error::new(EINVAL)),
        Err(_) if number == -1 => Ok(None),
        Err(_) => Err(Error::new(EINVAL)),
    }
}

/// Whom an arrival wakes that a note with `EV_WAKEONE` waits for. New.
#[unsafe(no_mangle)]
extern "C" fn kevent_wake_policy(queue: c_int, ident: usize, filter: c_short, number: c_int) -> c_int {
    let say = || libkq::process().kevent_wake_policy(queue, ident, Filter(filter), policy(number)?);
    done(say())
}

/// The same for all who have the file. New.
#[unsafe(no_mangle)]
extern "C" fn kevent_file_wake_policy(queue: c_int, ident: usize, filter: c_short, number: c_int) -> c_int {
    let say = || libkq::process().kevent_file_wake_policy(queue, ident, Filter(filter), policy(number)?);
    done(say())
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
