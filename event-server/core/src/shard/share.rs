//! What a shard does for a file that several clients watch.

use abi::error::{EMFILE, ENOENT, ENOMEM, EOPNOTSUPP, Error, Result};
use event_protocol::badge::{DriverId, SourceId};
use event_protocol::control::limits::MAX_SOURCES;
use event_protocol::shared::Mapped;

use super::{Created, Shard};
use crate::account::cost;
use crate::arena::NONE;
use crate::host::Host;
use crate::page::Owners;
use crate::session::Session;
use crate::source::Source;

/// A view of a source that is for all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shared {
    /// What the driver publishes from here on, after the source that was there before.
    pub hub: Created,
    /// It was not there before. What is in its cell is.
    pub is_new: bool,
    /// The client's name for it, for the watch handle.
    pub view: SourceId,
}

impl<M: Mapped> Shard<M> {
    /// Lets one more client watch what a driver's source is about: it gets a view of the hub, which is made when there is none. The
    /// view's watch handle is the caller's to make, and [`Shard::watch_closed`] follows when the last is closed. The client's process
    /// pays, for the hub too if it is the first that needs one. ENOENT: no source of the driver's; EOPNOTSUPP: a durable one,
    /// each of which is claimed for one client; EMFILE, ENOMEM as of [`Shard::create_source`].
    pub fn share<H: Host<Memory = M>>(
        &mut self,
        id: DriverId,
        source: SourceId,
        session: &Session<M>,
        host: &mut H,
    ) -> Result<Shared> {
        let slot = self.driver_slot(id)?;
        let (index, found) = self.graph.source(source).ok_or(Error::new(ENOENT))?;
        if found.driver != Some(slot) {
            return Err(Error::new(ENOENT));
        }
        if self.durable.contains_key(&index) {
            return Err(Error::new(EOPNOTSUPP));
        }
        let client = session.id();
        if self.made_for.get(&Some(client)).is_some_and(|&made| made >= MAX_SOURCES) {
            return Err(Error::new(EMFILE));
        }
        let charge = session.account().charge_for(self.process_of(slot)?, cost::SOURCE)?;
        self.made_for.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        let known = self.graph.hub_of(index);
        let hub = match known {
            Some(hub) => hub,
            None => self.make_hub(id, index, session, host)?,
        };
        if let Err(error) = self.graph.sources.reserve() {
            self.forget_hub(id, hub, known.is_none(), host);
            return Err(error);
        }
        let shard = self.graph.shard;
        let found = self.graph.sources.get_mut(hub).ok_or(Error::new(ENOENT))?;
        if found.share.views == 0 && !found.is_watched() {
            // It was abandoned, and is no longer.
            found.cell.set_interest(found.interest());
        }
        found.share.views += 1;
        let (name, page, number) = (found.id, found.page, found.number);
        let mut made = found.view_for(client, hub, charge);
        let view = self.graph.sources.insert(|index, generation| {
            made.id = SourceId::new(shard, index, generation);
            made
        });
        *self.made_for.entry(Some(client)).or_insert(0) += 1;
        match (self.graph.sources.get(view), self.graph.pages.get(page)) {
            (Some(view), Some(page)) => {
                let hub = Created { source: name, page: page.number, cell: number, handle: page.handle };
                Ok(Shared { hub, is_new: known.is_none(), view: view.id })
            }
            _ => Err(Error::new(ENOENT)),
        }
    }

    /// Makes a hub for a source, which is linked to it.
    fn make_hub<H: Host<Memory = M>>(
        &mut self,
        id: DriverId,
        index: u32,
        session: &Session<M>,
        host: &mut H,
    ) -> Result<u32> {
        let slot = self.driver_slot(id)?;
        let driver = self.drivers[slot as usize].as_mut().ok_or(Error::new(ENOENT))?;
        if driver.sources >= driver.cells {
            return Err(Error::new(EMFILE));
        }
        let owners = Owners { driver: slot, generation: id.generation(), client: None, durable: false };
        self.graph.sources.reserve()?;
        self.graph.pages.reserve()?;
        let place = self.place(owners, session.account(), host)?;
        let shard = self.graph.shard;
        let found = self.graph.sources.get(index).ok_or(Error::new(ENOENT))?;
        let (filters, low_water) = (found.filters, found.low_water);
        let hub = self.graph.sources.insert(|index, generation| {
            place.cell.begin(generation);
            let source = SourceId::new(shard, index, generation);
            let mut made = Source::new(source, slot, None, place, filters, low_water);
            made.watched = false;
            made
        });
        let (Some(first), Some(made)) = (self.graph.sources.get(index), self.graph.sources.get(hub)) else {
            return Err(Error::new(ENOENT));
        };
        made.cell.copy(&first.cell);
        if let Some(first) = self.graph.sources.get_mut(index) {
            first.share.hub = hub;
        }
        if let Some(made) = self.graph.sources.get_mut(hub) {
            made.share.first = index;
        }
        *self.made_for.entry(None).or_insert(0) += 1;
        if let Some(driver) = self.drivers[slot as usize].as_mut() {
            driver.sources += 1;
        }
        Ok(hub)
    }

    /// The driver was not told of a view, whose hub it does not know if that is new.
    pub fn unshare<H: Host<Memory = M>>(&mut self, id: DriverId, shared: Shared, host: &mut H) {
        self.watch_closed(shared.view, host);
        self.forget_hub(id, shared.hub.source.index() as u32, shared.is_new, host);
    }

    fn forget_hub<H: Host<Memory = M>>(&mut self, id: DriverId, hub: u32, is_new: bool, host: &mut H) {
        if let Some(hub) = self.graph.sources.get(hub).filter(|_| is_new).map(|hub| hub.id) {
            // It is the driver's, and nobody has seen it.
            let _ = self.destroy_source(id, hub, 0, host);
        }
    }

    /// A source was removed that had to do with a hub.
    pub(super) fn leave_hub<H: Host<Memory = M>>(&mut self, removed: &Source<M>, index: u32, host: &mut H) {
        let hub = removed.share.hub;
        let Some(found) = self.graph.sources.get_mut(hub) else { return };
        if removed.share.is_view() {
            found.share.views -= 1;
        } else if found.share.first == index {
            found.share.first = NONE;
        }
        if !found.is_watched() {
            found.cell.abandon();
        }
        self.free_if_unused(hub, host);
    }
}
