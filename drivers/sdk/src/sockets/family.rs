//! What an address family is.

use super::{Change, Id, Ready};
use crate::message::{Incoming, Outgoing, Receiving};
use crate::parcels::Parcel;
use abi::error::{EINVAL, ENOENT, EOPNOTSUPP, Error, Result};
use abi::limits::FOREVER;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use event_protocol::descriptor::{PathReply, PathRequest, Setting};

/// Sockets of one sort, as [`Service`](super::Service) asks them. Where one would have to wait it says EAGAIN, and tells a
/// [`Change`] with news when that is over.
pub trait Family {
    /// How to undo a receive.
    type Undo;

    /// As [`Driver::KNOWS_CALLERS`](crate::Driver::KNOWS_CALLERS).
    const KNOWS_CALLERS: bool = false;
    /// Space at which a socket is writable, unless it is told otherwise.
    const SEND_LOW: u32;

    /// It is `now` (monotonic ns) as far as what follows is concerned.
    fn set_time(&mut self, now: u64) {
        _ = now;
    }

    /// A new socket of the kind that a path stands for; whose quotas it counts against, and the process if callers are known.
    /// ENOENT.
    fn create(&mut self, path: &str, client: u64, caller: u32) -> Result<Id>;

    /// The next connection of a listener. EAGAIN: there is none yet.
    fn accept(&mut self, listener: Id) -> Result<Id>;

    /// The other one of a pair.
    fn pair(&mut self, socket: Id) -> Result<Id> {
        _ = socket;
        Err(Error::new(ENOENT))
    }

    /// Nobody has the socket any more.
    fn close(&mut self, socket: Id);

    /// How ready a socket is for reading and for writing.
    fn ready(&self, socket: Id) -> Result<[Ready; 2]>;

    /// What has to be told since the last call, in order; each socket once, unless it is to be told of a state in between.
    fn changes(&mut self) -> Vec<Change>;

    /// Sends, as [`Driver::send`](crate::Driver::send) does; a write is a message without an address.
    fn send(&mut self, socket: Id, message: &mut Outgoing<'_>) -> Result<usize>;

    /// Receives or peeks, as [`Driver::receive`](crate::Driver::receive) does; a read is one without flags and room for parcels.
    /// The [pending error](Family::error) is told once, and is none afterwards.
    fn receive(
        &mut self,
        socket: Id,
        buffer: &mut [u8],
        receiving: Receiving,
    ) -> Result<(Incoming, Self::Undo)>;

    /// What was received last did not arrive: it is the next one's. Nothing has happened in between.
    fn put_back(&mut self, socket: Id, undo: Self::Undo, bytes: &[u8], parcels: Vec<Parcel>);

    /// The pending error, which a receive told last, did not arrive.
    fn put_back_error(&mut self, socket: Id, errno: i32);

    /// The parcels that wait to be received from a socket, or from connections that only it can accept.
    fn visit_parcels(&self, socket: Id, visit: &mut dyn FnMut(&Parcel)) {
        _ = (socket, visit);
    }

    /// Gives a socket an address. `bind(2)`.
    fn bind(&mut self, socket: Id, address: &str) -> Result<()>;

    /// Waits for connections, so many at most. `listen(2)`.
    fn listen(&mut self, socket: Id, backlog: i32) -> Result<()>;

    /// Connects a socket, or begins to (EINPROGRESS); no text is nobody. `connect(2)`.
    fn connect(&mut self, socket: Id, address: &str) -> Result<()>;

    /// Whether the connection is made that was begun. EAGAIN: not yet.
    fn connected(&mut self, socket: Id) -> Result<()> {
        _ = socket;
        Err(Error::new(EINVAL))
    }

    /// No more is received, sent, or both. `shutdown(2)`.
    fn shutdown(&mut self, socket: Id, read: bool, write: bool) -> Result<()>;

    /// A socket's own address; no text when it has none. `getsockname(2)`.
    fn name(&self, socket: Id) -> Result<String>;

    /// The address of its other side. `getpeername(2)`.
    fn peer(&self, socket: Id) -> Result<String>;

    /// The process of its other side.
    fn peer_process(&self, socket: Id) -> Result<i64> {
        _ = socket;
        Err(Error::new(EINVAL))
    }

    /// An option. `getsockopt(2)`.
    fn option(&self, socket: Id, setting: Setting) -> Result<i64>;

    /// Sets an option. `setsockopt(2)`.
    fn set_option(&mut self, socket: Id, setting: Setting, value: i64) -> Result<()>;

    /// The pending error, 0 for none.
    fn error(&self, socket: Id) -> Result<i32>;

    /// The pending error, which is none afterwards (`SO_ERROR`).
    fn take_error(&mut self, socket: Id) -> Result<i32>;

    /// Bytes that one receive would get now (`FIONREAD`).
    fn available(&self, socket: Id) -> Result<usize>;

    /// Whether the place of urgent data is next. `sockatmark(3)`.
    fn is_at_mark(&self, socket: Id) -> Result<bool> {
        _ = socket;
        Ok(false)
    }

    /// Answers a request about paths.
    fn path(&mut self, request: &PathRequest) -> Result<PathReply> {
        _ = request;
        Err(Error::new(EOPNOTSUPP))
    }

    /// Writes the family's counters, one `name value` a line.
    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Switches the device on, if there is one.
    fn start(&mut self) {}

    /// The device interrupted.
    fn interrupt(&mut self) {}

    /// Whether there is more to do than was fair at once.
    fn has_more(&self) -> bool {
        false
    }

    /// When there may be [changes](Family::changes) though nobody has asked for anything: monotonic ns.
    fn deadline(&self) -> u64 {
        FOREVER
    }

    /// Why the family cannot go on, if it cannot: as [`Driver::lost`](crate::Driver::lost).
    fn lost(&self) -> Option<Error> {
        None
    }
}
