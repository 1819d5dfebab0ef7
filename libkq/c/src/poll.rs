//! `poll.h` and `sys/devpoll.h`.

use core::ffi::{c_int, c_ulong, c_void};
use core::time::Duration;

use abi::error::{EINVAL, Error, Result};
use libkq::process::MAX_DESCRIPTORS;
use libkq::{PollFd, SignalMask};

use crate::answer::answer;
use crate::given::{TimeSpec, optional, put, slice_mut, value};

const _: () = assert!(size_of::<PollFd>() == 8);

/// Milliseconds, negative for ever.
pub fn milliseconds(timeout: c_int) -> Option<Duration> {
    u64::try_from(timeout).ok().map(Duration::from_millis)
}

/// `struct dvpoll`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct DevicePoll {
    list: *mut PollFd,
    length: c_ulong,
    timeout: c_int,
    mask: *const SignalMask,
}

/// `DP_POLL`, `DP_ISPOLLED`, `DP_PPOLL`, as illumos has them.
pub const DP_POLL: u64 = 0xd001;
/// See [`DP_POLL`].
pub const DP_ISPOLLED: u64 = 0xd002;
/// See [`DP_POLL`].
pub const DP_PPOLL: u64 = 0xd003;

/// `poll(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn poll(list: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int {
    // SAFETY: the C program's pointer.
    answer(unsafe { polled(list, count, milliseconds(timeout), None) })
}

/// `ppoll(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn ppoll(
    list: *mut PollFd,
    count: c_ulong,
    timeout: *const TimeSpec,
    mask: *const SignalMask,
) -> c_int {
    // SAFETY: the C program's pointers.
    let (timeout, mask) = unsafe { (optional(timeout), optional(mask)) };
    let timeout = timeout.map(TimeSpec::duration).transpose();
    // SAFETY: as above.
    answer(timeout.and_then(|timeout| unsafe { polled(list, count, timeout, mask) }))
}

unsafe fn polled(
    list: *mut PollFd,
    count: c_ulong,
    timeout: Option<Duration>,
    mask: Option<SignalMask>,
) -> Result<c_int> {
    if count > MAX_DESCRIPTORS as c_ulong {
        return Err(Error::new(EINVAL));
    }
    // SAFETY: the C program's pointer.
    let list = unsafe { slice_mut(list, count as usize) }?;
    libkq::process().poll(list, timeout, mask).map(|ready| ready as c_int)
}

/// `ioctl(2)` of a /dev/poll set.
///
/// # Safety
/// `argument` is null or what the request takes.
pub unsafe fn control(fd: c_int, request: u64, argument: *mut c_void) -> Result<c_int> {
    let process = libkq::process();
    if request == DP_ISPOLLED {
        let entry: *mut PollFd = argument.cast();
        // SAFETY: the C program's pointer.
        let asked = unsafe { value(entry) }?;
        return match process.devpoll_is_polled(fd, asked.fd)? {
            // SAFETY: as above.
            Some(interest) => unsafe { put(entry, PollFd { revents: interest, ..asked }) }.map(|()| 1),
            None => Ok(0),
        };
    }
    // SAFETY: the C program's pointer. The last word is there with `DP_PPOLL` only.
    let (asked, mask) = unsafe {
        let asked: DevicePoll = value(argument.cast())?;
        (asked, if request == DP_PPOLL { optional(asked.mask) } else { None })
    };
    let length = usize::try_from(asked.length).ok().filter(|&length| length <= MAX_DESCRIPTORS);
    // SAFETY: as above.
    let list = unsafe { slice_mut(asked.list, length.ok_or(Error::new(EINVAL))?) }?;
    process.devpoll_poll(fd, list, milliseconds(asked.timeout), mask).map(|ready| ready as c_int)
}
