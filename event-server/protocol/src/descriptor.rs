//! Messages between clients and drivers about descriptors.
//!
//! `OPEN` goes to the driver's service endpoint with the client's ticket of the event server; the reply brings
//! the descriptor handle (the driver's endpoint, badged with the open file) and the watch handle. Everything else goes to
//! the descriptor handle. Closing its last duplicate, wherever it is, closes the open file.
//!
//! In every reply word 0 is 0 or an errno; after an errno the rest says nothing.
//!
//! | label | on | request | reply |
//! |---|---|---|---|
//! | OPEN | service | words: 0, flags; bytes: [`Open`]; handle 0 = ticket | words: 0, [home](words::HOME); bytes: [`Opened`]; handle 0 = descriptor, handle 1 = watch handle, if it can be watched |
//! | OPEN | descriptor | the same: opens what the path means beside this file | the same |
//! | READ | descriptor | words: length, flags, offset | words: 0, count, [arrival time](words::ARRIVAL); the bytes. Count 0 is end of file |
//! | WRITE | descriptor | words: 0, flags, offset; the bytes | words: 0, count |
//! | CONTROL | descriptor | words: 0, flags; bytes: [`Control`] | bytes: [`ControlReply`] |
//! | WATCH | descriptor | handle 0 = ticket | words: 0, [home](words::HOME); bytes: [`Opened`]; handle 0 = watch handle. EPERM: it cannot be watched |
//! | SEND | descriptor | words: length of the address, [flags](message::MessageFlags); bytes: [address](message), payload; up to 3 handles | words: 0, count |
//! | RECEIVE | descriptor | words: length, flags, most handles | words: 0, count, [flags and length of the address](message), whole length; bytes: address, payload; handles |
//! | PATH | service | bytes: [`PathRequest`] | bytes: [`PathReply`] |
//!
//! Whatever has to wait is answered when it can be done; with the flag [`NONBLOCK`], EAGAIN at once. A driver publishes the
//! new level before it answers.
//!
//! **Several processes, one open file.** A descriptor handle can be given to anybody, who asks with `WATCH` for a watch handle
//! of its own: a source is for one client session, since its cell lies in memory that this client sees. All sources of a file
//! are told the same. A source ends with its last watch handle or with the file.
//!
//! **Opening beside a file.** What a path means there is the driver's to say: `"writer"` beside the read end of a pipe,
//! `"accept"` beside a listener, `"peer"` beside one end of a pair.

mod control;
pub mod message;
pub mod names;
mod path;

use alloc::string::String;
use serde::{Deserialize, Serialize};

pub use control::{Arm, Control, ControlReply, Setting, TerminalMode, Whence};
pub use path::{Entry, FileType, PathReply, PathRequest, Stat};

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
    /// Ask for a watch handle for the client whose ticket comes with it.
    pub const WATCH: u32 = 0x4405;
    /// Send a message: bytes, an address, handles.
    pub const SEND: u32 = 0x4406;
    /// Receive a message.
    pub const RECEIVE: u32 = 0x4407;
    /// [`PathRequest`](super::PathRequest).
    pub const PATH: u32 = 0x4408;
    /// Of the service's endpoint: have the driver tell of itself. The reply's bytes are the report, one `name value` a line.
    pub const INSPECT: u32 = 0x44ff;
    /// Every reply.
    pub const REPLY: u32 = 0x4400;
}

/// Positions of words.
pub mod words {
    /// READ, RECEIVE: the most bytes wanted. SEND: length of the address.
    pub const LENGTH: usize = 0;
    /// All requests: flags.
    pub const FLAGS: usize = 1;
    /// READ, WRITE: position in the file, [`CURRENT`](super::CURRENT) for where it stands.
    pub const OFFSET: usize = 2;
    /// RECEIVE: the most handles wanted.
    pub const HANDLES: usize = 2;
    /// Replies: 0 or an errno.
    pub const ERRNO: usize = 0;
    /// Replies to OPEN and WATCH, with a watch handle: the event server's shard to show it to. Another shard does not know
    /// it, so who lies here is only not watched.
    pub const HOME: usize = 1;
    /// Replies to READ, WRITE, SEND and RECEIVE: bytes moved.
    pub const COUNT: usize = 1;
    /// Reply to READ: monotonic time in ns of the interrupt that brought the last of these bytes, 0 when there was none.
    pub const ARRIVAL: usize = 2;
    /// Reply to RECEIVE: [`message::pack`](super::message::pack)ed flags and length of the address.
    pub const MESSAGE: usize = 2;
    /// Reply to RECEIVE: length of the whole datagram, of which there was perhaps no room for all.
    pub const WHOLE: usize = 3;
}

/// Flag of all requests: EAGAIN where it would have to wait.
pub const NONBLOCK: u64 = 1;
/// Flag of an open, beside the `O_*`: the descriptor survives its driver's restart. A value that is none of theirs, nor of the
/// permissions that come with `O_CREAT`.
pub const DURABLE: u64 = 0x1000;
/// Offset of READ and WRITE: where the open file stands.
pub const CURRENT: u64 = u64::MAX;
/// Bytes in one READ or WRITE.
pub const MAX_TRANSFER: usize = abi::message::MAX_BYTES;
/// Bytes of a path.
pub const MAX_PATH: usize = 1024;
/// Bytes that a pipe takes in one piece or not at all. A write travels in one message, so it is less than
/// [`MAX_TRANSFER`]; POSIX asks for 512 at least.
pub const PIPE_BUF: usize = 2048;

/// Opens a path of the driver's, or what a path means beside an open file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Open {
    /// The whole path, as `/dev/tty`; beside an open file a word of the driver's. Up to [`MAX_PATH`] bytes.
    pub path: String,
    /// `O_*` of [`abi::flag`]; with `O_CREAT` the permissions are the low 12 bits.
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
    /// A pipe or FIFO end. The read level has EOF when there are no writers any more, HANGUP besides once it is drained
    /// (R18); a FIFO that never had a writer has neither. The write level has EOF and ERROR when there are no readers: a new
    /// WRITE note is refused with EPIPE then (R21), poll says ERR.
    Pipe,
    /// A socket.
    Socket,
    /// A regular file.
    File,
    /// Another device.
    Device,
    /// A directory.
    Directory,
    /// A process.
    Process,
    /// A mailbox of signals.
    Signals,
}
