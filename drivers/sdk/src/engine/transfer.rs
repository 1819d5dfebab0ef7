//! Reads, writes and controls: at once, or when they can be done.

use super::{Answer, Engine, Progress, Request, decode, failure, success};
use crate::driver::{Asked, Driver, Taken};
use crate::files::{File, FileId};
use crate::link::Link;
use crate::pending::{Task, Waiting};
use abi::error::{EAGAIN, EBADF, EINVAL, ENOTTY, ESPIPE, Error, Result};
use abi::message::WORDS;
use alloc::vec;
use event_protocol::cell::Direction;
use event_protocol::descriptor::{
    CURRENT, Control, ControlReply, FileType, Kind, MAX_TRANSFER, NONBLOCK, Stat, words,
};
use event_protocol::trace::Event;

impl<D: Driver, L: Link> Engine<D, L> {
    pub(super) fn read(
        &mut self,
        id: FileId,
        file: File,
        request: &Request<'_, L::Handle>,
    ) -> Result<Answer> {
        if !file.readable {
            return Err(Error::new(EBADF));
        }
        let length = usize::try_from(request.words[words::LENGTH]).unwrap_or(usize::MAX).min(MAX_TRANSFER);
        if length == 0 {
            // Nothing wanted is nothing taken, least of all an end of file.
            return Ok(Answer::Words([0; WORDS]));
        }
        let offset = self.offset(id, request)?;
        let queue = self.driver.queue_at(id, Asked::Read, offset);
        let waiting = self.waiting(id, file, request.token, queue, Task::Read { offset, length });
        let flags = request.words[words::FLAGS];
        if self.pending.has(queue) {
            return self.conclude(Progress::Wait(waiting), flags);
        }
        self.begin(waiting, flags)
    }

    pub(super) fn write(
        &mut self,
        id: FileId,
        file: File,
        request: &Request<'_, L::Handle>,
    ) -> Result<Answer> {
        if !file.writable {
            return Err(Error::new(EBADF));
        }
        if request.bytes.is_empty() {
            return Ok(Answer::Words([0; WORDS]));
        }
        let (flags, offset) = (request.words[words::FLAGS], self.offset(id, request)?);
        let queue = self.driver.queue_at(id, Asked::Write, offset);
        let mut done = 0;
        if !self.pending.has(queue) {
            match self.call(|driver, context| driver.write(context, id, request.bytes, offset)) {
                // More than there was is not taken, whatever the driver says.
                Ok(count) if count >= request.bytes.len() || flags & NONBLOCK != 0 => {
                    return Ok(Answer::Words(success(count.min(request.bytes.len()) as u64, 0)));
                }
                Ok(count) => done = count,
                Err(error) if error.errno != EAGAIN => return Err(error),
                Err(_) => {}
            }
        }
        let rest = if flags & NONBLOCK != 0 { vec![] } else { request.bytes[done..].into() };
        let task = Task::Write { offset, done, rest };
        let waiting = self.waiting(id, file, request.token, queue, task);
        self.conclude(Progress::Wait(waiting), flags)
    }

    pub(super) fn control(
        &mut self,
        id: FileId,
        file: File,
        request: &Request<'_, L::Handle>,
    ) -> Result<Answer> {
        let control: Control = decode(request.bytes)?;
        if control == Control::Describe {
            let kind = self.watches.opening(id).ok_or(Error::new(EBADF))?.kind;
            return self.reply_document(request.token, &ControlReply::Described { kind, flags: file.flags });
        }
        if matches!(control, Control::Seek { .. }) {
            self.check_seekable(id)?;
        }
        let queue = (Direction::Read, 0);
        let waiting = self.waiting(id, file, request.token, queue, Task::Control(control));
        self.begin(waiting, request.words[words::FLAGS])
    }

    /// Where a request reads or writes; `None`: where the file stands. ESPIPE.
    fn offset(&self, id: FileId, request: &Request<'_, L::Handle>) -> Result<Option<u64>> {
        match request.words[words::OFFSET] {
            CURRENT => Ok(None),
            offset => self.check_seekable(id).map(|()| Some(offset)),
        }
    }

    fn check_seekable(&self, id: FileId) -> Result<()> {
        match self.watches.opening(id) {
            Some(opening) if opening.seekable => Ok(()),
            _ => Err(Error::new(ESPIPE)),
        }
    }

