//! `arpa/inet.h`: addresses of IPv4 as text.

use alloc::format;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::net::Ipv4Addr;

use abi::error::{EAFNOSUPPORT, EFAULT, ENOSPC, Error, Result};

use crate::answer::answer;
use crate::given::{put, slice_mut, value};

const AF_INET: c_int = 2;
/// `INADDR_NONE`.
const NONE: u32 = u32::MAX;
/// Bytes of the longest text with its end.
const LONGEST: usize = 16;

/// Four numbers, nothing else.
fn parse(text: &CStr) -> Option<Ipv4Addr> {
    text.to_str().ok()?.parse().ok()
}

unsafe fn text<'a>(text: *const c_char) -> Result<&'a CStr> {
    if text.is_null() {
        return Err(Error::new(EFAULT));
    }
    // SAFETY: the C program says that it ends.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// `inet_pton(3)`: 1, 0 for text that is no address, -1 for another family.
#[unsafe(no_mangle)]
unsafe extern "C" fn inet_pton(family: c_int, given: *const c_char, place: *mut c_void) -> c_int {
    let convert = || {
        if family != AF_INET {
            return Err(Error::new(EAFNOSUPPORT));
        }
        // SAFETY: the C program's pointers.
        match parse(unsafe { text(given) }?) {
            // SAFETY: as above.
            Some(address) => unsafe { put(place.cast(), address.octets()) }.map(|()| 1),
            None => Ok(0),
        }
    };
    answer(convert())
}

unsafe fn tell(address: Ipv4Addr, place: *mut c_char, room: usize) -> Result<*mut c_char> {
    let text = format!("{address}\0");
    if text.len() > room {
        return Err(Error::new(ENOSPC));
    }
    // SAFETY: the C program's pointer.
    unsafe { slice_mut(place.cast::<u8>(), text.len()) }?.copy_from_slice(text.as_bytes());
    Ok(place)
}

/// `inet_ntop(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn inet_ntop(
    family: c_int,
    address: *const c_void,
    place: *mut c_char,
    room: u32,
) -> *const c_char {
    let convert = || {
        if family != AF_INET {
            return Err(Error::new(EAFNOSUPPORT));
        }
        // SAFETY: the C program's pointers.
        unsafe { tell(Ipv4Addr::from(value(address.cast::<[u8; 4]>())?), place, room as usize) }
    };
    answer(convert()).cast_const()
}

/// `inet_addr(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn inet_addr(given: *const c_char) -> u32 {
    // SAFETY: the C program's pointer.
    let address = unsafe { text(given) }.ok().and_then(parse);
    address.map_or(NONE, |address| u32::from_ne_bytes(address.octets()))
}

/// `inet_ntoa(3)`: as anywhere, one text for all threads.
#[unsafe(no_mangle)]
extern "C" fn inet_ntoa(address: u32) -> *mut c_char {
    static mut TEXT: [u8; LONGEST] = [0; LONGEST];
    // SAFETY: the function is documented as not being for several threads; the text is as long as the longest.
    answer(unsafe { tell(Ipv4Addr::from(address.to_ne_bytes()), (&raw mut TEXT).cast(), LONGEST) })
}
