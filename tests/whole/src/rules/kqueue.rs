//! kevent: what changes do to notes, and what notes tell.

use std::collections::BTreeMap;

use abi::error::{EBADF, EINVAL, ELOOP, ENODEV, ENOENT, EPIPE};
use event_protocol::cell::Direction;
use event_protocol::descriptor::Kind;
use event_protocol::filter::Filters;
use libkq::event::note;
use libkq::{EventFlags, Filter, KEvent};

use super::level::{File, Mark};
use super::process::{Process, What};
use super::{Files, Refusal, Set, refuse};

/// What a note is called.
pub type Key = (usize, i16);

/// The filters whose ident is a descriptor.
const ON_DESCRIPTORS: [Filter; 4] = [Filter::READ, Filter::WRITE, Filter::EXCEPT, Filter::VNODE];

/// A queue.
#[derive(Clone, Default, Debug)]
pub struct Kqueue {
    /// Its notes.
    pub notes: BTreeMap<Key, Note>,
}

/// What a note watches, and what that has left in it.
#[derive(Clone, PartialEq, Debug)]
pub enum Watched {
    /// A direction of a file.
    Side(usize, Direction, Mark),
    /// A file's urgent data.
    Except(usize),
    /// What happens to a file: what is asked for, and what has happened.
    Vnode(usize, u32, u32),
    /// Another set.
    Set(u64),
    /// When it expires next, then how often; and how often it has.
    Timer(u64, Option<u64>, i64),
    /// Attempts to send a signal.
    Signal(i64),
    /// Triggered, bits, data.
    User(bool, u32, i64),
}

/// A note.
#[derive(Clone, Debug)]
pub struct Note {
    /// The sticky flags (R54).
    pub flags: EventFlags,
    udata: usize,
    enabled: bool,
    /// What it watches.
    pub watched: Watched,
    /// Something has arrived since it was told last (R15).
    news: bool,
    /// It was told that its file is gone (R57).
    ended: bool,
}

/// The name of what a change or an event is about.
pub fn key(event: &KEvent) -> Key {
    (event.ident, event.filter.0)
}

impl Note {
    /// The file that it watches.
    pub fn file(&self) -> Option<usize> {
        match self.watched {
            Watched::Side(file, ..) | Watched::Except(file) | Watched::Vnode(file, ..) => Some(file),
            _ => None,
        }
    }

    /// The file and direction that it watches, if what comes for it need not wake everybody.
    pub fn exclusive(&self) -> Option<(usize, usize)> {
        match self.watched {
            _ if !self.flags.contains(EventFlags::WAKEONE) => None,
            Watched::Side(file, direction, _) => Some((file, usize::from(direction == Direction::Write))),
            Watched::Except(file) => Some((file, 0)),
            _ => None,
        }
    }

    /// Something arrived in a direction of its file.
    pub fn arrived(&mut self, direction: Direction) {
        self.news |= match self.watched {
            Watched::Side(_, own, _) => own == direction,
            Watched::Except(_) => direction == Direction::Read,
            _ => false,
        };
    }

    /// The event of the note if it is true now.
    pub fn event(&self, (ident, filter): Key, process: &Process, files: &Files) -> Option<KEvent> {
        if !self.enabled || self.ended {
            return None;
        }
        let filter = Filter(filter);
        let event = KEvent { ident, filter, flags: self.flags, fflags: 0, data: 0, udata: self.udata };
        let told = !self.flags.contains(EventFlags::CLEAR) || self.news;
        match self.watched {
            Watched::Side(file, direction, mark) => {
                let file = &files[file];
                let amount = file.side(direction).amount;
                (told && file.is_ready(direction, mark))
                    .then(|| ended(KEvent { data: amount, ..event }, file, direction))
            }
            Watched::Except(file) => (told && files[file].is_urgent())
                .then(|| ended(KEvent { fflags: note::OOB, ..event }, &files[file], Direction::Read)),
            Watched::Vnode(file, _, bits) if files[file].gone => {
                Some(KEvent { fflags: bits, flags: event.flags | EventFlags::EOF, ..event })
            }
            Watched::Vnode(_, _, bits) => (bits != 0).then_some(KEvent { fflags: bits, ..event }),
            Watched::Set(inner) => {
                let pending = process.pending(inner, files);
                (pending > 0).then_some(KEvent { data: pending as i64, ..event })
            }
            Watched::Timer(_, _, count) | Watched::Signal(count) => {
                (count > 0).then_some(KEvent { data: count, ..event })
            }
            Watched::User(triggered, bits, data) => {
                triggered.then_some(KEvent { fflags: bits, data, ..event })
            }
        }
    }
}

/// R18, R20, R57: how an event shows the end of its file, and errors.
fn ended(mut event: KEvent, file: &File, direction: Direction) -> KEvent {
    let side = file.side(direction);
    if side.eof || file.gone {
        event.flags |= EventFlags::EOF;
        if side.amount <= 0 {
            event.flags |= EventFlags::NODATA;
        }
    }
    if file.gone {
        event.fflags = ENODEV as u32;
    } else if file.error != 0 {
        event.fflags = file.error as u32;
    }
    event
}

