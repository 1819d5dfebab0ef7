//! A file server over HTTP/1.0, one thread and one kqueue, on port 80 of every address. It keeps what it serves at `/file` in
//! `/tmp`, and is told when to end.
//!
//! | request | answer |
//! |---|---|
//! | `GET /file` | the file |
//! | `GET /bytes/N` | N bytes of [`pattern`] |
//! | `POST /sum`, with or without `Content-Length` | length and checksum of what came, to the end without |
//! | `GET /counts` | connections that were accepted, ended in a reset, and are there |
//! | `GET /end` | ends the program, and the machine |
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::error::{EAGAIN, ECONNRESET, EPIPE, Error, Result};
use libkq::flag::{O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR};
use libkq::process::SocketType;
use libkq::{Descriptor, Filter, KEvent, Queue, process};

const PATH: &str = "/tmp/file";
/// Bytes of the file.
const SIZE: u64 = 1 << 20;
/// The longest head of a request.
const LONGEST_HEAD: usize = 4096;
/// Bytes that are read or written at once.
const PIECE: usize = 32 << 10;
const BACKLOG: i32 = 64;

rt::entry!(main);

fn main(_: &rt::Start) -> i32 {
    match serve() {
        Ok(server) => {
            let Server { accepted, resets, .. } = server;
            rt::log!("http: {accepted} connections, {resets} resets");
            0
        }
        Err(error) => {
            rt::log!("http: {error}");
            1
        }
    }
}

/// The byte at a place: no two stretches of the file look the same for long.
fn pattern(at: u64) -> u8 {
    let mixed = (at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (8 * (at % 8))) as u8
}

/// FNV-1a.
fn sum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
const SUM: u64 = 0xcbf2_9ce4_8422_2325;

/// What a connection does.
enum Doing {
    /// Reads the head of its request.
    Head(Vec<u8>),
    /// Reads a body, of so many bytes or up to the end.
    Body { left: Option<u64>, length: u64, sum: u64 },
    /// Writes its answer.
    Answer { head: Vec<u8>, sent: u64, body: Body, length: u64, ends: bool },
}

/// Where the bytes of an answer come from.
enum Body {
    Text(Vec<u8>),
    Pattern,
    File(Descriptor),
}

struct Connection {
    socket: Descriptor,
    doing: Doing,
}

struct Server {
    queue: Queue,
    listener: Descriptor,
    connections: BTreeMap<i32, Connection>,
    accepted: u64,
    resets: u64,
    ended: bool,
}

fn serve() -> Result<Server> {
    make_file()?;
    let listener = Descriptor::inet_socket(SocketType::Stream)?;
    process().bind(listener.number(), "0.0.0.0:80")?;
    process().listen(listener.number(), BACKLOG)?;
    process().set_nonblocking(listener.number(), true)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(listener.number()).add()])?;
    let mut server =
        Server { queue, listener, connections: BTreeMap::new(), accepted: 0, resets: 0, ended: false };
    rt::log!("http: serving");
    let mut events = [KEvent::default(); 32];
    while !server.ended {
        let count = server.queue.wait(&mut events, None)?.len();
        for event in &events[..count] {
            server.handle(event)?;
        }
    }
    Ok(server)
}

fn make_file() -> Result<()> {
    let file = Descriptor::open(PATH, O_RDWR | O_CREAT)?;
    let bytes: Vec<u8> = (0..SIZE).map(pattern).collect();
    file.write_all(&bytes)
}

