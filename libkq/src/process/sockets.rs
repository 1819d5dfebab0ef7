//! Sockets: local ones, and TCP and UDP over IPv4.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::error::{
    EADDRINUSE, EAFNOSUPPORT, EALREADY, EBADMSG, EINPROGRESS, EINVAL, ENOENT, EPROTONOSUPPORT, Error, Result,
};
use abi::flag::{O_NONBLOCK, O_RDWR};
use event_protocol::descriptor::message::{MAX_HANDLES, MAX_PAYLOAD, MessageFlags};
use event_protocol::descriptor::names::{
    ACCEPT, DATAGRAM_SOCKET, INET_DATAGRAM_SOCKET, INET_STREAM_SOCKET, PEER, RECORD_SOCKET, STREAM_SOCKET,
};
use event_protocol::descriptor::{Control, ControlReply, Kind, NONBLOCK, Setting};

use super::Process;
use super::pipes::kept_flags;
use crate::conditions::Conditions;
use crate::file::{File, Files};
use crate::platform::Platform;

/// How a socket carries what is sent. `socket(2)`, the second argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketType {
    /// Bytes, without ends of messages (`SOCK_STREAM`).
    Stream = 1,
    /// Messages, without a connection (`SOCK_DGRAM`).
    Datagram = 2,
    /// Messages over a connection (`SOCK_SEQPACKET`).
    SeqPacket = 5,
}

impl TryFrom<i32> for SocketType {
    type Error = Error;

    fn try_from(number: i32) -> Result<SocketType> {
        match number {
            1 => Ok(SocketType::Stream),
            2 => Ok(SocketType::Datagram),
            5 => Ok(SocketType::SeqPacket),
            _ => Err(Error::new(EINVAL)),
        }
    }
}

impl SocketType {
    /// By which path a local one is made.
    const fn path(self) -> &'static str {
        match self {
            SocketType::Stream => STREAM_SOCKET,
            SocketType::Datagram => DATAGRAM_SOCKET,
            SocketType::SeqPacket => RECORD_SOCKET,
        }
    }

    /// By which path one over IPv4 is made. `EPROTONOSUPPORT`: there is none.
    const fn inet_path(self) -> Result<&'static str> {
        match self {
            SocketType::Stream => Ok(INET_STREAM_SOCKET),
            SocketType::Datagram => Ok(INET_DATAGRAM_SOCKET),
            SocketType::SeqPacket => Err(Error::new(EPROTONOSUPPORT)),
        }
    }
}

/// A message that was received: `recvmsg(2)`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Message {
    /// Bytes in the buffer; 0 is the end of a stream.
    pub count: usize,
    /// Bytes of the whole datagram, of which there was perhaps no room for all.
    pub whole: usize,
    /// What was cut, and whether a record ends.
    pub flags: MessageFlags,
    /// Who sent it; no text when that has no name.
    pub address: String,
    /// Descriptors that came with it, new numbers of this process.
    pub descriptors: Vec<i32>,
}

impl<P: Platform> Process<P> {
    /// A local socket. `socket(2)`: flags as [`pipe`](Process::pipe) has them.
    pub fn socket(&self, kind: SocketType, flags: u64) -> Result<i32> {
        let flags = kept_flags(flags)? | O_RDWR as u64;
        self.insert(self.new_socket(kind.path(), flags)?, flags)
    }

    /// `EAFNOSUPPORT`: nobody here has such sockets.
    fn new_socket(&self, path: &str, flags: u64) -> Result<P::File> {
        let opened = self.platform.open(path, flags);
        opened.map_err(|error| if error.errno == ENOENT { Error::new(EAFNOSUPPORT) } else { error })
    }

    /// A socket of TCP or UDP over IPv4: its addresses are text, `10.0.2.15:80`. `socket(2)` with `AF_INET`.
    pub fn inet_socket(&self, kind: SocketType, flags: u64) -> Result<i32> {
        let flags = kept_flags(flags)? | O_RDWR as u64;
        self.insert(self.new_socket(kind.inet_path()?, flags)?, flags)
    }

