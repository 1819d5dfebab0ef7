//! The protocols: smoltcp over a port, twice. One interface has the sockets and sees packets; the other has the card's own
//! address, which it asks for and answers for, and sees frames.
//!
//! What a packet or an act costs does not depend on how many sockets there are: each is alone in its set, a packet is led to the
//! one that it is for ([`places`]), and only those that have something to do are asked for packets ([`egress`](self)).

mod egress;
pub mod places;
mod table;

use crate::address::{endpoint, from_endpoint};
use crate::heading::{Content, Heading};
use crate::port::{Card, Network, Port};
use abi::error::{EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH, ENOBUFS, Error, Result};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::net::{Ipv4Addr, SocketAddrV4};
use driver_sdk::sockets::Id;
use places::{Place, Places, Way};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::{AnySocket, Socket, dhcpv4, tcp, udp};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpListenEndpoint, Ipv4Cidr};
use table::{Entry, Table};

pub use table::Handle;

/// Without an answer for so long a connection is lost, whether it is being made or has something to send.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Datagrams that one socket holds on their way out.
const DATAGRAMS: usize = 32;

/// Who is asked whether it has lost a connection is asked once more after so long.
const CHALLENGE: Duration = Duration::from_secs(90);

const LOOPBACK: Ipv4Cidr = Ipv4Cidr::new(Ipv4Addr::LOCALHOST, 8);

/// The stack.
pub struct Stack<C> {
    interface: Interface,
    port: Port<C>,
    table: Table,
    places: Places,
    /// Sockets whose [place](Places) is to be looked at.
    moved: Vec<Handle>,
    /// Those that may have something to send now, each once; who has sent goes to the end.
    queue: VecDeque<Handle>,
    /// Those that have something to do later.
    deadlines: BTreeSet<(Instant, Handle)>,
    /// Those to which something has happened, each once.
    changed: Vec<Handle>,
    /// For packets that are for none.
    nobody: SocketSet<'static>,
    /// What has the card's own address, with its one socket.
    link: Interface,
    link_set: SocketSet<'static>,
    dhcp: SocketHandle,
    /// When that has something to do.
    link_at: Option<Instant>,
    now: Instant,
    polls: u64,
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
        let mut stack = Stack {
            interface,
            port,
            table: Table::default(),
            places: Places::default(),
            moved: Vec::new(),
            queue: VecDeque::new(),
            deadlines: BTreeSet::new(),
            changed: Vec::new(),
            nobody: SocketSet::new(vec![]),
            link,
            link_set,
            dhcp,
            link_at: Some(now),
            now,
            polls: 0,
        };
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

    /// The card is on another network, or on none.
    pub fn set_network(&mut self, network: Option<Network>) {
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
        self.touch_all();
    }

    /// The next frame or packet, for [`Stack::take_in`]: whether there was one.
    pub fn hear(&mut self) -> bool {
        self.port.hear()
    }

    /// Takes in what was heard: for which socket it was.
    pub fn take_in(&mut self) -> Option<Handle> {
        if self.port.has_frame() {
            self.link.poll_ingress_single(self.now, &mut self.port.link(), &mut self.link_set);
            self.link_at = Some(self.now);
        }
        self.settle_places();
        let heading = self.port.packet().and_then(Heading::read);
        let way = heading.map_or(Way::Nobody, |heading| {
            self.places.find(&heading, self.port.is_of_many(*heading.to.ip()))
        });
        match way {
            Way::To(handle) => {
                self.polls += 1;
                let set = &mut self.table[handle].set;
                self.interface.poll_ingress_single(self.now, &mut self.port, set);
                self.touch(handle);
                if heading.is_some_and(|heading| heading.content == Content::First) {
                    self.challenge(handle);
                }
                self.note_change(handle);
                Some(handle)
            }
            Way::Full => {
                self.port.drop_packet();
                None
            }
            Way::Nobody => {
                self.interface.poll_ingress_single(self.now, &mut self.port, &mut self.nobody);
                None
            }
        }
    }

