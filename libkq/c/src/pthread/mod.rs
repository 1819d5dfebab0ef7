//! `pthread.h`.

mod cond;
mod key;
mod mutex;
mod once;
mod thread;

pub use key::KEYS;

use core::mem::{align_of, size_of};

use abi::error::{EINVAL, Error, Result};

/// The object that a C program's memory holds, which began as zeroes. `EINVAL`: null.
///
/// # Safety
/// The memory has the header's type, which [`fits`] was asked about, and lasts as long as the object is used.
unsafe fn object<'a, T>(memory: *mut T) -> Result<&'a T> {
    // SAFETY: the C program says that it is there, and initialised.
    unsafe { memory.as_ref() }.ok_or(Error::new(EINVAL))
}

/// Whether a type fits into a union of so many words of the headers.
const fn fits<T>(words: usize) -> bool {
    size_of::<T>() <= words * 8 && align_of::<T>() <= 8
}
