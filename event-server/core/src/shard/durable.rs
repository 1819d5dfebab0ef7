//! Sources that outlive their driver (R57 comes only when nobody goes on with them).
//!
//! ```text
//!            create_durable            driver_closed
//!   (none) ────────────────► LIVE ───────────────────► ORPHANED
//!                             ▲  │ destroy_source         │  │ lineage_closed, settled,
//!                             │  ▼                 claim  │  ▼ watch_closed
//!                             │ ENDED ◄───────────────────│─ ENDED, FREE
//!                             └───────────────────────────┘
//! ```
//! An orphan keeps its name, its cell, its notes and who pays for it. Only its driver changes, and with it the page: the whole page
//! goes from one session that is over to one that follows it, so that it has the cells of one driver session at any time.

use abi::Handle;
use abi::error::{
    EAGAIN, EBUSY, EEXIST, EINVAL, EMFILE, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP, EPERM, Error, Result,
};
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::badge::{ClientId, DriverId, LineageId, SourceId};
use event_protocol::control::driver::Orphan;
use event_protocol::control::limits::{MAX_KEPT, ORPHANS};
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};
use event_protocol::shared::Mapped;

use super::{Created, Shard};
use crate::account::{Account, Charge, cost};
use crate::host::Host;
use crate::page::Owners;
use crate::session::Session;

/// Drivers that follow one another in one place.
#[derive(Debug)]
pub(super) struct Lineage {
    id: LineageId,
    /// Slot of the one that is alive.
    driver: Option<u32>,
    /// Sources that wait for the next one.
    orphans: u32,
    _charge: Charge,
}

/// What is kept of a durable source.
#[derive(Debug)]
pub(super) struct Durable {
    /// With its generation: a lineage that is over leaves what is durable by it behind, and its place to another.
    lineage: LineageId,
    kept: Vec<u8>,
    /// Its driver is away.
    away: bool,
    /// The levels that drivers which are over told last.
    levels: [Level; 2],
    /// For the client to go on with, whenever it asks: who was given it may die before it has it.
    descriptor: Handle,
    _charge: Charge,
}

/// What drivers ask.
impl<M: Mapped> Shard<M> {
    /// Begins a lineage with a driver's session. Its handle is the caller's to make; [`Shard::lineage_closed`] follows when the
    /// last is closed. EEXIST: the session has one; ENOMEM.
    pub fn bequeath(&mut self, id: DriverId) -> Result<LineageId> {
        let slot = self.driver_slot(id)?;
        let shard = self.graph.shard;
        let Some(driver) = &mut self.drivers[slot as usize] else { return Err(Error::new(ENOENT)) };
        if driver.lineage.is_some() {
            return Err(Error::new(EEXIST));
        }
        let charge = driver.account.charge(cost::LINEAGE)?;
        self.lineages.reserve()?;
        let index = self.lineages.insert(|index, generation| Lineage {
            id: LineageId::new(shard, index, generation),
            driver: Some(slot),
            orphans: 0,
            _charge: charge,
        });
        driver.lineage = Some(index);
        self.lineages.get(index).map(|lineage| lineage.id).ok_or(Error::new(ENOENT))
    }

    /// A driver's new session is the next of a lineage. EINVAL: there is no such one here; EPERM: its process is none of the
    /// manifest's; EBUSY: one of it is alive.
    pub fn follow(&mut self, id: DriverId, lineage: LineageId) -> Result<()> {
        let slot = self.driver_slot(id)?;
        let index = lineage.index() as u32;
        let known = self.lineages.get_mut(index).filter(|known| known.id == lineage);
        let (known, driver) = match (known, &mut self.drivers[slot as usize]) {
            (Some(known), Some(driver)) => (known, driver),
            _ => return Err(Error::new(EINVAL)),
        };
        if !driver.account.process().provider {
            return Err(Error::new(EPERM));
        }
        if known.driver.is_some() || driver.lineage.is_some() {
            return Err(Error::new(EBUSY));
        }
        known.driver = Some(slot);
        driver.lineage = Some(index);
        Ok(())
    }

    /// Makes a source that outlives the session: as [`Shard::create_source`], and what who goes on with it is told.
    pub fn create_durable<H: Host<Memory = M>>(
        &mut self,
        id: DriverId,
        filters: Filters,
        session: Option<&Session<M>>,
        low_water: (u32, u32),
        kept: Vec<u8>,
        host: &mut H,
    ) -> Result<Created> {
        self.make_source(id, filters, session, low_water, Some(kept), host)
    }

    /// Room for what is kept of one more source.
    pub(super) fn keep(&mut self, slot: u32, account: &Arc<Account>, kept: Vec<u8>) -> Result<Durable> {
        let driver = self.drivers.get(slot as usize).and_then(Option::as_ref);
        let lineage = driver.and_then(|driver| driver.lineage).and_then(|lineage| self.lineages.get(lineage));
        let lineage = lineage.ok_or(Error::new(EOPNOTSUPP))?.id;
        if kept.len() > MAX_KEPT {
            return Err(Error::new(EINVAL));
        }
        self.durable.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        let charge = account.charge_for(self.process_of(slot)?, cost::DURABLE + kept.len() as u64)?;
        let levels = [Level::default(); 2];
        Ok(Durable { lineage, kept, away: false, levels, descriptor: Handle::NONE, _charge: charge })
    }

