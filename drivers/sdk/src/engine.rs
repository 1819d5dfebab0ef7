//! Requests in, replies out: the part of a driver that all drivers have.

mod message;
mod opening;
mod restoring;
mod transfer;
mod waiting;

use crate::context::{Context, Wake};
use crate::driver::Driver;
use crate::files::{FileId, Files};
use crate::link::{Carried, Link};
use crate::parcels::Parcels;
use crate::pending::Pending;
use crate::report::{self, Page};
use crate::watches::Watches;
use abi::error::{EBADF, EBADMSG, ENOSYS, Error, Result};
use abi::message::WORDS;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use event_protocol::cell::Direction;
use event_protocol::descriptor::{MAX_TRANSFER, PathRequest, label, words};
use event_protocol::trace::{Event, Trace};
use init_protocol::caller::Caller;
pub use restoring::Left;
use rt::sys::Notification;
use waiting::Progress;

/// A request, with the bytes of its message.
#[derive(Debug)]
pub struct Request<'a, H> {
    /// Badge of the handle that was called: the service's ([`FileId::is_service`]) or an open file's.
    pub badge: u64,
    /// What is asked: one of [`label`].
    pub label: u32,
    /// Its words.
    pub words: [u64; WORDS],
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Who waits for the reply.
    pub token: u64,
    /// What came with it.
    pub handles: Vec<Carried<H>>,
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
pub struct Engine<D, L: Link> {
    driver: D,
    link: L,
    files: Files,
    watches: Watches,
    parcels: Parcels<L::Handle>,
    pending: Pending<L::Handle>,
    /// Where among the waiting requests the next client is looked after.
    probe: usize,
    wakes: Vec<Wake>,
    now: u64,
    caller: u32,
    client: u64,
    buffer: Box<[u8]>,
    counters: Counters,
}

impl<D: Driver, L: Link> Engine<D, L> {
    /// A driver with no open files, and room for so many.
    pub fn new(driver: D, link: L, files: usize) -> Engine<D, L> {
        Engine {
            driver,
            link,
            files: Files::new(files),
            watches: Watches::new(files),
            parcels: Parcels::new(),
            pending: Pending::new(),
            probe: 0,
            wakes: Vec::new(),
            now: 0,
            caller: 0,
            client: 0,
            buffer: vec![0; MAX_TRANSFER].into_boxed_slice(),
            counters: Counters::default(),
        }
    }

    /// It is `now` (monotonic ns) as far as what follows is concerned.
    pub fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    /// Answers a request, or keeps it.
    pub fn request(&mut self, request: Request<'_, L::Handle>) -> Answer {
        self.counters.requests += 1;
        let badge = request.badge;
        self.note(Event::Request, request.label, badge);
        let to_service = FileId::is_service(badge);
        self.caller = if to_service { Caller::of(badge).pid } else { 0 };
        let result = if to_service { self.ask_service(request) } else { self.ask_file(request) };
        self.sweep_parcels();
        result.unwrap_or_else(|error| {
            self.counters.errors += 1;
            self.note(Event::Refused, error.errno.unsigned_abs(), badge);
            Answer::Words(failure(error))
        })
    }

    fn ask_service(&mut self, request: Request<'_, L::Handle>) -> Result<Answer> {
        match request.label {
            label::OPEN => self.open(None, request),
            label::PATH => self.path(&request),
            label::INSPECT => self.inspect(request.token),
            _ => Err(Error::new(ENOSYS)),
        }
    }

    fn ask_file(&mut self, request: Request<'_, L::Handle>) -> Result<Answer> {
        let id = FileId::from_badge(request.badge);
        let file = self.files.get(id).ok_or(Error::new(EBADF))?;
        if let Some(error) = self.watches.gone(id) {
            return Err(error);
        }
        match request.label {
            label::READ => self.read(id, file, &request),
            label::WRITE => self.write(id, file, &request),
            label::CONTROL => self.control(id, file, &request),
            label::SEND => self.send(id, file, request),
            label::RECEIVE => self.receive(id, file, &request),
            label::OPEN => self.open(Some(id), request),
            label::WATCH => self.watch(id, request),
            _ => Err(Error::new(ENOSYS)),
        }
    }

    /// A descriptor handle and all its duplicates are closed. With the last one of a file, everything of it goes.
    pub fn closed(&mut self, badge: u64) {
        let id = FileId::from_badge(badge);
        if self.files.handle_closed(id) == Some(true) {
            self.note(Event::Closed, 0, badge);
            self.caller = 0;
            self.look_after(id);
            self.sweep_parcels();
        }
    }

    /// A file of which a handle or parcel has gone ends, if there are no others.
    fn look_after(&mut self, id: FileId) {
        if self.files.is_held(id) {
            return;
        }
        if self.parcels.has(id) {
            self.collect();
        } else {
            self.end(id);
        }
    }

    /// Ends files that are only in parcels which nobody can receive.
    fn collect(&mut self) {
        let mut reached: BTreeSet<FileId> = self.files.iter().filter(|&id| self.files.is_held(id)).collect();
        let mut todo: Vec<FileId> = reached.iter().copied().collect();
        while let Some(id) = todo.pop() {
            let mut visit = |parcel: &crate::Parcel| {
                if let Some(inside) = parcel.file()
                    && reached.insert(inside)
                {
                    todo.push(inside);
                }
            };
            self.driver.visit_parcels(id, &mut visit);
            self.pending.visit_parcels(id, &mut visit);
        }
        let lost: Vec<FileId> = self.parcels.own_files().filter(|id| !reached.contains(id)).collect();
        lost.into_iter().for_each(|id| self.end(id));
    }

