//! One socket: what it is, and how ready.

use crate::inbox::Inbox;
use crate::sockets::Id;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::rc::Rc;
use driver_sdk::sockets::{LowWater, Ready};

/// Kinds of sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes between two.
    Stream,
    /// Messages to anybody.
    Datagram,
    /// Messages between two.
    Record,
}

impl Kind {
    /// Whether it speaks with one other, which it is connected to.
    pub const fn is_connected(self) -> bool {
        !matches!(self, Kind::Datagram)
    }

    /// Whether boundaries of messages are kept.
    pub const fn has_messages(self) -> bool {
        !matches!(self, Kind::Stream)
    }
}

/// What a socket does.
#[derive(Debug)]
pub enum Role {
    /// Neither connected nor listening.
    Idle,
    /// Waits for connections.
    Listening {
        /// Ends of connections that nobody has accepted yet, oldest first.
        backlog: VecDeque<Id>,
        /// So many at most.
        most: usize,
    },
    /// Has another side, which may be closed by now.
    Connected {
        /// The other side.
        peer: Id,
        /// Its address when the connection was made.
        name: Option<Rc<str>>,
        /// Its process.
        process: i64,
    },
}

/// Buffer sizes and the like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Least bytes to receive, and least space to send.
    pub low_water: LowWater,
    /// Bytes that it has sent and that are not received yet, at most.
    pub send_buffer: usize,
    /// Urgent data stays in the stream.
    pub inline: bool,
    /// `SO_REUSEADDR`, which is kept and has no effect: a name is used again when it was unlinked.
    pub reuse: bool,
}

/// A socket.
#[derive(Debug)]
pub struct Socket<H> {
    /// Its kind.
    pub kind: Kind,
    /// What it does.
    pub role: Role,
    /// Its own address.
    pub name: Option<Rc<str>>,
    /// What was sent to it.
    pub inbox: Inbox<H>,
    /// No more will come.
    pub read_shut: bool,
    /// No more can be sent.
    pub write_shut: bool,
    /// The pending error, 0 for none.
    pub error: i32,
    /// Options.
    pub options: Options,
    /// Whose it is.
    pub client: u64,
    /// Who connected, as long as nobody has accepted it.
    pub unaccepted: Option<u64>,
    /// The process that made it.
    pub process: i64,
    /// Sockets that send here: the peer; datagram sockets that are connected to this one.
    pub senders: BTreeSet<Id>,
    /// Sockets that found no room here and wait for some.
    pub refused: BTreeSet<Id>,
    /// Where this one found no room, and has to wait for some.
    pub blocked: Option<Id>,
}

impl<H> Socket<H> {
    /// Whether it listens.
    pub fn is_listening(&self) -> bool {
        matches!(self.role, Role::Listening { .. })
    }

    /// The other side.
    pub fn peer(&self) -> Option<Id> {
        match self.role {
            Role::Connected { peer, .. } => Some(peer),
            _ => None,
        }
    }

    /// What receives give (R18, R20, R22).
    pub fn readable(&self) -> Ready {
        let amount = match (&self.role, self.kind) {
            (Role::Listening { backlog, .. }, _) => backlog.len(),
            (_, Kind::Stream) => self.inbox.stream_bytes(self.options.inline),
            _ => self.inbox.datagram_bytes(),
        };
        Ready {
            amount,
            end: self.read_shut,
            error: self.error,
            hangup: self.read_shut && self.write_shut && amount == 0,
            urgent: self.inbox.has_urgent(),
        }
    }
}
