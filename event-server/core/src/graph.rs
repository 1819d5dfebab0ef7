//! Sources, knotes, notes and queues of one shard, and the event path through them.

use abi::error::{ENOMEM, Error, Result};
use alloc::vec::Vec;
use event_protocol::badge::SourceId;
use event_protocol::cell::Cell;
use event_protocol::control::lobby::Stats;
use event_protocol::control::policy::Policy;
use event_protocol::fault::Fault;
use event_protocol::filter::Filters;
use event_protocol::shared::Mapped;
use hashbrown::HashMap;

use crate::account::cost;
use crate::arena::{Arena, NONE};
use crate::exclusive::Leases;
use crate::host::Host;
use crate::page::Page;
use crate::queue::Queue;
use crate::source::{Knote, Links, Note, Seen, Source};

/// Clients found to lie in one batch that are remembered; further ones are found again.
const LIARS: usize = 8;

/// The objects of a shard and how they hang together.
#[derive(Debug)]
pub struct Graph<M> {
    /// Number of the shard.
    pub shard: u32,
    /// Sources.
    pub sources: Arena<Source<M>>,
    /// Pages of cells.
    pub pages: Arena<Page<M>>,
    /// (queue, source) pairs with notes, exclusive or not.
    pub knotes: Arena<Knote>,
    /// Notes.
    pub notes: Arena<Note>,
    /// Queues.
    pub queues: Arena<Queue<M>>,
    /// Knote of a (queue, source as its client knows it), of notes that are exclusive or not.
    pub index: HashMap<(u32, u32, bool), u32>,
    /// Notes of each client, by its slot.
    pub held: Vec<u32>,
    /// Books.
    pub stats: Stats,
    /// Slots of clients that lied, and how.
    pub liars: heapless::Vec<(u32, Fault), LIARS>,
    /// Waiters that were chosen for exclusive notes.
    pub leases: Leases,
    /// Whom arrivals wake that exclusive notes wait for, if nobody says it.
    pub policy: Policy,
    /// Sources of which exclusive knotes were removed.
    pub first_owed: u32,
}

impl<M: Mapped> Graph<M> {
    /// An empty one.
    pub fn new(shard: u32) -> Graph<M> {
        Graph {
            shard,
            sources: Arena::default(),
            pages: Arena::default(),
            knotes: Arena::default(),
            notes: Arena::default(),
            queues: Arena::default(),
            index: HashMap::new(),
            held: Vec::new(),
            stats: Stats::default(),
            liars: heapless::Vec::new(),
            leases: Leases::default(),
            policy: Policy::default(),
            first_owed: NONE,
        }
    }

    /// A source by its id, whatever the word is.
    #[inline]
    pub fn source(&self, id: SourceId) -> Option<(u32, &Source<M>)> {
        let index = id.index() as u32;
        let source = self.sources.get(index).filter(|source| source.id == id)?;
        Some((index, source))
    }

    /// The event path: a driver says that a source changed. All notes on it that are true now are activated, and for
    /// each of them a waiter is woken.
    ///
    /// A source that is no more is no lie: its driver may have told of it before it destroyed it.
    #[inline(always)]
    pub fn look<H: Host>(
        &mut self,
        driver: u32,
        id: SourceId,
        host: &mut H,
    ) -> core::result::Result<(), Fault> {
        let Graph { sources, knotes, notes, queues, stats, liars, shard, .. } = self;
        stats.changes += 1;
        let Some(source) = sources.get(id.index() as u32).filter(|source| source.id == id) else {
            return Ok(());
        };
        match source.driver {
            Some(owner) if owner == driver => {}
            None => return Ok(()),
            Some(_) => return Err(Fault::Reference(id.0)),
        }
        let exclusive = source.exclusive.next != NONE;
        activate_all(*shard, source, knotes, notes, queues, stats, liars, host);
        if exclusive {
            self.wake_exclusive(id.index() as u32, host);
        }
        Ok(())
    }

    /// Looks at a source's cell and activates its notes.
    pub fn activate_all<H: Host>(&mut self, index: u32, host: &mut H) {
        let Graph { sources, knotes, notes, queues, stats, liars, shard, .. } = self;
        if let Some(source) = sources.get(index) {
            activate_all(*shard, source, knotes, notes, queues, stats, liars, host);
            if source.exclusive.next != NONE {
                self.wake_exclusive(index, host);
            }
        }
    }

    /// Activates one note if it is true.
    pub fn activate_one<H: Host>(&mut self, note: u32, host: &mut H) -> core::result::Result<(), Fault> {
        let Graph { sources, knotes, notes, queues, stats, shard, .. } = self;
        let Some(note) = notes.get(note) else { return Ok(()) };
        let Some(knote) = knotes.get(note.knote) else { return Ok(()) };
        let (Some(source), Some(queue)) = (sources.get(knote.view), queues.get_mut(knote.queue)) else {
            return Ok(());
        };
        // It is on its client's list, which looks itself.
        if knote.exclusive {
            return Ok(());
        }
        offer(*shard, queue, note, &source.cell, 0, stats, host)
    }

    /// Makes room for one more note of a queue and its knote, and has the queue's process pay for it. ENOMEM.
    pub fn reserve_note(&mut self, queue: u32) -> Result<()> {
        self.knotes.reserve()?;
        self.notes.reserve()?;
        self.index.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        self.queues.get(queue).map_or(Ok(()), |queue| queue.account().take(cost::NOTE))
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
            added.next = first;
            let (bank, slot, filters) = (added.bank, added.slot, added.filters);
            if let Some(queue) = self.queues.get_mut(queue) {
                queue.set_note(bank, slot, note);
                if let Some(held) = self.held.get_mut(queue.client as usize) {
                    *held += 1;
                }
            }
            self.change_interest(source, filters, Filters::empty());
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
        if knote.first_note == note {
            knote.first_note = removed.next;
        } else {
            let mut at = knote.first_note;
            while let Some(current) = self.notes.get_mut(at) {
                if current.next == note {
                    current.next = removed.next;
                    break;
                }
                at = current.next;
            }
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

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the parts of a graph, borrowed one by one")]
fn activate_all<M: Mapped, H: Host>(
    shard: u32,
    source: &Source<M>,
    knotes: &Arena<Knote>,
    notes: &Arena<Note>,
    queues: &mut Arena<Queue<M>>,
    stats: &mut Stats,
    liars: &mut heapless::Vec<(u32, Fault), LIARS>,
    host: &mut H,
) {
    let cell = &*source.cell;
    cell.begin_look();
    let bits = cell.take_note_bits();
    let mut at = source.first_knote;
    while let Some(knote) = knotes.get(at) {
        if let Some(queue) = queues.get_mut(knote.queue) {
            let mut note = knote.first_note;
            while let Some(current) = notes.get(note) {
                if let Err(fault) = offer(shard, queue, current, cell, bits, stats, host) {
                    // A full list of liars loses nothing: who lies goes on to.
                    let _ = liars.push((queue.client, fault));
                }
                note = current.next;
            }
        }
        at = knote.source_list.next;
    }
}

#[inline(always)]
fn offer<M: Mapped, H: Host>(
    shard: u32,
    queue: &mut Queue<M>,
    note: &Note,
    cell: &Cell,
    bits: u32,
    stats: &mut Stats,
    host: &mut H,
) -> core::result::Result<(), Fault> {
    if !queue.offer(shard, note, cell, bits)? {
        return Ok(());
    }
    stats.activations += 1;
    if let Some(notification) = queue.choose() {
        stats.wakes += 1;
        host.signal(notification);
    }
    Ok(())
}
