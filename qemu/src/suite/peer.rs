//! The host's side of a guest test: a client of the HTTP server that `tests/guest/src/bin/http.rs` is. It comes through a
//! forwarded port, and tells the guest to end when it is done.

use std::{
    fmt::Display,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde::Deserialize;

/// How much is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Connections one after the other.
    pub sequential: usize,
    /// Connections at once.
    pub parallel: usize,
    /// Bytes in each direction.
    pub bytes: u64,
}

/// Bytes of the file that the guest serves.
const FILE: u64 = 1 << 20;
/// Bytes of an answer that is one of many.
const SMALL: u64 = 3000;
/// Without a byte for so long a connection is a failure.
const PATIENCE: Duration = Duration::from_secs(300);
/// While the guest boots a connection may lead nowhere.
const FIRST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// The client of one run.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The port of the loopback address that leads to the guest.
    pub port: u16,
    /// The guest has ended.
    pub over: &'a AtomicBool,
}

impl Peer {
    /// Does it all, and tells the guest to end. An error says what went wrong first.
    pub fn run(&self, client: Client<'_>) -> Result<(), String> {
        let result = client.wait_for_guest().and_then(|()| self.all(client));
        match client.get("/end") {
            Err(error) if result.is_ok() => Err(format!("/end: {error}")),
            _ => result,
        }
    }

    fn all(&self, client: Client<'_>) -> Result<(), String> {
        step("the file", client.get_pattern("/file", FILE))?;
        for at in 0..self.sequential {
            let connection = || client.get_pattern(&format!("/bytes/{SMALL}"), SMALL);
            step(&format!("connection {at} of {}", self.sequential), connection())?;
        }
        step("connections at once", client.at_once(self.parallel))?;
        step("bytes from the guest", client.get_pattern(&format!("/bytes/{}", self.bytes), self.bytes))?;
        step("bytes to the guest", client.post(self.bytes, true))?;
        step("a half close", client.post(FILE / 3, false))?;
        step("a reset", client.reset())
    }
}

fn step(name: &str, result: io::Result<()>) -> Result<(), String> {
    result.map_err(|error| format!("{name}: {error}"))
}

