//! What a shard does for drivers: sessions, sources and their ends (R56, R57).

use abi::Handle;
use abi::error::{EINVAL, EMFILE, ENODEV, ENOENT, ENOMEM, ENOTCONN, Error, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::badge::{ClientId, DriverId, GENERATION_MAX, SourceId};
use event_protocol::changed::{Drain, memory_size};
use event_protocol::control::limits::{DRIVERS_OF_MANIFEST, MAX_DRIVERS_OF_PROCESS, MAX_SOURCES};
use event_protocol::filter::Filters;
use event_protocol::shared::{Mapped, Region};
use init_protocol::caller::Caller;

use super::{Driver, Name, Shard};
use crate::account::{Account, cost};
use crate::arena::NONE;
use crate::host::Host;
use crate::page::{Owners, Page};
use crate::session::Session;
use crate::source::{Bond, Place, Share, Source};

/// A source for its driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Created {
    /// The source.
    pub source: SourceId,
    /// Number of the page.
    pub page: u64,
    /// Cell in the page.
    pub cell: u32,
    /// The page's memory object; stays the shard's.
    pub handle: Handle,
}

impl<M: Mapped> Shard<M> {
    /// A driver introduces itself with memory for so many cells. Its doorbell bit is 1 << the id's index. EINVAL; EMFILE: no
    /// place for its process; ENOMEM.
    pub fn attach(
        &mut self,
        account: Arc<Account>,
        name: Name,
        memory: M,
        filters: Filters,
        cells: u32,
    ) -> Result<DriverId> {
        if memory_size(cells) != Some(memory.length()) || !Filters::all().contains(filters) {
            return Err(Error::new(EINVAL));
        }
        let slot = self.place_for(account.process()).ok_or(Error::new(EMFILE))?;
        let charge = account.charge(cost::DRIVER + cost::mapped(memory.length()))?;
        let changed = Arc::new(Region::new(memory)).keep_changed(cells)?;
        changed.get().begin();
        self.driver_generation = self.driver_generation % GENERATION_MAX + 1;
        let id = DriverId::new(self.graph.shard, slot as u32, self.driver_generation);
        self.drivers[slot] = Some(Driver {
            id,
            name,
            filters,
            cells,
            sources: 0,
            account,
            lineage: None,
            _charge: charge,
            changed,
            drain: Drain::new(),
        });
        Ok(id)
    }

    /// A free place, if the process may have one more. A program of the manifest that is started again finds one, whoever
    /// else attached.
    fn place_for(&self, process: Caller) -> Option<usize> {
        let there = || self.drivers.iter().flatten().map(|driver| driver.account.process());
        let own = there().filter(|other| other.pid == process.pid).count();
        let others = there().filter(|other| !other.provider).count();
        let full = !process.provider && others >= self.drivers.len() - DRIVERS_OF_MANIFEST;
        if own >= MAX_DRIVERS_OF_PROCESS || full {
            return None;
        }
        self.drivers.iter().position(Option::is_none)
    }

    pub(super) fn driver_slot(&self, id: DriverId) -> Result<u32> {
        match self.drivers.get(id.index()) {
            Some(Some(driver)) if driver.id == id => Ok(id.index() as u32),
            _ => Err(Error::new(ENOTCONN)),
        }
    }

    /// Makes a source for a client, whose session the caller has found alive, or for whoever gets the watch handle. The
    /// watch handle is the caller's to make; [`Shard::watch_closed`] follows when the last is closed. The client's process pays,
    /// or the driver's.
    pub fn create_source<H: Host<Memory = M>>(
        &mut self,
        id: DriverId,
        filters: Filters,
        session: Option<&Session<M>>,
        low_water: (u32, u32),
        host: &mut H,
    ) -> Result<Created> {
        self.make_source(id, filters, session, low_water, None, host)
    }

