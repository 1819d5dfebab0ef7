//! `time.h` and `sys/time.h`: clocks and sleep.

use core::ffi::{c_int, c_long, c_uint, c_void};
use core::time::Duration;

use abi::error::{EINVAL, Error, Result};
use abi::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};

use crate::answer::{answer, done};
use crate::given::{TimeSpec, put, value};

/// `struct timeval`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TimeVal {
    /// `tv_sec`.
    pub seconds: c_long,
    /// `tv_usec`.
    pub microseconds: c_long,
}

impl TimeVal {
    /// As a distance in time. `EINVAL`: negative, or a second or more of microseconds.
    pub fn duration(self) -> Result<Duration> {
        let nanoseconds = self.microseconds.checked_mul(1000).ok_or(Error::new(EINVAL))?;
        TimeSpec { seconds: self.seconds, nanoseconds }.duration()
    }
}

/// What a clock says, in nanoseconds.
pub fn now(clock: c_int) -> Result<u64> {
    match usize::try_from(clock) {
        Ok(CLOCK_REALTIME) => Ok(rt::clock::realtime_ns()),
        Ok(CLOCK_MONOTONIC) => Ok(rt::clock::now_ns()),
        _ => Err(Error::new(EINVAL)),
    }
}

/// When a clock says `time`, as a deadline.
pub fn deadline(clock: c_int, time: TimeSpec) -> Result<u64> {
    let distance = time.nanoseconds()?.saturating_sub(now(clock)?);
    Ok(rt::clock::after(distance))
}

/// `clock_gettime(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut TimeSpec) -> c_int {
    // SAFETY: the C program's pointer.
    done(now(clock).and_then(|now| unsafe { put(time, TimeSpec::from_nanoseconds(now)) }))
}

/// `clock_getres(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_getres(clock: c_int, resolution: *mut TimeSpec) -> c_int {
    let wanted = !resolution.is_null();
    // SAFETY: the C program's pointer.
    let give = |_| if wanted { unsafe { put(resolution, TimeSpec::from_nanoseconds(1)) } } else { Ok(()) };
    done(now(clock).and_then(give))
}

/// `nanosleep(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(time: *const TimeSpec, left: *mut TimeSpec) -> c_int {
    let sleep = || {
        // SAFETY: the C program's pointer.
        let time = unsafe { value(time) }?.duration()?;
        let (begin, slept) = (rt::clock::now_ns(), libkq::signal::sleep(time));
        if slept.is_err() && !left.is_null() {
            let slept = Duration::from_nanos(rt::clock::now_ns() - begin);
            let rest = u64::try_from(time.saturating_sub(slept).as_nanos()).unwrap_or(u64::MAX);
            // SAFETY: as above.
            unsafe { put(left, TimeSpec::from_nanoseconds(rest)) }?;
        }
        slept
    };
    done(sleep())
}

/// `usleep(3)`.
#[unsafe(no_mangle)]
extern "C" fn usleep(microseconds: c_uint) -> c_int {
    done(libkq::signal::sleep(Duration::from_micros(microseconds.into())))
}

/// `sleep(3)`; what a signal cut off is told in whole seconds.
#[unsafe(no_mangle)]
extern "C" fn sleep(seconds: c_uint) -> c_uint {
    let begin = rt::clock::now_ns();
    match libkq::signal::sleep(Duration::from_secs(seconds.into())) {
        Ok(()) => 0,
        Err(_) => seconds.saturating_sub(((rt::clock::now_ns() - begin) / 1_000_000_000) as c_uint),
    }
}

/// `time(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn time(place: *mut c_long) -> c_long {
    let seconds = TimeSpec::from_nanoseconds(rt::clock::realtime_ns()).seconds;
    if !place.is_null() {
        // SAFETY: the C program's pointer.
        return answer(unsafe { put(place, seconds) }.map(|()| seconds));
    }
    seconds
}

/// `gettimeofday(2)`; time zones are unknown.
#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(time: *mut TimeVal, _zone: *mut c_void) -> c_int {
    let now = TimeSpec::from_nanoseconds(rt::clock::realtime_ns());
    let now = TimeVal { seconds: now.seconds, microseconds: now.nanoseconds / 1000 };
    // SAFETY: the C program's pointer.
    done(unsafe { put(time, now) })
}