    /// Somebody begins a connection that there is already, of which the library takes no notice. The other side is asked whether
    /// it has lost it, as for SO_KEEPALIVE: if so it resets it, and is let in when it tries again (RFC 5961, 4.2).
    fn challenge(&mut self, handle: Handle) {
        let entry = &mut self.table[handle];
        let socket = entry.get_mut::<tcp::Socket>();
        let is_made =
            matches!(socket.state(), tcp::State::Established | tcp::State::FinWait2 | tcp::State::CloseWait);
        // Who asks anyway, or waits for an answer, comes to know it in time.
        if is_made && socket.keep_alive().is_none() {
            socket.set_keep_alive(Some(CHALLENGE));
            entry.is_challenged = true;
        }
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

    /// From whom and to whom the packet is that was heard, when it begins a connection for which a listener waits.
    pub fn begins(&mut self) -> Option<(SocketAddrV4, SocketAddrV4)> {
        let Heading { from, to, content } = self.port.packet().and_then(Heading::read)?;
        self.settle_places();
        let is_welcome = content == Content::First && matches!(self.places.listener(to), Way::To(_));
        is_welcome.then_some((from, to))
    }

    /// The connection between two addresses, seen from the first one.
    pub fn connection(&mut self, local: SocketAddrV4, remote: SocketAddrV4) -> Option<Handle> {
        self.settle_places();
        self.places.connection(local, remote)
    }

    /// Whether an address, or one of all addresses with its port, is that of a connection.
    pub fn is_spoken_to(&mut self, local: SocketAddrV4) -> bool {
        self.settle_places();
        self.places.is_spoken_to(local)
    }

    /// Whether a listener at an address has no room: a first segment to it is dropped, and its sender tries again.
    pub fn set_full(&mut self, listener: Id, at: SocketAddrV4, is_full: bool) {
        self.places.set_full(listener, at, is_full);
    }

    /// Whether a socket waits for a connection now: not while its listener has no room.
    pub fn set_waiting(&mut self, handle: Handle, waits: bool) {
        let Some(entry) = self.table.get_mut(handle) else { return };
        if mem::replace(&mut entry.is_apart, !waits) == waits {
            self.touch(handle);
        }
    }

    /// No packet is for a connection any more: its two addresses are another's from now on.
    pub fn set_apart(&mut self, handle: Handle) {
        self.table[handle].is_apart = true;
        self.touch(handle);
    }

    /// The address from which this one is spoken to, by a socket that has `bound`, if any. ENETUNREACH: there is none yet, or it
    /// is of many, or this machine's inside and the other's outside.
    pub fn source_for(&self, remote: Ipv4Addr, bound: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
        let is_of_many = self.port.is_of_many(remote);
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
    pub fn add_tcp(&mut self, receive: usize, send: usize) -> Result<Handle> {
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(room(receive)?), tcp::SocketBuffer::new(room(send)?));
        socket.set_timeout(Some(PATIENCE));
        Ok(self.add(socket))
    }

    /// A new UDP socket at an address. ENOBUFS.
    pub fn add_udp(&mut self, local: SocketAddrV4, receive: usize, send: usize) -> Result<Handle> {
        let metadata = || vec![udp::PacketMetadata::EMPTY; DATAGRAMS];
        let receive = udp::PacketBuffer::new(metadata(), room(receive)?);
        let mut socket = udp::Socket::new(receive, udp::PacketBuffer::new(metadata(), room(send)?));
        socket.bind(listen_endpoint(local)).map_err(|_| Error::new(EADDRINUSE))?;
        let handle = self.add(socket);
        self.touch(handle);
        Ok(handle)
    }

    fn add<T: AnySocket<'static>>(&mut self, socket: T) -> Handle {
        self.table.insert(Entry::new(socket))
    }

    /// A socket of TCP.
    pub fn tcp(&self, handle: Handle) -> &tcp::Socket<'static> {
        self.table[handle].get()
    }

    /// The same, of which something else is to be wanted.
    pub fn tcp_mut(&mut self, handle: Handle) -> &mut tcp::Socket<'static> {
        self.touch(handle);
        self.table[handle].get_mut()
    }

    /// A socket of UDP.
    pub fn udp(&self, handle: Handle) -> &udp::Socket<'static> {
        self.table[handle].get()
    }

    /// The same, of which something else is to be wanted.
    pub fn udp_mut(&mut self, handle: Handle) -> &mut udp::Socket<'static> {
        self.touch(handle);
        self.table[handle].get_mut()
    }

    /// Whose a socket is, if anybody's.
    pub fn owner(&self, handle: Handle) -> Option<u64> {
        self.table[handle].owner
    }

    /// It is another's.
    pub fn set_owner(&mut self, handle: Handle, owner: Option<u64>) {
        self.table[handle].owner = owner;
    }

    /// Nobody needs a socket any more. What it has not sent is not sent.
    pub fn remove(&mut self, handle: Handle) {
        let Some(entry) = self.table.remove(handle) else { return };
        if let Some(place) = entry.place {
            self.places.remove(place, handle);
        }
        if let Some(at) = entry.deadline {
            self.deadlines.remove(&(at, handle));
        }
    }

    /// Has a socket wait for a connection.
    pub fn listen(&mut self, handle: Handle, local: SocketAddrV4) -> Result<()> {
        self.tcp_mut(handle).listen(listen_endpoint(local)).map_err(|_| Error::new(EADDRNOTAVAIL))
    }

    /// Begins a connection.
    pub fn connect(&mut self, handle: Handle, local: SocketAddrV4, remote: SocketAddrV4) -> Result<()> {
        self.touch(handle);
        let socket = self.table[handle].get_mut::<tcp::Socket>();
        let begun = socket.connect(self.interface.context(), endpoint(remote), endpoint(local));
        begun.map_err(|_| Error::new(EADDRNOTAVAIL))
    }

    /// Writes down which packets the sockets are for of which that may be different now.
    fn settle_places(&mut self) {
        // In their order: who listens first is asked first.
        for handle in mem::take(&mut self.moved) {
            let Some(entry) = self.table.get_mut(handle) else { continue };
            entry.is_moved = false;
            let is = place(entry);
            let was = mem::replace(&mut entry.place, is);
            if was == is {
                continue;
            }
            if let Some(was) = was {
                self.places.remove(was, handle);
            }
            if let Some(is) = is {
                self.places.insert(is, handle);
            }
        }
    }
}

/// Which packets a socket is for.
fn place(entry: &Entry) -> Option<Place> {
    if entry.is_apart {
        return None;
    }
    let address = |at: IpListenEndpoint| {
        let ip = at.addr.map_or(Ipv4Addr::UNSPECIFIED, |IpAddress::Ipv4(ip)| ip);
        SocketAddrV4::new(ip, at.port)
    };
    match entry.socket()? {
        Socket::Udp(udp) => Some(Place::Datagrams(address(udp.endpoint()))),
        Socket::Tcp(tcp) => match tcp.state() {
            tcp::State::Closed => None,
            tcp::State::Listen => Some(Place::Listener(address(tcp.listen_endpoint()))),
            _ => Some(Place::Connection {
                local: from_endpoint(tcp.local_endpoint()?),
                remote: from_endpoint(tcp.remote_endpoint()?),
            }),
        },
        _ => None,
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
