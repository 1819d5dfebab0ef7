//! How C functions answer: a value, or -1 and `errno`.

use core::ffi::{c_int, c_long};

use abi::error::Result;

/// A type of results of which one value means failure.
pub trait Fallible {
    /// That value.
    const FAILED: Self;
}

impl Fallible for c_int {
    const FAILED: c_int = -1;
}

impl Fallible for c_long {
    const FAILED: c_long = -1;
}

impl Fallible for isize {
    const FAILED: isize = -1;
}

impl<T> Fallible for *mut T {
    const FAILED: *mut T = core::ptr::null_mut();
}

/// The value; or `errno` is set, and it is -1 or null.
#[cfg(target_os = "none")]
#[inline]
pub fn answer<T: Fallible>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| {
        crate::own::set_errno(error.errno);
        T::FAILED
    })
}

/// The same for a function whose success is 0.
#[cfg(target_os = "none")]
#[inline]
pub fn done(result: Result<()>) -> c_int {
    answer(result.map(|()| 0))
}

/// The same for a count of bytes.
#[cfg(target_os = "none")]
#[inline]
pub fn count(result: Result<usize>) -> isize {
    answer(result.map(usize::cast_signed))
}

/// The errno itself, 0 for success: `pthread_*` and a few more answer so.
pub fn number(result: Result<()>) -> c_int {
    result.map_or_else(|error| error.errno, |()| 0)
}
