//! Port numbers: who has which.

use crate::socket::Kind;
use abi::error::{EADDRINUSE, Error, Result};
use alloc::collections::BTreeSet;
use core::net::{Ipv4Addr, SocketAddrV4};
use driver_sdk::sockets::Id;

/// Ports that are given to who does not name one.
pub const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;

/// The addresses that sockets have, and where the next port is looked for.
#[derive(Debug)]
pub struct Ports {
    had: BTreeSet<(Kind, u16, Ipv4Addr, Id)>,
    next: u16,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { had: BTreeSet::new(), next: *EPHEMERAL.start() }
    }
}

impl Ports {
    /// A socket has an address from now on.
    pub fn take(&mut self, kind: Kind, address: SocketAddrV4, id: Id) {
        self.had.insert((kind, address.port(), *address.ip(), id));
    }

    /// It has it no longer.
    pub fn give_back(&mut self, kind: Kind, address: SocketAddrV4, id: Id) {
        self.had.remove(&(kind, address.port(), *address.ip(), id));
    }

    /// Whether an address cannot be had: another socket has the same port, and the same address or all addresses.
    pub fn is_had(&self, kind: Kind, address: SocketAddrV4) -> bool {
        let (port, ip) = (address.port(), *address.ip());
        let has = |first, last| {
            self.had.range((kind, port, first, Id::MIN)..=(kind, port, last, Id::MAX)).next().is_some()
        };
        let any = Ipv4Addr::UNSPECIFIED;
        if ip == any { has(any, Ipv4Addr::BROADCAST) } else { has(ip, ip) || has(any, any) }
    }

    /// The address that a socket gets which asks for this one, where port 0 leaves the choice: one that nobody has, and that is
    /// not `spent`. EADDRINUSE.
    pub fn choose(
        &mut self,
        kind: Kind,
        wanted: SocketAddrV4,
        mut is_spent: impl FnMut(SocketAddrV4) -> bool,
    ) -> Result<SocketAddrV4> {
        if wanted.port() != 0 {
            return if self.is_had(kind, wanted) { Err(Error::new(EADDRINUSE)) } else { Ok(wanted) };
        }
        for _ in EPHEMERAL {
            let port = self.next;
            self.next = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            let address = SocketAddrV4::new(*wanted.ip(), port);
            if !self.is_had(kind, address) && !is_spent(address) {
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
        for (had, free) in [(all, None), (one, Some(other)), (other, Some(one))] {
            let mut ports = Ports::default();
            ports.take(Kind::Stream, had, 7);
            for wanted in [all, one, other] {
                assert_eq!(ports.is_had(Kind::Stream, wanted), Some(wanted) != free, "{had} {wanted}");
                assert!(!ports.is_had(Kind::Datagram, wanted), "other ports");
            }
            assert!(!ports.is_had(Kind::Stream, address([0; 4], 81)));
            ports.give_back(Kind::Stream, had, 7);
            assert!(!ports.is_had(Kind::Stream, all));
        }
    }

    #[test]
    fn who_does_not_choose_gets_a_free_port() {
        let mut ports = Ports::default();
        let wanted = address([0; 4], 0);
        let choose = |ports: &mut Ports, wanted, spent: &dyn Fn(u16) -> bool| {
            ports.choose(Kind::Stream, wanted, |at| spent(at.port()))
        };
        let first = choose(&mut ports, wanted, &|_| false).unwrap();
        let second = choose(&mut ports, wanted, &|_| false).unwrap();
        assert!(EPHEMERAL.contains(&first.port()) && second.port() != first.port());
        let free = choose(&mut ports, wanted, &|port| port != 50_000).unwrap();
        assert_eq!(free.port(), 50_000);
        assert_eq!(choose(&mut ports, wanted, &|_| true), Err(Error::new(EADDRINUSE)));
        ports.take(Kind::Stream, address([0; 4], 80), 1);
        assert_eq!(choose(&mut ports, address([0; 4], 80), &|_| false), Err(Error::new(EADDRINUSE)));
    }
}
