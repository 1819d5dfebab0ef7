//! Between the stack and the card: what this machine sends to itself turns round here, and what nobody may send from outside
//! is dropped.

use crate::card::FRAME;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{
    ArpOperation, ArpPacket, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket,
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

/// Frames to this machine itself that are on their way, at most.
const TURNED: usize = 256;

/// The card, and the way back to this machine.
pub struct Port<C> {
    /// The card.
    pub card: C,
    /// Addresses of this machine.
    pub own: Vec<Ipv4Addr>,
    /// Ports whose listeners have no room: a first segment to one is dropped, and its sender tries again.
    pub full: BTreeSet<u16>,
    turned: VecDeque<Vec<u8>>,
    counters: Counters,
}

/// What went through a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames from the card.
    pub received: u64,
    /// Frames to the card.
    pub sent: u64,
    /// Frames to this machine itself.
    pub turned: u64,
    /// Frames that were dropped.
    pub dropped: u64,
}

impl<C: Card> Port<C> {
    /// A port over a card.
    pub fn new(card: C) -> Port<C> {
        Port {
            card,
            own: Vec::new(),
            full: BTreeSet::new(),
            turned: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// What it did.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether frames can be sent.
    pub fn has_room(&self) -> bool {
        self.card.has_room() && self.turned.len() < TURNED
    }

    /// Whether there are frames to this machine itself.
    pub fn has_turned(&self) -> bool {
        !self.turned.is_empty()
    }

    /// The next frame that is for the stack to see.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let (frame, is_own) = match self.turned.pop_front() {
                Some(frame) => (frame, true),
                None => {
                    let frame = self.card.receive()?;
                    self.counters.received += 1;
                    (frame, false)
                }
            };
            if !self.is_dropped(&frame, is_own) {
                return Some(frame);
            }
            self.counters.dropped += 1;
        }
    }

    fn is_dropped(&self, frame: &[u8], is_own: bool) -> bool {
        let Ok(ethernet) = EthernetFrame::new_checked(frame) else { return true };
        if ethernet.ethertype() != EthernetProtocol::Ipv4 {
            return false;
        }
        let Ok(ip) = Ipv4Packet::new_checked(ethernet.payload()) else { return true };
        if !is_own && (ip.src_addr().is_loopback() || ip.dst_addr().is_loopback()) {
            return true;
        }
        if self.full.is_empty() || ip.next_header() != IpProtocol::Tcp {
            return false;
        }
        TcpPacket::new_checked(ip.payload())
            .is_ok_and(|tcp| tcp.syn() && !tcp.ack() && self.full.contains(&tcp.dst_port()))
    }

    fn transmit_frame(&mut self, frame: Vec<u8>) {
        if self.is_own(&frame) {
            self.counters.turned += 1;
            self.turned.push_back(frame);
        } else {
            self.counters.sent += 1;
            self.card.send(&frame);
        }
    }

    /// Whether a frame is for this machine: for its address, or the question whose one of its addresses is.
    fn is_own(&self, frame: &[u8]) -> bool {
        let Ok(ethernet) = EthernetFrame::new_checked(frame) else { return false };
        if ethernet.dst_addr().0 == self.card.mac() {
            return true;
        }
        if ethernet.ethertype() != EthernetProtocol::Arp {
            return false;
        }
        let Ok(arp) = ArpPacket::new_checked(ethernet.payload()) else { return false };
        let target: Option<[u8; 4]> = arp.target_protocol_addr().try_into().ok();
        arp.operation() == ArpOperation::Request
            && target.is_some_and(|target| self.own.contains(&Ipv4Addr::from(target)))
    }
}

/// A frame for the stack.
pub struct Arrived(Vec<u8>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, act: F) -> R {
        act(&self.0)
    }
}

/// The place of a frame from the stack.
pub struct Leaving<'a, C>(&'a mut Port<C>);

impl<C: Card> TxToken for Leaving<'_, C> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, act: F) -> R {
        let mut frame = vec![0; length];
        let result = act(&mut frame);
        self.0.transmit_frame(frame);
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
        // What is received may have to be answered.
        if !self.card.has_room() {
            return None;
        }
        let frame = self.next()?;
        Some((Arrived(frame), Leaving(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_, C>> {
        self.has_room().then_some(Leaving(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }
}
