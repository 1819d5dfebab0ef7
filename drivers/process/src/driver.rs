//! The service's files.

use abi::error::{EAGAIN, EBADMSG, EINVAL, ENOENT, EPERM, Error, Result};
use abi::limits::FOREVER;
use core::fmt;
use driver_sdk::{
    Context, Control, ControlReply, Direction, Driver, FileId, Filters, Kind, Level, Opening, Taken,
};
use init_protocol::request::Event;
use process_protocol::{PRIVATE, Record, Request, SELF, SIGNAL, WATCH};
use rt::sys::Notification;

use alloc::vec::Vec;

use crate::service::{Effect, Opened, Service};

/// init, as the service needs it.
pub trait Init {
    /// Asks to be told of births and ends through `bell`.
    fn observe(&mut self, bell: &Notification) -> Result<()>;

    /// All that has happened since the last call. `rung`: the bell was heard, and is silent by now.
    fn happened(&mut self, rung: bool) -> Vec<Event>;

    /// Ends a process by a signal. One that has ended meanwhile is left alone.
    fn end(&mut self, pid: u32, signal: u8);
}

/// The driver.
#[derive(Debug)]
pub struct Processes<I> {
    init: I,
    service: Service<FileId>,
    /// When it is looked next whether the processes that were there before have had the time to say what becomes of their
    /// signals, and how often it still is.
    look_at: u64,
    looks: u32,
}

/// How often it is looked, and after how many nanoseconds each time. In several steps, because a machine that stands still
/// makes one of them long, and not all.
const LOOKS: u32 = 10;
const LOOK: u64 = 200_000_000;

impl<I: Init> Processes<I> {
    /// A service that has not heard of any process yet.
    pub const fn new(init: I) -> Processes<I> {
        Processes { init, service: Service::new(), look_at: FOREVER, looks: LOOKS }
    }

    /// Hears what there is to hear. Whoever asks may know of what has happened already, so this comes first.
    fn catch_up(&mut self, context: &mut Context<'_>, rung: bool) {
        let events = self.init.happened(rung);
        events.iter().for_each(|event| self.service.happened(event));
        self.settle(context);
    }

    /// Does what has to be done outside.
    fn settle(&mut self, context: &mut Context<'_>) {
        for effect in self.service.effects() {
            match effect {
                Effect::End { pid, signal } => self.init.end(pid, signal),
                Effect::Attempt(file) => context.post(file, 1),
                Effect::Level { file, more } => {
                    let level = Level::new(self.service.level(file) as i64);
                    context.publish(file, Direction::Read, level, more);
                }
            }
        }
    }
}

fn what(path: &str) -> Result<Opened> {
    match path {
        SELF => Ok(Opened::Own),
        WATCH => Ok(Opened::Stream),
        _ => {
            let number = path.strip_prefix(SIGNAL).ok_or(Error::new(ENOENT))?;
            number.parse().map(Opened::Attempts).map_err(|_| Error::new(EINVAL))
        }
    }
}

impl<I: Init> Driver for Processes<I> {
    const KNOWS_CALLERS: bool = true;

    fn connect(&mut self, bell: &Notification) -> Result<()> {
        self.init.observe(bell)
    }

    fn start(&mut self, context: &mut Context<'_>) {
        self.catch_up(context, true);
        self.service.begin();
        self.look_at = context.now().saturating_add(LOOK);
    }

    fn deadline(&self) -> u64 {
        self.look_at
    }

    fn expired(&mut self, context: &mut Context<'_>) {
        self.looks = self.looks.saturating_sub(1);
        if self.looks > 0 {
            self.look_at = context.now().saturating_add(LOOK);
        } else {
            self.look_at = FOREVER;
            self.service.presume();
            self.settle(context);
        }
    }

    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        self.catch_up(context, false);
        let opened = what(path)?;
        match context.caller() {
            // Only init's handles say who calls.
            0 => return Err(Error::new(EPERM)),
            caller => self.service.open(file, caller, opened)?,
        }
        let (kind, filters) = match opened {
            Opened::Own => (Kind::Signals, Filters::READ),
            Opened::Attempts(_) => (Kind::Signals, Filters::SIGNAL),
            Opened::Stream => (Kind::Process, Filters::READ),
        };
        Ok(Opening::new(kind, filters))
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        let level = Level::new(self.service.level(file) as i64);
        context.publish(file, Direction::Read, level, false);
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.service.close(file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        self.catch_up(context, false);
        if let Some(pending) = self.service.pending_of(file) {
            let bytes = pending.0.to_le_bytes();
            let room = buffer.get_mut(..bytes.len()).ok_or(Error::new(EINVAL))?;
            if pending.is_empty() {
                return Err(Error::new(EAGAIN));
            }
            room.copy_from_slice(&bytes);
            return Ok(Taken { count: bytes.len(), arrival: 0 });
        }
        let (places, _) = buffer.as_chunks_mut::<{ Record::SIZE }>();
        if places.is_empty() {
            return Err(Error::new(EINVAL));
        }
        let records = self.service.take(file, places.len())?;
        self.settle(context);
        if records.is_empty() {
            return Err(Error::new(EAGAIN));
        }
        for (place, record) in places.iter_mut().zip(&records) {
            *place = record.to_bytes();
        }
        Ok(Taken { count: records.len() * Record::SIZE, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.service.put_back(file);
            self.settle(context);
        }
    }

    fn control(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        control: &Control,
    ) -> Result<ControlReply> {
        match control {
            Control::Available => Ok(ControlReply::Available(self.service.level(file) as u64)),
            Control::Private { number: PRIVATE, bytes } => {
                let request: Request = postcard::from_bytes(bytes).map_err(|_| Error::new(EBADMSG))?;
                self.catch_up(context, false);
                let answer = self.service.ask(file, &request);
                self.settle(context);
                answer.map(|taken| ControlReply::Private(taken.0.to_le_bytes().into()))
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let (processes, files, watched) = self.service.load();
        writeln!(out, "processes {processes}\nprocess_files {files}\nwatched {watched}")
    }

    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        self.catch_up(context, true);
        false
    }
}
