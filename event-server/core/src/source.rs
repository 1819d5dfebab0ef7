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
            wanted: [0; FILTERS],
            interest: Filters::empty(),
            _charge: place.charge,
        }
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
    /// Knotes that have a policy of their own.
    pub choosy: u32,
    /// What was in the cell when somebody was woken for it last.
    pub seen: Seen,
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
            choosy: 0,
            seen: Seen::default(),
            is_owed: false,
            next_owed: NONE,
        }
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
    /// The source.
    pub source: u32,
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
    /// The one before, or [`NONE`](crate::arena::NONE).
    pub previous: u32,
    /// The one after, or [`NONE`](crate::arena::NONE).
    pub next: u32,
}

/// A slot of a queue that is told about a source.
#[derive(Debug)]
pub struct Note {
    /// Its knote.
    pub knote: u32,
    /// The next note of the knote.
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
