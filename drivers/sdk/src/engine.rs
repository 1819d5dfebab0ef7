//! Requests in, replies out: the part of a driver that all drivers have.

mod transfer;

use crate::context::{Context, Wakes};
use crate::driver::Driver;
use crate::files::{File, FileId, Files};
use crate::link::Link;
use crate::pending::Pending;
use crate::report::{self, INSPECT, Page};
use crate::trace::{Event, Trace};
use abi::error::{EBADF, EBADMSG, EINVAL, ENAMETOOLONG, ENOSYS, Error, Result};
use abi::flag::{O_RDONLY, O_WRONLY};
use abi::message::WORDS;
use alloc::boxed::Box;
use alloc::vec;
use event_protocol::descriptor::{Control, MAX_PATH, MAX_TRANSFER, Open, Opened, label, words};

/// A request, with the bytes of its message.
#[derive(Debug)]
pub struct Request<'a, T> {
    /// Badge of the handle that was called: 0 for the service itself, else an open file's.
    pub badge: u64,
    /// What is asked: one of [`label`].
    pub label: u32,
    /// Its words.
    pub words: [u64; WORDS],
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Who waits for the reply.
    pub token: u64,
    /// The client's ticket, when a handle came with it.
    pub ticket: Option<T>,
}

/// What is left to do about a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Nothing: it is answered, or will be.
    Done,
    /// Reply with these words, in one kernel entry with the next receive.
    Words([u64; WORDS]),
}

/// What the engine did, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests heard.
    pub requests: u64,
    /// Requests refused with an error.
    pub errors: u64,
    /// Requests that had to wait.
    pub waits: u64,
    /// Reads whose reader was gone when they were answered.
    pub undelivered: u64,
}

/// A driver behind its requests.
pub struct Engine<D, L> {
    driver: D,
    link: L,
    files: Files,
    pending: Pending,
    wakes: Wakes,
    now: u64,
    buffer: Box<[u8]>,
    counters: Counters,
    trace: Trace,
}

impl<D: Driver, L: Link> Engine<D, L> {
    /// A driver with no open files, and room for so many.
    pub fn new(driver: D, link: L, files: usize) -> Engine<D, L> {
        Engine {
            driver,
            link,
            files: Files::new(files),
            pending: Pending::default(),
            wakes: Wakes::new(),
            now: 0,
            buffer: vec![0; MAX_TRANSFER].into_boxed_slice(),
            counters: Counters::default(),
            trace: Trace::default(),
        }
    }

    /// It is `now` (monotonic ns) as far as what follows is concerned.
    pub fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    /// Answers a request, or keeps it.
    pub fn request(&mut self, request: Request<'_, L::Ticket>) -> Answer {
        self.counters.requests += 1;
        let badge = request.badge;
        self.trace.record(self.now, badge, Event::Request(request.label));
        let result = match (request.label, request.badge) {
            (label::OPEN, 0) => self.open(request),
            (INSPECT, 0) => self.inspect(request.token),
            (_, 0) => Err(Error::new(ENOSYS)),
            (label, badge) => {
                let id = FileId::from_badge(badge);
                match (label, self.files.get(id)) {
                    (_, None) => Err(Error::new(EBADF)),
                    (label::READ, Some(file)) => self.read(id, file, &request),
                    (label::WRITE, Some(file)) => self.write(id, file, &request),
                    (label::CONTROL, Some(_)) => self.control(id, &request),
                    _ => Err(Error::new(ENOSYS)),
                }
            }
        };
        result.unwrap_or_else(|error| {
            self.counters.errors += 1;
            self.trace.record(self.now, badge, Event::Refused(error.errno));
            Answer::Words(failure(error))
        })
    }

    /// The last descriptor of a file is closed: who still waits on it is told, and everything of it goes.
    pub fn closed(&mut self, badge: u64) {
        let id = FileId::from_badge(badge);
        if self.files.remove(id).is_none() {
            return;
        }
        self.trace.record(self.now, badge, Event::Closed);
        while let Some(waiting) = self.pending.take_of(id) {
            self.dismiss(waiting, Error::new(EBADF));
        }
        self.call(|driver, context| driver.close(context, id));
        self.link.retire(id, 0);
    }

    /// Everything is connected: the device may be switched on.
    pub fn start(&mut self) {
        self.call(|driver, context| driver.start(context));
    }

