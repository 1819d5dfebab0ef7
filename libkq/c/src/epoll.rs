//! `sys/epoll.h`.

use core::ffi::c_int;
use core::ops::RangeInclusive;
use core::time::Duration;

use abi::error::{EINVAL, Error, Result};
use libkq::{EpollEvent, EpollFlags, EpollOp, SignalMask};

use crate::answer::{answer, done};
use crate::given::{TimeSpec, optional, slice_mut, value};
use crate::kqueue::policy;
use crate::poll::milliseconds;

/// Room for events: some, and not so much that its bytes are no number (`epoll_wait(2)`).
const ROOM: RangeInclusive<usize> = 1..=c_int::MAX as usize / size_of::<EpollEvent>();

/// `epoll_create(2)`: the size is positive, and otherwise without a meaning.
#[unsafe(no_mangle)]
extern "C" fn epoll_create(size: c_int) -> c_int {
    answer(if size > 0 { libkq::process().epoll_create(0) } else { Err(Error::new(EINVAL)) })
}

/// `epoll_create1(2)`.
#[unsafe(no_mangle)]
extern "C" fn epoll_create1(flags: c_int) -> c_int {
    answer(libkq::process().epoll_create(u64::from(flags as u32)))
}

/// `epoll_ctl(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_ctl(set: c_int, op: c_int, fd: c_int, event: *const EpollEvent) -> c_int {
    let control = || {
        let op = EpollOp::try_from(op)?;
        let event = match op {
            EpollOp::Delete => EpollEvent::new(EpollFlags::empty(), 0),
            // SAFETY: the C program's pointer.
            _ => unsafe { value(event) }?,
        };
        libkq::process().epoll_ctl(set, op, fd, event)
    };
    done(control())
}

/// Whom an arrival wakes that an item with `EPOLLEXCLUSIVE` waits for. New.
#[unsafe(no_mangle)]
extern "C" fn epoll_wake_policy(set: c_int, fd: c_int, number: c_int) -> c_int {
    done(policy(number).and_then(|policy| libkq::process().epoll_wake_policy(set, fd, policy)))
}

/// The same for all who have the file. New.
#[unsafe(no_mangle)]
extern "C" fn epoll_file_wake_policy(set: c_int, fd: c_int, number: c_int) -> c_int {
    done(policy(number).and_then(|policy| libkq::process().epoll_file_wake_policy(set, fd, policy)))
}

/// `epoll_wait(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(set: c_int, events: *mut EpollEvent, room: c_int, timeout: c_int) -> c_int {
    // SAFETY: the C program's pointer.
    answer(unsafe { wait(set, events, room, milliseconds(timeout), None) })
}

/// `epoll_pwait(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_pwait(
    set: c_int,
    events: *mut EpollEvent,
    room: c_int,
    timeout: c_int,
    mask: *const SignalMask,
) -> c_int {
    // SAFETY: the C program's pointers.
    answer(unsafe { wait(set, events, room, milliseconds(timeout), optional(mask)) })
}

/// `epoll_pwait2(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_pwait2(
    set: c_int,
    events: *mut EpollEvent,
    room: c_int,
    timeout: *const TimeSpec,
    mask: *const SignalMask,
) -> c_int {
    // SAFETY: the C program's pointers.
    let (timeout, mask) = unsafe { (optional(timeout), optional(mask)) };
    let timeout = timeout.map(TimeSpec::duration).transpose();
    // SAFETY: as above.
    answer(timeout.and_then(|timeout| unsafe { wait(set, events, room, timeout, mask) }))
}

unsafe fn wait(
    set: c_int,
    events: *mut EpollEvent,
    room: c_int,
    timeout: Option<Duration>,
    mask: Option<SignalMask>,
) -> Result<c_int> {
    let room = usize::try_from(room).ok().filter(|room| ROOM.contains(room)).ok_or(Error::new(EINVAL))?;
    // SAFETY: the C program's pointer.
    let events = unsafe { slice_mut(events, room) }?;
    let process = libkq::process();
    let count = match mask {
        None => process.epoll_wait(set, events, timeout),
        Some(mask) => process.epoll_pwait(set, events, timeout, mask),
    };
    count.map(|count| count as c_int)
}