    /// Two sockets that are each other's peer. `socketpair(2)`.
    pub fn socketpair(&self, kind: SocketType, flags: u64) -> Result<(i32, i32)> {
        let flags = kept_flags(flags)? | O_RDWR as u64;
        let first = self.new_socket(kind.path(), flags)?;
        let second = self.platform.open_beside(&first, PEER, flags)?;
        self.insert_pair((first, flags), (second, flags))
    }

    /// Gives a socket an address. A local one may be any text; `EADDRINUSE`: a file or socket has it. `bind(2)`.
    pub fn bind(&self, fd: i32, address: &str) -> Result<()> {
        let socket = self.file_or_bad(fd)?;
        if self.is_file(address) && socket.kind() == Kind::Socket {
            return Err(Error::new(EADDRINUSE));
        }
        self.control(fd, Control::Bind(address.into())).map(drop)
    }

    /// Waits for connections, so many at most. `listen(2)`.
    pub fn listen(&self, fd: i32, backlog: i32) -> Result<()> {
        self.control(fd, Control::Listen(backlog)).map(drop)
    }

    /// The next connection of a listener, waiting for it unless the listener is nonblocking. `accept4(2)`: the flags are
    /// the new socket's.
    pub fn accept(&self, fd: i32, flags: u64) -> Result<i32> {
        let file = self.file_or_bad(fd)?;
        let flags = kept_flags(flags)? | O_RDWR as u64;
        let accepted = self.waiting(fd, &file, false, Conditions::IN, |wait| {
            let wait = if wait & NONBLOCK != 0 { O_NONBLOCK as u64 } else { 0 };
            self.platform.open_beside(file.handle(), ACCEPT, O_RDWR as u64 | wait)
        })?;
        self.insert(accepted, flags)
    }

    /// Connects a socket. No address dissolves a datagram socket's connection. `EAGAIN`: the listener has no room now, and
    /// the socket is nonblocking. `EINPROGRESS`: it is nonblocking, and the connection is being made; WRITE is ready when it is
    /// there, or [`take_error`](Process::take_error) tells why not. `connect(2)`.
    pub fn connect(&self, fd: i32, address: &str) -> Result<()> {
        let file = self.file_or_bad(fd)?;
        let flags = if file.is_nonblocking() { NONBLOCK } else { 0 };
        match self.platform.control(file.handle(), Control::Connect(address.into()), flags) {
            // One whose wait was interrupted goes on with it.
            Err(Error { errno: EINPROGRESS | EALREADY }) if !file.is_nonblocking() => self
                .waiting(fd, &file, false, Conditions::OUT, |wait| {
                    self.platform.control(file.handle(), Control::Connected, wait)
                })
                .map(drop),
            begun => begun.map(drop),
        }
    }

    /// No more is read, written or both. `EINVAL`: neither. `shutdown(2)`.
    pub fn shutdown(&self, fd: i32, read: bool, write: bool) -> Result<()> {
        if !read && !write {
            return Err(Error::new(EINVAL));
        }
        self.control(fd, Control::Shutdown { read, write }).map(drop)
    }

    /// Sends a message, with duplicates of open files (R33: not of sets). `EINVAL`: too many. `sendmsg(2)`. A stream may
    /// take less than all.
    pub fn send(
        &self,
        fd: i32,
        bytes: &[u8],
        address: &str,
        descriptors: &[i32],
        flags: MessageFlags,
    ) -> Result<usize> {
        let file = self.file_or_bad(fd)?;
        let bytes = match self.is_stream(&file)? {
            true => &bytes[..bytes.len().min(MAX_PAYLOAD)],
            false => bytes,
        };
        self.send_of(fd, &file, bytes, address, descriptors, flags)
    }

    /// The same of what fits into a message.
    pub(super) fn send_of(
        &self,
        fd: i32,
        file: &Arc<File<P>>,
        bytes: &[u8],
        address: &str,
        descriptors: &[i32],
        flags: MessageFlags,
    ) -> Result<usize> {
        if descriptors.len() > MAX_HANDLES {
            return Err(Error::new(EINVAL));
        }
        let sent: Vec<Arc<File<P>>> = descriptors.iter().map(|&fd| self.file(fd)).collect::<Result<_>>()?;
        let files: Vec<&P::File> = sent.iter().map(|file| file.handle()).collect();
        let at_once = flags.contains(MessageFlags::NONBLOCK);
        self.waiting(fd, file, at_once, Conditions::OUT, |wait| {
            let flags = flags.difference(MessageFlags::NONBLOCK) | MessageFlags::from_bits_truncate(wait);
            self.platform.send(file.handle(), address, bytes, &files, flags)
        })
    }

