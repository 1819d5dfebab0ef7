//! What can be asked of a socket and set.

use super::{BUFFERS, Id, Sockets};
use crate::port::Card;
use crate::socket::{Kind, Options, Role};
use abi::error::{EINVAL, Error, Result};
use driver_sdk::sockets::buffer_size;
use smoltcp::socket::tcp;
use smoltcp::time::Duration;

/// An idle connection that is looked after is asked so often.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Options that the stack has to know.
pub fn apply(socket: &mut tcp::Socket<'_>, options: Options) {
    socket.set_nagle_enabled(!options.no_delay);
    socket.set_keep_alive(options.keep_alive.then_some(KEEP_ALIVE));
}

impl<C: Card> Sockets<C> {
    /// The pending error, which is none afterwards (SO_ERROR).
    pub fn take_error(&mut self, id: Id) -> Result<i32> {
        Ok(core::mem::take(&mut self.get_mut(id)?.error))
    }

    /// Bytes that one receive would get now. EINVAL: it is a listener.
    pub fn available(&self, id: Id) -> Result<usize> {
        let socket = self.get(id)?;
        Ok(match (&socket.role, socket.kind) {
            (Role::Listening { .. }, _) => return Err(Error::new(EINVAL)),
            (_, Kind::Datagram) => socket.inbox.front().map_or(0, |datagram| datagram.bytes.len()),
            (_, Kind::Stream) => socket.readable(&self.stack).amount,
        })
    }

    /// Bytes that it holds for its receiver: of connections that begin later. What is out of range is brought into it.
    pub fn set_receive_buffer(&mut self, id: Id, bytes: i64) -> Result<()> {
        self.get_mut(id)?.options.receive_buffer = buffer_size(bytes, &BUFFERS)?;
        Ok(())
    }

    /// Bytes that it has to send: of connections that begin later.
    pub fn set_send_buffer(&mut self, id: Id, bytes: i64) -> Result<()> {
        self.get_mut(id)?.options.send_buffer = buffer_size(bytes, &BUFFERS)?;
        Ok(())
    }

    /// Least bytes to receive and least space to send. EINVAL for less than one.
    pub fn set_low_water(&mut self, id: Id, receive: Option<i64>, send: Option<i64>) -> Result<()> {
        self.get_mut(id)?.options.low_water.set(receive, send)
    }

    /// Whether it has its address with others that want that, too. EINVAL: it has one, or is for datagrams.
    pub fn set_reuse_port(&mut self, id: Id, shares: bool) -> Result<()> {
        let socket = self.get_mut(id)?;
        if socket.kind != Kind::Stream || socket.bound.is_some() {
            return Err(Error::new(EINVAL));
        }
        socket.options.reuse_port = shares;
        Ok(())
    }

    /// Whether small segments go at once, and whether an idle connection is looked after. EINVAL for datagrams.
    pub fn set_behaviour(&mut self, id: Id, no_delay: Option<bool>, keep_alive: Option<bool>) -> Result<()> {
        let socket = self.get_mut(id)?;
        if socket.kind != Kind::Stream {
            return Err(Error::new(EINVAL));
        }
        let options = &mut socket.options;
        options.no_delay = no_delay.unwrap_or(options.no_delay);
        options.keep_alive = keep_alive.unwrap_or(options.keep_alive);
        let (options, connection) = (*options, socket.connection());
        if let Some(handle) = connection {
            apply(self.stack.tcp_mut(handle), options);
        }
        Ok(())
    }
}
