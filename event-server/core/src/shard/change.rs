//! Changes to notes (R2, R6, R31, R35, R54).

use abi::error::{EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM, Error, Result};
use event_protocol::control::client::Change;
use event_protocol::control::limits::MAX_NOTES;
use event_protocol::filter::Filters;
use event_protocol::shared::Mapped;

use super::Shard;
use crate::arena::NONE;
use crate::host::Host;
use crate::source::Note;

impl<M: Mapped> Shard<M> {
    /// Applies one change of a client to one of its queues.
    pub(super) fn apply<H: Host<Memory = M>>(
        &mut self,
        client: u32,
        queue: u32,
        change: Change,
        host: &mut H,
    ) -> Result<()> {
        let note = match change {
            Change::Add { source, bank, slot, generation, filters, view, exclusive } => {
                let (index, found) = self.graph.source(source).ok_or(Error::new(ENOENT))?;
                if !self.adoptions.has(client, index) {
                    return Err(Error::new(ENOENT));
                }
                check_filters(filters, found.filters)?;
                check_exclusive(exclusive, filters)?;
                let place = found.share.place(index, exclusive);
                if generation == 0 {
                    return Err(Error::new(EINVAL));
                }
                if !self.graph.is_driven(index) && !self.is_orphan(index) {
                    return Err(Error::new(ENODEV));
                }
                match self.graph.queues.get(queue).and_then(|queue| queue.note_in(bank, slot)) {
                    Some(NONE) => {}
                    Some(_) => return Err(Error::new(EEXIST)),
                    None => return Err(Error::new(EINVAL)),
                }
                if self.graph.held.get(client as usize).is_none_or(|&held| held >= MAX_NOTES) {
                    return Err(Error::new(ENOMEM));
                }
                self.graph.reserve_note(queue)?;
                if filters.intersects(Filters::NOTED) {
                    // What has happened by now is not for this note.
                    self.graph.activate_all(place, host);
                }
                let note = Note {
                    knote: NONE,
                    previous: NONE,
                    next: NONE,
                    bank,
                    slot,
                    generation,
                    filters,
                    view,
                    exclusive,
                };
                self.graph.add_note(queue, index, note)
            }
            Change::Modify { bank, slot, generation, filters, exclusive } => {
                let note = self.find(queue, bank, slot, generation)?;
                let knote = self.graph.notes.get(note).map_or(NONE, |note| note.knote);
                let (source, view) =
                    self.graph.knotes.get(knote).map_or((NONE, NONE), |knote| (knote.source, knote.view));
                let served = self.graph.sources.get(view).ok_or(Error::new(ENOENT))?.filters;
                check_filters(filters, served)?;
                check_exclusive(exclusive, filters)?;
                let before = self.graph.notes.get_mut(note).ok_or(Error::new(ENOENT))?;
                if before.exclusive != exclusive {
                    let changed = Note { filters, exclusive, ..*before };
                    self.graph.replace_note(queue, view, note, changed)?
                } else {
                    let unwanted = core::mem::replace(&mut before.filters, filters);
                    self.graph.change_interest(source, filters, unwanted);
                    note
                }
            }
            Change::Prefer { bank, slot, generation, policy } => {
                let note = self.find(queue, bank, slot, generation)?;
                return if self.graph.prefer(note, policy) { Ok(()) } else { Err(Error::new(EINVAL)) };
            }
            Change::PreferAll { source, policy } => {
                let (index, found) = self.graph.source(source).ok_or(Error::new(ENOENT))?;
                let place = found.share.place(index, true);
                if !self.adoptions.has(client, index) {
                    return Err(Error::new(ENOENT));
                }
                if let Some(source) = self.graph.sources.get_mut(place) {
                    source.exclusive.policy = policy;
                }
                return Ok(());
            }
            Change::Delete { bank, slot, generation } => {
                let note = self.find(queue, bank, slot, generation)?;
                self.graph.remove_note(note);
                return Ok(());
            }
        };
        if let Change::Add { source, filters, exclusive, .. } = change
            && filters.intersects(Filters::NOTED)
        {
            // What has happened since, unheard because nobody was interested yet, is.
            let index = source.index() as u32;
            let place =
                self.graph.sources.get(index).map_or(NONE, |source| source.share.place(index, exclusive));
            self.graph.activate_all(place, host);
        }
        self.graph.activate_one(note, host).map_err(|fault| {
            let _ = self.graph.liars.push((client, fault));
            Error::from(fault)
        })
    }

    fn find(&self, queue: u32, bank: u8, slot: u32, generation: u32) -> Result<u32> {
        let note = self.graph.queues.get(queue).and_then(|queue| queue.note_in(bank, slot)).unwrap_or(NONE);
        let found = self.graph.notes.get(note).filter(|note| note.generation == generation);
        found.map(|_| note).ok_or(Error::new(ENOENT))
    }
}

/// Only what is a level can be looked at by whoever comes: occurrences and note bits are told to each note.
fn check_exclusive(exclusive: bool, filters: Filters) -> Result<()> {
    match exclusive && filters.intersects(Filters::COUNTED | Filters::NOTED) {
        true => Err(Error::new(EINVAL)),
        false => Ok(()),
    }
}

/// Some filters, known ones, and such as the source serves. Hang-ups are everybody's (R41), and so is the end (R57).
fn check_filters(wanted: Filters, served: Filters) -> Result<()> {
    let known = Filters::all().contains(wanted) && !wanted.is_empty();
    if known && (served | Filters::HANGUP | Filters::GONE).contains(wanted) {
        return Ok(());
    }
    Err(Error::new(EINVAL))
}
