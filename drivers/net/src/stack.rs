//! The protocols: smoltcp over a port, twice. One interface has the sockets and sees packets; the other has the card's own
//! address, which it asks for and answers for, and sees frames.

use crate::address::endpoint;
use crate::port::{Card, Network, Port};
use abi::error::{EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH, ENOBUFS, Error, Result};
use abi::limits::FOREVER;
use alloc::vec;
use core::net::{Ipv4Addr, SocketAddrV4};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::{dhcpv4, tcp, udp};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpListenEndpoint, Ipv4Cidr};

/// Without an answer for so long a connection is lost, whether it is being made or has something to send.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Datagrams that one socket holds on their way out.
const DATAGRAMS: usize = 32;
/// When the stack says that it could go on and it cannot, it is asked again after so many ns.
const PAUSE: u64 = 1_000_000;

const LOOPBACK: Ipv4Cidr = Ipv4Cidr::new(Ipv4Addr::LOCALHOST, 8);

/// The stack.
pub struct Stack<C> {
    interface: Interface,
    port: Port<C>,
    set: SocketSet<'static>,
    /// What has the card's own address, with its one socket.
    link: Interface,
    link_set: SocketSet<'static>,
    dhcp: SocketHandle,
    now: Instant,
}

fn instant(now: u64) -> Instant {
    Instant::from_micros(i64::try_from(now / 1000).unwrap_or(i64::MAX))
}

impl<C: Card> Stack<C> {
    /// A stack over a card. `seed` is what numbers are made from that outsiders should not guess.
    pub fn new(card: C, seed: u64, now: u64) -> Stack<C> {
        let mut port = Port::new(card);
        let now = instant(now);
        let mac = EthernetAddress(port.card.mac());
        let config = |address| {
            let mut config = Config::new(address);
            config.random_seed = seed;
            config
        };
        let interface = Interface::new(config(HardwareAddress::Ip), &mut port, now);
        let link = Interface::new(config(mac.into()), &mut port.link(), now);
        let mut link_set = SocketSet::new(vec![]);
        let dhcp = link_set.add(dhcpv4::Socket::new());
        let mut stack = Stack { interface, port, set: SocketSet::new(vec![]), link, link_set, dhcp, now };
        stack.set_network(None);
        stack
    }

    /// The card and what is before it.
    pub fn port(&self) -> &Port<C> {
        &self.port
    }

    /// The same.
    pub fn port_mut(&mut self) -> &mut Port<C> {
        &mut self.port
    }

    /// The time that it goes by.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// It is `now`, monotonic ns.
    pub fn set_time(&mut self, now: u64) {
        self.now = instant(now);
        self.port.set_time(self.now);
    }

