//! Local addresses: paths.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::mem::offset_of;
use core::str;

use abi::error::{EINVAL, ENAMETOOLONG, Error, Result};

use crate::given::slice;

/// `AF_UNIX`.
pub const FAMILY: u16 = 1;

/// `struct sockaddr_un`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Address {
    family: u16,
    path: [u8; 108],
}

/// Where the path begins, behind the family: no address is shorter.
pub const PATH: usize = offset_of!(Address, path);

/// The path in an address of so many bytes.
///
/// # Safety
/// There are so many bytes.
pub unsafe fn address(address: *const c_void, length: usize) -> Result<String> {
    if length > size_of::<Address>() {
        return Err(Error::new(ENAMETOOLONG));
    }
    // SAFETY: the caller's promise.
    let path = unsafe { slice(address.cast::<u8>().add(PATH), length - PATH) }?;
    match path.split(|&byte| byte == 0).next() {
        // Names without a path are Linux's alone.
        Some([]) if !path.is_empty() => Err(Error::new(EINVAL)),
        path => match str::from_utf8(path.unwrap_or_default()) {
            Ok(path) => Ok(path.into()),
            Err(_) => Err(Error::new(EINVAL)),
        },
    }
}

/// The structure that a C program expects for a path, or for none.
pub fn bytes_of(path: &str) -> Vec<u8> {
    let mut bytes = FAMILY.to_ne_bytes().to_vec();
    if !path.is_empty() {
        bytes.extend(path.bytes().chain([0]));
    }
    bytes
}
