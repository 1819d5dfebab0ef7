//! One connection of the load generator.

use alloc::format;
use alloc::vec::Vec;

use libkq::process::SocketType;
use libkq::{Descriptor, Error, KEvent, Queue, Result, process};
use rt::abi::error::{EAGAIN, ECONNRESET, EINPROGRESS};
use rt::clock;

use super::{Load, Reply};

const PIECE: usize = 8192;

/// What happens next.
pub enum Step {
    /// Something has to come.
    Wait,
    /// That is the answer, and the connection stays or not.
    Answered(Reply, bool),
}

/// A connection with one request at a time.
pub struct Client<'a> {
    socket: Descriptor,
    request: &'a [u8],
    sent: usize,
    /// Waits for room to write, otherwise for something to read.
    writes: bool,
    input: Vec<u8>,
    /// When the request began.
    pub since: u64,
}

/// The bytes of a request.
pub fn request(load: &Load) -> Vec<u8> {
    let Load { path, address, keep_alive, .. } = load;
    let host = if address.starts_with('/') { "localhost" } else { address };
    let connection = if *keep_alive { "keep-alive" } else { "close" };
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n").into_bytes()
}

impl<'a> Client<'a> {
    /// Begins a connection.
    pub fn connect(address: &str, request: &'a [u8], queue: &Queue) -> Result<Client<'a>> {
        let since = clock::now_ns();
        let kind = SocketType::Stream;
        let is_local = address.starts_with('/');
        let socket = if is_local { Descriptor::socket(kind)? } else { Descriptor::inet_socket(kind)? };
        let fd = socket.number();
        if is_local {
            // There at once, or as soon as the listener has room.
            process().connect(fd, address)?;
            process().set_nonblocking(fd, true)?;
        } else {
            process().set_nonblocking(fd, true)?;
            match process().connect(fd, address) {
                Err(error) if error.errno != EINPROGRESS => return Err(error),
                _ => {}
            }
        }
        queue.apply(&[KEvent::write(fd).add()])?;
        Ok(Client { socket, request, sent: 0, writes: true, input: Vec::new(), since })
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.socket.number()
    }

    /// Begins the request again.
    pub fn ask_again(&mut self) {
        self.sent = 0;
        self.since = clock::now_ns();
    }

    /// Goes on as far as it can.
    pub fn advance(&mut self, queue: &Queue) -> Result<Step> {
        let fd = self.number();
        while self.sent < self.request.len() {
            match process().write(fd, &self.request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.errno == EAGAIN => return self.wait(queue, true),
                Err(error) => return Err(error),
            }
        }
        let mut piece = [0; PIECE];
        loop {
            if let Some((reply, length, stays)) = Reply::parse(&self.input)? {
                self.input.drain(..length);
                return Ok(Step::Answered(reply, stays));
            }
            // When it was just written nothing is there yet, most likely; then it is waited for.
            match process().read(fd, &mut piece) {
                Ok(read) if read.count == 0 => return Err(Error::new(ECONNRESET)),
                Ok(read) => self.input.extend_from_slice(&piece[..read.count]),
                Err(error) if error.errno == EAGAIN => return self.wait(queue, false),
                Err(error) => return Err(error),
            }
        }
    }

    fn wait(&mut self, queue: &Queue, writes: bool) -> Result<Step> {
        if writes != self.writes {
            let fd = self.number();
            let (read, write) = (KEvent::read(fd), KEvent::write(fd));
            let (was, is) = if writes { (read, write) } else { (write, read) };
            queue.apply(&[was.delete(), is.add()])?;
            self.writes = writes;
        }
        Ok(Step::Wait)
    }
}
