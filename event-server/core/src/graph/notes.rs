//! Notes that come and go: each is in its queue, on the list of its source, and in the ring of those that share it.

use abi::error::{ENOMEM, Error, Result};
use event_protocol::control::policy::Policy;
use event_protocol::filter::Filters;
use event_protocol::shared::Mapped;

use super::Graph;
use crate::account::cost;
use crate::arena::NONE;
use crate::queue::Queue;
use crate::source::{Knote, Links, Note, Seen};

impl<M: Mapped> Graph<M> {
    /// Makes room for one more note of a queue and its knote, and has the queue's process pay for it. ENOMEM.
    pub fn reserve_note(&mut self, queue: u32) -> Result<()> {
        self.reserve_place()?;
        self.queues.get(queue).map_or(Ok(()), |queue| queue.account().take(cost::NOTE))
    }

    fn reserve_place(&mut self) -> Result<()> {
        self.knotes.reserve()?;
        self.notes.reserve()?;
        self.index.try_reserve(1).map_err(|_| Error::new(ENOMEM))
    }

    /// Makes another note of one, at the same price: it fails only when the server itself has no memory.
    pub fn replace_note(&mut self, queue: u32, view: u32, note: u32, by: Note) -> Result<u32> {
        self.reserve_place()?;
        if let Some(queue) = self.queues.get(queue) {
            queue.account().hold(cost::NOTE);
        }
        self.remove_note(note);
        Ok(self.add_note(queue, view, by))
    }

    /// Hangs a note on the knote of (queue, source) that is for its sort, which is made when there is none, after [`Graph::reserve_note`]. It is
    /// paid for, and its price goes back with it.
    pub fn add_note(&mut self, queue: u32, view: u32, note: Note) -> u32 {
        let source = self.sources.get(view).map_or(view, |source| source.share.place(view, note.exclusive));
        let knote = match self.index.get(&(queue, view, note.exclusive)) {
            Some(&knote) => knote,
            None => self.add_knote(queue, source, view, note.exclusive),
        };
        let note = self.notes.insert(|_, _| Note { knote, ..note });
        let first = self.knotes.get(knote).map_or(NONE, |knote| knote.first_note);
        if let Some(added) = self.notes.get_mut(note) {
            (added.previous, added.next) = (NONE, first);
            let (bank, slot, filters) = (added.bank, added.slot, added.filters);
            if let Some(queue) = self.queues.get_mut(queue) {
                queue.set_note(bank, slot, note);
                if let Some(held) = self.held.get_mut(queue.client as usize) {
                    *held += 1;
                }
            }
            self.change_interest(source, filters, Filters::empty());
        }
        if let Some(next) = self.notes.get_mut(first) {
            next.previous = note;
        }
        if let Some(knote) = self.knotes.get_mut(knote) {
            knote.first_note = note;
        }
        note
    }