impl Kqueue {
    /// R10, R15, R16, R17, R57: what a delivery does.
    pub fn delivered(&mut self, key: Key, files: &Files) {
        let Some(note) = self.notes.get_mut(&key) else { return };
        let gone = note.file().is_some_and(|file| files[file].gone);
        let flags = note.flags;
        if flags.contains(EventFlags::ONESHOT) {
            self.notes.remove(&key);
            return;
        }
        note.ended = gone;
        if flags.contains(EventFlags::CLEAR) {
            note.news = false;
        }
        // R15: only EV_CLEAR forgets; what counts always does.
        let forgets = flags.contains(EventFlags::CLEAR);
        match &mut note.watched {
            Watched::Vnode(_, _, bits) if forgets => *bits = 0,
            Watched::Timer(_, _, count) | Watched::Signal(count) => *count = 0,
            Watched::User(triggered, bits, data) if forgets => {
                (*triggered, *bits, *data) = (false, 0, 0);
            }
            _ => {}
        }
        if flags.contains(EventFlags::DISPATCH) && !gone {
            note.enabled = false;
        }
    }

    /// R31: a number is closed.
    pub fn closed(&mut self, fd: i32) {
        let on_descriptor = |filter: i16| ON_DESCRIPTORS.contains(&Filter(filter));
        self.notes.retain(|&(ident, filter), _| !(ident == fd as usize && on_descriptor(filter)));
    }
}

/// What a change is refused for, whatever there is.
fn contradictions(change: &KEvent) -> Vec<i32> {
    let both = |flags| change.flags.contains(flags);
    let known = [Filter::TIMER, Filter::USER, Filter::SIGNAL];
    let unknown = !ON_DESCRIPTORS.contains(&change.filter) && !known.contains(&change.filter);
    let wrong = both(EventFlags::ADD | EventFlags::DELETE)
        || both(EventFlags::ENABLE | EventFlags::DISABLE)
        || both(EventFlags::ADD | EventFlags::KEEPUDATA);
    if wrong || unknown { vec![EINVAL] } else { Vec::new() }
}

/// What the terms of an `EV_ADD` on a file say: the mark, or the note bits.
fn terms(change: &KEvent, file: &File) -> Result<(Mark, u32), i32> {
    let fflags = change.fflags;
    match change.filter {
        Filter::READ | Filter::WRITE => {
            let direction = if change.filter == Filter::READ { Direction::Read } else { Direction::Write };
            match fflags {
                0 => Ok((file.mark(direction), 0)),
                note::LOWAT => Ok((Some(change.data.max(1)), 0)),
                _ if fflags & !note::LOWAT == note::FILE_POLL => Ok((None, 0)),
                _ => Err(EINVAL),
            }
        }
        Filter::VNODE if fflags != 0 && fflags & !note::VNODE == 0 => Ok((None, fflags)),
        Filter::EXCEPT if fflags & !note::OOB == 0 => Ok((None, 0)),
        _ => Err(EINVAL),
    }
}

/// R26: first expiration and period.
fn schedule(change: &KEvent, now: u64) -> Result<(u64, Option<u64>), i32> {
    if change.fflags != note::NSECONDS || change.data < 0 {
        return Err(EINVAL);
    }
    let period = change.data.max(1) as u64;
    let once = change.flags.contains(EventFlags::ONESHOT);
    Ok((now + period, (!once).then_some(period)))
}

/// What a new note would watch. All errors that apply.
fn watched(
    own: u64,
    change: &KEvent,
    process: &Process,
    files: &Files,
    now: u64,
) -> Result<Watched, Vec<i32>> {
    match change.filter {
        Filter::USER => Ok(Watched::User(false, 0, 0)),
        Filter::TIMER => {
            let (next, period) = schedule(change, now).map_err(|errno| vec![errno])?;
            Ok(Watched::Timer(next, period, 0))
        }
        Filter::SIGNAL if change.fflags == 0 && (1..=64).contains(&change.ident) => Ok(Watched::Signal(0)),
        Filter::SIGNAL => Err(vec![EINVAL]),
        _ => on_descriptor(own, change, process, files),
    }
}

