//! `pthread_once`.

use core::ffi::c_int;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Release};

use abi::limits::FOREVER;
use rt::sys::{futex_wait, futex_wake};

use super::{fits, object};
use crate::answer::number;

/// `pthread_once_t`.
#[derive(Debug)]
#[repr(transparent)]
pub struct Once(AtomicU32);

const _: () = assert!(fits::<Once>(1));

const FRESH: u32 = 0;
const RUNNING: u32 = 1;
const DONE: u32 = 2;

/// `pthread_once(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_once(once: *mut Once, routine: extern "C" fn()) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { object(once) }.map(|Once(state)| {
        match state.compare_exchange(FRESH, RUNNING, Acquire, Acquire) {
            Ok(_) => {
                routine();
                state.store(DONE, Release);
                let _ = futex_wake(state, u32::MAX);
            }
            Err(_) => {
                while state.load(Acquire) != DONE {
                    let _ = futex_wait(state, RUNNING, FOREVER);
                }
            }
        }
    }))
}
