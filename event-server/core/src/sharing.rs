//! One source for all who watch a file: the *hub*, in whose ring hang the exclusive knotes of all of them.
//!
//! ```text
//!   source of the first ──linked──┐                    cell of its own, published before the hub's
//!   view of the second ───────────┼──► hub             the hub's cell
//!   view of the third ────────────┘
//! ```
//! So an arrival is looked at once and one waiter is chosen, however many clients there are. What a client has is a name of its
//! own: it can be neither adopted nor released by others, and goes with it.

use event_protocol::filter::Filters;
use event_protocol::shared::Mapped;

use crate::arena::NONE;
use crate::graph::Graph;
use crate::host::Host;
use crate::source::{Bond, Exclusive, Seen};

impl<M: Mapped> Graph<M> {
    /// The hub of a source; that of one that is for all already is itself.
    pub fn hub_of(&self, index: u32) -> Option<u32> {
        let source = self.sources.get(index)?;
        match source.share.hub {
            NONE => source.client.is_none().then_some(index),
            hub => Some(hub),
        }
    }

    /// Whether a source, or the one whose view it is, has a driver.
    pub fn is_driven(&self, index: u32) -> bool {
        let source = self.sources.get(index);
        let hub =
            source.filter(|source| source.share.is_view()).and_then(|view| self.sources.get(view.share.hub));
        hub.or(source).is_some_and(|source| source.driver.is_some())
    }

    /// The first client of a hub is about to have notes: those of the source that was there before it, if there was one, are
    /// chosen among together with them from here on. Its driver publishes both, that source first.
    pub fn link<H: Host>(&mut self, hub: u32, host: &mut H) {
        let Some(found) = self.sources.get(hub) else { return };
        let first = found.share.first;
        if self.sources.get(first).is_none_or(|first| first.share.bond != Bond::Free) {
            return;
        }
        // In this order: what the hub shows now, the source has shown before, and it is looked at next. What comes after that
        // comes to the hub, too.
        let seen = Seen::of(&found.cell);
        self.activate_all(first, host);
        let Some(source) = self.sources.get_mut(first) else { return };
        source.share.bond = Bond::Linked;
        let ring = core::mem::take(&mut source.exclusive);
        let begin = ring.next;
        if let Some(hub) = self.sources.get_mut(hub) {
            hub.exclusive = Exclusive { seen, ..ring };
        }
        let mut at = begin;
        while let Some(knote) = self.knotes.get_mut(at) {
            knote.source = hub;
            let (mut note, next) = (knote.first_note, knote.source_list.next);
            while let Some(current) = self.notes.get(note) {
                let (filters, after) = (current.filters, current.next);
                self.change_interest(hub, filters, Filters::empty());
                self.change_interest(first, Filters::empty(), filters);
                note = after;
            }
            at = next;
            if at == begin {
                break;
            }
        }
        // The driver may have found that nobody was interested in the hub.
        self.activate_all(hub, host);
    }
}
