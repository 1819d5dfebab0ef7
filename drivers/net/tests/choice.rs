//! The stack, which leads each packet to one socket and asks only those that have something to do, beside the library alone,
//! which looks through all its sockets: both do the same.

use net::card::FRAME;
use net::port::{Card, Network};
use net::stack::{Handle, Stack};
use proptest::prelude::*;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    HardwareAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint, IpProtocol, Ipv4Cidr, Ipv4Packet,
    Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use virtio::Fault;

const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
const ROUTER: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const HEADER: usize = 14;
const BUFFER: usize = 512;
/// The stack is not asked again before, ns.
const PAUSE: u64 = 2_000_000;

#[derive(Default)]
struct Wire {
    to_card: VecDeque<Vec<u8>>,
    from_card: Vec<Vec<u8>>,
}

struct End(Rc<RefCell<Wire>>);

impl Card for End {
    fn mac(&self) -> [u8; 6] {
        MAC.0
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
        self.0.borrow_mut().from_card.push(frame.to_vec());
    }
    fn flush(&mut self) {}
    fn fault(&self) -> Option<Fault> {
        None
    }
}

/// The packets of the library alone.
#[derive(Default)]
struct Line {
    packet: Option<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Arrived(Vec<u8>);
struct Leaving<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, act: F) -> R {
        act(&self.0)
    }
}

impl TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, act: F) -> R {
        let mut packet = vec![0; length];
        let result = act(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Line {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Leaving<'a>;
    fn receive(&mut self, _: Instant) -> Option<(Arrived, Leaving<'_>)> {
        Some((Arrived(self.packet.take()?), Leaving(&mut self.sent)))
    }
    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_>> {
        Some(Leaving(&mut self.sent))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = FRAME - HEADER;
        capabilities
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Stream(Handle, SocketHandle),
    Datagram(Handle, SocketHandle),
}

/// Both.
struct Pair {
    stack: Stack<End>,
    wire: Rc<RefCell<Wire>>,
    interface: Interface,
    line: Line,
    set: SocketSet<'static>,
    sockets: Vec<Kind>,
    /// Packets that were sent.
    sent: Vec<Vec<u8>>,
    now: u64,
}

fn listen_endpoint(at: SocketAddrV4) -> IpListenEndpoint {
    let addr = Some(*at.ip()).filter(|ip| !ip.is_unspecified()).map(IpAddress::Ipv4);
    IpListenEndpoint { addr, port: at.port() }
}

fn overlap(one: SocketAddrV4, other: SocketAddrV4) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (any || one.ip() == other.ip())
}

impl Pair {
    fn new() -> Pair {
        let wire = Rc::new(RefCell::new(Wire::default()));
        let mut stack = Stack::new(End(wire.clone()), 7, 0);
        // What asks for an address has none yet, and says so once.
        stack.send_out();
        let own = Ipv4Cidr::new(OWN, 24);
        let router = Ipv4Addr::new(10, 0, 2, 2);
        stack.set_network(Some(Network { own, router: Some(router) }));
        let mut line = Line::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = 7;
        let mut interface = Interface::new(config, &mut line, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for cidr in [own, Ipv4Cidr::new(Ipv4Addr::LOCALHOST, 8)] {
                addresses.push(IpCidr::Ipv4(cidr)).expect("room");
            }
        });
        let mut pair = Pair {
            stack,
            wire,
            interface,
            line,
            set: SocketSet::new(vec![]),
            sockets: vec![],
            sent: vec![],
            now: 0,
        };
        // An answer has it ask for the router.
        pair.hear(&datagram(address(0, 9), SocketAddrV4::new(OWN, 9), b""));
        pair.hear_router();
        pair.wire.borrow_mut().from_card.clear();
        pair.line.sent.clear();
        pair
    }

    /// The router says where it is, which is known for a minute.
    fn hear_router(&mut self) {
        let answer = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: ROUTER,
            source_protocol_addr: Ipv4Addr::new(10, 0, 2, 2),
            target_hardware_addr: MAC,
            target_protocol_addr: OWN,
        };
        let mut bytes = vec![0; answer.buffer_len()];
        answer.emit(&mut ArpPacket::new_unchecked(&mut bytes));
        self.hear_frame(EthernetProtocol::Arp, &bytes);
    }

