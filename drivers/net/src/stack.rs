//! The protocols: smoltcp over a port.

use crate::address::endpoint;
use crate::port::{Card, Port};
use abi::error::{EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH, ENOBUFS, Error, Result};
use abi::limits::FOREVER;
use alloc::vec;
use core::net::{Ipv4Addr, SocketAddrV4};
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::{dhcpv4, tcp, udp};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpListenEndpoint, Ipv4Cidr};

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
    dhcp: SocketHandle,
    now: Instant,
    address: Option<Ipv4Addr>,
}

fn instant(now: u64) -> Instant {
    Instant::from_micros(i64::try_from(now / 1000).unwrap_or(i64::MAX))
}

impl<C: Card> Stack<C> {
    /// A stack over a card. `seed` is what numbers are made from that outsiders should not guess.
    pub fn new(card: C, seed: u64, now: u64) -> Stack<C> {
        let mut config = Config::new(EthernetAddress(card.mac()).into());
        config.random_seed = seed;
        let mut port = Port::new(card);
        let now = instant(now);
        let interface = Interface::new(config, &mut port, now);
        let mut set = SocketSet::new(vec![]);
        let dhcp = set.add(dhcpv4::Socket::new());
        let mut stack = Stack { interface, port, set, dhcp, now, address: None };
        stack.set_address(None);
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
    }

    /// Address of the card, when it has one.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.address
    }

    fn set_address(&mut self, cidr: Option<Ipv4Cidr>) {
        self.address = cidr.map(|cidr| cidr.address());
        self.port.own = self.address.into_iter().chain([Ipv4Addr::LOCALHOST]).collect();
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // There is room for two. The first is what others see when no other is nearer to them.
            for cidr in cidr.into_iter().chain([LOOPBACK]) {
                _ = addresses.push(IpCidr::Ipv4(cidr));
            }
        });
    }

    /// Takes one frame in: whether there was one.
    pub fn take_in(&mut self) -> bool {
        let result = self.interface.poll_ingress_single(self.now, &mut self.port, &mut self.set);
        result != PollIngressSingleResult::None
    }

    /// Sends what there is to send, one frame for each socket: whether anything changed.
    pub fn send_out(&mut self) -> bool {
        let result = self.interface.poll_egress(self.now, &mut self.port, &mut self.set);
        let leased = self.look_at_lease();
        result != PollResult::None || leased
    }

    /// Whether the card has another address than before.
    fn look_at_lease(&mut self) -> bool {
        match self.set.get_mut::<dhcpv4::Socket>(self.dhcp).poll() {
            None => return false,
            Some(dhcpv4::Event::Configured(config)) => {
                let (address, router) = (config.address, config.router);
                self.set_address(Some(address));
                let routes = self.interface.routes_mut();
                match router {
                    // There is room for it.
                    Some(router) => _ = routes.add_default_ipv4_route(router),
                    None => _ = routes.remove_default_ipv4_route(),
                }
            }
            Some(dhcpv4::Event::Deconfigured) => {
                self.set_address(None);
                self.interface.routes_mut().remove_default_ipv4_route();
            }
        }
        true
    }

    /// When it has something to do without being asked, in monotonic ns.
    pub fn deadline(&mut self) -> u64 {
        // Without room the card's interrupt says when to go on.
        if !self.port.has_room() {
            return FOREVER;
        }
        let Some(at) = self.interface.poll_at(self.now, &self.set) else { return FOREVER };
        let ns = |instant: Instant| u64::try_from(instant.total_micros()).unwrap_or(0).saturating_mul(1000);
        ns(at).max(ns(self.now) + PAUSE)
    }

    /// The address from which this one is spoken to. ENETUNREACH: there is none yet, or it is of many.
    pub fn source_for(&self, remote: Ipv4Addr) -> Result<Ipv4Addr> {
        if remote.is_broadcast() || remote.is_multicast() {
            return Err(Error::new(ENETUNREACH));
        }
        let own = if remote.is_loopback() { Some(Ipv4Addr::LOCALHOST) } else { self.address };
        own.ok_or(Error::new(ENETUNREACH))
    }

    /// Whether an address is one of this machine, or all of them. EADDRNOTAVAIL.
    pub fn check_own(&self, address: Ipv4Addr) -> Result<()> {
        let is_own = address.is_unspecified() || self.port.own.contains(&address);
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
