//! What a kevent note tells when it is looked at, and what becomes of it then.

use abi::error::ENODEV;
use event_protocol::cell::{Cell, Direction};
use event_protocol::filter::Filters;
use event_protocol::level::{self, LevelFlags};
use event_protocol::slot::Slot;

use super::{CHANGED_BY_DELIVERY, KNote, Watched};
use crate::engine::{After, Sink, View};
use crate::event::flags::EventFlags;
use crate::event::{KEvent, Lists, note};
use crate::kqueue::process::{Told, is_worth_reading};
use crate::platform::Platform;
use crate::set::Member;

impl<P: Platform, S: Sink + Lists> View<S> for KNote<P> {
    #[inline(always)]
    fn deliver_plain(&self, cell: &Cell, sink: &mut S) -> bool {
        let Some(direction) = self.plain else { return false };
        let level = cell.level(direction);
        level.flags.is_empty()
            && level::ready(level, self.low_water)
            && sink.put_with(&self.event, level.amount)
    }

    #[inline(always)]
    fn deliver(&mut self, slot: &Slot, cell: Option<&Cell>, sink: &mut S) -> After {
        if let (Some(direction), Some(cell)) = (self.edge, cell) {
            // Read before the level, as in `deliver_level`.
            let activity = cell.activity();
            let (arrivals, filter) = match direction {
                Direction::Read => (activity.0, Filters::READ),
                Direction::Write => (activity.1, Filters::WRITE),
            };
            let level = cell.level(direction);
            if self.seen == Some(arrivals) || level.flags.is_empty() && !level::ready(level, self.low_water) {
                return After::Drop;
            }
            if level.flags.is_empty() {
                slot.see_activity(activity, filter);
                self.seen = Some(arrivals);
                sink.put_with(&self.event, level.amount);
                return After::Settle;
            }
        }
        self.deliver_any(slot, cell, sink)
    }
}

impl<P: Platform> KNote<P> {
    #[inline(never)]
    fn deliver_any(&mut self, slot: &Slot, cell: Option<&Cell>, sink: &mut impl Lists) -> After {
        if let Watched::Set(inner, seen) = &self.watched {
            let news = self.news_of(inner, *seen).filter(|_| self.enabled);
            return news.map_or(After::Quiet, |news| self.deliver_set(news, slot, sink));
        }
        if !self.enabled {
            return After::Drop;
        }
        match (&mut self.watched, cell) {
            (Watched::Direction(direction), Some(cell)) => {
                let direction = *direction;
                self.deliver_level(Some(direction), slot, cell, sink)
            }
            (Watched::Except, Some(cell)) => self.deliver_level(None, slot, cell, sink),
            (Watched::Vnode, Some(cell)) => self.deliver_vnode(slot, cell, sink),
            (Watched::Timer(_) | Watched::Signal(_), Some(cell)) => self.deliver_counted(slot, cell, sink),
            (Watched::Process(process), _) => match process.take(&self.event) {
                None => After::Drop,
                Some((event, told)) => {
                    let more = process.has_news();
                    sink.put(event);
                    match told {
                        // R30: a birth is an event beside those that the flags are about.
                        Told::Born if more => After::Stay,
                        Told::Born => After::Settle,
                        Told::Over => After::Retire,
                        Told::Gone => self.ended(),
                        Told::More => match self.told(slot) {
                            After::Settle if more && self.enabled => After::Stay,
                            after => after,
                        },
                    }
                }
            },
            (Watched::Stream(_), Some(cell)) => {
                let level = cell.level(Direction::Read);
                if !is_worth_reading(level.amount, level.flags) {
                    return After::Drop;
                }
                After::Call
            }
            (Watched::User(user), _) => {
                if !user.triggered {
                    return After::Drop;
                }
                sink.put(KEvent { fflags: user.bits, data: user.data, ..self.event });
                if self.event.flags.contains(EventFlags::CLEAR) {
                    user.clear();
                }
                self.told(slot)
            }
            _ => After::Drop,
        }
    }

