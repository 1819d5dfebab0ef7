//! `pthread_cond_*`.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use abi::error::{EINVAL, ETIMEDOUT, Error, Result};
use abi::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use abi::limits::FOREVER;
use rt::sys::{futex_wait, futex_wake};

use super::mutex::CMutex;
use super::{fits, object};
use crate::answer::number;
use crate::clock::deadline;
use crate::given::{TimeSpec, optional, put, value};

/// `pthread_cond_t`. The word counts signals: it is read while the mutex is held and compared by the kernel, so a signal
/// between unlocking and sleeping makes the sleep end at once.
#[derive(Debug)]
#[repr(C)]
pub struct Cond {
    signals: AtomicU32,
    /// Of the times that are waited until; 0 is `CLOCK_REALTIME`.
    clock: c_int,
}

const _: () = assert!(fits::<Cond>(2));

impl Cond {
    fn wait(&self, mutex: &CMutex, deadline: u64) -> Result<()> {
        let seen = self.signals.load(Relaxed);
        mutex.unlock()?;
        let slept = futex_wait(&self.signals, seen, deadline);
        mutex.lock()?;
        if slept == Err(Error::new(ETIMEDOUT)) { slept } else { Ok(()) }
    }

    fn signal(&self, most: u32) {
        self.signals.fetch_add(1, Relaxed);
        let _ = futex_wake(&self.signals, most);
    }
}

/// `pthread_cond_init(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_init(cond: *mut Cond, clock: *const c_int) -> c_int {
    // SAFETY: the C program's pointers.
    let clock = unsafe { optional(clock) }.unwrap_or(0);
    // SAFETY: as above.
    number(unsafe { put(cond, Cond { signals: AtomicU32::new(0), clock }) })
}

/// `pthread_cond_destroy(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_destroy(cond: *mut Cond) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { object(cond) }.map(drop))
}

/// `pthread_cond_wait(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_wait(cond: *mut Cond, mutex: *mut CMutex) -> c_int {
    // SAFETY: the C program's pointers.
    let wait = || unsafe { object(cond)?.wait(object(mutex)?, FOREVER) };
    number(wait())
}

/// `pthread_cond_timedwait(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_timedwait(
    cond: *mut Cond,
    mutex: *mut CMutex,
    until: *const TimeSpec,
) -> c_int {
    let wait = || {
        // SAFETY: the C program's pointers.
        let (cond, mutex, until) = unsafe { (object(cond)?, object(mutex)?, value(until)?) };
        let clock = if cond.clock == 0 { CLOCK_REALTIME as c_int } else { cond.clock };
        cond.wait(mutex, deadline(clock, until)?)
    };
    number(wait())
}

/// `pthread_cond_signal(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_signal(cond: *mut Cond) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { object(cond) }.map(|cond| cond.signal(1)))
}

/// `pthread_cond_broadcast(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_broadcast(cond: *mut Cond) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { object(cond) }.map(|cond| cond.signal(u32::MAX)))
}

/// `pthread_condattr_init(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_init(clock: *mut c_int) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { put(clock, 0) })
}

/// `pthread_condattr_destroy(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_destroy(clock: *mut c_int) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { value(clock) }.map(drop))
}

/// `pthread_condattr_setclock(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_setclock(place: *mut c_int, clock: c_int) -> c_int {
    match usize::try_from(clock) {
        // SAFETY: the C program's pointer.
        Ok(CLOCK_REALTIME | CLOCK_MONOTONIC) => number(unsafe { put(place, clock) }),
        _ => EINVAL,
    }
}