impl Client<'_> {
    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// The emulator takes connections before there is anybody to pass them on to.
    fn wait_for_guest(&self) -> Result<(), String> {
        let try_once = || -> io::Result<String> {
            let mut stream = self.connect()?;
            stream.set_read_timeout(Some(FIRST))?;
            ask(&mut stream, "GET /counts HTTP/1.0\r\n\r\n")?;
            text(&mut stream)
        };
        loop {
            match try_once() {
                Ok(_) => return Ok(()),
                Err(error) if self.over.load(Ordering::Relaxed) => {
                    return Err(format!("the guest ended before it could be reached: {error}"));
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn get(&self, path: &str) -> io::Result<String> {
        let mut stream = self.connect()?;
        ask(&mut stream, &format!("GET {path} HTTP/1.0\r\n\r\n"))?;
        text(&mut stream)
    }

    fn get_pattern(&self, path: &str, length: u64) -> io::Result<()> {
        let mut stream = self.connect()?;
        ask(&mut stream, &format!("GET {path} HTTP/1.0\r\n\r\n"))?;
        is_pattern(&mut stream, length)
    }

    /// All are connected before the first is answered.
    fn at_once(&self, count: usize) -> io::Result<()> {
        let barrier = Barrier::new(count);
        thread::scope(|scope| {
            let one = || {
                let stream = self.connect();
                barrier.wait();
                let mut stream = stream?;
                ask(&mut stream, &format!("GET /bytes/{} HTTP/1.0\r\n\r\n", SMALL * 10))?;
                is_pattern(&mut stream, SMALL * 10)
            };
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(wrong("a thread panicked"))))
        })
    }

    /// Sends a body, whose end is told by its length or by the end of this half of the connection.
    fn post(&self, length: u64, is_told: bool) -> io::Result<()> {
        let mut stream = self.connect()?;
        let told = if is_told { format!("Content-Length: {length}\r\n") } else { String::new() };
        ask(&mut stream, &format!("POST /sum HTTP/1.0\r\n{told}\r\n"))?;
        let mut total = SUM;
        for at in (0..length).step_by(PIECE) {
            let piece: Vec<u8> = (at..length.min(at + PIECE as u64)).map(pattern).collect();
            total = sum(total, &piece);
            stream.write_all(&piece)?;
        }
        if !is_told {
            stream.shutdown(Shutdown::Write)?;
        }
        let (said, expected) = (text(&mut stream)?, format!("{length} {total:016x}\n"));
        if said == expected {
            Ok(())
        } else {
            Err(wrong(format!("the guest got {said:?}, not {expected:?}")))
        }
    }

    /// Goes in the midst of an answer; the guest is told, and keeps nothing of the connection.
    fn reset(&self) -> io::Result<()> {
        let counts = || -> io::Result<(u64, u64)> {
            let said = self.get("/counts")?;
            let mut numbers = said.split_whitespace().map(|word| word.parse().unwrap_or(u64::MAX));
            match (numbers.next(), numbers.next(), numbers.next()) {
                (Some(_), Some(resets), Some(now)) => Ok((resets, now)),
                _ => Err(wrong(format!("/counts says {said:?}"))),
            }
        };
        let (before, _) = counts()?;
        let mut stream = self.connect()?;
        ask(&mut stream, &format!("GET /bytes/{} HTTP/1.0\r\n\r\n", 64 * FILE))?;
        stream.read_exact(&mut [0; 100])?;
        // Closed with bytes unread.
        drop(stream);
        loop {
            let (resets, now) = counts()?;
            if resets > before && now == 1 {
                return Ok(());
            }
            if self.over.load(Ordering::Relaxed) {
                return Err(wrong(format!("the guest tells of {resets} resets and {now} connections")));
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Bytes that are sent at once.
const PIECE: usize = 64 << 10;

/// The byte at a place, as the guest has it.
fn pattern(at: u64) -> u8 {
    let mixed = (at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (8 * (at % 8))) as u8
}

/// FNV-1a.
fn sum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
const SUM: u64 = 0xcbf2_9ce4_8422_2325;

fn wrong(why: impl Display) -> io::Error {
    io::Error::other(why.to_string())
}

fn ask(stream: &mut TcpStream, request: &str) -> io::Result<()> {
    stream.write_all(request.as_bytes())
}

/// Reads the head of an answer: the length of its body.
fn head(stream: &mut impl Read) -> io::Result<u64> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        if head.len() > 1000 {
            return Err(wrong("the head of the answer does not end"));
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    match length {
        Some(length) if head.starts_with("HTTP/1.0 200 ") => Ok(length),
        _ => Err(wrong(format!("the answer begins with {head:?}"))),
    }
}

fn text(stream: &mut impl Read) -> io::Result<String> {
    let length = head(stream)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    if text.len() as u64 == length { Ok(text) } else { Err(wrong(format!("{text:?} is not {length} bytes"))) }
}

fn is_pattern(stream: &mut impl Read, length: u64) -> io::Result<()> {
    let told = head(stream)?;
    if told != length {
        return Err(wrong(format!("the answer has {told} bytes, not {length}")));
    }
    let (mut buffer, mut at) = (vec![0; PIECE], 0);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let mut bytes = buffer[..count].iter().zip(at..);
        if let Some((_, at)) = bytes.find(|&(&byte, at)| byte != pattern(at)) {
            return Err(wrong(format!("byte {at} of {length} is another")));
        }
        at += count as u64;
    }
    if at == length { Ok(()) } else { Err(wrong(format!("{at} bytes of {length} came"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(length: u64, bytes: impl Iterator<Item = u8>) -> Vec<u8> {
        let mut answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        answer.extend(bytes);
        answer
    }

    #[test]
    fn what_is_not_what_was_sent_is_seen() {
        let said =
            |length, bytes: &mut dyn Iterator<Item = u8>| is_pattern(&mut &answer(length, bytes)[..], 100);
        assert!(said(100, &mut (0..100).map(pattern)).is_ok());
        assert!(said(99, &mut (0..100).map(pattern)).is_err());
        assert!(said(100, &mut (0..99).map(pattern)).is_err(), "cut");
        assert!(said(100, &mut (0..101).map(pattern)).is_err());
        assert!(said(100, &mut (0..100).map(|at| pattern(at) ^ u8::from(at == 70))).is_err(), "another byte");
        assert!(said(100, &mut (1..101).map(pattern)).is_err(), "moved");
        assert!(head(&mut &b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"[..]).is_err());
        assert_eq!(text(&mut &answer(2, b"hi".iter().copied())[..]).unwrap(), "hi");
        assert!(text(&mut &answer(3, b"hi".iter().copied())[..]).is_err());
    }
}
