//! Port numbers: who has which.

use crate::socket::Kind;
use abi::error::{EADDRINUSE, Error, Result};
use alloc::collections::BTreeMap;
use core::net::{Ipv4Addr, SocketAddrV4};
use driver_sdk::sockets::Id;

/// Ports that are given to who does not name one.
pub const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;

/// The addresses that sockets have, and where the next port is looked for.
#[derive(Debug)]
pub struct Ports {
    /// With whether others may have the same.
    had: BTreeMap<(Kind, u16, Ipv4Addr, Id), bool>,
    next: u16,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { had: BTreeMap::new(), next: *EPHEMERAL.start() }
    }
}

impl Ports {
    /// A socket has an address from now on, with others that share it or alone.
    pub fn take(&mut self, kind: Kind, address: SocketAddrV4, id: Id, shares: bool) {
        self.had.insert((kind, address.port(), *address.ip(), id), shares);
    }

    /// It has it no longer.
    pub fn give_back(&mut self, kind: Kind, address: SocketAddrV4, id: Id) {
        self.had.remove(&(kind, address.port(), *address.ip(), id));
    }

    /// Whether an address cannot be had: another socket has the same port, and the same address or all addresses, and not both
    /// share it.
    pub fn is_had(&self, kind: Kind, address: SocketAddrV4, shares: bool) -> bool {
        let (port, ip) = (address.port(), *address.ip());
        let has = |first, last| {
            let mut range = self.had.range((kind, port, first, Id::MIN)..=(kind, port, last, Id::MAX));
            range.any(|(_, &also)| !(shares && also))
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
        shares: bool,
        mut is_spent: impl FnMut(SocketAddrV4) -> bool,
    ) -> Result<SocketAddrV4> {
        if wanted.port() != 0 {
            return if self.is_had(kind, wanted, shares) { Err(Error::new(EADDRINUSE)) } else { Ok(wanted) };
        }
        for _ in EPHEMERAL {
            let port = self.next;
            self.next = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            let address = SocketAddrV4::new(*wanted.ip(), port);
            if !self.is_had(kind, address, false) && !is_spent(address) {
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
            ports.take(Kind::Stream, had, 7, false);
            for wanted in [all, one, other] {
                assert_eq!(ports.is_had(Kind::Stream, wanted, true), Some(wanted) != free, "{had} {wanted}");
                assert!(!ports.is_had(Kind::Datagram, wanted, false), "other ports");
            }
            assert!(!ports.is_had(Kind::Stream, address([0; 4], 81), false));
            ports.give_back(Kind::Stream, had, 7);
            assert!(!ports.is_had(Kind::Stream, all, false));
        }
    }

    #[test]
    fn an_address_is_shared_by_those_who_all_share_it() {
        let (all, one) = (address([0; 4], 80), address([127, 0, 0, 1], 80));
        let mut ports = Ports::default();
        ports.take(Kind::Stream, all, 1, true);
        ports.take(Kind::Stream, one, 2, true);
        assert!(!ports.is_had(Kind::Stream, one, true) && ports.is_had(Kind::Stream, one, false));
        ports.take(Kind::Stream, one, 3, false);
        assert!(ports.is_had(Kind::Stream, all, true) && ports.is_had(Kind::Stream, one, true));
        assert!(!ports.is_had(Kind::Stream, address([10, 0, 2, 15], 80), true), "1 shares");
    }

    #[test]
    fn who_does_not_choose_gets_a_free_port() {
        let mut ports = Ports::default();
        let wanted = address([0; 4], 0);
        let choose = |ports: &mut Ports, wanted, spent: &dyn Fn(u16) -> bool| {
            ports.choose(Kind::Stream, wanted, false, |at| spent(at.port()))
        };
        let first = choose(&mut ports, wanted, &|_| false).unwrap();
        let second = choose(&mut ports, wanted, &|_| false).unwrap();
        assert!(EPHEMERAL.contains(&first.port()) && second.port() != first.port());
        let free = choose(&mut ports, wanted, &|port| port != 50_000).unwrap();
        assert_eq!(free.port(), 50_000);
        assert_eq!(choose(&mut ports, wanted, &|_| true), Err(Error::new(EADDRINUSE)));
        ports.take(Kind::Stream, address([0; 4], 80), 1, false);
        assert_eq!(choose(&mut ports, address([0; 4], 80), &|_| false), Err(Error::new(EADDRINUSE)));
    }
}
