//! What drivers call things that programs do not open by a path of their own.

/// The read end of a new pipe; [`WRITER`] beside it is the other end.
pub const PIPE: &str = "/dev/pipe";
/// Beside the read end of a pipe: its write end.
pub const WRITER: &str = "writer";
/// Where FIFOs have their names.
pub const FIFOS: &str = "/run/fifo";
/// Beside a listening socket: the next connection.
pub const ACCEPT: &str = "accept";
/// Beside a new socket: the other one of a pair.
pub const PEER: &str = "peer";
/// A new stream socket; of all sockets bytes or messages go both ways.
pub const STREAM_SOCKET: &str = "/dev/socket/stream";
/// A new datagram socket.
pub const DATAGRAM_SOCKET: &str = "/dev/socket/datagram";
/// A new socket for records over a connection (`SOCK_SEQPACKET`).
pub const RECORD_SOCKET: &str = "/dev/socket/seqpacket";
/// A new TCP socket over IPv4; addresses are text, `10.0.2.15:80`.
pub const INET_STREAM_SOCKET: &str = "/dev/net/stream";
/// A new UDP socket over IPv4.
pub const INET_DATAGRAM_SOCKET: &str = "/dev/net/datagram";
/// Where files have their names.
pub const FILES: [&str; 2] = ["/tmp", "/data"];
