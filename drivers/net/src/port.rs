//! Between the stack and the card: packets in frames, to whom they go, what this machine sends to itself, which turns round
//! here, and what nobody may send from outside, which is dropped.

use crate::card::FRAME;
use crate::neighbors::{Neighbors, Way, question};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{
    ArpPacket, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Cidr,
    Ipv4Packet, UdpPacket,
};
use virtio::Fault;

/// A card that carries frames of Ethernet.
pub trait Card {
    /// Its address.
    fn mac(&self) -> [u8; 6];
    /// Switches it on.
    fn start(&mut self);
    /// It interrupted: buffers of what was sent are free again.
    fn interrupted(&mut self);
    /// The next frame that came.
    fn receive(&mut self) -> Option<Vec<u8>>;
    /// Whether a frame can be sent.
    fn has_room(&self) -> bool;
    /// Sends a frame; without room it is lost.
    fn send(&mut self, frame: &[u8]);
    /// Tells the device what it was given.
    fn flush(&mut self);
    /// What it did wrong, after which it is not believed.
    fn fault(&self) -> Option<Fault>;
}

/// Packets to this machine itself that are on their way, at most.
const TURNED: usize = 256;
/// Bytes before the packet in a frame.
const HEADER: usize = EthernetFrame::<&[u8]>::header_len();
/// All of this machine, which is one.
const LOOPBACK_BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
/// Where who asks for an address is answered (RFC 2131).
const DHCP_CLIENT: u16 = 68;

/// The network that the card is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// The card's address, and which are on its network.
    pub own: Ipv4Cidr,
    /// Who leads to the others.
    pub router: Option<Ipv4Addr>,
}

/// The card, and the way back to this machine.
pub struct Port<C> {
    /// The card.
    pub card: C,
    network: Option<Network>,
    neighbors: Neighbors,
    now: Instant,
    turned: VecDeque<Vec<u8>>,
    /// The packet that the stack sees next.
    packet: Option<Vec<u8>>,
    /// The frame that is about the card's own address.
    frame: Option<Vec<u8>>,
    counters: Counters,
}

/// What went through a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames from the card.
    pub received: u64,
    /// Frames to the card.
    pub sent: u64,
    /// Packets to this machine itself.
    pub turned: u64,
    /// What was dropped.
    pub dropped: u64,
}

impl<C: Card> Port<C> {
    /// A port over a card.
    pub fn new(card: C) -> Port<C> {
        Port {
            card,
            network: None,
            neighbors: Neighbors::default(),
            now: Instant::ZERO,
            turned: VecDeque::new(),
            packet: None,
            frame: None,
            counters: Counters::default(),
        }
    }

    /// What it did.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The network that the card is on, if it has an address there.
    pub fn network(&self) -> Option<Network> {
        self.network
    }

    /// The card is on another network, or on none.
    pub fn set_network(&mut self, network: Option<Network>) {
        if self.network != network {
            self.network = network;
            self.neighbors.clear();
        }
    }

    /// Whether frames can be sent.
    pub fn has_room(&self) -> bool {
        self.card.has_room() && self.turned.len() < TURNED
    }

    /// Whether there are packets to this machine itself.
    pub fn has_turned(&self) -> bool {
        !self.turned.is_empty()
    }

    /// Whether an address is this machine's.
    pub fn is_own(&self, address: Ipv4Addr) -> bool {
        address == Ipv4Addr::LOCALHOST || self.network.is_some_and(|network| network.own.address() == address)
    }

    /// Whether an address is nobody's in particular.
    pub fn is_of_many(&self, address: Ipv4Addr) -> bool {
        let of_network = self.network.and_then(|network| network.own.broadcast()) == Some(address);
        address.is_broadcast() || address.is_multicast() || of_network || address == LOOPBACK_BROADCAST
    }

    /// It is `now`.
    pub fn set_time(&mut self, now: Instant) {
        self.now = now;
    }

    /// Neighbours that have not answered are asked for again. When there is something to do about them next.
    pub fn look_after_neighbors(&mut self) -> Option<Instant> {
        for address in self.neighbors.expired(self.now) {
            self.ask(address);
        }
        self.neighbors.deadline()
    }

    /// Takes the next packet or frame, for the stack to see: whether there was one. What is received may have to be answered:
    /// without room for that nothing is taken.
    pub fn hear(&mut self) -> bool {
        if !self.card.has_room() {
            return false;
        }
        if let Some(packet) = self.turned.pop_front() {
            self.packet = Some(packet);
            return true;
        }
        let Some(frame) = self.card.receive() else { return false };
        self.counters.received += 1;
        self.hear_frame(frame);
        self.counters.dropped += u64::from(self.packet.is_none() && self.frame.is_none());
        true
    }