    /// The device interrupted. True: call again soon.
    pub fn interrupt(&mut self) -> bool {
        self.trace.record(self.now, 0, Event::Interrupt);
        self.call(|driver, context| driver.interrupt(context))
    }

    /// The machine is about to be powered off.
    pub fn power_off(&mut self) {
        self.trace.record(self.now, 0, Event::PowerOff);
        self.call(|driver, context| driver.power_off(context));
    }

    /// When to call [`Engine::expired`].
    pub fn deadline(&self) -> u64 {
        self.driver.deadline()
    }

    /// The deadline has passed.
    pub fn expired(&mut self) {
        self.trace.record(self.now, 0, Event::Expired);
        self.call(|driver, context| driver.expired(context));
    }

    /// Whether [`Engine::settle`] has something to do. It answers others, so the current request is answered first.
    pub fn is_unsettled(&self) -> bool {
        !self.wakes.is_empty()
    }

    /// Answers waiting requests that can go on.
    pub fn settle(&mut self) {
        while let Some((direction, queue)) = self.wakes.pop() {
            while let Some(waiting) = self.pending.take_first(direction, queue) {
                let file = waiting.file.badge();
                if let Some(waiting) = self.retry(waiting) {
                    self.pending.put_back(waiting);
                    break;
                }
                self.trace.record(self.now, file, Event::Answered);
            }
        }
    }

    /// What it did.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What it did last.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The driver.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// The outside.
    pub fn link(&mut self) -> &mut L {
        &mut self.link
    }

    /// Open files, and requests that wait.
    pub fn load(&self) -> (usize, usize) {
        (self.files.len(), self.pending.len())
    }

    fn call<R>(&mut self, act: impl FnOnce(&mut D, &mut Context<'_>) -> R) -> R {
        let mut context = Context { sources: &mut self.link, wakes: &mut self.wakes, now: self.now };
        act(&mut self.driver, &mut context)
    }

    fn open(&mut self, request: Request<'_, L::Ticket>) -> Result<Answer> {
        let ticket = request.ticket.ok_or(Error::new(EINVAL))?;
        let open: Open = postcard::from_bytes(request.bytes).map_err(|_| Error::new(EBADMSG))?;
        if open.path.len() > MAX_PATH {
            return Err(Error::new(ENAMETOOLONG));
        }
        let client = self.link.identity(&ticket)?;
        let id = self.files.insert(File {
            client,
            readable: open.flags & O_RDONLY as u64 != 0,
            writable: open.flags & O_WRONLY as u64 != 0,
        })?;
        let opening = match self.call(|driver, context| driver.open(context, id, &open.path, open.flags)) {
            Ok(opening) => opening,
            Err(error) => {
                self.files.remove(id);
                return Err(error);
            }
        };
        if let Err(error) = self.link.create(id, &opening, ticket) {
            self.closed(id.badge());
            return Err(error);
        }
        self.call(|driver, context| driver.opened(context, id));
        // A client that died meanwhile got no descriptor, whose badge is closed with that: no case of its own.
        _ = self.link.reply_opened(request.token, id, Opened { kind: opening.kind });
        Ok(Answer::Done)
    }

    fn control(&mut self, id: FileId, request: &Request<'_, L::Ticket>) -> Result<Answer> {
        let control: Control = postcard::from_bytes(request.bytes).map_err(|_| Error::new(EBADMSG))?;
        let reply = self.call(|driver, context| driver.control(context, id, &control))?;
        let bytes = postcard::to_slice(&reply, &mut self.buffer).map_err(|_| Error::new(EBADMSG))?;
        // ESRCH: the caller gave up, which is its right.
        _ = self.link.reply(request.token, [0; WORDS], bytes);
        Ok(Answer::Done)
    }

    fn inspect(&mut self, token: u64) -> Result<Answer> {
        let mut buffer = core::mem::take(&mut self.buffer);
        let mut page = Page::new(&mut buffer);
        // What does not fit is left out.
        _ = report::write(self, &mut page);
        let length = page.whole_lines();
        _ = self.link.reply(token, success(length as u64, 0), &buffer[..length]);
        self.buffer = buffer;
        Ok(Answer::Done)
    }
}

fn success(count: u64, arrival: u64) -> [u64; WORDS] {
    let mut reply = [0; WORDS];
    reply[words::COUNT] = count;
    reply[words::ARRIVAL] = arrival;
    reply
}

fn failure(error: Error) -> [u64; WORDS] {
    let mut reply = [0; WORDS];
    reply[words::ERRNO] = error.errno as u64;
    reply
}
