//! What can be asked of a socket and set.

use super::{BUFFERS, Id, Sockets};
use crate::socket::Kind;
use abi::error::{EINVAL, Error, Result};
use driver_sdk::sockets::buffer_size;

impl<H> Sockets<H> {
    /// The pending error, which is none afterwards (SO_ERROR).
    pub fn take_error(&mut self, id: Id) -> Result<i32> {
        let error = core::mem::take(&mut self.get_mut(id)?.error);
        if error != 0 {
            self.tell_read(id, false);
            self.tell_write(id, false);
        }
        Ok(error)
    }

    /// Bytes that one receive would get now.
    pub fn available(&self, id: Id) -> Result<usize> {
        let socket = self.get(id)?;
        if socket.is_listening() {
            return Err(Error::new(EINVAL));
        }
        Ok(match socket.kind {
            Kind::Stream => socket.inbox.stream_bytes(socket.options.inline),
            Kind::Datagram | Kind::Record => socket.inbox.next_datagram().unwrap_or(0),
        })
    }

    /// Bytes that the socket holds for its receiver; what is out of range is brought into it.
    pub fn set_receive_buffer(&mut self, id: Id, bytes: i64) -> Result<()> {
        let bytes = buffer_size(bytes, &BUFFERS)?;
        self.get_mut(id)?.inbox.set_capacity(bytes);
        self.tell_senders(id, true);
        Ok(())
    }

    /// Bytes that it has sent and that are not received yet, at most.
    pub fn set_send_buffer(&mut self, id: Id, bytes: i64) -> Result<()> {
        self.get_mut(id)?.options.send_buffer = buffer_size(bytes, &BUFFERS)?;
        self.tell_write(id, true);
        Ok(())
    }

    /// Least bytes to receive and least space to send. EINVAL for less than one.
    pub fn set_low_water(&mut self, id: Id, receive: Option<i64>, send: Option<i64>) -> Result<()> {
        self.get_mut(id)?.options.low_water.set(receive, send)
    }

    /// `SO_REUSEADDR`.
    pub fn set_reuse(&mut self, id: Id, reuse: bool) -> Result<()> {
        self.get_mut(id)?.options.reuse = reuse;
        Ok(())
    }

    /// Whether urgent data stays in the stream.
    pub fn set_inline(&mut self, id: Id, inline: bool) -> Result<()> {
        self.get_mut(id)?.options.inline = inline;
        self.tell_read(id, true);
        Ok(())
    }
}
