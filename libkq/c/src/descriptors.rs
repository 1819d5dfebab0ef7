//! `unistd.h`, `fcntl.h`, `sys/ioctl.h`: what is done to descriptors.

use core::ffi::{c_char, c_int, c_uint, c_void};

use abi::error::{EBADF, EFAULT, EINVAL, ENOTTY, ERANGE, Error, Result};
use abi::flag::{F_DUPFD, F_GETFD, F_GETFL, F_SETFD, F_SETFL, O_RDWR};
use libkq::control::{Control, ControlReply};
use libkq::file::Files;

use crate::answer::{answer, count, done};
use crate::given::{put, slice, slice_mut, text, value};
use crate::poll::{self, DP_ISPOLLED, DP_POLL, DP_PPOLL};

/// What `F_SETFD` and `F_GETFD` know.
const FD_CLOEXEC: c_int = 1;
/// `FIONREAD` and `FIONBIO`, as Linux has them.
const FIONREAD: u64 = 0x541b;
const FIONBIO: u64 = 0x5421;

/// `open(2)`, behind the variadic one: nothing here has a mode.
#[unsafe(no_mangle)]
unsafe extern "C" fn __kq_open(path: *const c_char, flags: c_int, _mode: c_uint) -> c_int {
    let flags = flags as u32 as usize;
    // SAFETY: the C program's pointer.
    answer(unsafe { text(path) }.and_then(|path| libkq::open(path, flags)))
}

/// `read(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, length: usize) -> isize {
    // SAFETY: the C program's pointer.
    count(unsafe { slice_mut(buffer.cast(), length) }.and_then(|buffer| libkq::read_whole(fd, buffer)))
}

/// `write(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, length: usize) -> isize {
    // SAFETY: the C program's pointer.
    let bytes = unsafe { slice(bytes.cast(), length) };
    count(bytes.and_then(|bytes| libkq::write_whole(fd, bytes)))
}

/// `close(2)`.
#[unsafe(no_mangle)]
extern "C" fn close(fd: c_int) -> c_int {
    done(libkq::close(fd))
}

/// `pipe2(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pipe2(ends: *mut [c_int; 2], flags: c_int) -> c_int {
    let pipe = || {
        if ends.is_null() {
            return Err(Error::new(EFAULT));
        }
        let (reader, writer) = libkq::pipe(flags as u32 as usize)?;
        // SAFETY: the C program's pointer.
        unsafe { put(ends, [reader, writer]) }
    };
    done(pipe())
}

/// `pipe(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pipe(ends: *mut [c_int; 2]) -> c_int {
    // SAFETY: the C program's pointer.
    unsafe { pipe2(ends, 0) }
}

/// `dup(2)`.
#[unsafe(no_mangle)]
extern "C" fn dup(fd: c_int) -> c_int {
    answer(libkq::dup(fd))
}

/// `dup2(2)`.
#[unsafe(no_mangle)]
extern "C" fn dup2(fd: c_int, number: c_int) -> c_int {
    answer(libkq::dup2(fd, number))
}

/// `fcntl(2)`, behind the variadic one.
#[unsafe(no_mangle)]
extern "C" fn __kq_fcntl(fd: c_int, command: c_int, argument: usize) -> c_int {
    answer(control(fd, command, argument))
}

fn control(fd: c_int, command: c_int, argument: usize) -> Result<c_int> {
    let process = libkq::process();
    match usize::try_from(command) {
        Ok(F_DUPFD) => dup_from(fd, argument),
        // Of what is inherited by itself, only sets can be kept back.
        Ok(F_GETFD) => is_open(fd).map(|()| match process.epoll(fd) {
            Ok(set) if set.is_cloexec() => FD_CLOEXEC,
            _ => 0,
        }),
        Ok(F_SETFD) => is_open(fd).map(|()| {
            if let Ok(set) = process.epoll(fd) {
                set.set_cloexec(argument & FD_CLOEXEC as usize != 0);
            }
            0
        }),
        Ok(F_GETFL) => flags(fd),
        Ok(F_SETFL) => process.set_flags(fd, argument as u64).map(|()| 0),
        _ => Err(Error::new(EINVAL)),
    }
}

/// `EBADF`: it is not.
pub fn is_open(fd: c_int) -> Result<()> {
    match libkq::process().file(fd) {
        // Open, and no file.
        Err(error) if error.errno != EBADF => Ok(()),
        file => file.map(drop),
    }
}

fn flags(fd: c_int) -> Result<c_int> {
    is_open(fd)?;
    // A set is read and written, in its way.
    Ok(libkq::process().flags(fd).unwrap_or(O_RDWR as u64) as c_int)
}

/// The lowest free number from `lowest` on: those below that `dup` gives are held, then closed.
fn dup_from(fd: c_int, lowest: usize) -> Result<c_int> {
    if lowest >= libkq::process::MAX_DESCRIPTORS {
        return Err(Error::new(EINVAL));
    }
    let mut below = alloc::vec::Vec::new();
    let number = loop {
        match libkq::dup(fd) {
            Ok(number) if (number as usize) < lowest => below.push(number),
            other => break other,
        }
    };
    for number in below {
        let _ = libkq::close(number);
    }
    number
}

/// `ioctl(2)`, behind the variadic one.
#[unsafe(no_mangle)]
unsafe extern "C" fn __kq_ioctl(fd: c_int, request: u64, argument: *mut c_void) -> c_int {
    let process = libkq::process();
    let result = match request {
        // SAFETY: the C program's pointer.
        DP_POLL | DP_ISPOLLED | DP_PPOLL => return answer(unsafe { poll::control(fd, request, argument) }),
        FIONREAD => process.control(fd, Control::Available).and_then(|reply| match reply {
            // SAFETY: the C program's pointer.
            ControlReply::Available(bytes) => unsafe { put(argument.cast::<c_int>(), bytes as c_int) },
            _ => Err(Error::new(ENOTTY)),
        }),
        // SAFETY: the C program's pointer.
        FIONBIO => unsafe { value(argument.cast::<c_int>()) }
            .and_then(|nonblocking| process.set_nonblocking(fd, nonblocking != 0)),
        _ => Err(Error::new(ENOTTY)),
    };
    done(result)
}

/// `isatty(3)`.
#[unsafe(no_mangle)]
extern "C" fn isatty(fd: c_int) -> c_int {
    let mode = libkq::process().control(fd, Control::TerminalMode);
    let error = match mode {
        Ok(ControlReply::Terminal(_)) => return 1,
        Err(error) if error.errno == EBADF => error,
        _ => Error::new(ENOTTY),
    };
    crate::own::set_errno(error.errno);
    0
}

/// `getpid(2)`.
#[unsafe(no_mangle)]
extern "C" fn getpid() -> c_int {
    rt::start::start().pid() as c_int
}

/// `getcpu(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn getcpu(cpu: *mut c_uint, node: *mut c_uint) -> c_int {
    if !node.is_null() {
        // SAFETY: the C program's pointer.
        let _ = unsafe { put(node, 0) };
    }
    // SAFETY: the C program's pointer.
    done(unsafe { put(cpu, rt::clock::cpu() as c_uint) })
}

/// `getcwd(3)`: everything is named from the top.
#[unsafe(no_mangle)]
unsafe extern "C" fn getcwd(buffer: *mut c_char, length: usize) -> *mut c_char {
    let top = || {
        if length < 2 {
            return Err(Error::new(if length == 0 { EINVAL } else { ERANGE }));
        }
        // SAFETY: the C program's pointer.
        unsafe { put(buffer.cast(), *b"/\0") }.map(|()| buffer)
    };
    answer(top())
}