impl Server {
    fn handle(&mut self, event: &KEvent) -> Result<()> {
        let fd = event.ident as i32;
        if fd == self.listener.number() {
            return self.accept(event.data);
        }
        let Some(mut connection) = self.connections.remove(&fd) else { return Ok(()) };
        if event.is_eof() && event.fflags == ECONNRESET as u32 {
            // What it said before does not matter any more.
            self.resets += 1;
            return Ok(());
        }
        let done = match event.filter {
            Filter::READ => self.read(&mut connection),
            _ => self.write(&mut connection),
        };
        match done {
            Ok(true) => {}
            Ok(false) => _ = self.connections.insert(fd, connection),
            Err(error) if error.errno == ECONNRESET || error.errno == EPIPE => self.resets += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn accept(&mut self, backlog: i64) -> Result<()> {
        for _ in 0..backlog {
            match process().accept(self.listener.number(), O_NONBLOCK as u64) {
                Ok(fd) => {
                    let socket = Descriptor::from_number(fd);
                    self.queue.apply(&[KEvent::read(fd).add()])?;
                    self.connections.insert(fd, Connection { socket, doing: Doing::Head(vec![]) });
                    self.accepted += 1;
                }
                // One that was reset meanwhile.
                Err(error) if error.errno == EAGAIN => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the connection is done with.
    fn read(&mut self, connection: &mut Connection) -> Result<bool> {
        let mut buffer = vec![0; PIECE];
        loop {
            let count = match connection.socket.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.errno == EAGAIN => return Ok(false),
                Err(error) => return Err(error),
            };
            let bytes = &buffer[..count];
            match &mut connection.doing {
                Doing::Head(head) => {
                    head.extend(bytes);
                    let end = head.windows(4).position(|four| four == b"\r\n\r\n");
                    match end {
                        Some(end) => {
                            let rest = head.split_off(end + 4);
                            let text = String::from_utf8_lossy(head).into_owned();
                            connection.doing = self.begin(&text);
                            take(&mut connection.doing, &rest, count == 0);
                        }
                        None if count == 0 || head.len() > LONGEST_HEAD => return Ok(true),
                        None => {}
                    }
                }
                doing => take(doing, bytes, count == 0),
            }
            if matches!(connection.doing, Doing::Answer { .. }) {
                let fd = connection.socket.number();
                self.queue.apply(&[KEvent::read(fd).delete(), KEvent::write(fd).add()])?;
                return self.write(connection);
            }
        }
    }

    /// What a request asks for.
    fn begin(&mut self, head: &str) -> Doing {
        let mut words = head.split(' ');
        match (words.next().unwrap_or(""), words.next().unwrap_or("")) {
            ("GET", "/file") => match Descriptor::open(PATH, O_RDONLY) {
                Ok(file) => answer("200 OK", SIZE, Body::File(file)),
                Err(error) => failure(error),
            },
            ("GET", "/counts") => {
                let now = self.connections.len() + 1;
                text(format!("{} {} {now}\n", self.accepted, self.resets))
            }
            ("GET", "/end") => match text(String::from("bye\n")) {
                Doing::Answer { head, sent, body, length, .. } => {
                    Doing::Answer { head, sent, body, length, ends: true }
                }
                doing => doing,
            },
            ("GET", path) => match path.strip_prefix("/bytes/").and_then(|count| count.parse().ok()) {
                Some(count) => answer("200 OK", count, Body::Pattern),
                None => answer("404 Not Found", 0, Body::Text(vec![])),
            },
            ("POST", "/sum") => {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                Doing::Body { left: length.and_then(|length| length.parse().ok()), length: 0, sum: SUM }
            }
            _ => answer("400 Bad Request", 0, Body::Text(vec![])),
        }
    }

    /// Whether the connection is done with.
    fn write(&mut self, connection: &mut Connection) -> Result<bool> {
        let Doing::Answer { head, sent, body, length, ends } = &mut connection.doing else {
            return Ok(false);
        };
        loop {
            let is_head = !head.is_empty();
            let piece = if is_head { core::mem::take(head) } else { piece(body, *sent, *length)? };
            if piece.is_empty() {
                self.ended |= *ends;
                return Ok(true);
            }
            let written = match process().write(connection.socket.number(), &piece) {
                Ok(written) => written,
                Err(error) if error.errno == EAGAIN => 0,
                Err(error) => return Err(error),
            };
            if is_head {
                *head = piece[written..].into();
            } else {
                *sent += written as u64;
            }
            if written == 0 {
                return Ok(false);
            }
        }
    }
}

/// Takes bytes of a body, and answers when it is whole.
fn take(doing: &mut Doing, bytes: &[u8], ended: bool) {
    let Doing::Body { left, length, sum: total } = doing else { return };
    let count = left.map_or(bytes.len(), |left| left.min(bytes.len() as u64) as usize);
    *total = sum(*total, &bytes[..count]);
    *length += count as u64;
    if let Some(left) = left {
        *left -= count as u64;
    }
    if *left == Some(0) || ended {
        *doing = text(format!("{length} {total:016x}\n"));
    }
}

fn piece(body: &Body, at: u64, length: u64) -> Result<Vec<u8>> {
    let count = (length - at).min(PIECE as u64);
    match body {
        Body::Text(text) => Ok(text[at as usize..].into()),
        Body::Pattern => Ok((at..at + count).map(pattern).collect()),
        Body::File(file) => {
            let mut bytes = vec![0; count as usize];
            let read = process().read_at(file.number(), &mut bytes, at)?.count;
            bytes.truncate(read);
            Ok(bytes)
        }
    }
}

fn answer(status: &str, length: u64, body: Body) -> Doing {
    let head = format!("HTTP/1.0 {status}\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    Doing::Answer { head, sent: 0, body, length, ends: false }
}

fn text(text: String) -> Doing {
    answer("200 OK", text.len() as u64, Body::Text(text.into_bytes()))
}

fn failure(error: Error) -> Doing {
    let text = format!("{error}\n").into_bytes();
    answer("500 Internal Server Error", text.len() as u64, Body::Text(text))
}
