//! A kevent note: one (ident, filter) and how it reports.

mod delivery;

use alloc::sync::Arc;

use abi::error::{EINVAL, Error, Result};
use event_protocol::cell::Direction;
use event_protocol::control::client::View as Interface;
use event_protocol::filter::Filters;
use event_protocol::slot::{Control, Terms};

use super::process::Process;
use super::user::User;
use crate::event::filter::Filter;
use crate::event::flags::EventFlags;
use crate::event::{KEvent, note};
use crate::file::File;
use crate::nesting::Inner;
use crate::platform::Platform;
use crate::set::Member;

/// Flags of notes that delivery changes.
const CHANGED_BY_DELIVERY: EventFlags =
    EventFlags::ONESHOT.union(EventFlags::DISPATCH).union(EventFlags::CLEAR);

/// What a note watches.
pub enum Watched<P: Platform> {
    /// One direction of a descriptor.
    Direction(Direction),
    /// Exceptional conditions of a descriptor.
    Except,
    /// What happens to a file: note bits.
    Vnode,
    /// A timer of its own, kept open here.
    Timer(Arc<File<P>>),
    /// Attempts to send a signal, which a file of its own counts.
    Signal(#[expect(dead_code, reason = "kept open")] Arc<File<P>>),
    /// Another set, and how often something had come for it when this was told last.
    Set(Arc<dyn Inner>, Option<u64>),
    /// Nothing but what the program says.
    User(User),
    /// A process, of which the queue's stream tells.
    Process(Process),
    /// That stream: it has no events of its own.
    Stream(Arc<File<P>>),
}

/// A note of the kevent interface.
pub struct KNote<P: Platform> {
    /// What it watches.
    pub watched: Watched<P>,
    /// Its key and what its events carry; flags are the sticky ones (R54).
    event: KEvent,
    low_water: u32,
    default_low_water: u32,
    /// Note bits that it asks for.
    wanted_bits: u32,
    /// The shard that knows it.
    home: u32,
    enabled: bool,
    /// Arrivals when it was told last, as its slot has them; `None`: whatever is there is news.
    seen: Option<u32>,
    /// The direction of a note that is on and has nothing to do when it was told: what most looks are at.
    plain: Option<Direction>,
    /// The same of one that only waits for the next arrival when it was told.
    edge: Option<Direction>,
}

impl<P: Platform> KNote<P> {
    /// The note that a change asks for. `EINVAL`: the filter does not know these flags or this data.
    pub fn new(change: &KEvent, watched: Watched<P>, default_low_water: u32, home: u32) -> Result<KNote<P>> {
        let mut note = KNote {
            watched,
            event: KEvent { flags: EventFlags::empty(), fflags: 0, data: 0, ..*change },
            low_water: 1,
            default_low_water: default_low_water.max(1),
            wanted_bits: 0,
            home,
            enabled: true,
            seen: None,
            plain: None,
            edge: None,
        };
        note.begin_anew(change)?;
        Ok(note)
    }

    /// The note becomes what a first `EV_ADD` makes of it.
    pub fn begin_anew(&mut self, change: &KEvent) -> Result<()> {
        self.seen = None;
        // R9: never on, not even for an instant.
        self.enabled = !change.flags.contains(EventFlags::DISABLE);
        self.modify(change)
    }

    /// Applies a change to the note (R6, R7): `EV_ADD` replaces the terms, any change may switch it on or off, and
    /// replaces udata unless it says `EV_KEEPUDATA`. A change that fails changes nothing.
    pub fn modify(&mut self, change: &KEvent) -> Result<()> {
        let add = change.flags.contains(EventFlags::ADD);
        match &mut self.watched {
            Watched::Direction(_) if add => {
                self.low_water = match change.fflags {
                    0 => self.default_low_water,
                    note::LOWAT => u32::try_from(change.data.max(1)).unwrap_or(u32::MAX),
                    // R23: no mark at all.
                    bits if bits & !note::LOWAT == note::FILE_POLL => 0,
                    _ => return Err(Error::new(EINVAL)),
                };
            }
            Watched::Vnode if add => {
                if change.fflags == 0 || change.fflags & !note::VNODE != 0 {
                    return Err(Error::new(EINVAL));
                }
                // R6: replaced, not widened.
                self.wanted_bits = change.fflags;
            }
            Watched::Signal(_) | Watched::Set(..) if add && change.fflags != 0 => {
                return Err(Error::new(EINVAL));
            }
            Watched::Except if add && change.fflags & !note::OOB != 0 => return Err(Error::new(EINVAL)),
            Watched::User(user) => user.change(change.fflags, change.data),
            Watched::Process(process) if add => process.wanted = change.fflags,
            _ => {}
        }
        if add {
            self.event.flags = change.flags & EventFlags::STICKY;
            if matches!(self.watched, Watched::Timer(_) | Watched::Signal(_) | Watched::Process(_)) {
                // The filter counts and starts again by itself (kqueue(2)).
                self.event.flags |= EventFlags::CLEAR;
            }
        }
        if !change.flags.contains(EventFlags::KEEPUDATA) {
            self.event.udata = change.udata;
        }
        if change.flags.contains(EventFlags::ENABLE) {
            self.enabled = true;
        } else if change.flags.contains(EventFlags::DISABLE) {
            self.enabled = false;
        }
        let direction = match self.watched {
            Watched::Direction(direction) if self.enabled => Some(direction),
            _ => None,
        };
        let changed = self.event.flags & CHANGED_BY_DELIVERY;
        self.plain = direction.filter(|_| changed.is_empty() && !self.is_exclusive());
        self.edge = direction.filter(|_| changed == EventFlags::CLEAR);
        Ok(())
    }

