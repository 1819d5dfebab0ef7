//! Sources, and the knotes and notes that hang on them.

use event_protocol::badge::{ClientId, SourceId};
use event_protocol::cell::{Cell, Direction};
use event_protocol::control::client::View;
use event_protocol::control::policy::Policy;
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::shared::Kept;

use crate::account::Charge;
use crate::arena::NONE;

/// Something that can become ready.
#[derive(Debug)]
pub struct Source<M> {
    /// Its id: index and generation in the shard.
    pub id: SourceId,
    /// Slot of its driver, while that has it open.
    pub driver: Option<u32>,
    /// Whether a watch handle exists.
    pub watched: bool,
    /// Who may adopt it; `None`: whoever holds the watch handle.
    pub client: Option<ClientId>,
    /// Index of the page of its cell.
    pub page: u32,
    /// Number of its cell in the page.
    pub number: u32,
    /// Its cell.
    pub cell: Kept<M, Cell>,
    /// Filters that it serves.
    pub filters: Filters,
    /// Low-water marks that its notes have unless they say otherwise.
    pub low_water: (u32, u32),
    /// Its knotes.
    pub first_knote: u32,
    /// Those of its knotes of which an arrival wakes one.
    pub exclusive: Exclusive,
    /// What it has to do with sources of other clients of the same file.
    pub share: Share,
    /// How many notes want each filter.
    wanted: [u32; FILTERS],
    /// Those that any wants.
    interest: Filters,
    _charge: Charge,
}

/// Where a source is published.
#[derive(Debug)]
pub struct Place<M> {
    /// Index of the page.
    pub page: u32,
    /// Number of the cell in it.
    pub number: u32,
    /// The cell.
    pub cell: Kept<M, Cell>,
    /// What the source costs.
    pub charge: Charge,
}

const FILTERS: usize = 9;
const _: () = assert!(Filters::all().bits() == (1 << FILTERS) - 1);

impl<M> Source<M> {
    /// A source that nobody is interested in.
    pub fn new(
        id: SourceId,
        driver: u32,
        client: Option<ClientId>,
        place: Place<M>,
        filters: Filters,
        low_water: (u32, u32),
    ) -> Source<M> {
        Source {
            id,
            driver: Some(driver),
            watched: true,
            client,
            page: place.page,
            number: place.number,
            cell: place.cell,
            filters,
            low_water,
            first_knote: NONE,
            exclusive: Exclusive::default(),
            share: Share::default(),
            wanted: [0; FILTERS],
            interest: Filters::empty(),
            _charge: place.charge,
        }
    }

    /// A client's name for this source, which is for all and has this index; the name itself is the caller's to give.
    pub fn view_for(&self, client: ClientId, hub: u32, charge: Charge) -> Source<M> {
        Source {
            id: self.id,
            driver: None,
            watched: true,
            client: Some(client),
            page: self.page,
            number: self.number,
            cell: self.cell.clone(),
            filters: self.filters,
            low_water: self.low_water,
            first_knote: NONE,
            exclusive: Exclusive::default(),
            share: Share { hub, bond: Bond::View, ..Share::default() },
            wanted: [0; FILTERS],
            interest: Filters::empty(),
            _charge: charge,
        }
    }

    /// Whether a watch handle leads to it, or may.
    pub fn is_watched(&self) -> bool {
        self.watched || self.share.views > 0 || self.share.first != NONE
    }

    /// A note wants these filters.
    pub fn want(&mut self, filters: Filters) {
        self.interest |= filters;
        for bit in bits(filters) {
            self.wanted[bit] += 1;
        }
    }

    /// A note no longer wants them.
    pub fn unwant(&mut self, filters: Filters) {
        for bit in bits(filters) {
            self.wanted[bit] -= 1;
            if self.wanted[bit] == 0 {
                self.interest -= Filters::from_bits_truncate(1 << bit);
            }
        }
    }

    /// What anybody wants.
    pub fn interest(&self) -> Filters {
        self.interest
    }
}

/// The numbers of filters.
fn bits(filters: Filters) -> impl Iterator<Item = usize> {
    let mut rest = filters.bits() & Filters::all().bits();
    core::iter::from_fn(move || {
        let bit = rest.trailing_zeros() as usize;
        rest &= rest.wrapping_sub(1);
        (bit < FILTERS).then_some(bit)
    })
}

