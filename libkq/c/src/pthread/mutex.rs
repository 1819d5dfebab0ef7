//! `pthread_mutex_*`.

use core::ffi::c_int;
use core::mem;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use abi::error::{EBUSY, EDEADLK, EINVAL, EPERM, Error, Result};
use rt::sync::Mutex;

use super::{fits, object};
use crate::answer::number;
use crate::given::{optional, put, value};

const NORMAL: c_int = 0;
const RECURSIVE: c_int = 1;
const ERROR_CHECK: c_int = 2;

/// `pthread_mutex_t`.
#[derive(Debug)]
#[repr(C)]
pub struct CMutex {
    lock: Mutex<()>,
    kind: c_int,
    /// Handle of the thread that holds it, for the kinds that ask.
    owner: AtomicU64,
    /// How often it holds it beyond the first time.
    again: AtomicU32,
}

const _: () = assert!(fits::<CMutex>(5));

impl CMutex {
    const fn new(kind: c_int) -> CMutex {
        CMutex { lock: Mutex::new(()), kind, owner: AtomicU64::new(0), again: AtomicU32::new(0) }
    }

    fn is_mine(&self) -> bool {
        self.kind != NORMAL && self.owner.load(Relaxed) == rt::thread::current().0
    }

    fn taken(&self) {
        if self.kind != NORMAL {
            self.owner.store(rt::thread::current().0, Relaxed);
        }
    }

    /// The caller holds it: once more, if it is of that kind.
    fn take_again(&self, otherwise: i32) -> Result<()> {
        if self.kind != RECURSIVE {
            return Err(Error::new(otherwise));
        }
        self.again.fetch_add(1, Relaxed);
        Ok(())
    }

    /// `EDEADLK`: an error-checking one that the caller holds.
    pub fn lock(&self) -> Result<()> {
        if self.is_mine() {
            return self.take_again(EDEADLK);
        }
        mem::forget(self.lock.lock());
        self.taken();
        Ok(())
    }

    fn try_lock(&self) -> Result<()> {
        if self.is_mine() {
            return self.take_again(EBUSY);
        }
        self.lock.try_lock().map(mem::forget).ok_or(Error::new(EBUSY))?;
        self.taken();
        Ok(())
    }

    /// `EPERM`: the caller does not hold it, where that is known.
    pub fn unlock(&self) -> Result<()> {
        if self.kind != NORMAL {
            if !self.is_mine() {
                return Err(Error::new(EPERM));
            }
            if self.again.load(Relaxed) > 0 {
                self.again.fetch_sub(1, Relaxed);
                return Ok(());
            }
            self.owner.store(0, Relaxed);
        }
        if !self.lock.is_locked() {
            return Err(Error::new(EPERM));
        }
        // SAFETY: it is held, and the C program says: by the caller, whose guard `lock` forgot.
        unsafe { self.lock.force_unlock() };
        Ok(())
    }
}

/// `pthread_mutex_init(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_init(mutex: *mut CMutex, kind: *const c_int) -> c_int {
    // SAFETY: the C program's pointers.
    number(unsafe { put(mutex, CMutex::new(optional(kind).unwrap_or(NORMAL))) })
}

/// `pthread_mutex_destroy(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_destroy(mutex: *mut CMutex) -> c_int {
    // SAFETY: the C program's pointer.
    let free = |mutex: &CMutex| if mutex.lock.is_locked() { Err(Error::new(EBUSY)) } else { Ok(()) };
    // SAFETY: as above.
    number(unsafe { object(mutex) }.and_then(free))
}

/// `pthread_mutex_lock(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_lock(mutex: *mut CMutex) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { object(mutex) }.and_then(CMutex::lock))
}

/// `pthread_mutex_trylock(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_trylock(mutex: *mut CMutex) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { object(mutex) }.and_then(CMutex::try_lock))
}

/// `pthread_mutex_unlock(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut CMutex) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { object(mutex) }.and_then(CMutex::unlock))
}

/// `pthread_mutexattr_init(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_init(kind: *mut c_int) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { put(kind, NORMAL) })
}

/// `pthread_mutexattr_destroy(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_destroy(kind: *mut c_int) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { value(kind) }.map(drop))
}

/// `pthread_mutexattr_settype(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_settype(place: *mut c_int, kind: c_int) -> c_int {
    match kind {
        // SAFETY: the C program's pointer.
        NORMAL | RECURSIVE | ERROR_CHECK => number(unsafe { put(place, kind) }),
        _ => EINVAL,
    }
}
