//! `pthread_create` and what is done to threads.

use alloc::sync::Arc;
use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use abi::error::{EAGAIN, EDEADLK, EFAULT, EINVAL, ESRCH, Error, Result};
use abi::limits::FOREVER;
use rt::sync::Mutex;
use rt::sys::{futex_wait, futex_wake};
use rt::thread::{Builder, JoinHandle};

use crate::answer::number;
use crate::given::{optional, put, value};
use crate::own::{self, Own};

/// Stack of a thread whose attributes do not say: C programs like theirs large, and there is no demand paging.
const STACK: usize = 256 << 10;
/// `PTHREAD_STACK_MIN`.
const LEAST_STACK: usize = 16 << 10;
/// `PTHREAD_CREATE_DETACHED`.
const DETACHED: c_int = 1;

type Routine = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

unsafe extern "C" {
    /// Runs a thread's routine until it returns or calls `pthread_exit`: `jump.c`.
    fn __kq_run(routine: Routine, argument: *mut c_void) -> *mut c_void;
}

/// What a `pthread_t` points to; null is the first thread.
struct Thread {
    own: Own,
    /// Taken by who joins or detaches.
    handle: Mutex<Option<JoinHandle<Pointer>>>,
}

// SAFETY: `own` is used by the thread itself alone.
unsafe impl Sync for Thread {}
// SAFETY: as above.
unsafe impl Send for Thread {}

/// A pointer that a C program hands from thread to thread.
struct Pointer(*mut c_void);
// SAFETY: what may be done with it is the C program's to know.
unsafe impl Send for Pointer {}

/// `pthread_attr_t`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Attributes {
    stack: usize,
    detached: c_int,
}

const DEFAULT: Attributes = Attributes { stack: STACK, detached: 0 };

/// Threads that run, the first one aside.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// `pthread_create(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    place: *mut *const Thread,
    attributes: *const Attributes,
    routine: Routine,
    argument: *mut c_void,
) -> c_int {
    if place.is_null() {
        return EFAULT;
    }
    // SAFETY: the C program's pointer.
    let attributes = unsafe { optional(attributes) }.unwrap_or(DEFAULT);
    // SAFETY: the C program's pointer, and its promises about the routine.
    number(create(attributes, routine, Pointer(argument)).and_then(|thread| unsafe { put(place, thread) }))
}

fn create(attributes: Attributes, routine: Routine, argument: Pointer) -> Result<*const Thread> {
    let thread = Arc::new(Thread { own: Own::new(), handle: Mutex::new(None) });
    let itself = thread.clone();
    let body = move || {
        let argument = argument;
        let own = &itself.own;
        own.thread.set(Arc::as_ptr(&itself).cast_mut().cast());
        // SAFETY: `itself` lives until the routine and all destructors have run.
        unsafe { own::begin(own) };
        // SAFETY: the C program's routine and argument.
        let result = Pointer(unsafe { __kq_run(routine, argument.0) });
        super::key::end(own);
        // SAFETY: the first thread's own is a static; nothing of this thread's is used after this.
        unsafe { own::begin(ptr::null()) };
        if RUNNING.fetch_sub(1, SeqCst) == 1 {
            let _ = futex_wake(&RUNNING, 1);
        }
        result
    };
    let builder = Builder::new().name("pthread").stack(attributes.stack);
    // Whatever was too little: POSIX knows one error here.
    let handle = builder.spawn_suspended(body).map_err(|_| Error::new(EAGAIN))?;
    RUNNING.fetch_add(1, SeqCst);
    // Under the lock: a thread that detaches itself at once finds its handle.
    let mut place = thread.handle.lock();
    if let Err(error) = handle.start() {
        RUNNING.fetch_sub(1, SeqCst);
        return Err(error);
    }
    *place = Some(handle);
    drop(place);
    let pointer = Arc::into_raw(thread);
    if attributes.detached == DETACHED {
        // SAFETY: just made, and not joined.
        unsafe { take(pointer) }.map(drop)?;
    }
    Ok(pointer)
}

/// Takes a thread's handle, and with it the C program's share of the thread.
///
/// # Safety
/// A thread that was neither joined nor detached.
unsafe fn take(thread: *const Thread) -> Result<JoinHandle<Pointer>> {
    // SAFETY: the caller's.
    let handle = unsafe { thread.as_ref() }.ok_or(Error::new(EINVAL))?.handle.lock().take();
    let handle = handle.ok_or(Error::new(EINVAL))?;
    // SAFETY: `create` gave this share away, and only who got the handle takes it.
    drop(unsafe { Arc::from_raw(thread) });
    Ok(handle)
}

/// `pthread_join(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(thread: *const Thread, place: *mut *mut c_void) -> c_int {
    if thread == pthread_self() {
        return EDEADLK;
    }
    // SAFETY: the C program says that the thread may be joined.
    let joined = unsafe { take(thread) }.and_then(|handle| handle.join().map_err(|_| Error::new(ESRCH)));
    number(joined.map(|Pointer(result)| {
        if !place.is_null() {
            // SAFETY: the C program's pointer.
            unsafe { place.write(result) };
        }
    }))
}

/// `pthread_detach(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_detach(thread: *const Thread) -> c_int {
    // SAFETY: the C program says that the thread may be detached.
    number(unsafe { take(thread) }.map(drop))
}

/// `pthread_self(3)`.
#[unsafe(no_mangle)]
extern "C" fn pthread_self() -> *const Thread {
    own::own().thread.get().cast_const().cast()
}

/// `pthread_equal(3)`.
#[unsafe(no_mangle)]
extern "C" fn pthread_equal(a: *const Thread, b: *const Thread) -> c_int {
    c_int::from(ptr::eq(a, b))
}

/// `sched_yield(2)`.
#[unsafe(no_mangle)]
extern "C" fn sched_yield() -> c_int {
    rt::thread::yield_now();
    0
}

/// `pthread_exit` of the first thread: the process lasts as long as its other threads.
#[unsafe(no_mangle)]
extern "C" fn __kq_first_leaves() -> ! {
    super::key::end(own::own());
    loop {
        match RUNNING.load(SeqCst) {
            0 => crate::ending::exit(0),
            running => {
                let _ = futex_wait(&RUNNING, running, FOREVER);
            }
        }
    }
}

/// `pthread_attr_init(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_init(attributes: *mut Attributes) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { put(attributes, DEFAULT) })
}

/// `pthread_attr_destroy(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_destroy(attributes: *mut Attributes) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { value(attributes) }.map(drop))
}

/// `pthread_attr_setstacksize(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_setstacksize(attributes: *mut Attributes, stack: usize) -> c_int {
    if stack < LEAST_STACK {
        return EINVAL;
    }
    // SAFETY: the C program's pointer.
    let change = |old| unsafe { put(attributes, Attributes { stack, ..old }) };
    // SAFETY: as above.
    number(unsafe { value(attributes) }.and_then(change))
}

/// `pthread_attr_setdetachstate(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_setdetachstate(attributes: *mut Attributes, detached: c_int) -> c_int {
    if !(0..=DETACHED).contains(&detached) {
        return EINVAL;
    }
    // SAFETY: the C program's pointer.
    let change = |old| unsafe { put(attributes, Attributes { detached, ..old }) };
    // SAFETY: as above.
    number(unsafe { value(attributes) }.and_then(change))
}
