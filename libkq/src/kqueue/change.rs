//! Changes: what a change list does to the notes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::error::{EBADF, EINVAL, ENODEV, ENOENT, Error, Result};
use abi::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use event_protocol::cell::{Cell, Direction};
use event_protocol::control::client::{Change, View};
use event_protocol::descriptor::{Arm, Control};
use event_protocol::level::LevelFlags;

use super::knote::{KNote, Watched};
use super::schedule::Schedule;
use super::user::User;
use super::{Core, Files, Kqueue};
use crate::event::KEvent;
use crate::event::filter::Filter;
use crate::event::flags::EventFlags;
use crate::file::File;
use crate::platform::{Platform, Source};
use crate::sync::MutexGuard;

/// Filters whose ident is a descriptor.
const ON_DESCRIPTORS: [Filter; 3] = [Filter::READ, Filter::WRITE, Filter::EXCEPT];
/// Each further bank is so many times larger than the one before.
const GROWTH: u32 = 4;

impl<P: Platform> Kqueue<P> {
    /// Applies one change.
    pub(super) fn change(self: &Arc<Self>, change: &KEvent, files: &impl Files<P>) -> Result<()> {
        check(change)?;
        if let Some(done) = self.change_here(change) {
            return done;
        }
        let _order = self.order.lock();
        // Another thread may have made or removed the note meanwhile.
        if let Some(done) = self.change_here(change) {
            return done;
        }
        self.free_retired_but(Some(change))?;
        let found = self.core.lock().keys.get(&key(change)).copied();
        match (found, change.filter) {
            (Some(index), _) if change.flags.contains(EventFlags::DELETE) => self.delete(index),
            (Some(index), Filter::TIMER) => self.restart_timer(index, change),
            (None, Filter::USER) => self.make_room().and_then(|()| self.insert_user(change)),
            (None, Filter::TIMER) => self.add_timer(change),
            (None, _) => self.add_on_descriptor(change, files),
            // `change_here` has done all others.
            (Some(_), _) => Err(Error::new(EINVAL)),
        }
    }

    /// Does what needs no message; `None` when the change needs one.
    fn change_here(&self, change: &KEvent) -> Option<Result<()>> {
        let mut core = self.core.lock();
        if core.closed {
            return Some(Err(Error::new(EBADF)));
        }
        let add = change.flags.contains(EventFlags::ADD);
        let index = core.keys.get(&key(change)).copied();
        let (index, note) = match index.and_then(|index| Some((index, core.queue.note(index)?))) {
            None if !add => return Some(Err(Error::new(ENOENT))),
            None if change.filter == Filter::USER && core.queue.has_room() => {
                return Some(core.insert_user(change).map(|index| self.look(core, index)));
            }
            None => return None,
            Some((_, note)) if note.is_retired() && !add => return Some(Err(Error::new(ENOENT))),
            Some(found) => found,
        };
        if change.flags.contains(EventFlags::DELETE) {
            if note.cell.is_some() {
                return None;
            }
            core.keys.remove(&key(change));
            return Some(core.queue.remove(index).map(drop));
        }
        if add && change.filter == Filter::TIMER {
            return None;
        }
        // R57: nothing can be added to what is gone.
        if add && note.cell.as_ref().is_some_and(|cell| is_gone(cell)) {
            return Some(Err(Error::new(ENODEV)));
        }
        let retired = note.is_retired();
        Some(core.modify(index, change, retired).map(|()| self.look(core, index)))
    }

    /// Puts a note where a harvest finds it, if it may be true, and wakes somebody for it.
    fn look(&self, mut core: MutexGuard<'_, Core<P>>, index: u32) {
        let worth = core.queue.note(index).is_some_and(|note| note.cell.is_some() || note.view.is_due());
        if worth {
            core.queue.look(index);
        }
        if core.queue.has_ready() {
            self.hand_on(core);
        }
    }

    fn insert_user(&self, change: &KEvent) -> Result<()> {
        let mut core = self.core.lock();
        let index = core.insert_user(change)?;
        self.look(core, index);
        Ok(())
    }