    /// What a driver before this one left, from an index on. EPERM: the session has no lineage.
    pub fn orphans(&self, id: DriverId, after: Option<u32>) -> Result<Vec<Orphan>> {
        let lineage = self.name_of(self.lineage_of(id)?)?;
        let from = after.map_or(0, |after| after.saturating_add(1));
        let mut found = Vec::new();
        for index in from..self.graph.sources.end() {
            let durable = self.durable.get(&index).filter(|durable| durable.lineage == lineage);
            if let Some(Durable { away: true, levels, kept, .. }) = durable
                && let Some(source) = self.graph.sources.get(index)
            {
                let levels = levels.map(Level::pack);
                let word = source.cell.kept();
                found.push(Orphan { source: source.id, kept: kept.clone(), word, levels });
                if found.len() >= ORPHANS {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// A driver goes on with a source, and its client with this descriptor, which is the shard's then. ENOENT: no orphan of its
    /// lineage; EINVAL: filters that it was not attached for; EMFILE: all of its cells are in use.
    pub fn claim<H: Host<Memory = M>>(
        &mut self,
        id: DriverId,
        source: SourceId,
        descriptor: Handle,
        host: &mut H,
    ) -> Result<Created> {
        let claimed = self.claim_orphan(id, source, descriptor);
        if claimed.is_err() && !descriptor.is_none() {
            host.close(descriptor);
        }
        claimed
    }

    fn claim_orphan(&mut self, id: DriverId, name: SourceId, descriptor: Handle) -> Result<Created> {
        let (lineage, slot) = (self.lineage_of(id)?, self.driver_slot(id)?);
        let of = self.name_of(lineage)?;
        let (index, _) = self.graph.source(name).ok_or(Error::new(ENOENT))?;
        let durable = self.durable.get_mut(&index);
        let durable = durable.filter(|durable| durable.lineage == of && durable.away);
        let durable = durable.ok_or(Error::new(ENOENT))?;
        let source = self.graph.sources.get_mut(index).ok_or(Error::new(ENOENT))?;
        let driver = self.drivers[slot as usize].as_mut().ok_or(Error::new(ENOENT))?;
        if !driver.filters.contains(source.filters) {
            return Err(Error::new(EINVAL));
        }
        if driver.sources >= driver.cells {
            return Err(Error::new(EMFILE));
        }
        self.roomy.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        let page = self.graph.pages.get_mut(source.page).ok_or(Error::new(ENOENT))?;
        let owners = Owners { driver: slot, generation: id.generation(), ..page.owners };
        if page.owners != owners {
            if self.roomy.get(&page.owners) == Some(&source.page) {
                self.roomy.remove(&page.owners);
            }
            page.owners = owners;
            // Its free cells, if it has any, are as good as those of another.
            if owners.client.is_some() {
                self.roomy.entry(owners).or_insert(source.page);
            }
        }
        source.driver = Some(slot);
        driver.sources += 1;
        durable.away = false;
        durable.descriptor = descriptor;
        let created = Created { source: name, page: page.number, cell: source.number, handle: page.handle };
        self.count_orphans(lineage, -1);
        Ok(created)
    }

    /// A driver has claimed what it can.
    pub fn settled<H: Host<Memory = M>>(&mut self, id: DriverId, host: &mut H) -> Result<()> {
        let slot = self.driver_slot(id)?;
        self.settle(slot, host);
        if !self.graph.liars.is_empty() {
            self.end_liars(host);
        }
        Ok(())
    }

    /// Orphans that the driver in this slot could have claimed end.
    pub(super) fn settle<H: Host<Memory = M>>(&mut self, slot: u32, host: &mut H) {
        let driver = self.drivers.get(slot as usize).and_then(Option::as_ref);
        if let Some(lineage) = driver.and_then(|driver| driver.lineage) {
            self.end_orphans(lineage, host);
        }
    }
}

/// Ends.
impl<M: Mapped> Shard<M> {
    /// Nobody can go on with what the drivers of a lineage leave: what they left is no more, and their users see ENODEV.
    pub fn lineage_closed<H: Host<Memory = M>>(&mut self, id: LineageId, host: &mut H) {
        let index = id.index() as u32;
        if self.lineages.get(index).is_none_or(|lineage| lineage.id != id) {
            return;
        }
        self.end_orphans(index, host);
        let Some(lineage) = self.lineages.remove(index) else { return };
        let driver = lineage.driver.and_then(|slot| self.drivers.get_mut(slot as usize)?.as_mut());
        if let Some(driver) = driver {
            driver.lineage = None;
        }
        if !self.graph.liars.is_empty() {
            self.end_liars(host);
        }
    }

    fn end_orphans<H: Host<Memory = M>>(&mut self, lineage: u32, host: &mut H) {
        let Some(&Lineage { id: of, .. }) = self.lineages.get(lineage).filter(|lineage| lineage.orphans > 0)
        else {
            return;
        };
        for index in 0..self.graph.sources.end() {
            if self.durable.get(&index).is_some_and(|durable| durable.lineage == of) && self.is_orphan(index)
            {
                self.end_source(index, ENODEV as u32, host);
            }
        }
    }

    /// Whether a source waits for its driver to come back.
    pub(super) fn is_orphan(&self, index: u32) -> bool {
        self.durable.get(&index).is_some_and(|durable| durable.away)
    }

    /// The driver of a source is gone: whether somebody may come who goes on with it.
    pub(super) fn orphan<H: Host<Memory = M>>(&mut self, slot: u32, index: u32, host: &mut H) -> bool {
        let lineage = self.drivers.get(slot as usize).and_then(|driver| driver.as_ref()?.lineage);
        let Some(lineage) = lineage else { return false };
        let Ok(of) = self.name_of(lineage) else { return false };
        if self.durable.get(&index).is_none_or(|durable| durable.lineage != of) {
            return false;
        }
        let Some(source) = self.graph.sources.get_mut(index) else { return false };
        source.driver = None;
        // What was stored, counted or noted and not heard yet has happened nevertheless.
        source.cell.make_up();
        self.graph.activate_all(index, host);
        let Some(source) = self.graph.sources.get_mut(index) else { return false };
        let told = source.cell.leave();
        if let Some(durable) = self.durable.get_mut(&index) {
            durable.away = true;
            for (level, told) in durable.levels.iter_mut().zip(told) {
                // One that claimed it and told nothing leaves what the driver before it told.
                if !told.flags.contains(LevelFlags::AWAY) {
                    *level = told;
                }
            }
            close(&mut durable.descriptor, host);
        }
        self.count_orphans(lineage, 1);
        true
    }

    /// A driver in this slot has nothing any more that somebody could go on with.
    pub(super) fn leave_lineage(&mut self, slot: u32) {
        let driver = self.drivers.get_mut(slot as usize).and_then(Option::as_mut);
        let lineage = driver.and_then(|driver| driver.lineage.take());
        if let Some(lineage) = lineage.and_then(|lineage| self.lineages.get_mut(lineage)) {
            lineage.driver = None;
        }
    }

    /// A source is no more, or is no more durable.
    pub(super) fn keep_no_longer<H: Host<Memory = M>>(&mut self, index: u32, host: &mut H) {
        let Some(mut durable) = self.durable.remove(&index) else { return };
        close(&mut durable.descriptor, host);
        if durable.away {
            self.count_orphans(durable.lineage.index() as u32, -1);
        }
    }

    fn count_orphans(&mut self, lineage: u32, change: i32) {
        self.orphans = self.orphans.saturating_add_signed(change.into());
        if let Some(lineage) = self.lineages.get_mut(lineage) {
            lineage.orphans = lineage.orphans.saturating_add_signed(change);
        }
    }

    fn name_of(&self, lineage: u32) -> Result<LineageId> {
        self.lineages.get(lineage).map(|lineage| lineage.id).ok_or(Error::new(EPERM))
    }

    fn lineage_of(&self, id: DriverId) -> Result<u32> {
        let slot = self.driver_slot(id)?;
        let driver = self.drivers.get(slot as usize).and_then(Option::as_ref);
        driver.and_then(|driver| driver.lineage).ok_or(Error::new(EPERM))
    }
}

/// What clients ask.
impl<M: Mapped> Shard<M> {
    /// The descriptor with which a client goes on with a source of its, for a duplicate. It stays the shard's as long as the driver has
    /// the source: a client that dies over it, or has no room for it, leaves it to who asks next. EAGAIN: its driver is away; ENODEV: it is
    /// no more; ENOENT: it was made by the present driver, or is no source of the client's.
    pub fn reopen(&self, client: ClientId, source: SourceId) -> Result<Handle> {
        let slot = self.client_slot(client)?;
        let (index, found) = self.graph.source(source).ok_or(Error::new(ENOENT))?;
        if !self.adoptions.has(slot, index) {
            return Err(Error::new(ENOENT));
        }
        if found.share.is_view() && self.graph.is_driven(index) {
            return Err(Error::new(ENOENT));
        }
        let ended = found.driver.is_none();
        match self.durable.get(&index) {
            Some(durable) if durable.away => Err(Error::new(EAGAIN)),
            _ if ended => Err(Error::new(ENODEV)),
            Some(durable) if !durable.descriptor.is_none() => Ok(durable.descriptor),
            _ => Err(Error::new(ENOENT)),
        }
    }
}

fn close<H: Host>(descriptor: &mut Handle, host: &mut H) {
    let old = core::mem::replace(descriptor, Handle::NONE);
    if !old.is_none() {
        host.close(old);
    }
}
