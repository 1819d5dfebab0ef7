//! Changes: what a change list does to the notes.

use alloc::format;
use alloc::sync::Arc;

use abi::error::{EBADF, EINVAL, ENODEV, ENOENT, EPIPE, Error, Result};
use abi::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use event_protocol::cell::{Cell, Direction};
use event_protocol::descriptor::{Arm, Control, Kind};
use event_protocol::level::LevelFlags;

use super::knote::{KNote, Watched};
use super::schedule::Schedule;
use super::user::User;
use super::{Kqueue, ON_DESCRIPTORS};
use crate::event::KEvent;
use crate::event::filter::Filter;
use crate::event::flags::EventFlags;
use crate::file::{File, Files, Target};
use crate::interruption::SIGNALS;
use crate::nesting::nest;
use crate::platform::{Platform, Source};
use crate::set::{Core, Member, Order};
use crate::sync::MutexGuard;

/// A source that the session knows.
type Adopted<P> = Arc<Source<<P as Platform>::Memory>>;

impl<P: Platform> Kqueue<P> {
    /// Applies one change.
    pub(super) fn change(&self, change: &KEvent, files: &impl Files<P>) -> Result<()> {
        check(change)?;
        if let Some(done) = self.change_here(change) {
            return done;
        }
        if change.filter == Filter::PROC {
            return self.change_process(change);
        }
        self.ask(change, files);
        let order = self.set.order();
        // Another thread may have made or removed the note meanwhile.
        if let Some(done) = self.change_here(change) {
            return done;
        }
        // What gets here of WRITE is a new note, in whose place none may be.
        let kept = (change.filter != Filter::WRITE).then(|| key(change));
        self.set.free_retired_but(&order, kept)?;
        let found = self.set.core()?.find(key(change));
        match (found, change.filter) {
            (Some(index), _) if change.flags.contains(EventFlags::DELETE) => {
                // Before the name can be another note's.
                self.set.delete_live(&order, index).map(|()| self.forget(change.ident, change.filter))
            }
            (Some(index), Filter::TIMER) => self.restart_timer(index, change),
            (Some(index), _) if change.flags.contains(EventFlags::ADD) => {
                self.change_exclusive(&order, index, change)
            }
            (None, Filter::USER) => self.set.make_room(&order).and_then(|()| self.insert_user(change)),
            (None, Filter::TIMER) => self.add_timer(&order, change),
            (None, Filter::SIGNAL) => self.add_signal(&order, change),
            (None, Filter::READ) if matches!(self.target(change, files), Ok(Target::Set(_))) => {
                self.add_set(&order, change, files)
            }
            (None, _) => {
                let (note, source) = self.on_descriptor(change, files)?;
                self.set.add(&order, note, &source).map(drop)
            }
            // `change_here` has done all others.
            (Some(_), _) => Err(Error::new(EINVAL)),
        }
    }

    /// R56: has the driver say what there is to watch before the order lock is taken, for as long as it takes.
    pub(super) fn ask(&self, change: &KEvent, files: &impl Files<P>) {
        if ON_DESCRIPTORS.contains(&change.filter)
            && change.flags.contains(EventFlags::ADD)
            && let Ok(fd) = i32::try_from(change.ident)
            && let Ok(file) = files.file(fd)
        {
            // What it says is looked at under the lock.
            let _ = file.source();
        }
    }

    /// Does what needs no message; `None` when the change needs one.
    fn change_here(&self, change: &KEvent) -> Option<Result<()>> {
        let mut core = match self.set.core() {
            Ok(core) => core,
            Err(error) => return Some(Err(error)),
        };
        let add = change.flags.contains(EventFlags::ADD);
        let index = core.find(key(change));
        let (index, note) = match index.and_then(|index| Some((index, core.queue.note(index)?))) {
            None if !add => return Some(Err(Error::new(ENOENT))),
            None if change.filter == Filter::USER && core.queue.has_room() => {
                return Some(insert_user(&mut core, change).map(|index| self.look(core, index)));
            }
            None => return None,
            Some((_, note)) if note.is_retired() && !add => return Some(Err(Error::new(ENOENT))),
            Some(found) => found,
        };
        if change.flags.contains(EventFlags::DELETE) {
            if note.cell.is_some() || change.filter == Filter::PROC {
                return None;
            }
            // Before the name can be another note's, whose events are its own.
            return Some(core.remove_own(index).map(|()| self.forget(change.ident, change.filter)));
        }
        if add && [Filter::TIMER, Filter::PROC].contains(&change.filter) {
            return None;
        }
        // R57: nothing can be added to what is gone.
        if add && note.cell.as_ref().is_some_and(|cell| is_gone(cell)) {
            return Some(Err(Error::new(ENODEV)));
        }
        // Whom an arrival wakes is the server's to know.
        if add && note.cell.is_some() && note.view.is_exclusive() != note.view.would_be_exclusive(change) {
            return None;
        }
        let retired = note.is_retired();
        // R21: one that begins anew is refused like a new one.
        if retired && change.filter == Filter::WRITE && note.cell.as_ref().is_some_and(|cell| is_at_end(cell))
        {
            return None;
        }
        Some(modify(&mut core, index, change, retired).map(|()| self.look(core, index)))
    }

