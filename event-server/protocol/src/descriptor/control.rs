//! What is done to a descriptor beside reading and writing.

use super::{Kind, PathReply, Stat};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A request on a descriptor. A file that does not know it says EINVAL (ENOTSOCK, ENOTTY and ESPIPE where POSIX does).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Control {
    /// Bytes that a read would get now. → [`ControlReply::Available`].
    Available,
    /// Terminal: its mode. → [`ControlReply::Terminal`].
    TerminalMode,
    /// Terminal: sets its mode. → [`ControlReply::Done`].
    SetTerminalMode(TerminalMode),
    /// Timer: starts it, dropping what was counted and not taken (R25). EINVAL for negative times (R26). → `Done`.
    Arm(Arm),
    /// Timer: stops it. → `Done`.
    Disarm,
    /// What kind of file it is and how it was opened: for who was handed the descriptor. Every file knows it. →
    /// [`ControlReply::Described`].
    Describe,
    /// What the file is (fstat(2)). → [`ControlReply::Stat`].
    Stat,
    /// Moves the position (lseek(2)). → [`ControlReply::Number`]: the new one.
    Seek {
        /// From where.
        whence: Whence,
        /// How far.
        offset: i64,
    },
    /// Cuts or extends the file (ftruncate(2)). → `Done`.
    Truncate(u64),
    /// What was written is safe (fsync(2)). → `Done`.
    Sync,
    /// Directory: names from a cookie on, 0 at first. → [`ControlReply::Path`]: entries.
    ReadDirectory(u64),
    /// Changes permissions (fchmod(2)). → `Done`.
    SetMode(u16),
    /// Socket: gives it an address (bind(2)). → `Done`.
    Bind(String),
    /// Socket: waits for connections, so many at most (listen(2)). → `Done`.
    Listen(i32),
    /// Socket: connects it (connect(2)); no address dissolves a datagram socket's connection. → `Done`.
    Connect(String),
    /// Socket: no more is read, written or both (shutdown(2)). → `Done`.
    Shutdown {
        /// Reading ends.
        read: bool,
        /// Writing ends.
        write: bool,
    },
    /// Socket: the pending error, which is none afterwards (SO_ERROR). → [`ControlReply::Number`].
    TakeError,
    /// Socket: its own address (getsockname(2)). → [`ControlReply::Address`].
    Name,
    /// Socket: the other side's address (getpeername(2)). → [`ControlReply::Address`].
    Peer,
    /// Socket: who the other side is: its pid (SO_PEERCRED). → [`ControlReply::Number`].
    PeerProcess,
    /// Socket: whether the next byte read comes behind urgent data (sockatmark(3)). → [`ControlReply::Number`]: 0 or 1.
    AtMark,
    /// An option's value. → [`ControlReply::Number`].
    Get(Setting),
    /// Sets an option. → `Done`.
    Set(Setting, i64),
    /// What only this driver knows, by a number and a document of its own. → [`ControlReply::Private`].
    Private {
        /// What is asked.
        number: u32,
        /// The document.
        bytes: Vec<u8>,
    },
    /// Socket: waits until the connection is made that [`Control::Connect`] has begun, which said EINPROGRESS. What it failed of is
    /// the answer, and no longer pending. → `Done`.
    Connected,
}

/// Answers to [`Control`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ControlReply {
    /// It is done.
    Done,
    /// Answer to [`Control::Available`].
    Available(u64),
    /// Answer to [`Control::TerminalMode`].
    Terminal(TerminalMode),
    /// Answer to [`Control::Describe`].
    Described {
        /// What it is.
        kind: Kind,
        /// The `O_*` flags that it was opened with.
        flags: u64,
    },
    /// A number.
    Number(i64),
    /// An address; no text for none.
    Address(String),
    /// Answer to [`Control::Stat`].
    Stat(Stat),
    /// Answer to [`Control::ReadDirectory`].
    Path(PathReply),
    /// Answer to [`Control::Private`].
    Private(Vec<u8>),
}

/// Where a position is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Whence {
    /// The beginning (`SEEK_SET`).
    Start,
    /// Where the file stands (`SEEK_CUR`).
    Current,
    /// The end (`SEEK_END`).
    End,
}

/// Options with a number for a value (setsockopt(2), fcntl(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Setting {
    /// Bytes that a pipe or a socket's send direction holds (`F_SETPIPE_SZ`, `SO_SNDBUF`).
    SendBuffer,
    /// Bytes that a socket's receive direction holds (`SO_RCVBUF`).
    ReceiveBuffer,
    /// Least bytes to receive (`SO_RCVLOWAT`): what READ notes are measured by unless they have a mark of their own (R24).
    ReceiveLowWater,
    /// Least space to send (`SO_SNDLOWAT`).
    SendLowWater,
    /// Stream 1, datagram 2, seqpacket 5 (`SO_TYPE`); read-only.
    SocketType,
    /// Whether it listens (`SO_ACCEPTCONN`); read-only.
    Listening,
    /// Urgent data stays in the stream (`SO_OOBINLINE`).
    UrgentInline,
    /// An address can be bound though connections that were made there have not quite ended (`SO_REUSEADDR`).
    ReuseAddress,
    /// An idle connection is looked after (`SO_KEEPALIVE`).
    KeepAlive,
    /// Small segments do not wait for others (`TCP_NODELAY`).
    NoDelay,
    /// Several sockets that all ask for it, before they are bound, have one address: each connection comes to one of those that
    /// listen, in turn (`SO_REUSEPORT`).
    ReusePort,
}

/// How a terminal treats its input and output (termios(4)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TerminalMode {
    /// Lines with editing (`ICANON`); otherwise bytes as they come.
    pub canonical: bool,
    /// Input is shown (`ECHO`).
    pub echo: bool,
    /// Ctrl-C interrupts (`ISIG`): the next read fails with EINTR and the line is discarded.
    pub signals: bool,
    /// Ctrl-S and Ctrl-Q stop and start output (`IXON`).
    pub flow: bool,
    /// Newline goes out as carriage return and newline (`OPOST | ONLCR`).
    pub newline: bool,
}

/// When a timer expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Arm {
    /// Nanoseconds from now, or with `absolute` the time of `clock` in ns. One in the past expires at once.
    pub first: i64,
    /// Nanoseconds between further expirations, without drift; `None` expires once.
    pub period: Option<i64>,
    /// `first` is a time, not a distance.
    pub absolute: bool,
    /// `CLOCK_MONOTONIC` or `CLOCK_REALTIME` of [`abi::flag`].
    pub clock: u32,
}