    /// The same of an ordinary source, or of a durable one of which something is kept.
    pub(super) fn make_source<H: Host<Memory = M>>(
        &mut self,
        id: DriverId,
        filters: Filters,
        session: Option<&Session<M>>,
        low_water: (u32, u32),
        kept: Option<Vec<u8>>,
        host: &mut H,
    ) -> Result<Created> {
        let (slot, client) = (self.driver_slot(id)?, session.map(Session::id));
        // Who makes new ones has had the time for the old ones.
        self.settle(slot, host);
        // What the ring still holds of sources that are no more makes room for the new one's entry.
        if let Err(fault) = self.drain(slot, host) {
            self.driver_lied(slot, fault, host);
        }
        let driver = self.drivers[slot as usize].as_mut().ok_or(Error::new(ENOTCONN))?;
        if filters.is_empty() || !driver.filters.contains(filters) {
            return Err(Error::new(EINVAL));
        }
        if driver.sources >= driver.cells {
            return Err(Error::new(EMFILE));
        }
        if self.made_for.get(&client).is_some_and(|&made| made >= MAX_SOURCES) {
            return Err(Error::new(EMFILE));
        }
        let account = session.map_or(&driver.account, Session::account).clone();
        let durable = kept.map(|kept| self.keep(slot, &account, kept)).transpose()?;
        self.graph.sources.reserve()?;
        self.graph.pages.reserve()?;
        for table in [self.made_for.try_reserve(1), self.roomy.try_reserve(1)] {
            table.map_err(|_| Error::new(ENOMEM))?;
        }
        let owners = Owners { driver: slot, generation: id.generation(), client, durable: durable.is_some() };
        let place = self.place(owners, &account, host)?;
        let (page, cell, shard) = (place.page, place.number, self.graph.shard);
        let index = self.graph.sources.insert(|index, generation| {
            place.cell.begin(generation);
            let source = SourceId::new(shard, index, generation);
            Source::new(source, slot, client, place, filters, low_water)
        });
        if let Some(durable) = durable {
            self.durable.insert(index, durable);
        }
        *self.made_for.entry(client).or_insert(0) += 1;
        if let Some(driver) = self.drivers[slot as usize].as_mut() {
            driver.sources += 1;
        }
        match (self.graph.sources.get(index), self.graph.pages.get(page)) {
            (Some(source), Some(page)) => {
                Ok(Created { source: source.id, page: page.number, cell, handle: page.handle })
            }
            _ => Err(Error::new(ENOENT)),
        }
    }

    /// Whose a driver's session is.
    pub(super) fn process_of(&self, slot: u32) -> Result<Caller> {
        let driver = self.drivers.get(slot as usize).and_then(Option::as_ref);
        driver.map(|driver| driver.account.process()).ok_or(Error::new(ENOTCONN))
    }

    fn unmake(&mut self, client: Option<ClientId>) {
        if let Some(made) = self.made_for.get_mut(&client) {
            *made -= 1;
            if *made == 0 {
                self.made_for.remove(&client);
            }
        }
    }

    /// Takes a cell for a source.
    pub(super) fn place<H: Host<Memory = M>>(
        &mut self,
        owners: Owners,
        account: &Arc<Account>,
        host: &mut H,
    ) -> Result<Place<M>> {
        let driver = self.process_of(owners.driver)?;
        let charge = account.charge_for(driver, cost::SOURCE)?;
        let roomy = self.roomy.get(&owners).copied().unwrap_or(NONE);
        if let Some(page) = self.graph.pages.get_mut(roomy)
            && let Some(number) = page.take()
        {
            return Ok(Place { page: roomy, number, cell: page.region.keep_cell(number)?, charge });
        }
        let page_charge = account.charge_for(driver, cost::PAGE_OF_CELLS)?;
        let (memory, handle) = host.create_page()?;
        let region = Arc::new(Region::new(memory));
        let cell = region.keep_cell(0).inspect_err(|_| host.close(handle))?;
        let shard = u64::from(self.graph.shard);
        let page = self.graph.pages.insert(|index, generation| {
            let number = shard << 56 | u64::from(generation) << 24 | u64::from(index);
            let mut page = Page::new(number, region, handle, owners, page_charge);
            page.take();
            page
        });
        if owners.client.is_some() {
            self.roomy.insert(owners, page);
        }
        Ok(Place { page, number: 0, cell, charge })
    }

    /// A driver's source is no more (R57). Its notes fire once more, and the cell is used again when no watch handle is
    /// left.
    pub fn destroy_source<H: Host<Memory = M>>(
        &mut self,
        id: DriverId,
        source: SourceId,
        errno: u32,
        host: &mut H,
    ) -> Result<()> {
        let slot = self.driver_slot(id)?;
        let (index, found) = self.graph.source(source).ok_or(Error::new(ENOENT))?;
        if found.driver != Some(slot) {
            return Err(Error::new(ENOENT));
        }
        self.end_source(index, errno, host);
        if let Some(driver) = self.drivers[slot as usize].as_mut() {
            driver.sources -= 1;
        }
        if !self.graph.liars.is_empty() {
            self.end_liars(host);
        }
        Ok(())
    }

