//! Messages between clients and drivers about descriptors.
//!
//! `OPEN` goes to the driver's service endpoint with the client's ticket of the event server; the reply brings
//! the descriptor handle (the driver's endpoint, badged with the open file) and the watch handle. Everything else goes to
//! the descriptor handle. Closing its last duplicate closes the open file.
//!
//! In every reply word 0 is 0 or an errno; after an errno the rest says nothing.
//!
//! | label | request | reply |
//! |---|---|---|
//! | OPEN | bytes: [`Open`]; handle 0 = ticket | bytes: [`Opened`]; handle 0 = descriptor, handle 1 = watch handle |
//! | READ | words: length, flags, offset | words: 0, count, [arrival time](words::ARRIVAL); the bytes. Count 0 is end of file |
//! | WRITE | words: 0, flags, offset; the bytes | words: 0, count |
//! | CONTROL | bytes: [`Control`] | bytes: [`ControlReply`] |
//!
//! A read or write without [`NONBLOCK`] is answered when it can be done; with it, EAGAIN at once. A driver publishes the
//! new level before it answers.

use alloc::string::String;
use serde::{Deserialize, Serialize};

/// Labels of requests.
pub mod label {
    /// [`Open`](super::Open) a path.
    pub const OPEN: u32 = 0x4401;
    /// Read bytes.
    pub const READ: u32 = 0x4402;
    /// Write bytes.
    pub const WRITE: u32 = 0x4403;
    /// [`Control`](super::Control).
    pub const CONTROL: u32 = 0x4404;
    /// Every reply.
    pub const REPLY: u32 = 0x4400;
}

/// Positions of words.
pub mod words {
    /// READ: the most bytes wanted.
    pub const LENGTH: usize = 0;
    /// READ, WRITE: flags.
    pub const FLAGS: usize = 1;
    /// READ, WRITE: position in the file, [`CURRENT`](super::CURRENT) for where it stands.
    pub const OFFSET: usize = 2;
    /// Replies: 0 or an errno.
    pub const ERRNO: usize = 0;
    /// Replies to READ and WRITE: bytes moved.
    pub const COUNT: usize = 1;
    /// Reply to READ: monotonic time in ns of the interrupt that brought the last of these bytes, 0 when there was none.
    pub const ARRIVAL: usize = 2;
}

/// Flag of READ and WRITE: EAGAIN where it would have to wait.
pub const NONBLOCK: u64 = 1;
/// Offset of READ and WRITE: where the open file stands.
pub const CURRENT: u64 = u64::MAX;
/// Bytes in one READ or WRITE.
pub const MAX_TRANSFER: usize = abi::message::MAX_BYTES;
/// Bytes of a path.
pub const MAX_PATH: usize = 1024;

/// Opens a path of the driver's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Open {
    /// The whole path, as `/dev/tty`; up to [`MAX_PATH`] bytes.
    pub path: String,
    /// `O_*` of [`abi::flag`].
    pub flags: u64,
}

/// An opened descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Opened {
    /// What it is.
    pub kind: Kind,
}

/// Kinds of descriptors, as far as clients must tell them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// A terminal.
    Terminal,
    /// A timer.
    Timer,
    /// A pipe or FIFO end.
    Pipe,
    /// A socket.
    Socket,
    /// A regular file.
    File,
    /// Another device.
    Device,
}

/// What is done to a descriptor beside reading and writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
}

/// Answers to [`Control`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ControlReply {
    /// It is done.
    Done,
    /// Answer to [`Control::Available`].
    Available(u64),
    /// Answer to [`Control::TerminalMode`].
    Terminal(TerminalMode),
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