    fn add_knote(&mut self, queue: u32, source: u32, view: u32, exclusive: bool) -> u32 {
        let after_source = match self.sources.get(source) {
            Some(source) if exclusive => source.exclusive.next,
            Some(source) => source.first_knote,
            None => NONE,
        };
        let before_source = match self.knotes.get(after_source) {
            Some(next) if exclusive => next.source_list.previous,
            _ => NONE,
        };
        let after_queue = self.queues.get(queue).map_or(NONE, |queue| queue.first_knote);
        let added = self.knotes.insert(|_, _| Knote {
            queue,
            source,
            view,
            first_note: NONE,
            exclusive,
            policy: None,
            source_list: Links { previous: before_source, next: after_source },
            queue_list: Links { previous: NONE, next: after_queue },
        });
        if let Some(next) = self.knotes.get_mut(after_source) {
            next.source_list.previous = added;
        }
        if exclusive {
            self.join_ring(source, added);
        }
        if let Some(next) = self.knotes.get_mut(after_queue) {
            next.queue_list.previous = added;
        }
        if let Some(source) = self.sources.get_mut(source).filter(|_| !exclusive) {
            source.first_knote = added;
        }
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.first_knote = added;
        }
        self.index.insert((queue, view, exclusive), added);
        added
    }

    /// An exclusive knote that knows its neighbours is known by the one before it, too. It is its turn last.
    fn join_ring(&mut self, source: u32, added: u32) {
        let Some(knote) = self.knotes.get_mut(added) else { return };
        if let Some(source) = self.sources.get_mut(source) {
            *source.exclusive.own.of(knote.policy) += 1;
        }
        if knote.source_list.next == NONE {
            knote.source_list = Links { previous: added, next: added };
            let Some(source) = self.sources.get_mut(source) else { return };
            source.exclusive.next = added;
            // What is there already is not for it to be woken by: who waits has looked.
            source.exclusive.seen = Seen::of(&source.cell);
            return;
        }
        let previous = knote.source_list.previous;
        if let Some(previous) = self.knotes.get_mut(previous) {
            previous.source_list.next = added;
        }
    }

    /// Takes an exclusive knote out of its ring.
    fn leave_ring(&mut self, knote: u32, removed: &Knote) {
        let Links { previous, next } = removed.source_list;
        let Some(source) = self.sources.get_mut(removed.source) else { return };
        *source.exclusive.own.of(removed.policy) -= 1;
        if next == knote {
            source.exclusive.next = NONE;
            return;
        }
        if source.exclusive.next == knote {
            source.exclusive.next = next;
        }
        if let Some(next) = self.knotes.get_mut(next) {
            next.source_list.previous = previous;
        }
        if let Some(previous) = self.knotes.get_mut(previous) {
            previous.source_list.next = next;
        }
        self.owe(removed.source);
    }

    /// Whom an arrival wakes, as far as an exclusive note's knote is concerned. False: it is not exclusive.
    pub fn prefer(&mut self, note: u32, policy: Option<Policy>) -> bool {
        let knote = self.notes.get(note).map_or(NONE, |note| note.knote);
        let Some(knote) = self.knotes.get_mut(knote).filter(|knote| knote.exclusive) else { return false };
        let before = core::mem::replace(&mut knote.policy, policy);
        if let Some(source) = self.sources.get_mut(knote.source) {
            *source.exclusive.own.of(policy) += 1;
            *source.exclusive.own.of(before) -= 1;
        }
        true
    }

    /// Deletes a note, and its knote with the last one. Its slot is never touched again.
    pub fn remove_note(&mut self, note: u32) {
        let Some(removed) = self.notes.remove(note) else { return };
        let Some(knote) = self.knotes.get_mut(removed.knote) else { return };
        let (queue, source) = (knote.queue, knote.source);
        match self.notes.get_mut(removed.previous) {
            Some(previous) => previous.next = removed.next,
            None => knote.first_note = removed.next,
        }
        if let Some(next) = self.notes.get_mut(removed.next) {
            next.previous = removed.previous;
        }
        let empty = knote.first_note == NONE;
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.set_note(removed.bank, removed.slot, NONE);
            if let Some(held) = self.held.get_mut(queue.client as usize) {
                *held -= 1;
            }
            queue.account().give_back(cost::NOTE);
        }
        self.change_interest(source, Filters::empty(), removed.filters);
        if empty {
            self.remove_knote(removed.knote);
        }
    }

    fn remove_knote(&mut self, knote: u32) {
        let Some(removed) = self.knotes.remove(knote) else { return };
        self.index.remove(&(removed.queue, removed.view, removed.exclusive));
        if removed.exclusive {
            self.leave_ring(knote, &removed);
        } else {
            self.leave_list(&removed);
        }
        let Links { previous, next } = removed.queue_list;
        if let Some(knote) = self.knotes.get_mut(next) {
            knote.queue_list.previous = previous;
        }
        match self.knotes.get_mut(previous) {
            Some(knote) => knote.queue_list.next = next,
            None => {
                if let Some(queue) = self.queues.get_mut(removed.queue) {
                    queue.first_knote = next;
                }
            }
        }
    }

    /// Takes a knote out of its source's list.
    fn leave_list(&mut self, removed: &Knote) {
        let Links { previous, next } = removed.source_list;
        if let Some(knote) = self.knotes.get_mut(next) {
            knote.source_list.previous = previous;
        }
        match self.knotes.get_mut(previous) {
            Some(knote) => knote.source_list.next = next,
            None => {
                if let Some(source) = self.sources.get_mut(removed.source) {
                    source.first_knote = next;
                }
            }
        }
    }

    /// Changes what a source's notes want, and tells the driver through the cell.
    pub fn change_interest(&mut self, source: u32, wanted: Filters, unwanted: Filters) {
        let Some(source) = self.sources.get_mut(source) else { return };
        let before = source.interest();
        source.want(wanted);
        source.unwant(unwanted);
        let now = source.interest();
        if now != before {
            source.cell.set_interest(now);
        }
    }

    /// Deletes the notes that a source has as its clients know it, or of those of its knotes whose queue is `of`'s.
    pub fn remove_notes_of_source(&mut self, view: u32, of: impl Fn(&Queue<M>) -> bool) {
        let place =
            |exclusive| self.sources.get(view).map_or(NONE, |source| source.share.place(view, exclusive));
        let (plain, exclusive) = (place(false), place(true));
        let is_its = |knote: &Knote, graph: &Graph<M>| {
            knote.view == view && graph.queues.get(knote.queue).is_some_and(&of)
        };
        let mut at = self.sources.get(plain).map_or(NONE, |source| source.first_knote);
        while let Some(knote) = self.knotes.get(at) {
            let (doomed, next) = (is_its(knote, self), knote.source_list.next);
            if doomed {
                self.remove_notes_of_knote(at);
            }
            at = next;
        }
        // A ring's end is where it was begun, which may be gone by then: as many steps as it has places.
        let first = self.sources.get(exclusive).map_or(NONE, |source| source.exclusive.next);
        let mut left = self.ring_length(first);
        let mut at = first;
        while left > 0 {
            let Some(knote) = self.knotes.get(at) else { return };
            let (doomed, next) = (is_its(knote, self), knote.source_list.next);
            if doomed {
                self.remove_notes_of_knote(at);
            }
            at = next;
            left -= 1;
        }
    }

    fn ring_length(&self, first: u32) -> usize {
        let mut length = 0;
        let mut at = first;
        while let Some(knote) = self.knotes.get(at) {
            length += 1;
            at = knote.source_list.next;
            if at == first {
                break;
            }
        }
        length
    }

    /// Deletes the notes of a queue.
    pub fn remove_notes_of_queue(&mut self, queue: u32) {
        let mut at = self.queues.get(queue).map_or(NONE, |queue| queue.first_knote);
        while let Some(next) = self.knotes.get(at).map(|knote| knote.queue_list.next) {
            self.remove_notes_of_knote(at);
            at = next;
        }
    }

    /// The knote goes with its last note.
    fn remove_notes_of_knote(&mut self, knote: u32) {
        let mut note = self.knotes.get(knote).map_or(NONE, |knote| knote.first_note);
        while let Some(next) = self.notes.get(note).map(|note| note.next) {
            self.remove_note(note);
            note = next;
        }
    }
}
