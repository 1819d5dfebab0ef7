//! What each thread has for itself: `errno` and the values of its keys.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;

use rt::block::Local;

use crate::pthread::KEYS;

/// A thread's own values.
#[derive(Debug)]
#[repr(C)]
pub struct Own {
    errno: Cell<c_int>,
    /// Where `pthread_exit` jumps to: `pthread/jump.c`.
    pub way_out: Cell<*mut c_void>,
    /// The thread as `pthread_t`, null for the first one.
    pub thread: Cell<*mut c_void>,
    /// Values of `pthread_setspecific`.
    pub keys: [Cell<*mut c_void>; KEYS],
}

impl Own {
    /// Nothing yet.
    pub const fn new() -> Own {
        Own {
            errno: Cell::new(0),
            way_out: Cell::new(ptr::null_mut()),
            thread: Cell::new(ptr::null_mut()),
            keys: [const { Cell::new(ptr::null_mut()) }; KEYS],
        }
    }
}

static LOCAL: Local = Local::new(None);

struct First(Own);
// SAFETY: used by the first thread, and for their `errno` alone by threads that C code did not make and that call C
// functions all the same: then a cell of an integer is torn by nobody.
unsafe impl Sync for First {}
static FIRST: First = First(Own::new());

/// The calling thread's.
#[inline]
pub fn own() -> &'static Own {
    let own: *const Own = LOCAL.get().cast();
    if own.is_null() {
        return &FIRST.0;
    }
    // SAFETY: `begin` put it there, and it lives as long as the thread.
    unsafe { &*own }
}

/// Makes `own` the calling thread's.
///
/// # Safety
/// It outlives the thread, and no other thread uses it meanwhile.
pub unsafe fn begin(own: *const Own) {
    LOCAL.set(own.cast_mut().cast());
}

/// Sets the calling thread's `errno`.
pub fn set_errno(errno: c_int) {
    own().errno.set(errno);
}

/// The calling thread's `errno`.
pub fn errno() -> c_int {
    own().errno.get()
}

/// Where the macro `errno` looks.
#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut c_int {
    own().errno.as_ptr()
}

/// Where `pthread/jump.c` keeps the way out of a thread.
#[unsafe(no_mangle)]
extern "C" fn __kq_way_out() -> *mut *mut c_void {
    own().way_out.as_ptr()
}