/// The knotes of a source whose notes are exclusive, in a ring, and what came for them.
#[derive(Debug)]
pub struct Exclusive {
    /// Whose turn it is, or [`NONE`].
    pub next: u32,
    /// Whom an arrival wakes, unless a knote says it; `None`: as the server says.
    pub policy: Option<Policy>,
    /// What the knotes say themselves.
    pub own: Own,
    /// What was in the cell when somebody was woken for it last.
    pub seen: Seen,
    /// More than one arrival was counted then: of the last of them the driver may tell once more.
    pub is_ahead: bool,
    /// A knote was removed, whose waiters may have been chosen, and the next source of which that is so.
    pub is_owed: bool,
    /// See above.
    pub next_owed: u32,
}

impl Default for Exclusive {
    fn default() -> Exclusive {
        Exclusive {
            next: NONE,
            policy: None,
            own: Own::default(),
            seen: Seen::default(),
            is_ahead: false,
            is_owed: false,
            next_owed: NONE,
        }
    }
}

/// How many knotes of a source say what about whom an arrival wakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Own {
    /// One sleeper of each queue.
    pub all: u32,
    /// One for each CPU.
    pub per_cpu: u32,
    /// One.
    pub one: u32,
    /// Nothing.
    pub none: u32,
}

impl Own {
    /// Those that say this.
    pub fn of(&mut self, policy: Option<Policy>) -> &mut u32 {
        match policy {
            Some(Policy::All) => &mut self.all,
            Some(Policy::OnePerCpu) => &mut self.per_cpu,
            Some(_) => &mut self.one,
            None => &mut self.none,
        }
    }
}

/// How the sources of one file belong together, of which one is for all (the *hub*).
#[derive(Debug)]
pub struct Share {
    /// The hub, or [`NONE`].
    pub hub: u32,
    /// Which knotes hang there.
    pub bond: Bond,
    /// Of a hub: its views.
    pub views: u32,
    /// Of a hub: the source that was there before it, or [`NONE`].
    pub first: u32,
}

/// What a source has to do with its hub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bond {
    /// Nothing: nobody watches that yet.
    Free,
    /// Its exclusive knotes hang there. Its cell, at which its client goes on looking, is published before the hub's.
    Linked,
    /// It is no more than a client's name for it: its cell is the hub's, and all of its knotes hang there.
    View,
}

impl Default for Share {
    fn default() -> Share {
        Share { hub: NONE, bond: Bond::Free, views: 0, first: NONE }
    }
}

impl Share {
    /// Where knotes of a source hang that has this index: exclusive ones, or others.
    pub fn place(&self, index: u32, exclusive: bool) -> u32 {
        match self.bond {
            Bond::View => self.hub,
            Bond::Linked if exclusive => self.hub,
            _ => index,
        }
    }

    /// Whether it is a view of a hub.
    pub fn is_view(&self) -> bool {
        self.bond == Bond::View
    }
}

/// A cell at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Arrivals.
    pub activity: (u32, u32),
    /// Levels of reading and writing.
    pub levels: [Level; 2],
}

impl Seen {
    /// What is in a cell. The arrivals are read before the levels: one in between shows as a further one.
    pub fn of(cell: &Cell) -> Seen {
        let activity = cell.activity();
        Seen { activity, levels: [cell.level(Direction::Read), cell.level(Direction::Write)] }
    }
}

/// One queue's interest in one source: one note, or one for each filter and interface. Exclusive notes have a knote of their own.
#[derive(Debug)]
pub struct Knote {
    /// The queue.
    pub queue: u32,
    /// The source on which it hangs, by which its notes are told.
    pub source: u32,
    /// The source as its client knows it: the same, or one that [has to do](Share) with it. Its cell is what its notes look at.
    pub view: u32,
    /// Its notes.
    pub first_note: u32,
    /// Its notes are exclusive.
    pub exclusive: bool,
    /// Whom an arrival wakes; `None`: as the source says.
    pub policy: Option<Policy>,
    /// Neighbours among the source's knotes, of this sort: a list, or a ring.
    pub source_list: Links,
    /// Neighbours among the queue's knotes.
    pub queue_list: Links,
}

/// A place in a list.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    /// The one before, or [`NONE`].
    pub previous: u32,
    /// The one after, or [`NONE`].
    pub next: u32,
}

/// A slot of a queue that is told about a source.
#[derive(Debug)]
pub struct Note {
    /// Its knote.
    pub knote: u32,
    /// The note of the knote before it.
    pub previous: u32,
    /// The next one.
    pub next: u32,
    /// Bank of the queue.
    pub bank: u8,
    /// Slot of the bank.
    pub slot: u32,
    /// Generation of the slot, for ring entries.
    pub generation: u32,
    /// The filters it wants: the server's own record.
    pub filters: Filters,
    /// The interface that made it.
    pub view: View,
    /// It is one of those of which an arrival wakes one.
    pub exclusive: bool,
}