    fn hear_frame(&mut self, ethertype: EthernetProtocol, payload: &[u8]) {
        let mut frame = vec![0; HEADER + payload.len()];
        let header = EthernetRepr { src_addr: ROUTER, dst_addr: MAC, ethertype };
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        frame[HEADER..].copy_from_slice(payload);
        self.wire.borrow_mut().to_card.push_back(frame);
        assert!(self.stack.hear());
        self.stack.take_in();
    }

    fn hear(&mut self, packet: &[u8]) {
        self.hear_frame(EthernetProtocol::Ipv4, packet);
        self.line.packet = Some(packet.to_vec());
        self.interface.poll_ingress_single(self.stack.now(), &mut self.line, &mut self.set);
    }

    /// Those that wait for connections, or have them: where.
    fn streams(&self) -> impl Iterator<Item = &tcp::Socket<'static>> {
        self.sockets.iter().filter_map(|kind| match kind {
            Kind::Stream(_, alone) => Some(self.set.get::<tcp::Socket>(*alone)),
            Kind::Datagram(..) => None,
        })
    }

    /// Whether a packet begins a connection that there is already: whoever waits for others has nothing to do with it here, and
    /// may get it there.
    fn begins_again(&self, packet: &[u8]) -> bool {
        let ip = Ipv4Packet::new_unchecked(packet);
        let Ok(tcp) = TcpPacket::new_checked(ip.payload()) else { return false };
        let end = |ip, port| Some(IpEndpoint::new(IpAddress::Ipv4(ip), port));
        let (local, remote) = (end(ip.dst_addr(), tcp.dst_port()), end(ip.src_addr(), tcp.src_port()));
        let is_it =
            |socket: &tcp::Socket<'_>| socket.local_endpoint() == local && socket.remote_endpoint() == remote;
        ip.next_header() == IpProtocol::Tcp && !tcp.ack() && !tcp.rst() && self.streams().any(is_it)
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Listen(at) => {
                // Of several the library asks the one in the first place, and the driver the one that has waited longest.
                let waits = |socket: &tcp::Socket<'_>| {
                    matches!(socket.state(), tcp::State::Listen | tcp::State::SynReceived) && {
                        let other = socket.listen_endpoint();
                        let ip = other.addr.map_or(Ipv4Addr::UNSPECIFIED, |IpAddress::Ipv4(ip)| ip);
                        overlap(at, SocketAddrV4::new(ip, other.port))
                    }
                };
                if !self.streams().any(waits) {
                    let (handle, alone) = self.stream();
                    self.stack.listen(handle, at).expect("it listens");
                    self.set.get_mut::<tcp::Socket>(alone).listen(listen_endpoint(at)).expect("it listens");
                }
            }
            Step::Connect(local, remote) => {
                let taken =
                    |socket: &tcp::Socket<'_>| socket.local_endpoint().is_some_and(|at| at.port == local);
                if !self.streams().any(taken) {
                    let (handle, alone) = self.stream();
                    let local = SocketAddrV4::new(OWN, local);
                    self.stack.connect(handle, local, remote).expect("it begins");
                    let end = |at: SocketAddrV4| IpEndpoint::new(IpAddress::Ipv4(*at.ip()), at.port());
                    let socket = self.set.get_mut::<tcp::Socket>(alone);
                    socket.connect(self.interface.context(), end(remote), end(local)).expect("it begins");
                }
            }
            Step::Bind(at) => {
                let taken = |kind: &Kind| match kind {
                    Kind::Datagram(_, alone) => {
                        let other = self.set.get::<udp::Socket>(*alone).endpoint();
                        let ip = other.addr.map_or(Ipv4Addr::UNSPECIFIED, |IpAddress::Ipv4(ip)| ip);
                        overlap(at, SocketAddrV4::new(ip, other.port))
                    }
                    Kind::Stream(..) => false,
                };
                if !self.sockets.iter().any(taken) {
                    let handle = self.stack.add_udp(at, BUFFER, BUFFER).expect("a socket");
                    let buffer =
                        || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 32], vec![0; BUFFER]);
                    let mut socket = udp::Socket::new(buffer(), buffer());
                    socket.bind(listen_endpoint(at)).expect("an address");
                    self.sockets.push(Kind::Datagram(handle, self.set.add(socket)));
                }
            }
            Step::Segment { from, to, control, seq, ack, length } => {
                self.hear_segment(from, to, control, TcpSeqNumber(seq), ack.map(TcpSeqNumber), length);
            }
            Step::Answer { which, control, length } => {
                let Some(packet) = pick(&self.sent, which) else { return };
                let ip = Ipv4Packet::new_unchecked(&packet[..]);
                let Ok(tcp) = TcpPacket::new_checked(ip.payload()) else { return };
                let from = SocketAddrV4::new(ip.dst_addr(), tcp.dst_port());
                let to = SocketAddrV4::new(ip.src_addr(), tcp.src_port());
                let seq = if tcp.ack() { tcp.ack_number() } else { TcpSeqNumber(5000) };
                let ack = tcp.seq_number() + tcp.segment_len();
                self.hear_segment(from, to, control, seq, Some(ack), length);
            }
            Step::Datagram { from, to, length } => self.hear(&datagram(from, to, &vec![7; length])),
            Step::Send { which, length } => match pick(&self.sockets, which) {
                Some(&Kind::Stream(handle, alone)) => {
                    let sent = self.stack.tcp_mut(handle).send_slice(&vec![1; length]);
                    assert_eq!(sent, self.set.get_mut::<tcp::Socket>(alone).send_slice(&vec![1; length]));
                }
                Some(&Kind::Datagram(handle, alone)) => {
                    let to = IpEndpoint::new(IpAddress::v4(8, 8, 8, 8), 53);
                    let sent = self.stack.udp_mut(handle).send_slice(&vec![1; length], to);
                    assert_eq!(sent, self.set.get_mut::<udp::Socket>(alone).send_slice(&vec![1; length], to));
                }
                None => {}
            },
            Step::End { which, is_abrupt } => {
                if let Some(&Kind::Stream(handle, alone)) = pick(&self.sockets, which) {
                    for socket in [self.stack.tcp_mut(handle), self.set.get_mut(alone)] {
                        if is_abrupt { socket.abort() } else { socket.close() }
                    }
                }
            }
            Step::KeepAlive { which, seconds } => {
                if let Some(&Kind::Stream(handle, alone)) = pick(&self.sockets, which) {
                    let often = Some(Duration::from_secs(seconds));
                    self.stack.tcp_mut(handle).set_keep_alive(often);
                    self.set.get_mut::<tcp::Socket>(alone).set_keep_alive(often);
                }
            }
            Step::Pass(ms) => {
                // Not before the stack wants to be asked, and then at once.
                let end = self.now + ms * 1_000_000;
                loop {
                    let deadline = self.stack.deadline();
                    if let Some(at) = self.interface.poll_at(self.stack.now(), &self.set) {
                        let at = u64::try_from(at.total_micros()).expect("a time") * 1000;
                        assert!(deadline <= at.max(self.now + PAUSE), "{deadline} {at}");
                    }
                    let next = deadline.min(end).min(self.now + 50_000_000_000);
                    self.now = next;
                    self.stack.set_time(next);
                    self.hear_router();
                    self.settle();
                    if next == end {
                        break;
                    }
                }
            }
        }
        self.settle();
    }

    fn stream(&mut self) -> (Handle, SocketHandle) {
        let handle = self.stack.add_tcp(BUFFER, BUFFER).expect("a socket");
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_timeout(Some(net::stack::PATIENCE));
        let alone = self.set.add(socket);
        self.sockets.push(Kind::Stream(handle, alone));
        (handle, alone)
    }

    fn hear_segment(
        &mut self,
        from: SocketAddrV4,
        to: SocketAddrV4,
        control: TcpControl,
        seq: TcpSeqNumber,
        ack: Option<TcpSeqNumber>,
        length: usize,
    ) {
        let packet = segment(from, to, control, seq, ack, &vec![9; length]);
        if !self.begins_again(&packet) {
            self.hear(&packet);
        }
    }

    /// Both send what they have to send, which is the same.
    fn settle(&mut self) {
        let now = self.stack.now();
        while self.stack.send_out() {}
        while self.interface.poll_egress(now, &mut self.line, &mut self.set)
            != smoltcp::iface::PollResult::None
        {}
        let frames = std::mem::take(&mut self.wire.borrow_mut().from_card);
        let is_packet = |frame: &Vec<u8>| {
            let ethernet = EthernetFrame::new_unchecked(&frame[..]);
            // What asks for an address is not compared.
            ethernet.ethertype() == EthernetProtocol::Ipv4 && !ethernet.dst_addr().is_broadcast()
        };
        let mut sent: Vec<Vec<u8>> =
            frames.into_iter().filter(is_packet).map(|frame| frame[HEADER..].to_vec()).collect();
        let mut alone = std::mem::take(&mut self.line.sent);
        // Who of several sends first is chance.
        sent.sort();
        alone.sort();
        assert_eq!(sent, alone);
        self.sent.append(&mut sent);
        for kind in &self.sockets {
            match *kind {
                Kind::Stream(handle, alone) => {
                    let is = format!("{:?}", self.stack.tcp(handle));
                    assert_eq!(is, format!("{:?}", self.set.get::<tcp::Socket>(alone)));
                }
                Kind::Datagram(handle, alone) => {
                    let is = format!("{:?}", self.stack.udp(handle));
                    assert_eq!(is, format!("{:?}", self.set.get::<udp::Socket>(alone)));
                }
            }
        }
    }
}

