//! Opening files, and giving watch handles of them to others.

use super::{Answer, Engine, Progress, Request, decode};
use crate::driver::{Asked, Driver};
use crate::files::{File, FileId};
use crate::link::{Carried, Link};
use crate::pending::{Task, Waiting};
use abi::error::{EAGAIN, EBADF, EINVAL, ENAMETOOLONG, EOPNOTSUPP, Error, Result};
use abi::flag::{O_RDONLY, O_WRONLY};
use alloc::vec::Vec;
use event_protocol::cell::Direction;
use event_protocol::descriptor::{DURABLE, MAX_PATH, Open, Opened, words};

/// So many may wait without being asked whether they live: to ask is a call of the event server.
const UNLOOKED: usize = 8;

impl<D: Driver, L: Link> Engine<D, L> {
    pub(super) fn open(&mut self, beside: Option<FileId>, request: Request<'_, L::Handle>) -> Result<Answer> {
        let ticket = ticket(request.handles)?;
        let open: Open = decode(request.bytes)?;
        if open.path.len() > MAX_PATH {
            return Err(Error::new(ENAMETOOLONG));
        }
        if open.flags & DURABLE != 0 && (beside.is_some() || !D::DURABLE || self.link.lineage().is_none()) {
            return Err(Error::new(EOPNOTSUPP));
        }
        let client = self.link.identity(&ticket)?;
        let file = self.files.insert(File {
            client,
            readable: open.flags & O_RDONLY as u64 != 0,
            writable: open.flags & O_WRONLY as u64 != 0,
            flags: open.flags,
        })?;
        let waiting = Waiting {
            token: request.token,
            caller: self.caller,
            client,
            file,
            beside,
            queue: (Direction::Read, 0),
            task: Task::Open { open, ticket },
        };
        self.begin(waiting, request.words[words::FLAGS])
    }

    /// Asks the driver for the file, and answers if it has it.
    pub(super) fn try_open(&mut self, mut waiting: Waiting<L::Handle>) -> Progress<L::Handle> {
        let Waiting { file, beside, .. } = waiting;
        let Task::Open { open, ticket } = waiting.task else { return Progress::Wait(waiting) };
        let (path, flags) = (open.path.as_str(), open.flags);
        self.client = waiting.client;
        let result = self.call(|driver, context| match beside {
            None => driver.open(context, file, path, flags),
            Some(beside) => driver.open_at(context, beside, file, path, flags),
        });
        self.client = 0;
        match result {
            Ok(opening) => {
                let record = self.record(file, &open, waiting.client);
                let durable = record.is_some();
                self.watches.begin(file, opening, record);
                if durable && opening.filters.is_empty() {
                    // Its client would have nothing to go on with.
                    self.end(file);
                    return Progress::Refused(Error::new(EOPNOTSUPP));
                }
                let descriptor = self.connect_file(file, waiting.client, ticket).and_then(|source| {
                    let descriptor = self.link.mint(file)?;
                    self.files.handle_made(file);
                    Ok((descriptor, source))
                });
                let (descriptor, source) = match descriptor {
                    Ok(made) => made,
                    Err(error) => {
                        self.end(file);
                        return Progress::Refused(error);
                    }
                };
                self.call(|driver, context| driver.opened(context, file));
                let opened = Opened { kind: opening.kind };
                if self.link.reply_opened(waiting.token, Some(descriptor), source, opened).is_err() {
                    // Nobody has it: what was opened goes back.
                    self.counters.undelivered += 1;
                    self.end(file);
                }
                Progress::Answered
            }
            Err(error) if error.errno == EAGAIN => {
                let asked = Asked::Open { beside, path, flags };
                waiting.queue = self.driver.queue_of(file, asked);
                waiting.task = Task::Open { open, ticket };
                Progress::Wait(waiting)
            }
            Err(error) => {
                self.files.remove(file);
                Progress::Refused(error)
            }
        }
    }

    fn connect_file(
        &mut self,
        file: FileId,
        client: u64,
        ticket: L::Handle,
    ) -> Result<Option<crate::link::SourceKey>> {
        let unwatched = self.watches.opening(file).is_some_and(|opening| opening.filters.is_empty());
        if !unwatched {
            return self.watches.add(&mut self.link, file, client, ticket).map(Some);
        }
        // Only a source has the event server look at the ticket. A forged one would let a client use up the quotas of
        // others.
        if self.link.is_alive(&ticket) { Ok(None) } else { Err(Error::new(EINVAL)) }
    }

    /// Gives a client that was handed a descriptor a watch handle of its own.
    pub(super) fn watch(&mut self, id: FileId, request: Request<'_, L::Handle>) -> Result<Answer> {
        let ticket = ticket(request.handles)?;
        let client = self.link.identity(&ticket)?;
        let kind = self.watches.opening(id).ok_or(Error::new(EBADF))?.kind;
        let source = self.watches.add(&mut self.link, id, client, ticket)?;
        // A client that is gone has closed its watch handle with that: its source is found abandoned.
        _ = self.link.reply_opened(request.token, None, Some(source), Opened { kind });
        Ok(Answer::Done)
    }

    /// The kernel does not tell that a caller died. With each request that begins to wait while many do, some of those that
    /// wait to open a file are looked after, so that those of the dead are never more than a few.
    pub(super) fn look_after_opens(&mut self) {
        if self.pending.len() < UNLOOKED {
            return;
        }
        for _ in 0..2 {
            let Some((at, ticket)) = self.pending.next_open(self.probe) else { return };
            self.probe = at + 1;
            if !self.link.is_alive(ticket)
                && let Some(waiting) = self.pending.take(at)
            {
                self.forget(waiting);
            }
        }
    }
}

fn ticket<H>(handles: Vec<Carried<H>>) -> Result<H> {
    match handles.into_iter().next() {
        Some(Carried::Handle(ticket)) => Ok(ticket),
        _ => Err(Error::new(EINVAL)),
    }
}
