//! `sys/socket.h`: local sockets, and TCP and UDP over IPv4.

mod address;
mod inet;
mod messages;
mod options;
mod unix;

use core::ffi::{c_int, c_void};

use abi::error::{EAFNOSUPPORT, EFAULT, EINVAL, EOPNOTSUPP, EPROTONOSUPPORT, Error, Result};
use abi::flag::O_NONBLOCK;
use libkq::process::SocketType;

use crate::answer::{answer, done};
use crate::given::put;
use address::{address, tell_address, tell_peer};

const IPPROTO_TCP: c_int = 6;
const IPPROTO_UDP: c_int = 17;
const SOL_SOCKET: c_int = 1;
/// `SOCK_NONBLOCK` and `SOCK_CLOEXEC`, in the type of a socket: the values of `O_NONBLOCK` and `O_CLOEXEC`.
const TYPE_FLAGS: c_int = O_NONBLOCK as c_int | 0x0100_0000;

fn type_of(kind: c_int) -> Result<(SocketType, u64)> {
    Ok((SocketType::try_from(kind & !TYPE_FLAGS)?, (kind as usize & O_NONBLOCK) as u64))
}

/// `socket(2)`.
#[unsafe(no_mangle)]
extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    let make = || {
        let (kind, flags) = type_of(kind)?;
        let process = libkq::process();
        match (u16::try_from(domain), protocol, kind) {
            (Ok(unix::FAMILY), 0, _) => process.socket(kind, flags),
            (Ok(inet::FAMILY), 0, _)
            | (Ok(inet::FAMILY), IPPROTO_TCP, SocketType::Stream)
            | (Ok(inet::FAMILY), IPPROTO_UDP, SocketType::Datagram) => process.inet_socket(kind, flags),
            (Ok(unix::FAMILY | inet::FAMILY), ..) => Err(Error::new(EPROTONOSUPPORT)),
            _ => Err(Error::new(EAFNOSUPPORT)),
        }
    };
    answer(make())
}

/// `socketpair(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut [c_int; 2]) -> c_int {
    let make = || {
        let (kind, flags) = type_of(kind)?;
        if domain != c_int::from(unix::FAMILY) {
            return Err(Error::new(if domain == c_int::from(inet::FAMILY) {
                EOPNOTSUPP
            } else {
                EAFNOSUPPORT
            }));
        }
        if protocol != 0 {
            return Err(Error::new(EPROTONOSUPPORT));
        }
        if pair.is_null() {
            return Err(Error::new(EFAULT));
        }
        let (one, other) = libkq::process().socketpair(kind, flags)?;
        // SAFETY: the C program's pointer.
        unsafe { put(pair, [one, other]) }
    };
    done(make())
}

/// `bind(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bind(fd: c_int, to: *const c_void, length: u32) -> c_int {
    // SAFETY: the C program's pointer.
    done(unsafe { address(to, length) }.and_then(|address| libkq::process().bind(fd, &address)))
}

/// `connect(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, to: *const c_void, length: u32) -> c_int {
    // SAFETY: the C program's pointer.
    done(unsafe { address(to, length) }.and_then(|address| libkq::process().connect(fd, &address)))
}

/// `listen(2)`.
#[unsafe(no_mangle)]
extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    done(libkq::process().listen(fd, backlog))
}

/// `accept4(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(fd: c_int, place: *mut c_void, length: *mut u32, flags: c_int) -> c_int {
    let accept = || {
        if flags & !TYPE_FLAGS != 0 {
            return Err(Error::new(EINVAL));
        }
        let process = libkq::process();
        let accepted = process.accept(fd, flags as u64)?;
        if !place.is_null() {
            // SAFETY: the C program's pointers.
            unsafe { tell_peer(place, length, process.peer_name(accepted)) }?;
        }
        Ok(accepted)
    };
    answer(accept())
}

/// `accept(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, place: *mut c_void, length: *mut u32) -> c_int {
    // SAFETY: the C program's pointers.
    unsafe { accept4(fd, place, length, 0) }
}

/// `shutdown(2)`.
#[unsafe(no_mangle)]
extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    let (read, write) = match how {
        0 => (true, false),
        1 => (false, true),
        2 => (true, true),
        _ => (false, false),
    };
    done(libkq::process().shutdown(fd, read, write))
}

/// `getsockname(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, place: *mut c_void, length: *mut u32) -> c_int {
    // SAFETY: the C program's pointers.
    done(libkq::process().socket_name(fd).and_then(|name| unsafe { tell_address(place, length, &name) }))
}

/// `getpeername(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(fd: c_int, place: *mut c_void, length: *mut u32) -> c_int {
    // SAFETY: the C program's pointers.
    done(libkq::process().peer_name(fd).and_then(|name| unsafe { tell_address(place, length, &name) }))
}

/// `sockatmark(3)`.
#[unsafe(no_mangle)]
extern "C" fn sockatmark(fd: c_int) -> c_int {
    answer(libkq::process().at_mark(fd).map(c_int::from))
}
