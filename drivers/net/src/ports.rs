//! Port numbers: who has which.

use abi::error::{EADDRINUSE, Error, Result};
use core::net::{Ipv4Addr, SocketAddrV4};

/// Ports that are given to who does not name one.
pub const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;

/// Where the next port is looked for.
#[derive(Debug)]
pub struct Ports {
    next: u16,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { next: *EPHEMERAL.start() }
    }
}

/// Whether two addresses cannot be had by two sockets: the same port, and the same address or all addresses.
pub fn overlap(one: SocketAddrV4, other: SocketAddrV4) -> bool {
    let any = Ipv4Addr::UNSPECIFIED;
    one.port() == other.port() && (one.ip() == other.ip() || *one.ip() == any || *other.ip() == any)
}

impl Ports {
    /// The address that a socket gets which asks for this one, where port 0 leaves the choice. EADDRINUSE.
    pub fn choose(
        &mut self,
        wanted: SocketAddrV4,
        taken: impl Fn(SocketAddrV4) -> bool,
    ) -> Result<SocketAddrV4> {
        if wanted.port() != 0 {
            return if taken(wanted) { Err(Error::new(EADDRINUSE)) } else { Ok(wanted) };
        }
        for _ in EPHEMERAL {
            let port = self.next;
            self.next = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            let address = SocketAddrV4::new(*wanted.ip(), port);
            if !taken(address) {
                return Ok(address);
            }
        }
        Err(Error::new(EADDRINUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: [u8; 4], port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(ip.into(), port)
    }

    #[test]
    fn all_addresses_overlap_with_each() {
        let (all, one, other) =
            (address([0; 4], 80), address([127, 0, 0, 1], 80), address([10, 0, 2, 15], 80));
        assert!(overlap(all, one) && overlap(one, all) && overlap(one, one));
        assert!(!overlap(one, other) && !overlap(one, address([127, 0, 0, 1], 81)));
    }

    #[test]
    fn who_does_not_choose_gets_a_free_port() {
        let mut ports = Ports::default();
        let wanted = address([0; 4], 0);
        let first = ports.choose(wanted, |_| false).unwrap();
        let second = ports.choose(wanted, |_| false).unwrap();
        assert!(EPHEMERAL.contains(&first.port()) && second.port() != first.port());
        let free = ports.choose(wanted, |address| address.port() != 50_000).unwrap();
        assert_eq!(free.port(), 50_000);
        assert_eq!(ports.choose(wanted, |_| true), Err(Error::new(EADDRINUSE)));
        assert_eq!(ports.choose(address([0; 4], 80), |_| true), Err(Error::new(EADDRINUSE)));
    }
}