fn pick<T>(of: &[T], which: usize) -> Option<&T> {
    of.get(which.checked_rem(of.len())?)
}

fn address(host: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(8, 8, 8, host), port)
}

fn packet(from: SocketAddrV4, to: SocketAddrV4, next_header: IpProtocol, content: &[u8]) -> Vec<u8> {
    let (src_addr, dst_addr) = (*from.ip(), *to.ip());
    let ip = Ipv4Repr { src_addr, dst_addr, next_header, payload_len: content.len(), hop_limit: 64 };
    let mut bytes = vec![0; ip.buffer_len() + content.len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    packet.payload_mut().copy_from_slice(content);
    bytes
}

fn datagram(from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) -> Vec<u8> {
    let udp = UdpRepr { src_port: from.port(), dst_port: to.port() };
    let mut content = vec![0; udp.header_len() + bytes.len()];
    let (src, dst) = (IpAddress::Ipv4(*from.ip()), IpAddress::Ipv4(*to.ip()));
    let checksums = ChecksumCapabilities::default();
    let room = &mut UdpPacket::new_unchecked(&mut content);
    udp.emit(room, &src, &dst, bytes.len(), |room| room.copy_from_slice(bytes), &checksums);
    packet(from, to, IpProtocol::Udp, &content)
}

fn segment(
    from: SocketAddrV4,
    to: SocketAddrV4,
    control: TcpControl,
    seq_number: TcpSeqNumber,
    ack_number: Option<TcpSeqNumber>,
    payload: &[u8],
) -> Vec<u8> {
    let tcp = TcpRepr {
        src_port: from.port(),
        dst_port: to.port(),
        control,
        seq_number,
        ack_number,
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let mut content = vec![0; tcp.buffer_len()];
    let (src, dst) = (IpAddress::Ipv4(*from.ip()), IpAddress::Ipv4(*to.ip()));
    let checksums = ChecksumCapabilities::default();
    tcp.emit(&mut TcpPacket::new_unchecked(&mut content), &src, &dst, &checksums);
    packet(from, to, IpProtocol::Tcp, &content)
}

#[derive(Clone, Debug)]
enum Step {
    Listen(SocketAddrV4),
    Connect(u16, SocketAddrV4),
    Bind(SocketAddrV4),
    Segment {
        from: SocketAddrV4,
        to: SocketAddrV4,
        control: TcpControl,
        seq: i32,
        ack: Option<i32>,
        length: usize,
    },
    /// To one of the packets that were sent.
    Answer {
        which: usize,
        control: TcpControl,
        length: usize,
    },
    Datagram {
        from: SocketAddrV4,
        to: SocketAddrV4,
        length: usize,
    },
    Send {
        which: usize,
        length: usize,
    },
    End {
        which: usize,
        is_abrupt: bool,
    },
    KeepAlive {
        which: usize,
        seconds: u64,
    },
    /// So many ms.
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Step> {
    let port = || 80u16..83;
    let remote = || (0u8..3, 4000u16..4003).prop_map(|(host, port)| address(host, port));
    let here = || {
        let ip = prop_oneof![Just(OWN), Just(Ipv4Addr::UNSPECIFIED)];
        (ip, port()).prop_map(|(ip, port)| SocketAddrV4::new(ip, port))
    };
    let to = || {
        let others = [[10, 0, 2, 255], [224, 0, 0, 1], [255; 4], [10, 0, 2, 16]].map(Ipv4Addr::from);
        let ip = prop_oneof![9 => Just(OWN), 4 => prop::sample::select(others.to_vec())];
        (ip, prop_oneof![port(), 90u16..93]).prop_map(|(ip, port)| SocketAddrV4::new(ip, port))
    };
    let control = || {
        use TcpControl::{Fin, None, Psh, Rst, Syn};
        prop_oneof![3 => Just(None), 1 => Just(Psh), 2 => Just(Fin), 1 => Just(Rst), 3 => Just(Syn)]
    };
    let which = || 0usize..64;
    prop_oneof![
        2 => here().prop_map(Step::Listen),
        2 => (90u16..93, remote()).prop_map(|(local, remote)| Step::Connect(local, remote)),
        1 => here().prop_map(Step::Bind),
        4 => (remote(), to(), control(), 0..9000, prop::option::of(0..9000), 0usize..20).prop_map(
            |(from, to, control, seq, ack, length)| Step::Segment { from, to, control, seq, ack, length }
        ),
        4 => (remote(), to()).prop_map(|(from, to)| {
            Step::Segment { from, to, control: TcpControl::Syn, seq: 4999, ack: None, length: 0 }
        }),
        12 => (which(), control(), 0usize..20)
            .prop_map(|(which, control, length)| Step::Answer { which, control, length }),
        3 => (remote(), to(), 0usize..20)
            .prop_map(|(from, to, length)| Step::Datagram { from, to, length }),
        4 => (which(), 1usize..300).prop_map(|(which, length)| Step::Send { which, length }),
        3 => (which(), any::<bool>()).prop_map(|(which, is_abrupt)| Step::End { which, is_abrupt }),
        1 => (which(), 1u64..60).prop_map(|(which, seconds)| Step::KeepAlive { which, seconds }),
        3 => prop_oneof![0u64..50, 900u64..1100, 0u64..130_000].prop_map(Step::Pass),
    ]
}

proptest! {
    /// Each packet is taken by the same socket, and each socket sends the same at the same time.
    #[test]
    fn each_alone_does_what_all_do_in_one_set(steps in prop::collection::vec(steps(), 1..60)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.act(step);
        }
    }
}

/// The other side has lost a connection and begins it again (RFC 9293, 3.5.1; RFC 5961, 4.2): it is asked, resets the old one and
/// is let in when it tries once more.
#[test]
fn who_has_lost_a_connection_begins_it_again() {
    let mut pair = Pair::new();
    let (from, to) = (address(1, 4000), SocketAddrV4::new(OWN, 80));
    let mut handles = vec![];
    for _ in 0..2 {
        let handle = pair.stack.add_tcp(BUFFER, BUFFER).expect("a socket");
        pair.stack.listen(handle, to).expect("it listens");
        handles.push(handle);
    }
    let mut ask = |control, seq: u32, ack: Option<TcpSeqNumber>| {
        let packet = segment(from, to, control, TcpSeqNumber(seq as i32), ack, b"");
        pair.hear_frame(EthernetProtocol::Ipv4, &packet);
        while pair.stack.send_out() {}
        let frames = std::mem::take(&mut pair.wire.borrow_mut().from_card);
        let mut answers = frames.iter().filter_map(|frame| {
            let ip = Ipv4Packet::new_checked(frame.get(HEADER..)?).ok()?;
            let tcp = TcpPacket::new_checked(ip.payload()).ok().filter(|tcp| tcp.dst_port() == 4000)?;
            Some((tcp.syn(), tcp.rst(), tcp.seq_number(), tcp.ack_number()))
        });
        let answer = answers.next();
        let states: Vec<tcp::State> = handles.iter().map(|&handle| pair.stack.tcp(handle).state()).collect();
        (answer, states)
    };
    let (Some((true, false, number, _)), _) = ask(TcpControl::Syn, 100, None) else { panic!("a welcome") };
    let (_, states) = ask(TcpControl::None, 101, Some(number + 1));
    assert_eq!(states, [tcp::State::Established, tcp::State::Listen]);
    let (Some((false, false, _, wanted)), states) = ask(TcpControl::Syn, 70_000, None) else {
        panic!("a question")
    };
    assert_eq!(wanted, TcpSeqNumber(101));
    assert_eq!(states, [tcp::State::Established, tcp::State::Listen], "anybody can say so");
    let (_, states) = ask(TcpControl::Rst, 101, None);
    assert_eq!(states, [tcp::State::Closed, tcp::State::Listen]);
    let (Some((true, false, _, wanted)), _) = ask(TcpControl::Syn, 70_000, None) else { panic!("a welcome") };
    assert_eq!(wanted, TcpSeqNumber(70_001));
}
