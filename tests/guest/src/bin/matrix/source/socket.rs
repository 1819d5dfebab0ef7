//! Local sockets: one of a pair, and a listener.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::error::{EAGAIN, Error};
use guest_tests::Outcome;
use libkq::control::message::MessageFlags;
use libkq::flag::O_NONBLOCK;
use libkq::process::SocketType;
use libkq::{Descriptor, process};
use rt::sync::Mutex;

use super::end::End;
use super::{Condition, Ending, Source};
use crate::told::What;

/// Bytes of a datagram that a socket has room for when one was received.
const PIECE: usize = 3800;

struct Socket {
    own: End,
    peer: End,
    connected: bool,
}

fn pair(kind: SocketType) -> Outcome<Arc<dyn Source>> {
    let (own, peer) = process().socketpair(kind, O_NONBLOCK as u64)?;
    let connected = kind == SocketType::Stream;
    Ok(Arc::new(Socket { own: End::new(own), peer: End::new(peer), connected }))
}

/// One of two connected stream sockets.
pub fn stream() -> Outcome<Arc<dyn Source>> {
    pair(SocketType::Stream)
}

/// One of two datagram sockets that send to each other.
pub fn datagram() -> Outcome<Arc<dyn Source>> {
    pair(SocketType::Datagram)
}

impl Source for Socket {
    fn number(&self, _: Condition) -> i32 {
        self.own.number()
    }

    fn raise(&self, condition: Condition) -> Outcome {
        match condition {
            Condition::Read => self.peer.write(b"x")?,
            Condition::Write => drop(self.peer.read(PIECE)?),
            Condition::Urgent => {
                process().send(self.peer.number(), b"!", "", &[], MessageFlags::OOB)?;
            }
        }
        Ok(())
    }

    fn lower(&self, condition: Condition) -> Outcome {
        match condition {
            Condition::Read => self.own.drain()?,
            Condition::Write => self.own.fill(PIECE)?,
            Condition::Urgent => {
                match process().receive(self.own.number(), &mut [0], 0, MessageFlags::OOB) {
                    // There is none.
                    Err(Error { errno: abi::error::EINVAL | EAGAIN }) => {}
                    received => drop(received?),
                }
                self.own.drain()?;
            }
        }
        Ok(())
    }

    fn close(&self, _: Condition) {
        self.own.close();
    }

    /// R18: the peer goes, and with bytes that it has not read, which are there when nothing can be written, that is an
    /// error besides.
    fn hang_up(&self, condition: Condition) -> Outcome<Option<Ending>> {
        if !self.connected || condition == Condition::Urgent {
            return Ok(None);
        }
        self.peer.close();
        let what = What::of(condition);
        Ok(Some(match condition {
            Condition::Write => Ending {
                kevent: what | What::END | What::ERROR,
                // A hang-up excludes writing.
                poll: What::END | What::ERROR,
                select: what,
            },
            _ => Ending { kevent: what | What::END, poll: what | What::END, select: what },
        }))
    }
}

struct Listener {
    socket: End,
    path: String,
    clients: Mutex<Vec<Descriptor>>,
}

/// A socket that waits for connections.
pub fn listener() -> Outcome<Arc<dyn Source>> {
    let path = format!("/run/socket/matrix{}", super::unique());
    let socket = End::new(process().socket(SocketType::Stream, O_NONBLOCK as u64)?);
    process().bind(socket.number(), &path)?;
    process().listen(socket.number(), 8)?;
    Ok(Arc::new(Listener { socket, path, clients: Mutex::new(Vec::new()) }))
}

impl Source for Listener {
    fn number(&self, _: Condition) -> i32 {
        self.socket.number()
    }

    fn raise(&self, _: Condition) -> Outcome {
        let client = Descriptor::socket(SocketType::Stream)?;
        process().connect(client.number(), &self.path)?;
        self.clients.lock().push(client);
        Ok(())
    }

    fn lower(&self, _: Condition) -> Outcome {
        loop {
            match process().accept(self.socket.number(), 0) {
                Ok(number) => drop(Descriptor::from_number(number)),
                Err(Error { errno: EAGAIN }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.clients.lock().clear();
        Ok(())
    }

    fn close(&self, _: Condition) {
        self.socket.close();
    }

    /// R51: it takes no more connections. That is not a hang-up.
    fn hang_up(&self, condition: Condition) -> Outcome<Option<Ending>> {
        process().shutdown(self.socket.number(), true, false)?;
        let what = What::of(condition);
        Ok(Some(Ending { kevent: what | What::END, poll: what, select: what }))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It is there: nobody else knows the name.
        let _ = process().unlink(&self.path);
    }
}
