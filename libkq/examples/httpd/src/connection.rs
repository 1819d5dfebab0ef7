//! A connection: requests in, answers out, one after the other.
//!
//! What a client decides of its memory is bounded: the input by the longest head and a piece, the output by the head of an answer and
//! a page of the server's own. Of a file there is only how much went: a client that does not read it keeps none of it here.

use alloc::sync::Arc;
use alloc::vec::Vec;

use libkq::{Descriptor, Error, Result, process};
use rt::abi::error::{EAGAIN, EIO, ENOMEM};
use rt::clock;

use crate::board::{Place, add};
use crate::date::Date;
use crate::deadline::Deadline;
use crate::poller::Want;
use crate::request::{self, Request};
use crate::response::{self, After, Status};

/// Bytes that are read at once.
const PIECE: usize = 4096;
/// The most bytes of the process that a connection keeps while it waits: twice the longest head, as a vector grows, and the counters' page
/// of all places.
pub const COST: usize = 48 << 10;
/// Bytes of a file that are read at once.
const FILE_PIECE: u64 = 32 << 10;
/// Requests of a connection that are answered before others have their turn: who sends them without an end keeps nobody waiting.
const AT_ONCE: usize = 16;
/// Bytes that are read of a client that was told to go, so that it sees why before the connection is reset.
const LAST_WORDS: usize = 256 << 10;

/// What can be sent.
#[derive(Debug)]
pub enum Body {
    /// Bytes of this answer's own.
    Text(Vec<u8>),
    /// Bytes that others have, too.
    Kept(Arc<[u8]>),
    /// So many bytes of a file.
    File(Arc<Descriptor>, u64),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// How it went.
    pub status: Status,
    /// The body's media type.
    pub kind: &'static str,
    /// The body.
    pub body: Body,
}

impl Answer {
    /// A page.
    pub fn page(status: Status, kind: &'static str, text: impl Into<Vec<u8>>) -> Answer {
        Answer { status, kind, body: Body::Text(text.into()) }
    }

    /// A page that says what is wrong.
    pub fn error(status: Status) -> Answer {
        Answer::page(status, "text/html; charset=utf-8", status.page())
    }
}

/// How it goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// When the socket is ready for this.
    Wait(Want),
    /// Not at all.
    Done,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    socket: Descriptor,
    /// What it waits for.
    pub want: Want,
    /// When something happened last.
    pub last: u64,
    /// What came and is no whole request yet.
    input: Vec<u8>,
    /// Bytes of a body that are still to come, and of no interest.
    skip: usize,
    /// What goes out, and how much of it went.
    output: Vec<u8>,
    sent: usize,
    /// What of bytes that others have, too, goes out behind it, and how much of it went.
    kept: Option<(Arc<[u8]>, usize)>,
    /// What of a file goes out behind it: from where, to where.
    file: Option<(Arc<Descriptor>, u64, u64)>,
    /// For the request that has begun, or the last words.
    deadline: Deadline,
    /// No more requests are taken.
    closing: bool,
    /// The client was told that nothing more comes: bytes that are still read of it.
    last_words: Option<usize>,
}

impl Connection {
    /// A connection that was accepted, nonblocking. A request may take so many nanoseconds to come.
    pub fn new(socket: Descriptor, patience: u64) -> Connection {
        Connection {
            socket,
            want: Want::Read,
            last: clock::now_ns(),
            input: Vec::new(),
            skip: 0,
            output: Vec::new(),
            sent: 0,
            kept: None,
            file: None,
            deadline: Deadline::new(patience),
            closing: false,
            last_words: None,
        }
    }

    /// Goes on as far as it can: writes what is to be written, answers what was asked, reads what came.
    pub fn advance(&mut self, place: &Place, mut answer: impl FnMut(&Request) -> Answer) -> Step {
        self.last = clock::now_ns();
        // An error is the end of the connection: the client has gone, and there is nobody to be told.
        self.go_on(place, &mut answer).unwrap_or(Step::Done)
    }

    /// Whether the client has been too long about a request.
    pub fn is_late(&self, now: u64) -> bool {
        self.want == Want::Read && self.deadline.is_over(now)
    }

    fn go_on(&mut self, place: &Place, answer: &mut dyn FnMut(&Request) -> Answer) -> Result<Step> {
        let (mut drained, mut answered) = (false, 0);
        loop {
            if !self.flush(place)? {
                return Ok(Step::Wait(Want::Write));
            }
            if self.closing {
                return self.close();
            }
            if answered == AT_ONCE {
                // More may be here already, of which nobody is told; that there is room to answer it is.
                return Ok(Step::Wait(Want::Write));
            }
            self.skip_body();
            match request::parse(&self.input) {
                Ok(Some((request, length))) => {
                    self.input.drain(..length);
                    self.skip = request.body;
                    self.deadline.met();
                    let after = match (request.keep_alive, request.is_old) {
                        (false, _) => After::Close,
                        (true, false) => After::Stay,
                        (true, true) => After::SayStay,
                    };
                    self.put(answer(&request), after, request.head_only, place);
                    answered += 1;
                }
                Err(status) => {
                    let head_only = request::is_head(&self.input);
                    self.put(Answer::error(status), After::Close, head_only, place);
                }
                Ok(None) if self.takes_too_long() => return Ok(Step::Done),
                Ok(None) if drained => return Ok(Step::Wait(Want::Read)),
                Ok(None) => {
                    let mut piece = [0; PIECE];
                    match self.read(&mut piece)? {
                        Some(0) => return Ok(Step::Done),
                        Some(count) => {
                            self.input.try_reserve(count).map_err(|_| Error::new(ENOMEM))?;
                            self.input.extend_from_slice(&piece[..count]);
                            // If more has come meanwhile, that is told.
                            drained = count < PIECE;
                        }
                        None => return Ok(Step::Wait(Want::Read)),
                    }
                }
            }
        }
    }

