//! Addresses of IPv4, with a port.

use alloc::vec::Vec;
use core::ffi::c_void;
use core::net::SocketAddrV4;

use abi::error::{EINVAL, Error, Result};

use crate::given::value;

/// `AF_INET`.
pub const FAMILY: u16 = 2;

/// `struct sockaddr_in`; numbers in network order.
#[derive(Clone, Copy)]
#[repr(C)]
struct InetAddress {
    family: u16,
    port: [u8; 2],
    address: [u8; 4],
    zero: [u8; 8],
}

/// The address and port in an address of so many bytes.
///
/// # Safety
/// There are so many bytes.
pub unsafe fn address(address: *const c_void, length: usize) -> Result<SocketAddrV4> {
    if length < size_of::<InetAddress>() {
        return Err(Error::new(EINVAL));
    }
    // SAFETY: the caller's promise.
    let InetAddress { port, address, .. } = unsafe { value(address.cast::<InetAddress>()) }?;
    Ok(SocketAddrV4::new(address.into(), u16::from_be_bytes(port)))
}

/// The structure that a C program expects for it.
pub fn bytes_of(address: &SocketAddrV4) -> Vec<u8> {
    let mut bytes = FAMILY.to_ne_bytes().to_vec();
    bytes.extend(address.port().to_be_bytes());
    bytes.extend(address.ip().octets());
    bytes.extend([0; 8]);
    bytes
}