    /// Whether it would be delivered by itself, without anything that the server has to say.
    pub fn is_due(&self) -> bool {
        let news = match &self.watched {
            Watched::User(user) => user.triggered,
            Watched::Process(process) => process.has_news(),
            Watched::Set(inner, seen) => self.news_of(inner, *seen).is_some(),
            _ => false,
        };
        self.enabled && news
    }

    /// Whether it belongs on the ready list. A set's does always.
    pub fn is_ready_by_itself(&self) -> bool {
        matches!(self.watched, Watched::Set(..)) || self.is_due()
    }

    /// Something has happened to its process.
    pub fn happened(&mut self, what: u32, data: i64) {
        if let Watched::Process(process) = &mut self.watched {
            process.happened(what, data);
        }
    }

    /// Its process was started by one whose children are followed.
    pub fn is_child_of(&mut self, parent: u32) {
        if let Watched::Process(process) = &mut self.watched {
            process.child_of = Some(parent);
        }
    }

    /// Nobody will tell of its process any more (R57).
    pub fn is_gone(&mut self) {
        if let Watched::Process(process) = &mut self.watched {
            process.gone = true;
        }
    }

    /// The note of a child of its process: as this one is, and on.
    pub fn of_child(&self, child: u32, parent: u32) -> Option<KNote<P>> {
        let Watched::Process(process) = &self.watched else { return None };
        Some(KNote {
            watched: Watched::Process(process.of_child(parent)),
            event: KEvent { ident: child as usize, ..self.event },
            low_water: 1,
            default_low_water: 1,
            wanted_bits: 0,
            home: 0,
            enabled: true,
            seen: None,
            plain: None,
            edge: None,
        })
    }

    /// What [`Member::is_exclusive`] says after an `EV_ADD` like this.
    pub fn would_be_exclusive(&self, change: &KEvent) -> bool {
        change.flags.contains(EventFlags::WAKEONE)
            && matches!(self.watched, Watched::Direction(_) | Watched::Except)
    }

    /// Makes it exclusive, or not.
    pub fn set_exclusive(&mut self, exclusive: bool) {
        self.event.flags.set(EventFlags::WAKEONE, exclusive);
    }

    /// Whether the slot's edge rule applies; a timer's count is an edge by itself.
    #[inline]
    fn is_edge(&self) -> bool {
        self.event.flags.contains(EventFlags::CLEAR)
            && matches!(self.watched, Watched::Direction(_) | Watched::Except)
    }

    /// What a set has to tell, and how often something had come for it by then; `None` when that is nothing (new).
    fn news_of(&self, inner: &Arc<dyn Inner>, seen: Option<u64>) -> Option<(usize, u64)> {
        let (pending, arrivals) = inner.look();
        let edge = self.event.flags.contains(EventFlags::CLEAR);
        (pending > 0 && !(edge && seen == Some(arrivals))).then_some((pending, arrivals))
    }
}

impl<P: Platform> Member for KNote<P> {
    type Key = (usize, Filter);
    const INTERFACE: Interface = Interface::Kevent;

    fn is_due(&self) -> bool {
        KNote::is_due(self)
    }

    /// `EV_WAKEONE`, of what is a level: occurrences are told to every note.
    fn is_exclusive(&self) -> bool {
        self.event.flags.contains(EventFlags::WAKEONE)
            && matches!(self.watched, Watched::Direction(_) | Watched::Except)
    }

    fn inner(&self) -> Option<&Arc<dyn Inner>> {
        match &self.watched {
            Watched::Set(inner, _) => Some(inner),
            _ => None,
        }
    }

    fn key(&self) -> (usize, Filter) {
        (self.event.ident, self.event.filter)
    }

    fn home(&self) -> u32 {
        self.home
    }

    fn filters(&self) -> Filters {
        match &self.watched {
            Watched::Direction(Direction::Read) => Filters::READ,
            Watched::Direction(Direction::Write) => Filters::WRITE,
            Watched::Except => Filters::EXCEPT,
            Watched::Vnode => Filters::VNODE,
            Watched::Timer(_) => Filters::TIMER,
            Watched::Signal(_) => Filters::SIGNAL,
            Watched::Stream(_) => Filters::READ,
            Watched::User(_) | Watched::Process(_) | Watched::Set(..) => Filters::empty(),
        }
    }

    fn terms(&self) -> Terms {
        let mut control = Control::empty();
        control.set(Control::ENABLED, self.enabled);
        control.set(Control::EDGE, self.is_edge());
        Terms {
            control,
            filters: self.filters(),
            low_water: (self.low_water, self.low_water),
            wanted_bits: self.wanted_bits,
        }
    }
}
