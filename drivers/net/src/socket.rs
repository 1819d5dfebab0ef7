//! One socket: what it is, and how ready.

use crate::port::Card;
use crate::stack::{Handle, Stack};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddrV4;
use driver_sdk::sockets::{LowWater, Ready};
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant;

/// Kinds of sockets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// TCP.
    Stream,
    /// UDP.
    Datagram,
}

/// What a socket does.
#[derive(Debug)]
pub enum Role {
    /// Nothing yet.
    Idle,
    /// Waits for connections.
    Listening {
        /// Those that are made or being made, oldest first, and one that waits for the next.
        waiting: Vec<Handle>,
        /// Connections that wait to be accepted, at most.
        most: usize,
    },
    /// A connection is being made.
    Connecting {
        /// The stack's socket.
        handle: Handle,
        /// Since when.
        since: Instant,
    },
    /// Has another side, which may be gone by now.
    Connected {
        /// The stack's socket.
        handle: Handle,
        /// In which state it was last.
        state: State,
    },
    /// Its connection could not be made.
    Failed,
    /// Sends and receives datagrams.
    Datagrams {
        /// The stack's socket.
        handle: Handle,
        /// The only other side, if there is one.
        peer: Option<SocketAddrV4>,
    },
}

/// A datagram that came.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// From whom.
    pub from: SocketAddrV4,
}

/// Buffer sizes and the like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Bytes that it holds for its receiver.
    pub receive_buffer: usize,
    /// Bytes that it has to send.
    pub send_buffer: usize,
    /// Least bytes to receive, and least space to send.
    pub low_water: LowWater,
    /// Small segments do not wait for others.
    pub no_delay: bool,
    /// An idle connection is looked after.
    pub keep_alive: bool,
    /// It has its address with others that want that, too.
    pub reuse_port: bool,
}

/// A socket.
#[derive(Debug)]
pub struct Socket {
    /// Its kind.
    pub kind: Kind,
    /// Whose it is.
    pub client: u64,
    /// What it does.
    pub role: Role,
    /// The address that it was given.
    pub bound: Option<SocketAddrV4>,
    /// No more is received.
    pub read_shut: bool,
    /// No more is sent.
    pub write_shut: bool,
    /// The pending error, 0 for none.
    pub error: i32,
    /// Bytes that were received by somebody who did not get them.
    pub returned: VecDeque<u8>,
    /// Datagrams to be received.
    pub inbox: VecDeque<Datagram>,
    /// Options.
    pub options: Options,
    /// Since when it asks the other side without having bytes to send.
    pub asks_since: Option<Instant>,
    /// What was last told of reading and writing.
    pub shown: [Ready; 2],
}

/// Whether a connection is made, as one who accepts it sees it.
pub fn is_made(state: State) -> bool {
    !matches!(state, State::Listen | State::SynReceived | State::SynSent | State::Closed)
}

impl Socket {
    /// One that was not used yet.
    pub fn new(kind: Kind, client: u64, role: Role, options: Options) -> Socket {
        Socket {
            kind,
            client,
            role,
            bound: None,
            read_shut: false,
            write_shut: false,
            error: 0,
            returned: VecDeque::new(),
            inbox: VecDeque::new(),
            options,
            asks_since: None,
            shown: [Ready::default(); 2],
        }
    }

    /// The stack's socket of a connection.
    pub fn connection(&self) -> Option<Handle> {
        match self.role {
            Role::Connected { handle, .. } => Some(handle),
            _ => None,
        }
    }

    /// Bytes of the datagrams that wait; an empty one counts as one byte, so that it is seen.
    pub fn datagram_bytes(&self) -> usize {
        self.inbox.iter().map(|datagram| datagram.bytes.len().max(1)).sum()
    }

    /// What receives give (R18, R20, R22).
    pub fn readable<C: Card>(&self, stack: &Stack<C>) -> Ready {
        let ready = |amount, end| Ready { amount, end, error: self.error, ..Ready::default() };
        match &self.role {
            Role::Idle if self.kind == Kind::Datagram => ready(0, self.read_shut),
            Role::Idle | Role::Connecting { .. } => ready(0, false),
            Role::Listening { waiting, .. } => {
                let made = waiting.iter().filter(|&&handle| is_made(stack.tcp(handle).state()));
                ready(made.count(), self.read_shut)
            }
            Role::Connected { handle, .. } => {
                let tcp = stack.tcp(*handle);
                let amount = self.returned.len() + tcp.recv_queue();
                let open = matches!(tcp.state(), State::Established | State::FinWait1 | State::FinWait2);
                let end = self.read_shut || !open;
                let hangup = end && amount == 0 && (self.write_shut || !tcp.may_send());
                Ready { hangup, ..ready(amount, end) }
            }
            Role::Failed => Ready { hangup: true, ..ready(0, true) },
            Role::Datagrams { .. } => ready(self.datagram_bytes(), self.read_shut),
        }
    }

    /// What sends find (R20, R22).
    pub fn writable<C: Card>(&self, stack: &Stack<C>) -> Ready {
        let ready = |amount, end| Ready { amount, end, error: self.error, ..Ready::default() };
        match &self.role {
            Role::Idle if self.kind == Kind::Datagram && self.write_shut => ready(0, true),
            Role::Idle if self.kind == Kind::Datagram => ready(self.options.send_buffer, false),
            Role::Idle | Role::Connecting { .. } => ready(0, false),
            Role::Listening { .. } => Ready::default(),
            Role::Connected { handle, .. } => {
                let tcp = stack.tcp(*handle);
                if self.write_shut || !tcp.may_send() {
                    return ready(0, true);
                }
                ready(tcp.send_capacity() - tcp.send_queue(), false)
            }
            Role::Failed => ready(0, true),
            Role::Datagrams { .. } if self.write_shut => ready(0, true),
            Role::Datagrams { handle, .. } => {
                let udp = stack.udp(*handle);
                let room = udp.payload_send_capacity().saturating_sub(udp.send_queue());
                ready(if udp.can_send() { room } else { 0 }, false)
            }
        }
    }
}
