//! The books against each other, and against what is in shared memory: each activation is idle, in a ready list, or leased to a
//! waiter, and in one of them only.
//!
//! What is the server's own must always be right. What peers write may be between two steps when it is looked at: such notes are
//! counted as [adrift](Audit::adrift), and one that stays so is lost, or its peer lies.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use event_protocol::control::lobby::Audit;
use event_protocol::filter::Filters;
use event_protocol::shared::Mapped;

use crate::arena::NONE;
use crate::exclusive::is_unheard;
use crate::graph::Graph;
use crate::source::{Bond, Knote, Own, Seen, Source};

/// What is wrong.
type Fault = String;

impl<M: Mapped> Graph<M> {
    /// Looks at everything. Takes as long as there are notes.
    pub fn audit(&self) -> Audit {
        let mut audit = Audit::default();
        let checked = self.audit_sources(&mut audit).and_then(|()| self.audit_shares());
        let leases = checked.and_then(|()| self.leases.audit(&self.queues));
        match leases {
            Ok(leased) => audit.leased = leased,
            Err(fault) => audit.fault = Some(fault),
        }
        audit
    }

    fn audit_sources(&self, audit: &mut Audit) -> Result<(), Fault> {
        let (mut knotes, mut notes) = (0, 0);
        for (index, source) in self.each_source() {
            let mut wanted = Filters::empty();
            let mut before = NONE;
            let mut at = source.first_knote;
            while let Some(knote) = self.knotes.get(at) {
                if knote.exclusive || knote.source_list.previous != before {
                    return Err(format!("knote {at} does not belong into the list of source {index}"));
                }
                notes += self.audit_knote(at, knote, index, source, &mut wanted, audit)?;
                knotes += 1;
                (before, at) = (at, knote.source_list.next);
            }
            let own = self.audit_ring(index, source, &mut knotes, &mut notes, &mut wanted, audit)?;
            if own != source.exclusive.own {
                return Err(format!(
                    "knotes of source {index} say {own:?}, and not {:?}",
                    source.exclusive.own
                ));
            }
            if wanted != source.interest() {
                return Err(format!(
                    "source {index} is of interest for {:?}, not {wanted:?}",
                    source.interest()
                ));
            }
            if source.exclusive.is_owed {
                return Err(format!("source {index} owes a wake-up to its waiters"));
            }
        }
        let kept = (self.knotes.len(), self.notes.len(), self.index.len());
        if kept != (knotes, notes, knotes) {
            return Err(format!("{kept:?} knotes, notes and places, of which {knotes} and {notes} hang"));
        }
        let held: u64 = self.held.iter().map(|&held| u64::from(held)).sum();
        if held != notes as u64 {
            return Err(format!("clients hold {held} notes of {notes}"));
        }
        Ok(())
    }

    fn audit_ring(
        &self,
        index: u32,
        source: &Source<M>,
        knotes: &mut usize,
        notes: &mut usize,
        wanted: &mut Filters,
        audit: &mut Audit,
    ) -> Result<Own, Fault> {
        let first = source.exclusive.next;
        let (mut at, mut count, mut own) = (first, 0, Own::default());
        while let Some(knote) = self.knotes.get(at) {
            let next = knote.source_list.next;
            let is_its_neighbour =
                self.knotes.get(next).is_some_and(|knote| knote.source_list.previous == at);
            if !knote.exclusive || !is_its_neighbour || count > self.knotes.len() {
                return Err(format!("knote {at} does not belong into the ring of source {index}"));
            }
            *notes += self.audit_knote(at, knote, index, source, wanted, audit)?;
            *knotes += 1;
            count += 1;
            *own.of(knote.policy) += 1;
            at = next;
            if at == first {
                break;
            }
        }
        // Everything that has come has been looked at, and whoever it was for chosen.
        if count > 0 && is_unheard(source.exclusive.seen, Seen::of(&source.cell)) {
            audit.adrift += 1;
        }
        Ok(own)
    }

    fn audit_knote(
        &self,
        at: u32,
        knote: &Knote,
        index: u32,
        source: &Source<M>,
        wanted: &mut Filters,
        audit: &mut Audit,
    ) -> Result<usize, Fault> {
        let place = self.sources.get(knote.view).map(|view| view.share.place(knote.view, knote.exclusive));
        if knote.source != index || place != Some(index) {
            return Err(format!("knote {at} hangs on source {index} by mistake"));
        }
        if self.index.get(&(knote.queue, knote.view, knote.exclusive)) != Some(&at) {
            return Err(format!("knote {at} is not found in its place"));
        }
        let queue = self.queues.get(knote.queue).ok_or_else(|| format!("knote {at} has no queue"))?;
        let view = self.sources.get(knote.view).unwrap_or(source);
        let (mut note, mut count) = (knote.first_note, 0);
        while let Some(current) = self.notes.get(note) {
            if current.knote != at || current.exclusive != knote.exclusive {
                return Err(format!("note {note} hangs on knote {at} by mistake"));
            }
            if queue.note_in(current.bank, current.slot) != Some(note) {
                return Err(format!("note {note} is not in its slot"));
            }
            let is_true = !queue.active(current, &view.cell).is_empty();
            match (queue.is_queued(current), knote.exclusive) {
                (true, true) => audit.awaited += 1,
                (true, false) => audit.queued += 1,
                (false, false) if !is_true => audit.idle += 1,
                _ => audit.adrift += 1,
            }
            *wanted |= current.filters;
            (note, count) = (current.next, count + 1);
        }
        match count {
            0 => Err(format!("knote {at} has no notes")),
            _ => Ok(count),
        }
    }

    /// Hubs, and who has to do with them.
    fn audit_shares(&self) -> Result<(), Fault> {
        let mut views = vec![0u32; self.sources.end() as usize];
        for (_, source) in self.each_source().filter(|(_, source)| source.share.is_view()) {
            if let Some(views) = views.get_mut(source.share.hub as usize) {
                *views += 1;
            }
        }
        for (index, source) in self.each_source() {
            if source.share.hub == NONE
                && source.client.is_none()
                && views.get(index as usize) != Some(&source.share.views)
            {
                return Err(format!("source {index} has not {} views", source.share.views));
            }
            let hub = self.sources.get(source.share.hub);
            let is_known = match source.share.bond {
                Bond::View => hub.is_some_and(|hub| hub.share.views > 0),
                Bond::Linked => hub.is_some_and(|hub| hub.share.first == index),
                Bond::Free => hub.is_none_or(|hub| hub.share.first == index),
            };
            if !is_known {
                return Err(format!("source {index} is not known to its hub"));
            }
        }
        Ok(())
    }

    fn each_source(&self) -> impl Iterator<Item = (u32, &Source<M>)> {
        (0..self.sources.end()).filter_map(|index| Some((index, self.sources.get(index)?)))
    }
}