    pub(super) fn end_source<H: Host<Memory = M>>(&mut self, index: u32, errno: u32, host: &mut H) {
        self.keep_no_longer(index, host);
        let Some(source) = self.graph.sources.get(index) else { return };
        source.cell.end(errno);
        let Share { hub, bond, first, .. } = source.share;
        if first != NONE {
            self.end_first(first, errno, host);
        }
        self.graph.activate_all(index, host);
        if bond == Bond::Linked {
            self.graph.wake_view(index, hub, host);
        }
        if let Some(source) = self.graph.sources.get_mut(index) {
            source.driver = None;
        }
        self.free_if_unused(index, host);
    }

    /// The hub of a source ends. Who sleeps for the source is woken by the hub, if it is linked: so it ends, too.
    fn end_first<H: Host<Memory = M>>(&mut self, index: u32, errno: u32, host: &mut H) {
        let Some(source) = self.graph.sources.get_mut(index) else { return };
        if source.share.bond == Bond::Free {
            let hub = core::mem::replace(&mut source.share.hub, NONE);
            if let Some(hub) = self.graph.sources.get_mut(hub) {
                hub.share.first = NONE;
            }
            return;
        }
        let Some(driver) = source.driver else { return };
        self.end_source(index, errno, host);
        if let Some(driver) = self.drivers[driver as usize].as_mut() {
            driver.sources -= 1;
        }
    }

    /// The last handle of a driver's session is closed, or it lied: its sources are no more, and their users see
    /// ENODEV. Durable ones are orphans then.
    pub fn driver_closed<H: Host<Memory = M>>(&mut self, id: DriverId, host: &mut H) {
        let Ok(slot) = self.driver_slot(id) else { return };
        for index in 0..self.graph.sources.end() {
            let is_its = self.graph.sources.get(index).is_some_and(|source| source.driver == Some(slot));
            if is_its && !self.orphan(slot, index, host) {
                self.end_source(index, ENODEV as u32, host);
            }
        }
        self.leave_lineage(slot);
        self.drivers[slot as usize] = None;
        if !self.graph.liars.is_empty() {
            self.end_liars(host);
        }
    }

    /// The last watch handle of a source is closed: nobody can be told of it any more.
    pub fn watch_closed<H: Host<Memory = M>>(&mut self, id: SourceId, host: &mut H) {
        let Some((index, _)) = self.graph.source(id) else { return };
        // Nor can anybody go on with it: a descriptor that nobody has taken is closed, or its file would stay open.
        self.keep_no_longer(index, host);
        self.graph.remove_notes_of_source(index, |_| true);
        self.adoptions.remove_source(index);
        self.graph.settle(host);
        if let Some(source) = self.graph.sources.get_mut(index) {
            source.watched = false;
            // A driver whose file has other sources destroys this one when it next looks.
            if !source.share.is_view() && !source.is_watched() {
                source.cell.abandon();
            }
        }
        self.free_if_unused(index, host);
    }

    pub(super) fn free_if_unused<H: Host<Memory = M>>(&mut self, index: u32, host: &mut H) {
        let unused = |source: &Source<M>| source.driver.is_none() && !source.is_watched();
        if !self.graph.sources.get(index).is_some_and(unused) {
            return;
        }
        self.graph.settle(host);
        self.keep_no_longer(index, host);
        let Some(source) = self.graph.sources.remove(index) else { return };
        self.unmake(source.client);
        if source.share.hub != NONE {
            self.leave_hub(&source, index, host);
        }
        if source.share.is_view() {
            return;
        }
        let Some(page) = self.graph.pages.get_mut(source.page) else { return };
        let owners = page.owners;
        if !page.give_back(source.number) {
            self.roomy.insert(owners, source.page);
            return;
        }
        if self.roomy.get(&owners) == Some(&source.page) {
            self.roomy.remove(&owners);
        }
        if let Some(page) = self.graph.pages.remove(source.page) {
            host.close(page.handle);
        }
    }
}
