//! A value that is made once.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};

use super::Mutex;

/// A value made by the first who asks for it; reading it is one load.
#[derive(Debug)]
pub struct OnceLock<T> {
    ready: AtomicBool,
    making: Mutex<()>,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written once, under `making`, before `ready` is released; after that it is only read.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}
// SAFETY: it owns its value.
unsafe impl<T: Send> Send for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Empty.
    pub const fn new() -> OnceLock<T> {
        OnceLock {
            ready: AtomicBool::new(false),
            making: Mutex::new(()),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The value, if it was made.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: `ready` is set after the value was written, and it is not written again.
        self.ready.load(Acquire).then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// The value; makes it if nobody has. An error leaves it empty.
    pub fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let _making = self.making.lock();
        if self.get().is_none() {
            let value = make()?;
            // SAFETY: not ready and under the lock: nobody reads or writes it.
            unsafe { (*self.value.get()).write(value) };
            self.ready.store(true, Release);
        }
        // SAFETY: ready now, either by us or by who held the lock before.
        Ok(unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// The value; makes it if nobody has.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        match self.get_or_try_init(|| Ok::<T, core::convert::Infallible>(make())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        if *self.ready.get_mut() {
            // SAFETY: ready, and exclusive.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_an_error_leaves_it_empty() {
        let once = OnceLock::new();
        assert_eq!(once.get_or_try_init(|| Err::<i32, _>("no")), Err("no"));
        assert_eq!(once.get(), None);
        assert_eq!(*once.get_or_init(|| 1), 1);
        assert_eq!(*once.get_or_init(|| 2), 1);
    }

    #[test]
    fn its_value_is_dropped_with_it() {
        extern crate std;
        let value = std::rc::Rc::new(());
        let once = OnceLock::new();
        once.get_or_init(|| value.clone());
        drop(once);
        assert_eq!(std::rc::Rc::strong_count(&value), 1);
    }
}
