//! `spawn.h`: starting programs.

use core::ffi::{c_char, c_int, c_void};

use abi::error::{EFAULT, ENOSYS, Error, Result};
use libkq::inheritance::Given;
use libkq::process_calls::Command;

use crate::answer::number;
use crate::given::{put, text};

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
/// and 2, and its epoll sets without `EPOLL_CLOEXEC`, with the files in them (R33). `ENOSYS`: file actions or attributes.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn(
    pid: *mut c_int,
    path: *const c_char,
    actions: *const c_void,
    attributes: *const c_void,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    let spawn = || {
        if !actions.is_null() || !attributes.is_null() {
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