    fn hear_frame(&mut self, mut frame: Vec<u8>) {
        let Ok(ethernet) = EthernetFrame::new_checked(&frame[..]) else { return };
        let (kind, to) = (ethernet.ethertype(), ethernet.dst_addr());
        if to.0 != self.card.mac() && !to.is_broadcast() {
            return;
        }
        if kind == EthernetProtocol::Arp {
            if let Some((at, waiting)) = self.neighbors.hear(ethernet.payload(), self.now) {
                waiting.iter().for_each(|packet| self.send(at, EthernetProtocol::Ipv4, packet));
            }
            self.frame = Some(frame);
            return;
        }
        let Some(ip) = ipv4(ethernet.payload()).filter(|_| kind == EthernetProtocol::Ipv4) else { return };
        // What this machine says to itself does not come from outside.
        let is_local =
            ip.src_addr().is_loopback() || ip.dst_addr().is_loopback() || self.is_own(ip.src_addr());
        if is_local {
            return;
        }
        let leases = ip.next_header() == IpProtocol::Udp
            && UdpPacket::new_checked(ip.payload()).is_ok_and(|udp| udp.dst_port() == DHCP_CLIENT);
        if leases {
            self.frame = Some(frame);
        } else if !to.is_broadcast() {
            self.packet = Some(frame.split_off(HEADER));
        }
    }

    /// The packet that was heard.
    pub fn packet(&self) -> Option<&[u8]> {
        self.packet.as_deref()
    }

    /// Whether what was heard is about the card's own address.
    pub fn has_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// Nobody takes the packet that was heard.
    pub fn drop_packet(&mut self) {
        self.counters.dropped += u64::from(self.packet.take().is_some());
    }

    /// A packet of the stack's: round here, to a neighbour, or nowhere.
    fn transmit(&mut self, packet: Vec<u8>) {
        let Some(to) = ipv4(&packet).map(|ip| ip.dst_addr()) else { return };
        if to.is_loopback() || self.is_own(to) {
            self.counters.turned += 1;
            self.turned.push_back(packet);
            return;
        }
        let Some(next) = self.network.and_then(|network| network.next(to)) else {
            self.counters.dropped += 1;
            return;
        };
        match self.neighbors.send(next, packet, self.now) {
            Way::To(at, packet) => self.send(at, EthernetProtocol::Ipv4, &packet),
            Way::Ask => self.ask(next),
            Way::Wait => {}
        }
    }

    fn ask(&mut self, wanted: Ipv4Addr) {
        let Some(network) = self.network else { return };
        let question = question(EthernetAddress(self.card.mac()), network.own.address(), wanted);
        let mut bytes = vec![0; question.buffer_len()];
        question.emit(&mut ArpPacket::new_unchecked(&mut bytes));
        self.send(EthernetAddress::BROADCAST, EthernetProtocol::Arp, &bytes);
    }

    fn send(&mut self, dst_addr: EthernetAddress, ethertype: EthernetProtocol, payload: &[u8]) {
        let mut frame = vec![0; HEADER + payload.len()];
        let header = EthernetRepr { src_addr: EthernetAddress(self.card.mac()), dst_addr, ethertype };
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        frame[HEADER..].copy_from_slice(payload);
        self.counters.sent += 1;
        self.card.send(&frame);
    }

    /// The card as what asks for its own address sees it: in frames, and only those that are about that.
    pub fn link(&mut self) -> Link<'_, C> {
        Link(self)
    }
}

impl Network {
    /// Who is next on the way to an address.
    fn next(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        if self.own.contains_addr(&to) { Some(to) } else { self.router }
    }
}

fn ipv4(packet: &[u8]) -> Option<Ipv4Packet<&[u8]>> {
    Ipv4Packet::new_checked(packet).ok()
}

/// A packet or frame for the stack.
pub struct Arrived(Vec<u8>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, act: F) -> R {
        act(&self.0)
    }
}

/// The place of a packet from the stack.
pub struct Leaving<'a, C>(&'a mut Port<C>);

impl<C: Card> TxToken for Leaving<'_, C> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, act: F) -> R {
        let mut packet = vec![0; length];
        let result = act(&mut packet);
        self.0.transmit(packet);
        result
    }
}

impl<C: Card> Device for Port<C> {
    type RxToken<'a>
        = Arrived
    where
        C: 'a;
    type TxToken<'a>
        = Leaving<'a, C>
    where
        C: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Leaving<'_, C>)> {
        let packet = self.packet.take()?;
        Some((Arrived(packet), Leaving(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_, C>> {
        self.has_room().then_some(Leaving(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = FRAME - HEADER;
        capabilities
    }
}

/// See [`Port::link`].
pub struct Link<'a, C>(&'a mut Port<C>);

/// The place of a frame.
pub struct LeavingFrame<'a, C>(&'a mut Port<C>);

impl<C: Card> TxToken for LeavingFrame<'_, C> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, act: F) -> R {
        let mut frame = vec![0; length];
        let result = act(&mut frame);
        self.0.counters.sent += 1;
        self.0.card.send(&frame);
        result
    }
}

impl<C: Card> Device for Link<'_, C> {
    type RxToken<'a>
        = Arrived
    where
        Self: 'a;
    type TxToken<'a>
        = LeavingFrame<'a, C>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, LeavingFrame<'_, C>)> {
        let frame = self.0.frame.take()?;
        Some((Arrived(frame), LeavingFrame(self.0)))
    }

    fn transmit(&mut self, _: Instant) -> Option<LeavingFrame<'_, C>> {
        self.0.card.has_room().then_some(LeavingFrame(self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }
}
