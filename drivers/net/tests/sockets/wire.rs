//! A card on a wire that the test holds, and a server of addresses at its other end.

use crate::fake::Bench;
use net::driver::Service;
use net::port::Card;
use net::sockets::Sockets;
use net::stack::Stack;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame,
    EthernetProtocol, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber, UdpPacket, UdpRepr,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use virtio::Fault;

pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
/// Who speaks from outside.
pub const ROUTER: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];

/// What is on the wire.
#[derive(Default)]
pub struct Wire {
    pub to_card: VecDeque<Vec<u8>>,
    pub from_card: VecDeque<Vec<u8>>,
}

pub struct End(Rc<RefCell<Wire>>);

impl Card for End {
    fn mac(&self) -> [u8; 6] {
        MAC
    }
    fn start(&mut self) {}
    fn interrupted(&mut self) {}
    fn receive(&mut self) -> Option<Vec<u8>> {
        self.0.borrow_mut().to_card.pop_front()
    }
    fn has_room(&self) -> bool {
        true
    }
    fn send(&mut self, frame: &[u8]) {
        self.0.borrow_mut().from_card.push_back(frame.to_vec());
    }
    fn flush(&mut self) {}
    fn fault(&self) -> Option<Fault> {
        None
    }
}

pub struct Desk {
    pub bench: Bench<Service<End>>,
    pub wire: Rc<RefCell<Wire>>,
    now: u64,
}

impl Desk {
    pub fn new() -> Desk {
        let wire = Rc::new(RefCell::new(Wire::default()));
        let service = Service::new(Sockets::new(Stack::new(End(wire.clone()), 1, 0)));
        Desk { bench: Bench::new(service), wire, now: 0 }
    }

    /// What can happen now happens.
    pub fn settle(&mut self) {
        self.pass(5_000_000);
    }

    /// So many ns pass.
    pub fn pass(&mut self, ns: u64) {
        let end = self.now + ns;
        loop {
            let deadline = self.bench.engine.deadline();
            if deadline > end {
                break;
            }
            self.now = self.now.max(deadline);
            self.bench.engine.set_time(self.now);
            self.bench.engine.expired();
            self.bench.settle();
        }
        self.now = end;
        self.bench.engine.set_time(self.now);
    }

    /// A frame comes.
    pub fn hear(&mut self, frame: Vec<u8>) {
        self.wire.borrow_mut().to_card.push_back(frame);
        while self.bench.engine.interrupt() {}
        self.bench.settle();
        self.settle();
    }

    /// The card gets 10.0.2.15.
    pub fn lease(&mut self) {
        for kind in [DhcpMessageType::Offer, DhcpMessageType::Ack] {
            let asked = loop {
                let sent = self.wire.borrow_mut().from_card.pop_front();
                match sent.as_deref().map(transaction) {
                    Some(Some(number)) => break number,
                    Some(None) => {}
                    None => self.pass(1_000_000_000),
                }
            };
            self.hear(offer(kind, asked));
        }
    }

    /// Sockets, those of the stack, and those that linger.
    pub fn load(&mut self) -> (usize, usize, usize) {
        let mut report = String::new();
        driver_sdk::Driver::report(self.bench.engine.driver(), &mut report).unwrap();
        let value = |name: &str| {
            let line = report.lines().find_map(|line| line.strip_prefix(name)).expect("a counter");
            line.trim().parse().expect("a number")
        };
        (value("sockets "), value("connections "), value("lingering "))
    }
}

/// The transaction's number in a request for an address.
fn transaction(frame: &[u8]) -> Option<u32> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    (udp.dst_port() == 67)
        .then(|| DhcpPacket::new_checked(udp.payload()).map(|packet| packet.transaction_id()).ok())?
}

fn offer(message_type: DhcpMessageType, transaction_id: u32) -> Vec<u8> {
    let router = Ipv4Address::new(10, 0, 2, 2);
    let repr = DhcpRepr {
        message_type,
        transaction_id,
        secs: 0,
        client_hardware_address: EthernetAddress(MAC),
        client_ip: Ipv4Address::UNSPECIFIED,
        your_ip: Ipv4Address::new(10, 0, 2, 15),
        server_ip: router,
        router: Some(router),
        subnet_mask: Some(Ipv4Address::new(255, 255, 255, 0)),
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(router),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: Some(86400),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).expect("it fits");
    packet([10, 0, 2, 2], [10, 0, 2, 15], 67, 68, &bytes)
}

/// Somebody says where it is.
pub fn neighbor(who: [u8; 4]) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(ROUTER),
        source_protocol_addr: who.into(),
        target_hardware_addr: EthernetAddress(MAC),
        target_protocol_addr: [10, 0, 2, 15].into(),
    };
    let mut frame = vec![0; 14 + repr.buffer_len()];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_dst_addr(EthernetAddress(MAC));
    ethernet.set_src_addr(EthernetAddress(ROUTER));
    ethernet.set_ethertype(EthernetProtocol::Arp);
    repr.emit(&mut ArpPacket::new_unchecked(ethernet.payload_mut()));
    frame
}

/// A datagram from port 9 of somebody.
pub fn datagram(from: [u8; 4], to: [u8; 4], port: u16, bytes: &[u8]) -> Vec<u8> {
    packet(from, to, 9, port, bytes)
}

fn packet(from: [u8; 4], to: [u8; 4], src_port: u16, dst_port: u16, bytes: &[u8]) -> Vec<u8> {
    let (from, to) = (Ipv4Address::from(from), Ipv4Address::from(to));
    let udp = UdpRepr { src_port, dst_port };
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + bytes.len(),
        hop_limit: 64,
    };
    let mut frame = vec![0; 14 + ip.buffer_len() + ip.payload_len];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_dst_addr(EthernetAddress(MAC));
    ethernet.set_src_addr(EthernetAddress(ROUTER));
    ethernet.set_ethertype(EthernetProtocol::Ipv4);
    let checksums = ChecksumCapabilities::default();
    let mut packet = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    ip.emit(&mut packet, &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &from.into(),
        &to.into(),
        bytes.len(),
        |room| room.copy_from_slice(bytes),
        &checksums,
    );
    frame
}

/// The first segment of a connection to a port, from somebody's port 4000.
pub fn first_segment(from: [u8; 4], to: [u8; 4], port: u16) -> Vec<u8> {
    let (from, to) = (Ipv4Address::from(from), Ipv4Address::from(to));
    let tcp = TcpRepr {
        src_port: 4000,
        dst_port: port,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(1),
        ack_number: None,
        window_len: 1024,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let mut frame = vec![0; 14 + ip.buffer_len() + ip.payload_len];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_dst_addr(EthernetAddress(MAC));
    ethernet.set_src_addr(EthernetAddress(ROUTER));
    ethernet.set_ethertype(EthernetProtocol::Ipv4);
    let checksums = ChecksumCapabilities::default();
    let mut packet = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
    tcp.emit(&mut segment, &from.into(), &to.into(), &checksums);
    frame
}