    /// Changes a note that becomes exclusive, or is no longer.
    fn change_exclusive(&self, order: &Order<'_>, index: u32, change: &KEvent) -> Result<()> {
        let exclusive = {
            let mut core = self.set.core()?;
            let retired = core.queue.note(index).is_some_and(|note| note.is_retired());
            modify(&mut core, index, change, retired)?;
            core.queue.note(index).is_some_and(|note| note.view.is_exclusive())
        };
        self.set.set_exclusive(order, index, exclusive).inspect_err(|_| {
            // The server has it as it was.
            let Ok(mut core) = self.set.core() else { return };
            if let Some(note) = core.queue.note_mut(index) {
                note.view.set_exclusive(!exclusive);
            }
            core.queue.set_exclusive(index, !exclusive);
            drop(core);
            self.set.show(index);
        })
    }

    /// Puts a note where a harvest finds it, if it may be true, and wakes somebody for it.
    fn look(&self, core: MutexGuard<'_, Core<P, KNote<P>>>, index: u32) {
        let worth =
            core.queue.note(index).is_some_and(|note| note.cell.is_some() || note.view.is_ready_by_itself());
        self.set.look(core, index, worth);
    }

    fn insert_user(&self, change: &KEvent) -> Result<()> {
        let mut core = self.set.core()?;
        let index = insert_user(&mut core, change)?;
        self.look(core, index);
        Ok(())
    }

    /// The note that a change asks for on a descriptor. R31: the descriptor is found open, under the order lock, after it
    /// knows of us; so a close that begins later finds the note.
    pub(super) fn on_descriptor(
        &self,
        change: &KEvent,
        files: &impl Files<P>,
    ) -> Result<(KNote<P>, Adopted<P>)> {
        let fd = i32::try_from(change.ident).map_err(|_| Error::new(EBADF))?;
        let file = files.file(fd)?;
        let source = file.known()?;
        let (watched, low_water) = match change.filter {
            Filter::READ => (Watched::Direction(Direction::Read), source.low_water.0),
            Filter::WRITE => (Watched::Direction(Direction::Write), source.low_water.1),
            Filter::VNODE => (Watched::Vnode, 0),
            _ => (Watched::Except, 0),
        };
        let note = KNote::new(change, watched, low_water, source.id.shard())?;
        if !source.filters.contains(note.filters()) {
            return Err(Error::new(EINVAL));
        }
        // R21: nobody will ever read it.
        if change.filter == Filter::WRITE && file.kind() == Kind::Pipe && is_at_end(&source.cell) {
            return Err(Error::new(EPIPE));
        }
        file.description.watched_by(&self.watcher);
        if files.file(fd)?.description.name() != file.description.name() {
            return Err(Error::new(EBADF));
        }
        Ok((note, source))
    }

    fn add_timer(&self, order: &Order<'_>, change: &KEvent) -> Result<()> {
        let schedule = schedule(change)?;
        let platform = self.set.platform();
        let timer = Arc::new(File::new(platform.clone(), platform.open_timer()?, 0));
        let source = timer.source()?;
        let note = KNote::new(change, Watched::Timer(timer.clone()), 0, source.id.shard())?;
        // Counts from before it runs, so that no expiration is missed.
        let index = self.set.add(order, note, &source)?;
        self.start(&timer, schedule).inspect_err(|_| {
            // The error that matters is that the timer does not run.
            let _ = self.set.delete(order, index);
        })
    }

    /// R28: counts attempts from now on, whatever becomes of them.
    fn add_signal(&self, order: &Order<'_>, change: &KEvent) -> Result<()> {
        if !(1..=SIGNALS as usize).contains(&change.ident) {
            return Err(Error::new(EINVAL));
        }
        let platform = self.set.platform();
        let path = format!("{}{}", process_protocol::SIGNAL, change.ident);
        let signal = Arc::new(File::new(platform.clone(), platform.open(&path, 0)?, 0));
        let source = signal.source()?;
        let note = KNote::new(change, Watched::Signal(signal), 0, source.id.shard())?;
        self.set.add(order, note, &source).map(drop)
    }

    fn target(&self, change: &KEvent, files: &impl Files<P>) -> Result<Target<P>> {
        files.target(i32::try_from(change.ident).map_err(|_| Error::new(EBADF))?)
    }