    /// Closes the handles of parcels that the driver has dropped, which may end files, whose parcels it drops then.
    fn sweep_parcels(&mut self) {
        while let Some(dropped) = self.parcels.sweep() {
            if let Some(id) = dropped {
                self.look_after(id);
            }
        }
    }

    /// Who still waits on a file is told, and everything of it goes.
    fn end(&mut self, id: FileId) {
        if self.files.remove(id).is_none() {
            return;
        }
        while let Some(waiting) = self.pending.take_of(id) {
            self.dismiss(waiting, Error::new(EBADF));
        }
        self.call(|driver, context| driver.close(context, id));
        self.watches.end(&mut self.link, id);
    }

    /// Everything is connected: the device may be switched on.
    pub fn start(&mut self) {
        self.call(|driver, context| driver.start(context));
        self.sweep_parcels();
    }

    /// The device interrupted. True: call again soon.
    pub fn interrupt(&mut self) -> bool {
        self.note(Event::Interrupt, 0, 0);
        self.caller = 0;
        let again = self.call(|driver, context| driver.interrupt(context));
        self.sweep_parcels();
        again
    }

    /// The machine is about to be powered off.
    pub fn power_off(&mut self) {
        self.note(Event::PowerOff, 0, 0);
        self.call(|driver, context| driver.power_off(context));
    }

    /// When to call [`Engine::expired`].
    pub fn deadline(&self) -> u64 {
        self.driver.deadline()
    }

    /// The deadline has passed.
    pub fn expired(&mut self) {
        self.note(Event::Expired, 0, 0);
        self.caller = 0;
        self.call(|driver, context| driver.expired(context));
        self.sweep_parcels();
    }

    /// What the driver stood for is gone: every file ends with `errno`, and who waits is told.
    pub fn retire_all(&mut self, errno: i32) {
        for file in self.files.iter().collect::<Vec<_>>() {
            self.call(|_, context| context.retire(file, errno));
        }
        self.settle();
    }

    /// Whether [`Engine::settle`] has something to do. It answers others, so the current request is answered first.
    pub fn is_unsettled(&self) -> bool {
        !self.wakes.is_empty()
    }

    /// Answers waiting requests that can go on.
    pub fn settle(&mut self) {
        while let Some(wake) = self.wakes.pop() {
            match wake {
                Wake::Queue(direction, queue) => self.try_queue((direction, queue)),
                Wake::File(file, direction) => {
                    self.try_queue((direction, self.driver.queue(file, direction)))
                }
                Wake::Gone(file) => self.dismiss_all(file),
            }
            self.sweep_parcels();
        }
    }

    fn try_queue(&mut self, queue: (Direction, u64)) {
        while let Some((at, waiting)) = self.pending.take_first(queue) {
            let (file, known) = (waiting.file.badge(), self.wakes.len());
            if let Some(waiting) = self.retry(waiting) {
                if waiting.queue != queue {
                    // So may those behind it.
                    self.pending.put_into_another(at, waiting);
                    continue;
                }
                self.pending.put_back(waiting);
                // What it published while it could not go on is no reason to ask it again.
                let Engine { wakes, driver, .. } = self;
                let own =
                    |wake| matches!(wake, Wake::File(file, to) if (to, driver.queue(file, to)) == queue);
                let mut at = 0;
                wakes.retain(|&wake| {
                    at += 1;
                    at <= known || !own(wake)
                });
                return;
            }
            self.note(Event::Answered, 0, file);
        }
    }

    /// Who waits on a file that stands for nothing any more is told.
    fn dismiss_all(&mut self, file: FileId) {
        let Some(error) = self.watches.gone(file) else { return };
        while let Some(waiting) = self.pending.take_of(file) {
            self.dismiss(waiting, error);
        }
    }

    /// What it did.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What it did last.
    pub fn trace(&self) -> &Trace {
        self.link.trace()
    }

    #[inline]
    fn note(&self, event: Event, detail: u32, value: u64) {
        self.link.trace().record_alone(rt::clock::ticks(), event, detail, value);
    }

    /// The driver.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// Connects it with those who ring for it.
    pub fn connect(&mut self, bell: &Notification) -> Result<()> {
        self.driver.connect(bell)
    }

    /// The outside.
    pub fn link(&mut self) -> &mut L {
        &mut self.link
    }

    /// Open files, and requests that wait.
    pub fn load(&self) -> (usize, usize) {
        (self.files.len(), self.pending.len())
    }

    /// Sources, and handles on their way.
    pub fn shared(&self) -> (usize, usize) {
        (self.watches.len(), self.parcels.len())
    }

    fn call<R>(&mut self, act: impl FnOnce(&mut D, &mut Context<'_>) -> R) -> R {
        let Engine { link, watches, wakes, pending, now, caller, client, .. } = self;
        let awaited = !pending.is_empty();
        let mut context =
            Context { sources: link, watches, wakes, awaited, now: *now, caller: *caller, client: *client };
        act(&mut self.driver, &mut context)
    }

    fn path(&mut self, request: &Request<'_, L::Handle>) -> Result<Answer> {
        let asked: PathRequest = decode(request.bytes)?;
        let reply = self.call(|driver, context| driver.path(context, &asked))?;
        self.reply_document(request.token, &reply)
    }

    fn reply_document<T: serde::Serialize>(&mut self, token: u64, document: &T) -> Result<Answer> {
        let bytes = postcard::to_slice(document, &mut self.buffer).map_err(|_| Error::new(EBADMSG))?;
        // ESRCH: the caller gave up, which is its right.
        _ = self.link.reply(token, [0; WORDS], bytes);
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

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((document, [])) => Ok(document),
        _ => Err(Error::new(EBADMSG)),
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
