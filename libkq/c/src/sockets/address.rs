//! Addresses of any family: text to the library, structures to C programs.

use alloc::format;
use alloc::string::String;
use core::ffi::c_void;

use abi::error::{EAFNOSUPPORT, EFAULT, EINVAL, Error, Result};

use super::{inet, unix};
use crate::given::{put, slice_mut, value};

/// `AF_UNSPEC`.
const UNSPECIFIED: u16 = 0;

/// An address as the library has it: a path, or `10.0.2.15:80`; no text for none.
///
/// # Safety
/// What is not null leads to so many bytes.
pub unsafe fn address(address: *const c_void, length: u32) -> Result<String> {
    let length = length as usize;
    if address.is_null() {
        return if length == 0 { Ok(String::new()) } else { Err(Error::new(EFAULT)) };
    }
    if length < unix::PATH {
        return Err(Error::new(EINVAL));
    }
    // SAFETY: the C program says that there are so many bytes, here and below.
    match unsafe { value(address.cast::<u16>()) }? {
        // SAFETY: as above.
        unix::FAMILY => unsafe { unix::address(address, length) },
        // SAFETY: as above.
        inet::FAMILY => unsafe { inet::address(address, length) }.map(|address| format!("{address}")),
        // As connect(2) has it: the connection of a datagram socket is dissolved.
        UNSPECIFIED => Ok(String::new()),
        _ => Err(Error::new(EAFNOSUPPORT)),
    }
}

/// Tells an address in the room that there is, and how long it is. Null: nobody wants to know.
///
/// # Safety
/// The pointers are those of a C program that says there is so much room.
pub unsafe fn tell_address(place: *mut c_void, length: *mut u32, address: &str) -> Result<()> {
    if place.is_null() || length.is_null() {
        return Ok(());
    }
    let bytes = match address.parse() {
        Ok(inet) => inet::bytes_of(&inet),
        Err(_) => unix::bytes_of(address),
    };
    // SAFETY: the C program's pointers.
    unsafe {
        let room = slice_mut::<u8>(place.cast(), value(length)? as usize)?;
        let fits = room.len().min(bytes.len());
        room[..fits].copy_from_slice(&bytes[..fits]);
        put(length, bytes.len() as u32)
    }
}

/// Tells that there is no address: nothing is put into its place, and its length is 0.
///
/// # Safety
/// As for [`tell_address`].
unsafe fn tell_none(place: *mut c_void, length: *mut u32) -> Result<()> {
    if place.is_null() || length.is_null() {
        return Ok(());
    }
    // SAFETY: the C program's pointer.
    unsafe { put(length, 0) }
}

/// Tells from where a message is; bytes of a stream, and messages of who has no name, are from nowhere.
///
/// # Safety
/// As for [`tell_address`].
pub unsafe fn tell_sender(place: *mut c_void, length: *mut u32, address: &str) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        if address.is_empty() { tell_none(place, length) } else { tell_address(place, length, address) }
    }
}

/// Tells whose an accepted connection is: of one that has ended already that is not known.
///
/// # Safety
/// As for [`tell_address`].
pub unsafe fn tell_peer(place: *mut c_void, length: *mut u32, peer: Result<String>) -> Result<()> {
    match peer {
        // SAFETY: the caller's promise.
        Ok(peer) => unsafe { tell_address(place, length, &peer) },
        // SAFETY: as above.
        Err(_) => unsafe { tell_none(place, length) },
    }
}
