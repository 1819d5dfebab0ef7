//! Options with a number.

use core::ffi::c_int;

use abi::error::{EINVAL, ENOPROTOOPT, Error, Result};
use libkq::control::Setting;

use super::{IPPROTO_TCP, SOL_SOCKET};
use crate::answer::done;
use crate::given::{put, value};

const TCP_NODELAY: c_int = 1;
/// `SO_ERROR`.
const PENDING_ERROR: c_int = 4;

/// Options with a number, by their `SO_*`.
fn setting(level: c_int, option: c_int) -> Result<Setting> {
    match (level, option) {
        (SOL_SOCKET, _) => {}
        (IPPROTO_TCP, TCP_NODELAY) => return Ok(Setting::NoDelay),
        _ => return Err(Error::new(ENOPROTOOPT)),
    }
    match option {
        2 => Ok(Setting::ReuseAddress),
        3 => Ok(Setting::SocketType),
        7 => Ok(Setting::SendBuffer),
        8 => Ok(Setting::ReceiveBuffer),
        9 => Ok(Setting::KeepAlive),
        10 => Ok(Setting::UrgentInline),
        15 => Ok(Setting::ReusePort),
        18 => Ok(Setting::ReceiveLowWater),
        19 => Ok(Setting::SendLowWater),
        30 => Ok(Setting::Listening),
        _ => Err(Error::new(ENOPROTOOPT)),
    }
}

/// `getsockopt(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    place: *mut c_int,
    length: *mut u32,
) -> c_int {
    let get = || {
        // SAFETY: the C program's pointers.
        if unsafe { value(length) }? < size_of::<c_int>() as u32 {
            return Err(Error::new(EINVAL));
        }
        let process = libkq::process();
        let number = match (level, option) {
            (SOL_SOCKET, PENDING_ERROR) => process.take_error(fd)?,
            _ => c_int::try_from(process.option(fd, setting(level, option)?)?).unwrap_or(c_int::MAX),
        };
        // SAFETY: as above.
        unsafe { put(place, number).and_then(|()| put(length, size_of::<c_int>() as u32)) }
    };
    done(get())
}

/// `setsockopt(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    given: *const c_int,
    length: u32,
) -> c_int {
    let set = || {
        if length < size_of::<c_int>() as u32 {
            return Err(Error::new(EINVAL));
        }
        // SAFETY: the C program's pointer.
        libkq::process().set_option(fd, setting(level, option)?, unsafe { value(given) }?.into())
    };
    done(set())
}