    /// What happens to a note that was told.
    #[inline]
    fn told(&mut self, slot: &Slot) -> After {
        let flags = self.event.flags;
        if !flags.intersects(CHANGED_BY_DELIVERY.union(EventFlags::WAKEONE)) {
            return After::Stay;
        }
        if flags.contains(EventFlags::ONESHOT) {
            return After::Retire;
        }
        if flags.contains(EventFlags::DISPATCH) {
            self.enabled = false;
            slot.set_enabled(false);
        }
        match flags.intersects(CHANGED_BY_DELIVERY) || self.is_exclusive() {
            true => After::Settle,
            // Nothing but a level has sleepers to choose from.
            false => After::Stay,
        }
    }

    #[inline]
    fn deliver_level(
        &mut self,
        direction: Option<Direction>,
        slot: &Slot,
        cell: &Cell,
        sink: &mut impl Lists,
    ) -> After {
        // Read before the level: an arrival in between shows as a further edge, not as none.
        let edge = self.is_edge().then(|| cell.activity());
        let arrivals =
            edge.map(|(read, write)| if direction == Some(Direction::Write) { write } else { read });
        if arrivals.is_some() && arrivals == self.seen {
            return After::Drop;
        }
        let level = cell.level(direction.unwrap_or(Direction::Read));
        let true_now = match direction {
            Some(_) => level::ready(level, self.low_water),
            None => level::except_ready(level),
        };
        if !true_now {
            return After::Drop;
        }
        let mut event = KEvent { data: level.amount, ..self.event };
        if direction.is_none() {
            (event.data, event.fflags) = (0, note::OOB);
        }
        if let Some(activity) = edge {
            slot.see_activity(activity, self.filters());
            self.seen = arrivals;
        }
        if !level.flags.is_empty() {
            let gone = level.flags.contains(LevelFlags::GONE);
            finish(&mut event, level, cell);
            sink.put(event);
            return if gone { self.ended() } else { self.told(slot) };
        }
        sink.put(event);
        self.told(slot)
    }

    fn deliver_counted(&mut self, slot: &Slot, cell: &Cell, sink: &mut impl Lists) -> After {
        let expirations = slot.take_occurrences(cell);
        let level = cell.level(Direction::Read);
        let mut event = KEvent { data: i64::try_from(expirations).unwrap_or(i64::MAX), ..self.event };
        if level.flags.contains(LevelFlags::GONE) {
            finish(&mut event, level, cell);
            sink.put(event);
            return self.ended();
        }
        if expirations == 0 {
            return After::Drop;
        }
        sink.put(event);
        self.told(slot)
    }

    fn deliver_vnode(&mut self, slot: &Slot, cell: &Cell, sink: &mut impl Lists) -> After {
        let bits = slot.take_note_bits() & self.wanted_bits;
        let mut event = KEvent { fflags: bits, ..self.event };
        let level = cell.level(Direction::Read);
        if level.flags.contains(LevelFlags::GONE) {
            event.flags |= EventFlags::EOF;
            sink.put(event);
            return self.ended();
        }
        if bits == 0 {
            return After::Drop;
        }
        if !self.event.flags.intersects(EventFlags::CLEAR.union(EventFlags::ONESHOT)) {
            // R15: only what is cleared is forgotten, and EV_DISPATCH clears nothing.
            slot.put_back_note_bits(bits);
        }
        sink.put(event);
        self.told(slot)
    }

    fn deliver_set(
        &mut self,
        (pending, arrivals): (usize, u64),
        slot: &Slot,
        sink: &mut impl Lists,
    ) -> After {
        sink.put(KEvent { data: i64::try_from(pending).unwrap_or(i64::MAX), ..self.event });
        if let Watched::Set(_, seen) = &mut self.watched {
            *seen = Some(arrivals);
        }
        match self.told(slot) {
            // Whether it is true again is found out by looking.
            After::Settle => After::Quiet,
            after => after,
        }
    }

    /// The source is gone: the note is told once more and then never again (R57).
    fn ended(&self) -> After {
        if self.event.flags.contains(EventFlags::ONESHOT) { After::Retire } else { After::End }
    }
}

/// End of file, errors, and what is left (R18).
#[cold]
fn finish(event: &mut KEvent, level: level::Level, cell: &Cell) {
    let error = cell.error();
    if level.flags.intersects(LevelFlags::EOF.union(LevelFlags::GONE)) {
        event.flags |= EventFlags::EOF;
        if level::drained(level) {
            event.flags |= EventFlags::NODATA;
        }
    }
    if error != 0 {
        event.fflags = error;
    } else if level.flags.contains(LevelFlags::GONE) {
        event.fflags = ENODEV as u32;
    }
}
