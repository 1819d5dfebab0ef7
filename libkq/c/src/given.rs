//! What a C program hands over: pointers and counts, looked at once.

use core::ffi::{CStr, c_char, c_int, c_long};
use core::slice;
use core::time::Duration;

use abi::error::{EFAULT, EINVAL, Error, Result};

/// Seconds and nanoseconds, `struct timespec`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct TimeSpec {
    /// `tv_sec`.
    pub seconds: c_long,
    /// `tv_nsec`.
    pub nanoseconds: c_long,
}

impl TimeSpec {
    /// So many nanoseconds.
    pub const fn from_nanoseconds(nanoseconds: u64) -> TimeSpec {
        TimeSpec {
            seconds: (nanoseconds / 1_000_000_000) as c_long,
            nanoseconds: (nanoseconds % 1_000_000_000) as c_long,
        }
    }

    /// As a distance in time. `EINVAL`: negative, or a second or more of nanoseconds.
    pub fn duration(self) -> Result<Duration> {
        match (u64::try_from(self.seconds), u32::try_from(self.nanoseconds)) {
            (Ok(seconds), Ok(nanoseconds @ 0..1_000_000_000)) => Ok(Duration::new(seconds, nanoseconds)),
            _ => Err(Error::new(EINVAL)),
        }
    }

    /// The same in nanoseconds; what is too far away is as far as it goes.
    pub fn nanoseconds(self) -> Result<u64> {
        self.duration().map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A copy of what a pointer points to. `EFAULT`: null.
pub unsafe fn value<T: Copy>(pointer: *const T) -> Result<T> {
    if pointer.is_null() {
        return Err(Error::new(EFAULT));
    }
    // SAFETY: the C program says that there is a `T`; it need not be aligned.
    Ok(unsafe { pointer.read_unaligned() })
}

/// A copy of it, or `None` for null.
pub unsafe fn optional<T: Copy>(pointer: *const T) -> Option<T> {
    // SAFETY: as the caller says.
    unsafe { value(pointer) }.ok()
}

/// Puts a value where a pointer points. `EFAULT`: null.
pub unsafe fn put<T>(pointer: *mut T, value: T) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::new(EFAULT));
    }
    // SAFETY: the C program says that there is room for a `T`.
    unsafe { pointer.write_unaligned(value) };
    Ok(())
}

/// A number of elements. `EINVAL`: negative.
pub fn elements(count: c_int) -> Result<usize> {
    usize::try_from(count).map_err(|_| Error::new(EINVAL))
}

fn check<T>(pointer: *const T, count: usize) -> Result<()> {
    match count.checked_mul(size_of::<T>()) {
        Some(0) => Ok(()),
        Some(bytes) if isize::try_from(bytes).is_ok() => {
            if pointer.is_null() {
                Err(Error::new(EFAULT))
            } else {
                Ok(())
            }
        }
        _ => Err(Error::new(EINVAL)),
    }
}

/// What lies at a pointer, `count` elements. `EFAULT`: null; `EINVAL`: more than can be.
pub unsafe fn slice<'a, T>(pointer: *const T, count: usize) -> Result<&'a [T]> {
    check(pointer, count)?;
    // SAFETY: checked; the rest is what the C program says. No element: no memory needed.
    Ok(if count == 0 { &[] } else { unsafe { slice::from_raw_parts(pointer, count) } })
}

/// The same to be written.
pub unsafe fn slice_mut<'a, T>(pointer: *mut T, count: usize) -> Result<&'a mut [T]> {
    check(pointer, count)?;
    // SAFETY: as in `slice`.
    Ok(if count == 0 { &mut [] } else { unsafe { slice::from_raw_parts_mut(pointer, count) } })
}

/// A string. `EFAULT`: null; `EINVAL`: it is not UTF-8, as names here are.
pub unsafe fn text<'a>(pointer: *const c_char) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(Error::new(EFAULT));
    }
    // SAFETY: the C program says that it is a string.
    unsafe { CStr::from_ptr(pointer) }.to_str().map_err(|_| Error::new(EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    #[test]
    fn null_and_impossible_counts_are_errors() {
        // SAFETY: nothing is read.
        unsafe {
            assert_eq!(value::<u64>(ptr::null()), Err(Error::new(EFAULT)));
            assert_eq!(slice::<u64>(ptr::null(), 0), Ok(&[][..]));
            assert_eq!(slice::<u64>(ptr::null(), 1), Err(Error::new(EFAULT)));
            assert_eq!(slice::<u64>(ptr::dangling(), usize::MAX), Err(Error::new(EINVAL)));
            assert_eq!(slice::<u64>(ptr::dangling(), usize::MAX / 8), Err(Error::new(EINVAL)));
            assert_eq!(text(ptr::null()), Err(Error::new(EFAULT)));
            assert_eq!(text(c"\xff".as_ptr()), Err(Error::new(EINVAL)));
        }
        assert_eq!(elements(-1), Err(Error::new(EINVAL)));
    }

    #[test]
    fn times_are_checked() {
        let refused = Err(Error::new(EINVAL));
        for (seconds, nanoseconds) in [(-1, 0), (0, -1), (0, 1_000_000_000), (c_long::MIN, c_long::MAX)] {
            assert_eq!(TimeSpec { seconds, nanoseconds }.duration(), refused);
        }
        let longest = TimeSpec { seconds: c_long::MAX, nanoseconds: 999_999_999 };
        assert_eq!(longest.nanoseconds(), Ok(u64::MAX));
        assert_eq!(TimeSpec::from_nanoseconds(1_500_000_000).nanoseconds(), Ok(1_500_000_000));
    }
}