    /// Whether a part of a request, or of its body, is there.
    fn has_begun(&self) -> bool {
        !self.input.is_empty() || self.skip > 0
    }

    fn takes_too_long(&mut self) -> bool {
        if !self.has_begun() {
            self.deadline.met();
        }
        self.has_begun() && self.deadline.waits(clock::now_ns())
    }

    fn skip_body(&mut self) {
        let here = self.skip.min(self.input.len());
        self.input.drain(..here);
        self.skip -= here;
    }

    /// Makes an answer what goes out next.
    fn put(&mut self, answer: Answer, after: After, head_only: bool, place: &Place) {
        let Answer { status, kind, body } = answer;
        let length = match &body {
            Body::Text(text) => text.len() as u64,
            Body::Kept(bytes) => bytes.len() as u64,
            Body::File(_, length) => *length,
        };
        let now = Date(clock::realtime_ns() / 1_000_000_000);
        self.output = response::head(status, kind, length, after, now).into_bytes();
        self.sent = 0;
        match body {
            _ if head_only => {}
            Body::Text(text) => self.output.extend_from_slice(&text),
            Body::Kept(bytes) => self.kept = Some((bytes, 0)),
            Body::File(file, length) => self.file = Some((file, 0, length)),
        }
        self.closing = after == After::Close;
        place.answered(status != Status::Ok);
    }

    /// Whether everything went out.
    fn flush(&mut self, place: &Place) -> Result<bool> {
        // Head and body in one call, and in one segment if they fit: a copy that does not stay.
        if let Some((bytes, 0)) = &self.kept
            && self.sent == 0
        {
            let mut whole = room(self.output.len() + bytes.len())?;
            whole.extend_from_slice(&self.output);
            whole.extend_from_slice(bytes);
            let Some(count) = self.write(&whole, place)? else { return Ok(false) };
            self.went(count);
        }
        while self.sent < self.output.len() {
            let Some(count) = self.write(&self.output[self.sent..], place)? else { return Ok(false) };
            self.sent += count;
        }
        (self.output, self.sent) = (Vec::new(), 0);
        while let Some((bytes, at)) = &self.kept {
            if *at == bytes.len() {
                self.kept = None;
                break;
            }
            let Some(count) = self.write(&bytes[*at..], place)? else { return Ok(false) };
            self.went(count);
        }
        while let Some((file, at, end)) = &mut self.file {
            if at == end {
                self.file = None;
                break;
            }
            let wanted = (*end - *at).min(FILE_PIECE) as usize;
            let mut piece = room(wanted)?;
            piece.resize(wanted, 0);
            let count = process().read_at(file.number(), &mut piece, *at)?.count;
            if count == 0 {
                // It has become shorter than was said: the client learns that by the end of the connection.
                return Err(Error::new(EIO));
            }
            let mut rest = &piece[..count];
            while !rest.is_empty() {
                // What has no room now is read again then.
                let Some(count) = self.write(rest, place)? else { return Ok(false) };
                self.went(count);
                rest = &rest[count..];
            }
        }
        Ok(true)
    }

    /// So many bytes of the answer went, from where it was.
    fn went(&mut self, count: usize) {
        let of_output = count.min(self.output.len() - self.sent);
        self.sent += of_output;
        let rest = count - of_output;
        match (&mut self.kept, &mut self.file) {
            (Some((_, at)), _) => *at += rest,
            (_, Some((_, at, _))) => *at += rest as u64,
            _ => {}
        }
    }

    /// Writes, and counts what went. `None`: there is no room now.
    fn write(&self, bytes: &[u8], place: &Place) -> Result<Option<usize>> {
        match process().write(self.socket.number(), bytes) {
            Ok(count) => {
                add(&place.bytes, count as u64);
                Ok(Some(count))
            }
            Err(error) if error.errno == EAGAIN => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None`: nothing is there now.
    fn read(&self, piece: &mut [u8]) -> Result<Option<usize>> {
        match process().read(self.socket.number(), piece) {
            Ok(read) => Ok(Some(read.count)),
            Err(error) if error.errno == EAGAIN => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The end. A socket that is closed with bytes unread is reset, and the client may lose the answer: so what it goes on to
    /// say is read first.
    fn close(&mut self) -> Result<Step> {
        if self.last_words.is_none() {
            if !self.has_begun() {
                return Ok(Step::Done);
            }
            process().shutdown(self.socket.number(), false, true)?;
            self.last_words = Some(LAST_WORDS);
            self.deadline.met();
            self.deadline.waits(clock::now_ns());
        }
        let mut piece = [0; PIECE];
        while let Some(left @ 1..) = self.last_words {
            match self.read(&mut piece)? {
                Some(0) => break,
                Some(count) => self.last_words = Some(left.saturating_sub(count)),
                None => return Ok(Step::Wait(Want::Read)),
            }
            if self.deadline.waits(clock::now_ns()) {
                break;
            }
        }
        Ok(Step::Done)
    }
}

/// A vector with room for so many bytes, which may not be there.
fn room(bytes: usize) -> Result<Vec<u8>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(bytes).map_err(|_| Error::new(ENOMEM))?;
    Ok(vec)
}