    fn add_on_descriptor(self: &Arc<Self>, change: &KEvent, files: &impl Files<P>) -> Result<()> {
        let fd = i32::try_from(change.ident).map_err(|_| Error::new(EBADF))?;
        // R31: found open under the order lock, so a close that begins later finds the note.
        let file = files.file(fd)?;
        let source = file.source()?;
        let (watched, low_water) = match change.filter {
            Filter::READ => (Watched::Direction(Direction::Read), source.low_water.0),
            Filter::WRITE => (Watched::Direction(Direction::Write), source.low_water.1),
            _ => (Watched::Except, 0),
        };
        let note = KNote::new(change, watched, low_water, source.id.shard())?;
        if !source.filters.contains(note.filters()) {
            return Err(Error::new(EINVAL));
        }
        file.watched_by(self);
        self.add(note, &source).map(drop)
    }

    fn add_timer(&self, change: &KEvent) -> Result<()> {
        let schedule = schedule(change)?;
        let handle = self.platform.open_timer()?;
        let timer = Arc::new(File::new(self.platform.clone(), handle, 0));
        let source = timer.source()?;
        let note = KNote::new(change, Watched::Timer(timer.clone()), 0, source.id.shard())?;
        // Counts from before it runs, so that no expiration is missed.
        let index = self.add(note, &source)?;
        self.start(&timer, schedule).inspect_err(|_| {
            // The error that matters is that the timer does not run.
            let _ = self.delete(index);
        })
    }

