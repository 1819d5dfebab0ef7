//! `spawn.h`: starting programs.

use core::ffi::{c_char, c_int, c_void};

use abi::error::{EFAULT, EINVAL, ENOSYS, Error, Result};
use libkq::inheritance::Given;
use libkq::process_calls::{Command, QUOTA};

use crate::answer::number;
use crate::given::{optional, put, text, value};

/// `posix_spawnattr_t`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Attributes {
    quota: u64,
    unused: [u64; 7],
}

/// `posix_spawnattr_init(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_init(attributes: *mut Attributes) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { put(attributes, Attributes { quota: QUOTA, unused: [0; 7] }) })
}

/// `posix_spawnattr_destroy(3)`: they hold nothing.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_destroy(attributes: *mut Attributes) -> c_int {
    // SAFETY: the C program's pointer.
    number(unsafe { value(attributes) }.map(drop))
}

/// The bytes of memory that the program may use. `EINVAL`: 0.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_setquota_np(attributes: *mut Attributes, bytes: usize) -> c_int {
    // SAFETY: the C program's pointer.
    let set = unsafe { value(attributes) }.and_then(|present| match bytes as u64 {
        0 => Err(Error::new(EINVAL)),
        // SAFETY: as above.
        quota => unsafe { put(attributes, Attributes { quota, ..present }) },
    });
    number(set)
}

/// What was set, or what there is without.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_getquota_np(attributes: *const Attributes, bytes: *mut usize) -> c_int {
    // SAFETY: the C program's pointers.
    number(unsafe { value(attributes).and_then(|present| put(bytes, present.quota as usize)) })
}

/// The strings of a list with a null pointer at its end.
unsafe fn strings<'a>(list: *const *const c_char) -> impl Iterator<Item = Result<&'a str>> {
    let mut at = list;
    core::iter::from_fn(move || {
        // SAFETY: the C program says that the list ends with a null pointer, and this does not go beyond it.
        let string = if at.is_null() { at.cast() } else { unsafe { at.read() } };
        if string.is_null() {
            return None;
        }
        // SAFETY: not at its end.
        at = unsafe { at.add(1) };
        // SAFETY: the C program says that it is a string.
        Some(unsafe { text(string) })
    })
}

/// `posix_spawn(3)`: `path` is a file of the boot archive, such as `bin/hello`. The program has this one's descriptors 0, 1
/// and 2, and its epoll sets without `EPOLL_CLOEXEC`, with the files in them (R33). Of attributes there
/// is the quota. `ENOSYS`: file actions. `EDQUOT`, `ENOMEM`: no room, of what children may have or of the machine.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn(
    pid: *mut c_int,
    path: *const c_char,
    actions: *const c_void,
    attributes: *const Attributes,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    let spawn = || {
        if !actions.is_null() {
            return Err(Error::new(ENOSYS));
        }
        if arguments.is_null() {
            return Err(Error::new(EFAULT));
        }
        // SAFETY: the C program's pointers, here and below.
        let mut command = Command::new(unsafe { text(path) }?);
        // SAFETY: as above.
        for (index, argument) in unsafe { strings(arguments) }.enumerate() {
            command = if index == 0 { command.name(argument?) } else { command.argument(argument?) };
        }
        // SAFETY: as above.
        for variable in unsafe { strings(environment) } {
            let (name, value) = variable?.split_once('=').unwrap_or_default();
            command = command.environment(name, value);
        }
        // SAFETY: as above.
        if let Some(attributes) = unsafe { optional(attributes) } {
            command = command.quota(attributes.quota);
        }
        let mut given = Given::default();
        for fd in 0..3 {
            // One that is closed, or is a set that does not travel, stays behind.
            let _ = given.give(fd, fd);
        }
        for fd in libkq::process().epoll_sets_that_travel().into_iter().filter(|&fd| fd > 2) {
            // One that another thread has closed meanwhile stays behind too.
            let _ = given.give(fd, fd);
        }
        command = command.given(given);
        let child = command.spawn()?;
        // SAFETY: as above.
        if pid.is_null() { Ok(()) } else { unsafe { put(pid, child.pid()) } }
    };
    number(spawn())
}
