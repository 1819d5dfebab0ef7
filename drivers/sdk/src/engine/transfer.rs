//! Reads and writes: at once, or when they can be done.

use super::{Answer, Engine, Request, failure, success};
use crate::driver::{Driver, Taken};
use crate::files::{File, FileId};
use crate::link::Link;
use crate::pending::Waiting;
use crate::trace::Event;
use abi::error::{EAGAIN, EBADF, ESRCH, Error, Result};
use abi::message::WORDS;
use alloc::vec;
use event_protocol::cell::Direction;
use event_protocol::descriptor::{CURRENT, MAX_TRANSFER, NONBLOCK, words};

impl<D: Driver, L: Link> Engine<D, L> {
    pub(super) fn read(
        &mut self,
        id: FileId,
        file: File,
        request: &Request<'_, L::Ticket>,
    ) -> Result<Answer> {
        if !file.readable {
            return Err(Error::new(EBADF));
        }
        let waiting = Waiting {
            token: request.token,
            client: file.client,
            file: id,
            direction: Direction::Read,
            queue: self.driver.queue(id, Direction::Read),
            offset: position(request.words[words::OFFSET]),
            count: usize::try_from(request.words[words::LENGTH]).unwrap_or(usize::MAX).min(MAX_TRANSFER),
            rest: vec![],
        };
        if waiting.count == 0 {
            // Nothing wanted is nothing taken, least of all an end of file.
            return Ok(Answer::Words([0; WORDS]));
        }
        self.try_now(waiting, request.words[words::FLAGS])
    }

    pub(super) fn write(
        &mut self,
        id: FileId,
        file: File,
        request: &Request<'_, L::Ticket>,
    ) -> Result<Answer> {
        if !file.writable {
            return Err(Error::new(EBADF));
        }
        if request.bytes.is_empty() {
            return Ok(Answer::Words([0; WORDS]));
        }
        let mut waiting = Waiting {
            token: request.token,
            client: file.client,
            file: id,
            direction: Direction::Write,
            queue: self.driver.queue(id, Direction::Write),
            offset: position(request.words[words::OFFSET]),
            count: 0,
            rest: vec![],
        };
        let flags = request.words[words::FLAGS];
        if !self.pending.has(Direction::Write, waiting.queue) {
            let offset = waiting.offset;
            match self.call(|driver, context| driver.write(context, id, request.bytes, offset)) {
                Ok(count) if count >= request.bytes.len() || flags & NONBLOCK != 0 => {
                    return Ok(Answer::Words(success(count as u64, 0)));
                }
                Ok(count) => waiting.count = count,
                Err(error) if error.errno != EAGAIN => return Err(error),
                Err(_) => {}
            }
        }
        if flags & NONBLOCK != 0 {
            return Err(Error::new(EAGAIN));
        }
        waiting.rest = request.bytes[waiting.count..].into();
        self.park(waiting)
    }

    /// Tries a new read, unless others wait for the same; then it waits, or is told that it would have to.
    fn try_now(&mut self, waiting: Waiting, flags: u64) -> Result<Answer> {
        let waiting = if self.pending.has(waiting.direction, waiting.queue) {
            Some(waiting)
        } else {
            self.retry(waiting)
        };
        match waiting {
            None => Ok(Answer::Done),
            Some(_) if flags & NONBLOCK != 0 => Err(Error::new(EAGAIN)),
            Some(waiting) => self.park(waiting),
        }
    }

    fn park(&mut self, waiting: Waiting) -> Result<Answer> {
        self.counters.waits += 1;
        self.trace.record(self.now, waiting.file.badge(), Event::Waits);
        if let Some(evicted) = self.pending.push(waiting)? {
            self.dismiss(evicted, Error::new(EAGAIN));
        }
        Ok(Answer::Done)
    }

    /// Tries a request; gives it back when it has to wait (still).
    pub(super) fn retry(&mut self, mut waiting: Waiting) -> Option<Waiting> {
        match waiting.direction {
            Direction::Read => self.retry_read(&waiting).is_err().then_some(waiting),
            Direction::Write => {
                let (file, offset) = (waiting.file, waiting.offset);
                let at = offset.map(|offset| offset.saturating_add(waiting.count as u64));
                match self.call(|driver, context| driver.write(context, file, &waiting.rest, at)) {
                    Ok(count) => {
                        waiting.count += count;
                        waiting.rest.drain(..count.min(waiting.rest.len()));
                        if !waiting.rest.is_empty() {
                            return Some(waiting);
                        }
                        self.finish(waiting.token, success(waiting.count as u64, 0));
                    }
                    Err(error) if error.errno == EAGAIN => return Some(waiting),
                    // What was taken before the error counts: the next write is told the error.
                    Err(_) if waiting.count > 0 => {
                        self.finish(waiting.token, success(waiting.count as u64, 0));
                    }
                    Err(error) => self.dismiss(waiting, error),
                }
                None
            }
        }
    }

    /// Reads and answers. The data is taken only if its reader got it.
    fn retry_read(&mut self, waiting: &Waiting) -> Result<(), MustWait> {
        let Waiting { token, file, offset, count, .. } = *waiting;
        let mut buffer = core::mem::take(&mut self.buffer);
        let room = &mut buffer[..count];
        let result = self.call(|driver, context| driver.read(context, file, room, offset));
        let outcome = match result {
            Ok(Taken { count, arrival }) => {
                let bytes = &room[..count.min(room.len())];
                if self.link.reply(token, success(bytes.len() as u64, arrival), bytes).is_err() {
                    self.counters.undelivered += 1;
                    self.trace.record(self.now, file.badge(), Event::Undelivered(bytes.len() as u32));
                    self.call(|driver, context| driver.unread(context, file, bytes));
                }
                Ok(())
            }
            Err(error) if error.errno == EAGAIN => Err(MustWait),
            Err(error) => {
                if self.link.reply(token, failure(error), &[]).is_err() {
                    self.call(|driver, context| driver.unread(context, file, &[]));
                }
                Ok(())
            }
        };
        self.buffer = buffer;
        outcome
    }

    pub(super) fn dismiss(&mut self, waiting: Waiting, error: Error) {
        self.finish(waiting.token, failure(error));
    }

    fn finish(&mut self, token: u64, words: [u64; WORDS]) {
        match self.link.reply(token, words, &[]) {
            // It waits no longer, which is its right.
            Ok(()) | Err(Error { errno: ESRCH }) => {}
            Err(_) => self.counters.errors += 1,
        }
    }
}

struct MustWait;

fn position(word: u64) -> Option<u64> {
    (word != CURRENT).then_some(word)
}
