//! What the outside of a packet says: from whom it is, and to whom.

use core::net::SocketAddrV4;
use smoltcp::wire::{IpProtocol, Ipv4Packet, TcpPacket, UdpPacket};

/// The heads of an IPv4 packet, as far as they can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heading {
    /// From whom.
    pub from: SocketAddrV4,
    /// To whom.
    pub to: SocketAddrV4,
    /// Of which protocol.
    pub content: Content,
}

/// What is in a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// A datagram of UDP.
    Datagram,
    /// The first segment of a connection of TCP (SYN without ACK).
    First,
    /// Another segment that acknowledges nothing and resets nothing.
    Stray,
    /// Any other segment.
    Segment,
}

impl Heading {
    /// Reads a packet. None: it is malformed, or neither TCP nor UDP.
    pub fn read(packet: &[u8]) -> Option<Heading> {
        let ip = Ipv4Packet::new_checked(packet).ok().filter(|ip| ip.version() == 4)?;
        let ((from, to), content) = match ip.next_header() {
            IpProtocol::Tcp => {
                let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
                let content = match (tcp.ack() || tcp.rst(), tcp.syn()) {
                    (true, _) => Content::Segment,
                    (false, true) => Content::First,
                    (false, false) => Content::Stray,
                };
                ((tcp.src_port(), tcp.dst_port()), content)
            }
            IpProtocol::Udp => {
                let udp = UdpPacket::new_checked(ip.payload()).ok()?;
                ((udp.src_port(), udp.dst_port()), Content::Datagram)
            }
            _ => return None,
        };
        Some(Heading {
            from: SocketAddrV4::new(ip.src_addr(), from),
            to: SocketAddrV4::new(ip.dst_addr(), to),
            content,
        })
    }
}