    /// Address of the card, when it has one.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.port.network().map(|network| network.own.address())
    }

    fn set_network(&mut self, network: Option<Network>) {
        self.port.set_network(network);
        let own = network.map(|network| network.own);
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // There is room for two. The first is what others see when no other is nearer to them.
            for cidr in own.into_iter().chain([LOOPBACK]) {
                _ = addresses.push(IpCidr::Ipv4(cidr));
            }
        });
        self.link.update_ip_addrs(|addresses| {
            addresses.clear();
            _ = own.map(|cidr| addresses.push(IpCidr::Ipv4(cidr)));
        });
        // Who leases addresses may be behind the router.
        let routes = self.link.routes_mut();
        match network.and_then(|network| network.router) {
            // There is room for it.
            Some(router) => _ = routes.add_default_ipv4_route(router),
            None => _ = routes.remove_default_ipv4_route(),
        }
    }

    /// The next frame or packet, for [`Stack::take_in`]: whether there was one.
    pub fn hear(&mut self) -> bool {
        self.port.hear()
    }

    /// Takes in what was heard.
    pub fn take_in(&mut self) {
        self.interface.poll_ingress_single(self.now, &mut self.port, &mut self.set);
        self.link.poll_ingress_single(self.now, &mut self.port.link(), &mut self.link_set);
    }

    /// Sends what there is to send, one packet for each socket: whether anything changed.
    pub fn send_out(&mut self) -> bool {
        self.port.look_after_neighbors();
        let sent = self.interface.poll_egress(self.now, &mut self.port, &mut self.set);
        let asked = self.link.poll_egress(self.now, &mut self.port.link(), &mut self.link_set);
        let leased = self.look_at_lease();
        sent != PollResult::None || asked != PollResult::None || leased
    }

    /// Whether the card has another address than before.
    fn look_at_lease(&mut self) -> bool {
        let network = match self.link_set.get_mut::<dhcpv4::Socket>(self.dhcp).poll() {
            None => return false,
            Some(dhcpv4::Event::Configured(config)) => {
                Some(Network { own: config.address, router: config.router })
            }
            Some(dhcpv4::Event::Deconfigured) => None,
        };
        self.set_network(network);
        true
    }

    /// When it has something to do without being asked, in monotonic ns.
    pub fn deadline(&mut self) -> u64 {
        // Without room the card's interrupt says when to go on.
        if !self.port.has_room() {
            return FOREVER;
        }
        let sockets = self.interface.poll_at(self.now, &self.set);
        let link = self.link.poll_at(self.now, &self.link_set);
        let neighbors = self.port.look_after_neighbors();
        let Some(at) = [sockets, link, neighbors].into_iter().flatten().min() else { return FOREVER };
        let ns = |instant: Instant| u64::try_from(instant.total_micros()).unwrap_or(0).saturating_mul(1000);
        ns(at).max(ns(self.now) + PAUSE)
    }

    /// The address from which this one is spoken to, by a socket that has `bound`, if any. ENETUNREACH: there is none yet, or it
    /// is of many, or this machine's inside and the other's outside.
    pub fn source_for(&self, remote: Ipv4Addr, bound: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
        let network = self.port.network();
        let is_of_many = remote.is_broadcast()
            || remote.is_multicast()
            || network.is_some_and(|network| network.is_of_many(remote));
        let is_inside = remote.is_loopback();
        if is_of_many || is_inside && remote != Ipv4Addr::LOCALHOST {
            return Err(Error::new(ENETUNREACH));
        }
        let bound = bound.filter(|bound| !bound.is_unspecified());
        if bound.is_some_and(|bound| bound.is_loopback()) && !self.port.is_own(remote) {
            return Err(Error::new(ENETUNREACH));
        }
        let own = if is_inside { Some(Ipv4Addr::LOCALHOST) } else { self.address() };
        bound.or(own).ok_or(Error::new(ENETUNREACH))
    }

    /// Whether an address is one of this machine, or all of them. EADDRNOTAVAIL.
    pub fn check_own(&self, address: Ipv4Addr) -> Result<()> {
        let is_own = address.is_unspecified() || self.port.is_own(address);
        if is_own { Ok(()) } else { Err(Error::new(EADDRNOTAVAIL)) }
    }

    /// A new TCP socket with such buffers. ENOBUFS.
    pub fn add_tcp(&mut self, receive: usize, send: usize) -> Result<SocketHandle> {
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(room(receive)?), tcp::SocketBuffer::new(room(send)?));
        socket.set_timeout(Some(PATIENCE));
        Ok(self.set.add(socket))
    }

    /// A new UDP socket at an address. ENOBUFS.
    pub fn add_udp(&mut self, local: SocketAddrV4, receive: usize, send: usize) -> Result<SocketHandle> {
        let metadata = || vec![udp::PacketMetadata::EMPTY; DATAGRAMS];
        let receive = udp::PacketBuffer::new(metadata(), room(receive)?);
        let mut socket = udp::Socket::new(receive, udp::PacketBuffer::new(metadata(), room(send)?));
        socket.bind(listen_endpoint(local)).map_err(|_| Error::new(EADDRINUSE))?;
        Ok(self.set.add(socket))
    }

    /// A socket of TCP.
    pub fn tcp(&self, handle: SocketHandle) -> &tcp::Socket<'static> {
        self.set.get(handle)
    }

    /// The same.
    pub fn tcp_mut(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.set.get_mut(handle)
    }

    /// A socket of UDP.
    pub fn udp(&self, handle: SocketHandle) -> &udp::Socket<'static> {
        self.set.get(handle)
    }

    /// The same.
    pub fn udp_mut(&mut self, handle: SocketHandle) -> &mut udp::Socket<'static> {
        self.set.get_mut(handle)
    }

    /// Nobody needs a socket any more. What it has not sent is not sent.
    pub fn remove(&mut self, handle: SocketHandle) {
        self.set.remove(handle);
    }

    /// Has a socket wait for a connection.
    pub fn listen(&mut self, handle: SocketHandle, local: SocketAddrV4) -> Result<()> {
        self.tcp_mut(handle).listen(listen_endpoint(local)).map_err(|_| Error::new(EADDRNOTAVAIL))
    }

    /// Begins a connection.
    pub fn connect(&mut self, handle: SocketHandle, local: SocketAddrV4, remote: SocketAddrV4) -> Result<()> {
        let socket = self.set.get_mut::<tcp::Socket>(handle);
        let begun = socket.connect(self.interface.context(), endpoint(remote), endpoint(local));
        begun.map_err(|_| Error::new(EADDRNOTAVAIL))
    }
}

fn listen_endpoint(local: SocketAddrV4) -> IpListenEndpoint {
    let addr = Some(*local.ip()).filter(|ip| !ip.is_unspecified()).map(IpAddress::Ipv4);
    IpListenEndpoint { addr, port: local.port() }
}

/// Memory for a buffer. ENOBUFS.
fn room(bytes: usize) -> Result<alloc::vec::Vec<u8>> {
    let mut buffer = alloc::vec::Vec::new();
    buffer.try_reserve_exact(bytes).map_err(|_| Error::new(ENOBUFS))?;
    buffer.resize(bytes, 0);
    Ok(buffer)
}