    /// A note on another set, which is ready to be read when it has something to tell (R37).
    fn add_set(&self, order: &Order<'_>, change: &KEvent, files: &impl Files<P>) -> Result<()> {
        let Target::Set(inner) = self.target(change, files)? else { return Err(Error::new(EINVAL)) };
        if change.fflags != 0 {
            return Err(Error::new(EINVAL));
        }
        self.set.make_room(order)?;
        inner.description().watched_by(&self.watcher);
        // R31: found open after it knows of us.
        match self.target(change, files)? {
            Target::Set(found) if found.description().name() == inner.description().name() => {}
            _ => return Err(Error::new(EBADF)),
        }
        nest(&self.description, self.around.clone(), &inner, || {
            let note = KNote::new(change, Watched::Set(inner.clone(), None), 0, 0)?;
            let mut core = self.set.core()?;
            let index = core.insert_own(note)?;
            self.set.look(core, index, true);
            Ok(())
        })?;
        self.set.wake_everybody();
        Ok(())
    }

    /// R25: starts again, and what was not delivered is dropped.
    fn restart_timer(&self, index: u32, change: &KEvent) -> Result<()> {
        let schedule = schedule(change)?;
        let timer = match self.set.core()?.queue.note(index) {
            Some(note) if note.cell.as_ref().is_some_and(|cell| is_gone(cell)) => {
                return Err(Error::new(ENODEV));
            }
            Some(note) => match &note.view.watched {
                Watched::Timer(timer) => timer.clone(),
                _ => return Err(Error::new(EINVAL)),
            },
            None => return Err(Error::new(ENOENT)),
        };
        // Stopped, it posts nothing, so that what is dropped is of the old schedule and nothing of the new one.
        timer.control(Control::Disarm)?;
        {
            let mut core = self.set.core()?;
            let retired = core.queue.note(index).is_some_and(|note| note.is_retired());
            modify(&mut core, index, change, retired)?;
            if let Some(note) = core.queue.note(index)
                && let Some(cell) = &note.cell
            {
                note.slot().restart_occurrences(cell);
            }
        }
        self.start(&timer, schedule)
    }

    fn start(&self, timer: &File<P>, schedule: Schedule) -> Result<()> {
        let relative = |first: u64, period| Arm {
            first: clamp(first),
            period,
            absolute: false,
            clock: CLOCK_MONOTONIC as u32,
        };
        let arm = match schedule {
            Schedule::Every(period) => relative(period, Some(clamp(period))),
            Schedule::Once(delay) => relative(delay, None),
            Schedule::At(time) => {
                Arm { first: clamp(time), period: None, absolute: true, clock: CLOCK_REALTIME as u32 }
            }
        };
        timer.control(Control::Arm(arm)).map(drop)
    }
}

fn insert_user<P: Platform>(core: &mut Core<P, KNote<P>>, change: &KEvent) -> Result<u32> {
    core.insert_own(KNote::new(change, Watched::User(User::default()), 0, 0)?)
}

/// Changes a note that exists, or begins one anew that was told for the last time.
fn modify<P: Platform>(
    core: &mut Core<P, KNote<P>>,
    index: u32,
    change: &KEvent,
    revive: bool,
) -> Result<()> {
    let Some(note) = core.queue.note_mut(index) else { return Err(Error::new(ENOENT)) };
    if revive {
        note.view.begin_anew(change)?;
    } else {
        note.view.modify(change)?;
    }
    let terms = note.view.terms();
    if revive {
        core.queue.revive(index, terms);
    } else if note.cell.is_some() {
        note.slot().set_terms(terms);
    }
    Ok(())
}

pub(super) fn key(change: &KEvent) -> (usize, Filter) {
    (change.ident, change.filter)
}

/// Actions that contradict each other, and filters that there are not.
pub(super) fn check(change: &KEvent) -> Result<()> {
    let flags = change.flags;
    let both = |a: EventFlags, b: EventFlags| flags.contains(a.union(b));
    let contradiction = both(EventFlags::ADD, EventFlags::DELETE)
        || both(EventFlags::ENABLE, EventFlags::DISABLE)
        || both(EventFlags::ADD, EventFlags::KEEPUDATA);
    let by_itself = [Filter::TIMER, Filter::USER, Filter::SIGNAL, Filter::PROC].contains(&change.filter);
    let known = by_itself || ON_DESCRIPTORS.contains(&change.filter);
    if contradiction || !known { Err(Error::new(EINVAL)) } else { Ok(()) }
}

fn schedule(change: &KEvent) -> Result<Schedule> {
    Schedule::new(change.fflags, change.data, change.flags.contains(EventFlags::ONESHOT))
}

fn is_gone(cell: &Cell) -> bool {
    cell.level(Direction::Read).flags.contains(LevelFlags::GONE)
}

fn is_at_end(cell: &Cell) -> bool {
    cell.level(Direction::Write).flags.contains(LevelFlags::EOF)
}

fn clamp(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}
