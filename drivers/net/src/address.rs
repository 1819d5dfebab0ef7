//! Addresses as text: `10.0.2.15:80`.

use abi::error::{EAFNOSUPPORT, EINVAL, Error, Result};
use alloc::format;
use alloc::string::String;
use core::net::SocketAddrV4;
use smoltcp::wire::{IpAddress, IpEndpoint};

/// Reads an address. EAFNOSUPPORT: a path; EINVAL: no address at all.
pub fn parse(text: &str) -> Result<SocketAddrV4> {
    let unknown = if text.starts_with('/') { EAFNOSUPPORT } else { EINVAL };
    text.parse().map_err(|_| Error::new(unknown))
}

/// As text; none for none.
pub fn text(address: Option<SocketAddrV4>) -> String {
    address.map_or_else(String::new, |address| format!("{address}"))
}

/// As the stack has it.
pub fn endpoint(address: SocketAddrV4) -> IpEndpoint {
    IpEndpoint::new(IpAddress::Ipv4(*address.ip()), address.port())
}

/// From what the stack has.
pub fn from_endpoint(endpoint: IpEndpoint) -> SocketAddrV4 {
    let IpAddress::Ipv4(ip) = endpoint.addr;
    SocketAddrV4::new(ip, endpoint.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_four_numbers_and_a_port() {
        let address = parse("10.0.2.15:80").unwrap();
        assert_eq!(text(Some(address)), "10.0.2.15:80");
        assert_eq!(from_endpoint(endpoint(address)), address);
        assert_eq!(text(None), "");
        assert_eq!(parse("/run/socket/a"), Err(Error::new(EAFNOSUPPORT)));
        for bad in ["", "10.0.2.15", "10.0.2:80", "10.0.2.15:65536", "10.0.2.15:-1", " 1.2.3.4:5"] {
            assert_eq!(parse(bad), Err(Error::new(EINVAL)), "{bad}");
        }
    }
}
