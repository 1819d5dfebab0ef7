//! `sys/select.h`.

use core::ffi::c_int;
use core::time::Duration;

use abi::error::{EINVAL, Error, Result};
use libkq::{FdSet, SignalMask};

use crate::answer::answer;
use crate::clock::TimeVal;
use crate::given::{TimeSpec, elements, optional, slice, slice_mut};

/// `FD_SETSIZE`.
const SET_SIZE: usize = 1024;
const BITS: usize = u64::BITS as usize;

/// `select(2)`. The time that is left is not told.
#[unsafe(no_mangle)]
unsafe extern "C" fn select(
    count: c_int,
    read: *mut u64,
    write: *mut u64,
    except: *mut u64,
    timeout: *const TimeVal,
) -> c_int {
    // SAFETY: the C program's pointer.
    let timeout = unsafe { optional(timeout) }.map(TimeVal::duration).transpose();
    // SAFETY: as above.
    answer(timeout.and_then(|timeout| unsafe { selected(count, [read, write, except], timeout, None) }))
}

/// `pselect(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pselect(
    count: c_int,
    read: *mut u64,
    write: *mut u64,
    except: *mut u64,
    timeout: *const TimeSpec,
    mask: *const SignalMask,
) -> c_int {
    // SAFETY: the C program's pointers.
    let (timeout, mask) = unsafe { (optional(timeout), optional(mask)) };
    let timeout = timeout.map(TimeSpec::duration).transpose();
    // SAFETY: as above.
    answer(timeout.and_then(|timeout| unsafe { selected(count, [read, write, except], timeout, mask) }))
}

unsafe fn selected(
    count: c_int,
    given: [*mut u64; 3],
    timeout: Option<Duration>,
    mask: Option<SignalMask>,
) -> Result<c_int> {
    let words = elements(count)?.div_ceil(BITS);
    if words > SET_SIZE / BITS {
        return Err(Error::new(EINVAL));
    }
    let set = |words_of: *mut u64| {
        // SAFETY: the C program says that an `fd_set` is there; it has so many words.
        let words = if words_of.is_null() { None } else { unsafe { slice(words_of, words) }.ok() };
        words.map(FdSet::from_words)
    };
    let mut sets = given.map(set);
    let ready = libkq::process().select(count, sets.each_mut().map(Option::as_mut), timeout, mask)?;
    for (set, words_of) in sets.iter().zip(given) {
        if let Some(set) = set {
            // SAFETY: as above.
            set.to_words(unsafe { slice_mut(words_of, words) }?);
        }
    }
    Ok(ready as c_int)
}
