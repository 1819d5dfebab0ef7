//! Half a connection ends, or all of it.

use super::{Change, Id, Sockets};
use crate::socket::Role;
use abi::error::{ECONNRESET, ENOTCONN, Error, Result};

impl<H> Sockets<H> {
    /// No more is received, sent, or both. What came before stays to be read (R20). A listener takes no more
    /// connections, and its sleepers wake (R51). ENOTCONN.
    pub fn shutdown(&mut self, id: Id, read: bool, write: bool) -> Result<()> {
        let socket = self.get_mut(id)?;
        let peer = match socket.role {
            Role::Idle => return Err(Error::new(ENOTCONN)),
            Role::Listening { .. } => None,
            Role::Connected { peer, .. } => Some(peer),
        };
        let listening = peer.is_none();
        socket.read_shut |= read;
        socket.write_shut |= write && !listening;
        let connected = socket.kind.is_connected();
        if listening && !read {
            return Ok(());
        }
        self.tell_read(id, true);
        if !listening {
            self.tell_write(id, true);
        }
        if read {
            // Who waits for room here waits in vain.
            self.tell_senders(id, true);
        }
        if connected
            && let Some(peer) = peer
            && let Some(other) = self.sockets.get_mut(&peer)
        {
            other.read_shut |= write;
            other.write_shut |= read;
            self.tell_read(peer, true);
            self.tell_write(peer, true);
        }
        Ok(())
    }

    /// Nobody has the socket any more. Its peer is told that it is gone, and that it was in the midst of something when
    /// it has not read everything (R18: ECONNRESET).
    pub fn close(&mut self, id: Id) {
        self.close_one(id, false);
    }

    fn close_one(&mut self, id: Id, reset: bool) {
        self.tell_senders(id, true);
        self.unblock(id);
        let Some(socket) = self.sockets.remove(&id) else { return };
        self.discount_unaccepted(socket.unaccepted);
        // An accepted connection has its listener's address, and not its name.
        if let Some(name) = &socket.name {
            self.names.closed(name, id);
        }
        let reset = reset || socket.inbox.has_unread();
        match socket.role {
            Role::Idle => {}
            // Connections that nobody accepts any more.
            Role::Listening { backlog, .. } => {
                for connection in backlog {
                    self.close_one(connection, true);
                }
            }
            Role::Connected { peer, .. } => {
                let Some(other) = self.sockets.get_mut(&peer) else { return };
                other.senders.remove(&id);
                if !socket.kind.is_connected() {
                    return;
                }
                other.read_shut = true;
                other.write_shut = true;
                if reset {
                    other.error = ECONNRESET;
                }
                self.changes.push(Change::Read { socket: peer, news: true });
                self.changes.push(Change::Write { socket: peer, news: true });
            }
        }
    }
}
