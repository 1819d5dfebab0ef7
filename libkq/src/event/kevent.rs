//! A change or an event.

use core::time::Duration;

use abi::error::Error;

use super::{filter::Filter, flags::EventFlags, note};

/// A change that is asked for, or an event that is reported: `struct kevent` of `kqueue(2)`.
///
/// ```
/// use core::time::Duration;
/// use libkq::KEvent;
///
/// let changes = [
///     KEvent::read(0).add().udata(7),
///     KEvent::timer(1).every(Duration::from_secs(1)),
///     KEvent::user(2).add().clear(),
/// ];
/// assert_eq!(changes[1].data, 1_000_000_000);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct KEvent {
    /// Descriptor, or what names a timer or user event.
    pub ident: usize,
    /// What is watched.
    pub filter: Filter,
    /// What to do, or what happened.
    pub flags: EventFlags,
    /// Bits of [`note`](crate::event::note).
    pub fflags: u32,
    /// Depends on the filter: bytes, expirations, period; the errno of an error.
    pub data: i64,
    /// The program's own, handed back unchanged.
    pub udata: usize,
}

impl KEvent {
    /// A change without actions yet.
    pub const fn new(ident: usize, filter: Filter) -> KEvent {
        KEvent { ident, filter, flags: EventFlags::empty(), fflags: 0, data: 0, udata: 0 }
    }

    /// About reading from a descriptor.
    pub const fn read(fd: i32) -> KEvent {
        KEvent::new(fd as usize, Filter::READ)
    }

    /// About writing to a descriptor.
    pub const fn write(fd: i32) -> KEvent {
        KEvent::new(fd as usize, Filter::WRITE)
    }

    /// About a timer; `ident` is any number of the program's choice.
    pub const fn timer(ident: usize) -> KEvent {
        KEvent::new(ident, Filter::TIMER)
    }

    /// About an event of the program's own; `ident` is any number of its choice.
    pub const fn user(ident: usize) -> KEvent {
        KEvent::new(ident, Filter::USER)
    }

    /// About a process; `what` is [`note::EXIT`] and the like.
    pub const fn process(pid: i32, what: u32) -> KEvent {
        KEvent { fflags: what, ..KEvent::new(pid as u32 as usize, Filter::PROC) }
    }

    /// The same with these flags besides.
    pub const fn with(mut self, flags: EventFlags) -> KEvent {
        self.flags = self.flags.union(flags);
        self
    }

    /// Makes or modifies the note.
    pub const fn add(self) -> KEvent {
        self.with(EventFlags::ADD)
    }

    /// Removes the note.
    pub const fn delete(self) -> KEvent {
        self.with(EventFlags::DELETE)
    }

    /// Lets it be delivered.
    pub const fn enable(self) -> KEvent {
        self.with(EventFlags::ENABLE)
    }

    /// Keeps it from being delivered.
    pub const fn disable(self) -> KEvent {
        self.with(EventFlags::DISABLE)
    }

    /// Delivered once, then removed.
    pub const fn oneshot(self) -> KEvent {
        self.with(EventFlags::ONESHOT)
    }

    /// Edge-triggered.
    pub const fn clear(self) -> KEvent {
        self.with(EventFlags::CLEAR)
    }

    /// Delivered once, then disabled.
    pub const fn dispatch(self) -> KEvent {
        self.with(EventFlags::DISPATCH)
    }

    /// Answered even when it went well.
    pub const fn receipt(self) -> KEvent {
        self.with(EventFlags::RECEIPT)
    }

    /// What the event carries.
    pub const fn udata(mut self, udata: usize) -> KEvent {
        self.udata = udata;
        self
    }

    /// Ready at `bytes` or more (`NOTE_LOWAT`).
    pub const fn low_water(mut self, bytes: i64) -> KEvent {
        self.fflags |= note::LOWAT;
        self.data = bytes;
        self
    }

    /// Adds a timer that fires every `period`.
    pub fn every(mut self, period: Duration) -> KEvent {
        self.fflags = note::NSECONDS;
        self.data = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX);
        self.add()
    }

    /// Adds a timer that fires once, `delay` from now.
    pub fn after(self, delay: Duration) -> KEvent {
        self.every(delay).oneshot()
    }

    /// Fires a user event.
    pub const fn trigger(mut self) -> KEvent {
        self.fflags |= note::TRIGGER;
        self
    }

    /// At the end of the file; bytes may be left.
    pub const fn is_eof(&self) -> bool {
        self.flags.contains(EventFlags::EOF)
    }

    /// What went wrong with the change that this event answers.
    pub fn error(&self) -> Option<Error> {
        match i32::try_from(self.data) {
            Ok(errno) if self.flags.contains(EventFlags::ERROR) && errno != 0 => Some(Error::new(errno)),
            _ => None,
        }
    }
}

const _: () = assert!(size_of::<KEvent>() == 32);