    /// Receives a message, with so many descriptors at most; those for which there is no number are closed, and the flags
    /// say so. `recvmsg(2)`.
    pub fn receive(
        &self,
        fd: i32,
        buffer: &mut [u8],
        descriptors: usize,
        flags: MessageFlags,
    ) -> Result<Message> {
        self.receive_of(fd, &self.file_or_bad(fd)?, buffer, descriptors, flags)
    }

    pub(super) fn receive_of(
        &self,
        fd: i32,
        file: &Arc<File<P>>,
        buffer: &mut [u8],
        descriptors: usize,
        flags: MessageFlags,
    ) -> Result<Message> {
        let at_once = flags.contains(MessageFlags::NONBLOCK);
        // Urgent data is not waited for: it is there, or EINVAL.
        let until = Conditions::IN | Conditions::PRI;
        let received = self.waiting(fd, file, at_once, until, |wait| {
            let flags = flags.difference(MessageFlags::NONBLOCK) | MessageFlags::from_bits_truncate(wait);
            self.platform.receive(file.handle(), buffer, descriptors, flags)
        })?;
        let mut message = Message {
            count: received.count,
            whole: received.whole,
            flags: received.flags,
            address: received.address,
            descriptors: Vec::new(),
        };
        for (file, flags) in received.files {
            match self.insert(file, flags) {
                Ok(fd) => message.descriptors.push(fd),
                Err(_) => message.flags |= MessageFlags::HANDLES_TRUNCATED,
            }
        }
        Ok(message)
    }

    pub(super) fn is_stream(&self, file: &File<P>) -> Result<bool> {
        let kind = file.control(Control::Get(Setting::SocketType))?;
        Ok(kind == ControlReply::Number(SocketType::Stream as i64))
    }

    /// An option's value. `getsockopt(2)`, `fcntl(F_GETPIPE_SZ)`.
    pub fn option(&self, fd: i32, setting: Setting) -> Result<i64> {
        self.number_of(fd, Control::Get(setting))
    }

    /// Sets an option. `setsockopt(2)`, `fcntl(F_SETPIPE_SZ)`.
    pub fn set_option(&self, fd: i32, setting: Setting, value: i64) -> Result<()> {
        self.control(fd, Control::Set(setting, value)).map(drop)
    }

    /// The pending error, which is none afterwards; 0 for none. `getsockopt(SO_ERROR)`.
    pub fn take_error(&self, fd: i32) -> Result<i32> {
        let number = self.number_of(fd, Control::TakeError)?;
        i32::try_from(number).map_err(|_| Error::new(EBADMSG))
    }

    /// Whether the next byte read comes behind urgent data. `sockatmark(3)`.
    pub fn at_mark(&self, fd: i32) -> Result<bool> {
        self.number_of(fd, Control::AtMark).map(|number| number != 0)
    }

    /// The socket's own address, no text for none; over IPv4 that is `0.0.0.0:0`. `getsockname(2)`.
    pub fn socket_name(&self, fd: i32) -> Result<String> {
        self.address_of(fd, Control::Name)
    }

    /// The peer's address, no text for none. `getpeername(2)`.
    pub fn peer_name(&self, fd: i32) -> Result<String> {
        self.address_of(fd, Control::Peer)
    }

    fn number_of(&self, fd: i32, control: Control) -> Result<i64> {
        match self.control(fd, control)? {
            ControlReply::Number(number) => Ok(number),
            _ => Err(Error::new(EBADMSG)),
        }
    }

    fn address_of(&self, fd: i32, control: Control) -> Result<String> {
        match self.control(fd, control)? {
            ControlReply::Address(address) => Ok(address),
            _ => Err(Error::new(EBADMSG)),
        }
    }
}
