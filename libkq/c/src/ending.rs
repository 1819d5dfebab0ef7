//! The end of the process: `exit`, `atexit`, `abort`.

use alloc::vec::Vec;
use core::ffi::c_int;

use rt::sync::Mutex;

use crate::own;

/// Status of a process that `abort` ended: 128 + SIGABRT.
const ABORTED: i64 = 134;

type Function = extern "C" fn();

static AT_EXIT: Mutex<Vec<Function>> = Mutex::new(Vec::new());

/// `exit(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn exit(status: c_int) -> ! {
    loop {
        // Not in the `while let`, which would hold the lock while the function runs.
        let last = AT_EXIT.lock().pop();
        match last {
            Some(function) => function(),
            None => break,
        }
    }
    crate::stdio::flush_all();
    _exit(status)
}

/// `_exit(2)`.
#[unsafe(no_mangle)]
extern "C" fn _exit(status: c_int) -> ! {
    rt::sys::exit(i64::from(status & 0xff))
}

/// `atexit(3)`.
#[unsafe(no_mangle)]
extern "C" fn atexit(function: Function) -> c_int {
    let mut functions = AT_EXIT.lock();
    if functions.try_reserve(1).is_err() {
        own::set_errno(abi::error::ENOMEM);
        return -1;
    }
    functions.push(function);
    0
}

/// `abort(3)`.
#[unsafe(no_mangle)]
extern "C" fn abort() -> ! {
    rt::sys::exit(ABORTED)
}
