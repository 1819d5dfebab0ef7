//! One note, and what is known of it.

use event_protocol::cell::{Cell, Direction};
use event_protocol::level::Level;
use event_protocol::shared::Kept;
use event_protocol::slot::{Arrivals, Slot};

/// A note.
pub struct Note<M, V> {
    /// What it watches; `None` for the program's own.
    pub cell: Option<Kept<M, Cell>>,
    /// What it means.
    pub view: V,
    pub(super) slot: Kept<M, Slot>,
    pub(super) listed: bool,
    pub(super) retired: bool,
    /// It stays on the ready list, whether true or not.
    pub(super) exclusive: bool,
    /// Of an exclusive one: what was in the cell when it was told last.
    pub(super) told: Option<Shown>,
    /// What had arrived at it when the queue was asked for its arrivals last.
    pub(super) heard: Heard,
}

/// What an exclusive note says now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Truth {
    /// It is not true.
    No,
    /// It is.
    Yes,
    /// It is, and says that something is over, which is for everybody.
    Over,
}

/// What there was to read: arrivals and level.
pub(super) type Shown = (u32, Level);

/// What a queue knows of a note's arrivals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// At its cell.
    Cell(Arrivals),
    /// In the set that it watches.
    Set(u64),
}

/// What the queue is told of one of the program's own notes.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// It is true.
    pub due: bool,
    /// It stays on the list though it is not.
    pub stays: bool,
    /// How often something came in the set that it watches, counted before the look at it.
    pub arrivals: u64,
}

impl<M, V> Note<M, V> {
    /// Its slot.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// An exclusive note was told, or found untrue. Whether it was told last of the very same that can be taken: who was told
    /// has left it all. Of an end, and of room, everybody is told, and takes nothing.
    #[cold]
    pub(super) fn is_left(&mut self, told: bool) -> bool {
        let shown = self.cell.as_ref().filter(|_| told).and_then(|cell| {
            let (arrivals, level) = (cell.activity().0, cell.level(Direction::Read));
            (level.amount > 0 && level.flags.is_empty()).then_some((arrivals, level))
        });
        let before = core::mem::replace(&mut self.told, shown);
        shown.is_some() && shown == before
    }

    /// Delivered for the last time, and only waiting to be freed or revived.
    pub fn is_retired(&self) -> bool {
        self.retired
    }
}
