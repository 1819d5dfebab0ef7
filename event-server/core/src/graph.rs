//! Sources, knotes, notes and queues of one shard, and the event path through them.

mod notes;

use alloc::vec::Vec;
use event_protocol::badge::SourceId;
use event_protocol::cell::Cell;
use event_protocol::control::lobby::Stats;
use event_protocol::control::policy::Policy;
use event_protocol::fault::Fault;
use event_protocol::shared::Mapped;
use hashbrown::HashMap;

use crate::arena::{Arena, NONE};
use crate::exclusive::Leases;
use crate::host::Host;
use crate::page::Page;
use crate::queue::Queue;
use crate::source::{Knote, Note, Source};

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
            self.wake_exclusive(id.index() as u32, true, host);
        }
        Ok(())
    }

    /// Looks at a source's cell and activates its notes.
    pub fn activate_all<H: Host>(&mut self, index: u32, host: &mut H) {
        let Graph { sources, knotes, notes, queues, stats, liars, shard, .. } = self;
        if let Some(source) = sources.get(index) {
            activate_all(*shard, source, knotes, notes, queues, stats, liars, host);
            if source.exclusive.next != NONE {
                self.wake_exclusive(index, false, host);
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
