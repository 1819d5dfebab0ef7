//! `pthread_key_*`: values of each thread.

use core::cell::Cell;
use core::ffi::{c_int, c_uint, c_void};
use core::ptr;

use abi::error::{EAGAIN, EINVAL, Error};
use rt::sync::Mutex;

use crate::answer::number;
use crate::given::put;
use crate::own::{Own, own};

/// `PTHREAD_KEYS_MAX`.
pub const KEYS: usize = 64;
/// `PTHREAD_DESTRUCTOR_ITERATIONS`.
const ROUNDS: usize = 4;

type Destructor = extern "C" fn(*mut c_void);

#[derive(Clone, Copy)]
enum Key {
    Free,
    Used(Option<Destructor>),
}

static ALL: Mutex<[Key; KEYS]> = Mutex::new([Key::Free; KEYS]);

/// Runs the destructors of a thread's values, also of those that destructors set.
pub fn end(own: &Own) {
    for _ in 0..ROUNDS {
        let mut seen = false;
        for (index, value) in own.keys.iter().enumerate() {
            let value = value.replace(ptr::null_mut());
            let key = ALL.lock()[index];
            if let (false, Key::Used(Some(destructor))) = (value.is_null(), key) {
                destructor(value);
                seen = true;
            }
        }
        if !seen {
            return;
        }
    }
}

/// `pthread_key_create(3)`. A new key's value is null in every thread: `pthread_key_delete` leaves values behind, so a key
/// is not used again.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(key: *mut c_uint, destructor: Option<Destructor>) -> c_int {
    static NEXT: Mutex<usize> = Mutex::new(0);
    let mut next = NEXT.lock();
    if *next == KEYS {
        return EAGAIN;
    }
    // SAFETY: the C program's pointer.
    number(unsafe { put(key, *next as c_uint) }.map(|()| {
        ALL.lock()[*next] = Key::Used(destructor);
        *next += 1;
    }))
}

/// `pthread_key_delete(3)`.
#[unsafe(no_mangle)]
extern "C" fn pthread_key_delete(key: c_uint) -> c_int {
    match ALL.lock().get_mut(key as usize) {
        Some(key @ Key::Used(_)) => {
            *key = Key::Free;
            0
        }
        _ => EINVAL,
    }
}

fn value(key: c_uint) -> Option<&'static Cell<*mut c_void>> {
    own().keys.get(key as usize)
}

/// `pthread_setspecific(3)`.
#[unsafe(no_mangle)]
extern "C" fn pthread_setspecific(key: c_uint, new: *const c_void) -> c_int {
    number(value(key).map(|value| value.set(new.cast_mut())).ok_or(Error::new(EINVAL)))
}

/// `pthread_getspecific(3)`.
#[unsafe(no_mangle)]
extern "C" fn pthread_getspecific(key: c_uint) -> *mut c_void {
    value(key).map_or(ptr::null_mut(), Cell::get)
}