    /// R25: starts again, and what was not delivered is dropped.
    fn restart_timer(&self, index: u32, change: &KEvent) -> Result<()> {
        let schedule = schedule(change)?;
        let timer = match self.core.lock().queue.note(index) {
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
            let mut core = self.core.lock();
            let retired = core.queue.note(index).is_some_and(|note| note.is_retired());
            core.modify(index, change, retired)?;
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

    /// Makes a note, here and with the server, which activates it at once when it is true.
    fn add(&self, note: KNote<P>, source: &Source<P::Memory>) -> Result<u32> {
        self.make_room()?;
        let (key, filters) = (note.key(), note.filters());
        let (index, name) = {
            let mut core = self.core.lock();
            if core.closed {
                return Err(Error::new(EBADF));
            }
            let terms = note.terms();
            let index = core.queue.insert(Some(source.cell.clone()), terms, note)?;
            core.keys.insert(key, index);
            (index, core.queue.name(index))
        };
        let (bank, slot, generation) = name.ok_or(Error::new(EINVAL))?;
        let shard = source.id.shard();
        self.shards.fetch_or(1 << (shard & 63), Ordering::Relaxed);
        let add = Change::Add { source: source.id, bank, slot, generation, filters, view: View::Kevent };
        self.platform.change(shard, self.number, add).map(|()| index).inspect_err(|_| {
            let mut core = self.core.lock();
            core.keys.remove(&key);
            let note = core.queue.remove(index);
            drop(core);
            // A timer closes with its note: not under the lock.
            drop(note);
        })
    }

    /// Removes a note that the server knows. R35: it is silent before the server is asked.
    fn delete(&self, index: u32) -> Result<()> {
        let (name, shard) = {
            let mut core = self.core.lock();
            let Some(note) = core.queue.note(index) else { return Ok(()) };
            let (key, shard) = (note.view.key(), note.view.home());
            core.keys.remove(&key);
            core.queue.silence(index);
            (core.queue.name(index), shard)
        };
        let (bank, slot, generation) = name.ok_or(Error::new(EINVAL))?;
        let asked = self.platform.change(shard, self.number, Change::Delete { bank, slot, generation });
        let note = self.core.lock().queue.remove(index);
        drop(note?);
        match asked {
            // Gone with its source already.
            Err(error) if error.errno == ENOENT => Ok(()),
            asked => asked,
        }
    }

    /// R31: removes the notes on a number that is being closed.
    pub fn purge(&self, fd: i32) {
        let _order = self.order.lock();
        for filter in ON_DESCRIPTORS {
            let found = self.core.lock().keys.get(&(fd as usize, filter)).copied();
            if let Some(index) = found {
                // The note is gone here; a dead server cannot object.
                let _ = self.delete(index);
            }
        }
    }

    /// Frees what was delivered for the last time.
    pub(super) fn free_retired(&self) -> Result<()> {
        if self.core.lock().retired.is_empty() {
            return Ok(());
        }
        let _order = self.order.lock();
        self.free_retired_but(None)
    }

    /// The same, but for the note that a change may revive. Under the order lock.
    fn free_retired_but(&self, kept: Option<&KEvent>) -> Result<()> {
        let retired: Vec<u32> = {
            let mut core = self.core.lock();
            let Core { queue, keys, retired, .. } = &mut *core;
            let mut gone = core::mem::take(retired);
            // One that was revived and told again is in it twice.
            gone.sort_unstable();
            gone.dedup();
            gone.retain(|&index| match queue.note(index) {
                Some(note) if note.is_retired() => {
                    let keep = kept.is_some_and(|change| key(change) == note.view.key());
                    if keep {
                        retired.push(index);
                    } else {
                        // From here on nobody can revive it.
                        keys.remove(&note.view.key());
                    }
                    !keep
                }
                _ => false,
            });
            gone
        };
        retired.into_iter().try_for_each(|index| self.delete(index))
    }

    /// Makes sure that one note can be inserted. Under the order lock.
    fn make_room(&self) -> Result<()> {
        let banks = {
            let core = self.core.lock();
            if core.queue.has_room() {
                return Ok(());
            }
            core.queue.banks()
        };
        let slots = GROWTH.saturating_pow(banks as u32).saturating_mul(super::FIRST_BANK);
        let (region, layout) = self.platform.grow_queue(self.number, banks, slots)?;
        Ok(self.core.lock().queue.grow(region, layout)?)
    }
}

impl<P: Platform> Core<P> {
    fn insert_user(&mut self, change: &KEvent) -> Result<u32> {
        let note = KNote::new(change, Watched::User(User::default()), 0, 0)?;
        let key = note.key();
        let index = self.queue.insert(None, note.terms(), note)?;
        self.keys.insert(key, index);
        Ok(index)
    }

    /// Changes a note that exists, or begins one anew that was told for the last time.
    fn modify(&mut self, index: u32, change: &KEvent, revive: bool) -> Result<()> {
        let Some(note) = self.queue.note_mut(index) else { return Err(Error::new(ENOENT)) };
        if revive {
            note.view.begin_anew(change)?;
        } else {
            note.view.modify(change)?;
        }
        let terms = note.view.terms();
        if revive {
            self.queue.revive(index, terms);
        } else if note.cell.is_some() {
            note.slot().set_terms(terms);
        }
        Ok(())
    }
}

fn key(change: &KEvent) -> (usize, Filter) {
    (change.ident, change.filter)
}

/// Actions that contradict each other, and filters that there are not.
fn check(change: &KEvent) -> Result<()> {
    let flags = change.flags;
    let both = |a: EventFlags, b: EventFlags| flags.contains(a.union(b));
    let contradiction = both(EventFlags::ADD, EventFlags::DELETE)
        || both(EventFlags::ENABLE, EventFlags::DISABLE)
        || both(EventFlags::ADD, EventFlags::KEEPUDATA);
    let known =
        [Filter::TIMER, Filter::USER].contains(&change.filter) || ON_DESCRIPTORS.contains(&change.filter);
    if contradiction || !known { Err(Error::new(EINVAL)) } else { Ok(()) }
}

fn schedule(change: &KEvent) -> Result<Schedule> {
    Schedule::new(change.fflags, change.data, change.flags.contains(EventFlags::ONESHOT))
}

fn is_gone(cell: &Cell) -> bool {
    cell.level(Direction::Read).flags.contains(LevelFlags::GONE)
}

fn clamp(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}