fn on_descriptor(own: u64, change: &KEvent, process: &Process, files: &Files) -> Result<Watched, Vec<i32>> {
    let Some(description) = process.table.get(&(change.ident as i32)) else { return Err(vec![EBADF]) };
    let What::File(number) = process.what(*description) else {
        let mut errors = Vec::new();
        if change.filter != Filter::READ || change.fflags != 0 || *description == own {
            errors.push(EINVAL);
        }
        // R37, R38.
        if process.cannot_nest(own, *description) {
            errors.push(ELOOP);
        }
        return refuse(errors).map(|()| Watched::Set(*description));
    };
    let (number, file) = (*number, &files[*number]);
    let mut errors = Vec::new();
    let (served, direction) = match change.filter {
        Filter::READ => (Filters::READ, Direction::Read),
        Filter::WRITE => (Filters::WRITE, Direction::Write),
        Filter::VNODE => (Filters::VNODE, Direction::Read),
        _ => (Filters::EXCEPT, Direction::Read),
    };
    if !file.filters.contains(served) {
        errors.push(EINVAL);
    }
    // R21.
    if change.filter == Filter::WRITE && file.kind == Kind::Pipe && (file.sides[1].eof || file.gone) {
        errors.push(EPIPE);
    }
    if file.gone {
        errors.push(ENODEV);
    }
    let terms = terms(change, file);
    errors.extend(terms.err());
    refuse(errors)?;
    let (mark, bits) = terms.unwrap_or_default();
    Ok(match change.filter {
        Filter::VNODE => Watched::Vnode(number, bits, 0),
        Filter::EXCEPT => Watched::Except(number),
        _ => Watched::Side(number, direction, mark),
    })
}

impl Process {
    /// Applies a change to a queue of this process. The errors of which it must give one.
    pub fn change(&mut self, own: u64, change: &KEvent, files: &Files, now: u64) -> Result<(), Refusal> {
        refuse(contradictions(change))?;
        let (key, add) = (key(change), change.flags.contains(EventFlags::ADD));
        let Some(mut note) = self.kqueue(own).notes.get(&key).cloned() else {
            if !add {
                return Err(vec![ENOENT]);
            }
            let watched = watched(own, change, self, files, now)?;
            let mut note = Note {
                flags: EventFlags::empty(),
                udata: 0,
                enabled: true,
                watched,
                news: true,
                ended: false,
            };
            note.apply(change);
            self.kqueue(own).notes.insert(key, note);
            return Ok(());
        };
        if change.flags.contains(EventFlags::DELETE) {
            self.kqueue(own).notes.remove(&key);
            return Ok(());
        }
        if add {
            note.replace_terms(change, files, now)?;
        }
        note.apply(change);
        self.kqueue(own).notes.insert(key, note);
        Ok(())
    }
}

impl Note {
    /// R6: `EV_ADD` of what there is replaces what it asks for, and keeps what it has. R25: a timer starts anew.
    fn replace_terms(&mut self, change: &KEvent, files: &Files, now: u64) -> Result<(), Refusal> {
        let mut errors = Vec::new();
        if self.file().is_some_and(|file| files[file].gone) {
            errors.push(ENODEV);
        }
        match &mut self.watched {
            Watched::Side(file, _, mark) => match terms(change, &files[*file]) {
                Ok(given) => *mark = given.0,
                Err(errno) => errors.push(errno),
            },
            Watched::Except(file) => errors.extend(terms(change, &files[*file]).err()),
            Watched::Vnode(file, wanted, bits) => match terms(change, &files[*file]) {
                Ok(given) => (*wanted, *bits) = (given.1, *bits & given.1),
                Err(errno) => errors.push(errno),
            },
            Watched::Timer(next, period, count) => match schedule(change, now) {
                Ok(given) => (*next, *period, *count) = (given.0, given.1, 0),
                Err(errno) => errors.push(errno),
            },
            Watched::Signal(_) | Watched::Set(_) if change.fflags != 0 => errors.push(EINVAL),
            _ => {}
        }
        refuse(errors)
    }

    /// What any change does.
    fn apply(&mut self, change: &KEvent) {
        let flags = change.flags;
        if flags.contains(EventFlags::ADD) {
            self.flags = flags & EventFlags::STICKY;
            if matches!(self.watched, Watched::Timer(..) | Watched::Signal(_)) {
                self.flags |= EventFlags::CLEAR;
            }
        }
        if let Watched::User(triggered, bits, data) = &mut self.watched {
            // R27.
            let given = change.fflags & note::FFLAGSMASK;
            *bits = match change.fflags & note::FFCTRLMASK {
                note::FFAND => *bits & given,
                note::FFOR => *bits | given,
                note::FFCOPY => given,
                _ => *bits,
            };
            *data = change.data;
            *triggered |= change.fflags & note::TRIGGER != 0;
        }
        if !flags.contains(EventFlags::KEEPUDATA) {
            self.udata = change.udata;
        }
        // R7, R8, R9, R16.
        self.enabled =
            (self.enabled || flags.contains(EventFlags::ENABLE)) && !flags.contains(EventFlags::DISABLE);
    }

    /// Time has passed.
    pub fn pass(&mut self, now: u64) {
        if let Watched::Timer(next, period, count) = &mut self.watched {
            while *next <= now {
                *count += 1;
                *next = period.map_or(u64::MAX, |period| *next + period);
            }
        }
    }
}

impl Set for Kqueue {
    fn inner(&self) -> Vec<u64> {
        let set = |note: &Note| if let Watched::Set(inner) = note.watched { Some(inner) } else { None };
        self.notes.values().filter_map(set).collect()
    }

    fn pending(&self, process: &Process, files: &Files) -> usize {
        self.notes.iter().filter(|&(&key, note)| note.event(key, process, files).is_some()).count()
    }
}