    pub(super) fn waiting(
        &self,
        id: FileId,
        file: File,
        token: u64,
        queue: (Direction, u64),
        task: Task<L::Handle>,
    ) -> Waiting<L::Handle> {
        Waiting { token, caller: self.caller, client: file.client, file: id, beside: None, queue, task }
    }

    /// Reads and answers. The data is taken only if its reader got it.
    pub(super) fn try_read(&mut self, mut waiting: Waiting<L::Handle>) -> Progress<L::Handle> {
        let Task::Read { offset, length } = waiting.task else { return Progress::Wait(waiting) };
        let Waiting { token, file, .. } = waiting;
        let mut buffer = core::mem::take(&mut self.buffer);
        let room = &mut buffer[..length];
        let result = self.call(|driver, context| driver.read(context, file, room, offset));
        let progress = match result {
            Ok(Taken { count, arrival }) => {
                let bytes = &room[..count.min(room.len())];
                if self.link.reply(token, success(bytes.len() as u64, arrival), bytes).is_err() {
                    self.counters.undelivered += 1;
                    self.note(Event::Undelivered, bytes.len() as u32, file.badge());
                    self.call(|driver, context| driver.unread(context, file, bytes));
                }
                Progress::Answered
            }
            Err(error) if error.errno == EAGAIN => {
                // Where the file stands may have changed.
                waiting.queue = self.driver.queue_at(file, Asked::Read, offset);
                Progress::Wait(waiting)
            }
            Err(error) => {
                if self.link.reply(token, failure(error), &[]).is_err() {
                    self.call(|driver, context| driver.unread(context, file, &[]));
                }
                Progress::Answered
            }
        };
        self.buffer = buffer;
        progress
    }

    pub(super) fn try_write(&mut self, mut waiting: Waiting<L::Handle>) -> Progress<L::Handle> {
        let file = waiting.file;
        let Task::Write { offset, done, rest } = &mut waiting.task else { return Progress::Wait(waiting) };
        let place = |done: usize| offset.map(|offset| offset.saturating_add(done as u64));
        let at = place(*done);
        match self.call(|driver, context| driver.write(context, file, rest, at)) {
            Ok(count) => {
                let count = count.min(rest.len());
                *done += count;
                rest.drain(..count);
                if rest.is_empty() {
                    return Progress::Words(success(*done as u64, 0));
                }
            }
            Err(error) if error.errno == EAGAIN => {}
            // What was taken before the error counts: the next write is told the error.
            Err(_) if *done > 0 => return Progress::Words(success(*done as u64, 0)),
            Err(error) => return Progress::Refused(error),
        }
        // As for reads.
        waiting.queue = self.driver.queue_at(file, Asked::Write, place(*done));
        Progress::Wait(waiting)
    }

    pub(super) fn try_control(&mut self, mut waiting: Waiting<L::Handle>) -> Progress<L::Handle> {
        let file = waiting.file;
        let Task::Control(control) = &waiting.task else { return Progress::Wait(waiting) };
        match self.call(|driver, context| driver.control(context, file, control)) {
            Ok(reply) => match self.reply_document(waiting.token, &reply) {
                Ok(_) => Progress::Answered,
                Err(error) => Progress::Refused(error),
            },
            Err(error) if error.errno == EAGAIN => {
                waiting.queue = self.driver.queue_of(file, Asked::Control(control));
                Progress::Wait(waiting)
            }
            // Every open file has a type, whether or not its driver knows more of it.
            Err(error) if matches!(error.errno, EINVAL | ENOTTY) && *control == Control::Stat => {
                let told = self
                    .stat(file)
                    .and_then(|stat| self.reply_document(waiting.token, &ControlReply::Stat(stat)));
                match told {
                    Ok(_) => Progress::Answered,
                    Err(error) => Progress::Refused(error),
                }
            }
            Err(error) => Progress::Refused(error),
        }
    }

    /// What can be said of any open file: its type, and a number of its own.
    fn stat(&self, file: FileId) -> Result<Stat> {
        let kind = self.watches.opening(file).ok_or(Error::new(EBADF))?.kind;
        let file_type = match kind {
            Kind::File => FileType::Regular,
            Kind::Directory => FileType::Directory,
            Kind::Pipe => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::Terminal | Kind::Timer | Kind::Device | Kind::Process | Kind::Signals => FileType::Device,
        };
        Ok(Stat {
            inode: file.badge(),
            file_type,
            mode: 0o600,
            links: 1,
            size: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        })
    }
}
