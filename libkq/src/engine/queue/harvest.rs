//! Looks at what may be true: a harvest moves what is from the ready list to where events go.

use alloc::vec::Vec;

use abi::error::Result;
use event_protocol::cell::Cell;
use event_protocol::parked::Parked;
use event_protocol::shared::Mapped;
use event_protocol::slot::Slot;

use super::{Entry, Note, Queue};
use crate::engine::ready::ReadyList;

/// Where events go.
pub trait Sink {
    /// Whether there is no room for another.
    fn is_full(&self) -> bool;

    /// Whether none was put.
    fn is_empty(&self) -> bool;

    /// Whether there is nothing more to wait for: something was put, or the sink has no room, whose owner makes some.
    fn is_done(&self) -> bool {
        !self.is_empty() || self.is_full()
    }

    /// Who waits for what others put into it, if others do.
    fn parked(&self) -> Option<&Parked> {
        None
    }
}

/// What becomes of a note that was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// Not true: off the list until it is (R11).
    Drop,
    /// Told, and true still as far as anybody knows: to the tail of the list (R12), and another waiter may be told. An exclusive
    /// note is told so by [`After::Settle`] instead.
    Stay,
    /// Not true, and only to be found out by looking: to the tail of the list, for nobody to be woken by.
    Quiet,
    /// A call must be made to find out what it has to tell: to the tail of the list.
    Call,
    /// Told: off the list until something new comes.
    Settle,
    /// Told: off the list for good, though the note lives (its source is gone, R57).
    End,
    /// Delivered for the last time (R10).
    Retire,
}

/// What a note means to its interface.
pub trait View<S> {
    /// Puts the event of a note that is true and stays as it is ([`After::Stay`]) into `sink`, if there is room. False
    /// when that is not so, or would take longer to find out: then [`deliver`](View::deliver) decides. Most looks are
    /// at such notes, and all of this is meant to be inlined.
    fn deliver_plain(&self, cell: &Cell, sink: &mut S) -> bool;

    /// Looks at the note and, when it is true, puts its event into `sink`, which has room.
    fn deliver(&mut self, slot: &Slot, cell: Option<&Cell>, sink: &mut S) -> After;
}

/// What a harvest leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// Something that another waiter may take.
    pub more: bool,
    /// A note that [needs a call](After::Call).
    pub call: bool,
    /// An exclusive note may be true and was not looked at: who was woken for it is not for it.
    pub exclusive: bool,
    /// One was told that has been told before, and nobody has done anything about it.
    pub declined: bool,
}

/// A harvest that is not at its end.
#[derive(Debug)]
pub struct Unfinished {
    /// The last note to look at; `None`: news must be taken first.
    last: Option<u32>,
}

impl Unfinished {
    /// Nothing was looked at yet, and there is news.
    pub const FROM_NEWS: Unfinished = Unfinished { last: None };
}

/// Whether an exclusive note is among those of the ready list from `first` to `last`.
#[cold]
fn has_exclusive<M, V>(entries: &[Entry<M, V>], ready: &ReadyList, first: u32, last: u32) -> bool {
    let mut at = Some(first);
    while let Some(index) = at {
        if entries
            .get(index as usize)
            .and_then(|entry| entry.note.as_ref())
            .is_some_and(|note| note.exclusive)
        {
            return true;
        }
        at = ready.next(index).filter(|_| index != last);
    }
    false
}

impl<M: Mapped, V> Queue<M, V> {
    /// The part of a harvest that most harvests consist of: no news, and notes that are true and stay. Tells whether the
    /// ready list has anything after it; an error when that was not all, and [`harvest`](Queue::harvest) does the rest.
    #[inline(always)]
    pub fn harvest_plain<S: Sink>(&mut self, sink: &mut S) -> Result<bool, Unfinished>
    where
        V: View<S>,
    {
        if self.header.looks_pending() {
            return Err(Unfinished { last: None });
        }
        let Some(last) = self.ready.last() else { return Ok(false) };
        let Queue { entries, ready, .. } = self;
        let mut next = ready.first();
        while let Some(index) = next {
            match entries.get(index as usize) {
                Some(Entry { note: Some(Note { cell: Some(cell), view, .. }), .. })
                    if view.deliver_plain(cell, sink) => {}
                _ => return Err(Unfinished { last: Some(last) }),
            }
            ready.rotate(index);
            if index == last {
                break;
            }
            next = ready.first();
        }
        Ok(true)
    }

    /// Looks at every note that may be true, once, and puts the events of those that are into `sink`. Notes that were
    /// retired are appended to `retired`. `EPROTO`: the server wrote nonsense into shared memory.
    #[inline(always)]
    pub fn harvest<S: Sink>(
        &mut self,
        unfinished: Unfinished,
        sink: &mut S,
        retired: &mut Vec<u32>,
    ) -> Result<Left>
    where
        V: View<S>,
    {
        let last = match unfinished.last {
            // What was told already stands behind it.
            Some(last) => last,
            None => {
                let pending = self.header.take_pending();
                if pending != 0 {
                    self.drain(pending)?;
                }
                let Some(last) = self.ready.last() else { return Ok(Left::default()) };
                last
            }
        };
        let Queue { entries, ready, exclusive: notes, .. } = self;
        let mut looked_again = None;
        // What an earlier part of the harvest told stands behind the last.
        let mut left = Left { more: !sink.is_empty(), ..Left::default() };
        while let Some(index) = ready.first() {
            if sink.is_full() {
                left.more = true;
                left.exclusive = *notes > 0 && has_exclusive(entries, ready, index, last);
                break;
            }
            let Some(Entry { note: Some(note), .. }) = entries.get_mut(index as usize) else {
                ready.remove(index);
                continue;
            };
            let Note { cell, view, slot, exclusive, .. } = note;
            let settle = || cell.as_ref().is_some_and(|cell| slot.settle(cell));
            match view.deliver(slot, cell.as_deref(), sink) {
                After::Stay => {
                    left.more = true;
                    ready.rotate(index);
                }
                After::Quiet => ready.rotate(index),
                After::Call => {
                    left.call = true;
                    ready.rotate(index);
                }
                // It stays, and wakes nobody: whom what comes is for, the server chooses.
                after @ (After::Drop | After::Settle) if *exclusive => {
                    ready.rotate(index);
                    left.declined |= note.is_left(after == After::Settle);
                }
                After::Drop if settle() => {
                    // True since the look: a caller that does not wait must see it (R12). Once: a driver that goes on
                    // changing its mind does not keep us here.
                    if looked_again != Some(index) {
                        looked_again = Some(index);
                        continue;
                    }
                    left.more = true;
                    ready.rotate(index);
                }
                After::Settle if settle() => {
                    left.more = true;
                    ready.rotate(index);
                }
                after => {
                    ready.remove(index);
                    note.listed = false;
                    if after == After::End && core::mem::take(&mut note.exclusive) {
                        // Nobody has it any more: it comes to the list no more, whatever is done to it.
                        *notes -= 1;
                    }
                    if after == After::Retire {
                        note.slot.retire();
                        note.retired = true;
                        retired.push(index);
                    }
                }
            }
            if index == last {
                break;
            }
        }
        Ok(left)
    }
}
