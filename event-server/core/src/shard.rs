//! A shard: what the server's thread on one CPU knows and does.

use abi::Handle;
use abi::error::{EACCES, EINVAL, EMFILE, ENODEV, ENOENT, ENOTCONN, Error, Result};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::badge::{ClientId, DriverId, GENERATION_MAX, SourceId};
use event_protocol::changed::{Drain, memory_size};
use event_protocol::control::client::{Adopted, Change, Failure};
use event_protocol::control::limits::{MAX_CHANGES, MAX_DRIVERS, MAX_SOURCES};
use event_protocol::control::lobby::Stats;
use event_protocol::fault::Fault;
use event_protocol::filter::Filters;
use event_protocol::shared::{KeptChanged, Mapped, Region};
use hashbrown::HashMap;

use crate::arena::{Arena, NONE};
use crate::graph::Graph;
use crate::host::{Host, Peer};
use crate::page::{Owners, Page};
use crate::queue::Queue;
use crate::session::{QueueMemory, Session};
use crate::source::Source;

/// Entries taken from one driver's ring before others are heard again.
const BATCH: usize = 256;

/// A shard.
#[derive(Debug)]
pub struct Shard<M> {
    /// Sources, notes and queues.
    pub(crate) graph: Graph<M>,
    drivers: Vec<Option<Driver<M>>>,
    driver_generation: u32,
    pub(crate) clients: Arena<Client<M>>,
    client_slots: HashMap<ClientId, u32>,
    /// (slot of a client, source) pairs: the client may have notes on the source.
    pub(crate) adoptions: BTreeSet<(u32, u32)>,
    /// Sources for each client, also those that only it still holds on to.
    made_for: HashMap<Option<ClientId>, u32>,
    /// A page that may have a free cell.
    roomy: HashMap<Owners, u32>,
}

#[derive(Debug)]
struct Driver<M> {
    id: DriverId,
    filters: Filters,
    cells: u32,
    sources: u32,
    changed: KeptChanged<M>,
    drain: Drain,
}

/// A client that this shard knows.
#[derive(Debug)]
pub(crate) struct Client<M> {
    session: Arc<Session<M>>,
    /// (the client's number, index) of its queues here.
    queues: Vec<(u32, u32)>,
}

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
    /// Shard `number` without anybody.
    pub fn new(number: u32) -> Shard<M> {
        Shard {
            graph: Graph::new(number),
            drivers: (0..MAX_DRIVERS).map(|_| None).collect(),
            driver_generation: 0,
            clients: Arena::default(),
            client_slots: HashMap::new(),
            adoptions: BTreeSet::new(),
            made_for: HashMap::new(),
            roomy: HashMap::new(),
        }
    }

    /// The books.
    pub fn stats(&self) -> Stats {
        Stats {
            clients: self.clients.len() as u64,
            drivers: self.drivers.iter().flatten().count() as u64,
            sources: self.graph.sources.len() as u64,
            pages: self.graph.pages.len() as u64,
            knotes: self.graph.knotes.len() as u64,
            notes: self.graph.notes.len() as u64,
            queues: self.graph.queues.len() as u64,
            ..self.graph.stats
        }
    }

    /// Counts a request.
    pub fn count_request(&mut self) {
        self.graph.stats.requests += 1;
    }
}

/// The event path.
impl<M: Mapped> Shard<M> {
    /// The doorbell rang: takes what the drivers of these bits have to tell. Returns the bits of those that had more to
    /// tell than is taken at once, to be given to the next call.
    #[inline]
    pub fn doorbell<H: Host<Memory = M>>(&mut self, bits: u64, host: &mut H) -> u64 {
        self.graph.stats.doorbells += 1;
        let (mut rest, mut unfinished) = (bits, 0);
        while rest != 0 {
            let slot = rest.trailing_zeros();
            rest &= rest - 1;
            match self.drain(slot, host) {
                Ok(true) => {}
                Ok(false) => unfinished |= 1 << slot,
                Err(fault) => self.driver_lied(slot, fault, host),
            }
        }
        if !self.graph.liars.is_empty() {
            self.end_liars(host);
        }
        unfinished
    }

    /// Whether a driver's ring is empty and it will ring the doorbell for the next entry.
    #[inline]
    fn drain<H: Host<Memory = M>>(&mut self, slot: u32, host: &mut H) -> Result<bool, Fault> {
        let Some(Some(driver)) = self.drivers.get_mut(slot as usize) else { return Ok(true) };
        let changed = driver.changed.get();
        for _ in 0..BATCH {
            match driver.drain.pop(changed)? {
                Some(source) => self.graph.look(slot, source, host)?,
                None if driver.drain.arm(changed) => return Ok(true),
                None => {}
            }
        }
        Ok(false)
    }

    #[cold]
    fn driver_lied<H: Host<Memory = M>>(&mut self, slot: u32, fault: Fault, host: &mut H) {
        if let Some(Some(driver)) = self.drivers.get(slot as usize) {
            let id = driver.id;
            self.graph.stats.lies += 1;
            host.ended(Peer::Driver(id), fault);
            self.driver_closed(id, host);
        }
    }

    /// Ends the sessions of clients whose rings were found to be impossible.
    #[cold]
    fn end_liars<H: Host<Memory = M>>(&mut self, host: &mut H) {
        while let Some((client, fault)) = self.graph.liars.pop() {
            if let Some(id) = self.clients.get(client).map(|client| client.session.id()) {
                self.graph.stats.lies += 1;
                host.ended(Peer::Client(id), fault);
                self.client_closed(id);
            }
        }
    }
}

/// Drivers.
impl<M: Mapped> Shard<M> {
    /// A driver introduces itself with memory for so many cells. Its doorbell bit is 1 << the id's index.
    pub fn attach(&mut self, memory: M, filters: Filters, cells: u32) -> Result<DriverId> {
        if memory_size(cells) != Some(memory.length()) || !Filters::all().contains(filters) {
            return Err(Error::new(EINVAL));
        }
        let slot = self.drivers.iter().position(Option::is_none).ok_or(Error::new(EMFILE))?;
        let changed = Arc::new(Region::new(memory)).keep_changed(cells)?;
        changed.get().begin();
        self.driver_generation = self.driver_generation % GENERATION_MAX + 1;
        let id = DriverId::new(self.graph.shard, slot as u32, self.driver_generation);
        self.drivers[slot] = Some(Driver { id, filters, cells, sources: 0, changed, drain: Drain::new() });
        Ok(id)
    }

    fn driver_slot(&self, id: DriverId) -> Result<u32> {
        match self.drivers.get(id.index()) {
            Some(Some(driver)) if driver.id == id => Ok(id.index() as u32),
            _ => Err(Error::new(ENOTCONN)),
        }
    }

    /// Makes a source for a client, whose session the caller has found alive, or for whoever gets the watch handle. The
    /// watch handle is the caller's to make; [`Shard::watch_closed`] follows when the last is closed.
    pub fn create_source<H: Host<Memory = M>>(
        &mut self,
        id: DriverId,
        filters: Filters,
        client: Option<ClientId>,
        low_water: (u32, u32),
        host: &mut H,
    ) -> Result<Created> {
        let slot = self.driver_slot(id)?;
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
        driver.sources += 1;
        *self.made_for.entry(client).or_insert(0) += 1;
        let shard = self.graph.shard;
        let owners = Owners { driver: slot, generation: id.generation(), client };
        let index = self.graph.sources.insert(|index, generation| {
            Source::new(SourceId::new(shard, index, generation), slot, client, filters, low_water)
        });
        match self.place(index, owners, host) {
            Ok(created) => Ok(created),
            Err(error) => {
                self.graph.sources.remove(index);
                self.unmake(client);
                if let Some(driver) = self.drivers[slot as usize].as_mut() {
                    driver.sources -= 1;
                }
                Err(error)
            }
        }
    }

    fn unmake(&mut self, client: Option<ClientId>) {
        if let Some(made) = self.made_for.get_mut(&client) {
            *made -= 1;
            if *made == 0 {
                self.made_for.remove(&client);
            }
        }
    }

    /// Gives a source its cell.
    fn place<H: Host<Memory = M>>(&mut self, index: u32, owners: Owners, host: &mut H) -> Result<Created> {
        let roomy = self.roomy.get(&owners).copied().unwrap_or(NONE);
        let (page, cell) = match self.graph.pages.get_mut(roomy).and_then(Page::take) {
            Some(cell) => (roomy, cell),
            None => {
                let (memory, handle) = host.create_page()?;
                let cells = Arc::new(Region::new(memory)).keep_cells().inspect_err(|_| host.close(handle))?;
                let shard = u64::from(self.graph.shard);
                let page = self.graph.pages.insert(|index, generation| {
                    let number = shard << 56 | u64::from(generation) << 24 | u64::from(index);
                    Page::new(number, cells, handle, owners)
                });
                if owners.client.is_some() {
                    self.roomy.insert(owners, page);
                }
                (page, self.graph.pages.get_mut(page).and_then(Page::take).unwrap_or(0))
            }
        };
        let (Some(source), Some(found)) = (self.graph.sources.get_mut(index), self.graph.pages.get(page))
        else {
            return Err(Error::new(ENOENT));
        };
        (source.page, source.cell) = (page, cell);
        found.cells.get(cell as usize).ok_or(Error::new(ENOENT))?.begin(source.id.generation());
        Ok(Created { source: source.id, page: found.number, cell, handle: found.handle })
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

    fn end_source<H: Host<Memory = M>>(&mut self, index: u32, errno: u32, host: &mut H) {
        if let Some(source) = self.graph.sources.get(index)
            && let Some(cell) = self.graph.cell(source)
        {
            cell.end(errno);
        }
        self.graph.activate_all(index, host);
        if let Some(source) = self.graph.sources.get_mut(index) {
            source.driver = None;
        }
        self.free_if_unused(index, host);
    }

    /// The last handle of a driver's session is closed, or it lied: its sources are no more, and their users see
    /// ENODEV.
    pub fn driver_closed<H: Host<Memory = M>>(&mut self, id: DriverId, host: &mut H) {
        let Ok(slot) = self.driver_slot(id) else { return };
        let sources = self.graph.sources.iter();
        let sources: Vec<u32> = sources.filter(|(_, s)| s.driver == Some(slot)).map(|(i, _)| i).collect();
        for index in sources {
            self.end_source(index, ENODEV as u32, host);
        }
        self.drivers[slot as usize] = None;
        if !self.graph.liars.is_empty() {
            self.end_liars(host);
        }
    }

    /// The last watch handle of a source is closed: nobody can be told of it any more.
    pub fn watch_closed<H: Host<Memory = M>>(&mut self, id: SourceId, host: &mut H) {
        let Some((index, _)) = self.graph.source(id) else { return };
        self.graph.remove_notes_of_source(index, |_| true);
        self.adoptions.retain(|&(_, source)| source != index);
        if let Some(source) = self.graph.sources.get_mut(index) {
            source.watched = false;
        }
        self.free_if_unused(index, host);
    }

    fn free_if_unused<H: Host<Memory = M>>(&mut self, index: u32, host: &mut H) {
        let unused = |source: &Source| source.driver.is_none() && !source.watched;
        if !self.graph.sources.get(index).is_some_and(unused) {
            return;
        }
        let Some(source) = self.graph.sources.remove(index) else { return };
        self.unmake(source.client);
        let Some(page) = self.graph.pages.get_mut(source.page) else { return };
        let owners = page.owners;
        if !page.give_back(source.cell) {
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

/// Clients.
impl<M: Mapped> Shard<M> {
    /// Makes a client known here; true when it was not before: it needs a session handle of this shard, whose closing
    /// tells the shard of its end.
    pub fn enter(&mut self, session: Arc<Session<M>>) -> bool {
        let id = session.id();
        if self.client_slots.contains_key(&id) {
            return false;
        }
        let slot = self.clients.insert(|_, _| Client { session, queues: Vec::new() });
        self.client_slots.insert(id, slot);
        let held = &mut self.graph.held;
        held.resize(held.len().max(slot as usize + 1), 0);
        true
    }

    fn client_slot(&self, id: ClientId) -> Result<u32> {
        self.client_slots.get(&id).copied().ok_or(Error::new(ENOTCONN))
    }

    /// A client that holds the watch handle may have notes on the source from here on. Returns the page's memory
    /// object besides, which stays the shard's. EACCES: the source is another client's.
    pub fn adopt(&mut self, client: ClientId, source: SourceId) -> Result<(Adopted, Handle)> {
        let slot = self.client_slot(client)?;
        let (index, found) = self.graph.source(source).ok_or(Error::new(ENOENT))?;
        if found.client.is_some_and(|owner| owner != client) {
            return Err(Error::new(EACCES));
        }
        let page = self.graph.pages.get(found.page).ok_or(Error::new(ENOENT))?;
        self.adoptions.insert((slot, index));
        let adopted = Adopted {
            source,
            page: page.number,
            cell: found.cell,
            filters: found.filters,
            low_water: found.low_water,
        };
        Ok((adopted, page.handle))
    }

    /// R31: a client gives a source up; its notes go in all of its queues.
    pub fn release(&mut self, client: ClientId, source: SourceId) -> Result<()> {
        let slot = self.client_slot(client)?;
        let Some((index, _)) = self.graph.source(source) else { return Ok(()) };
        self.graph.remove_notes_of_source(index, |queue| queue.client == slot);
        self.adoptions.remove(&(slot, index));
        Ok(())
    }

    /// Applies changes in order until `failures_allowed` have failed; how many were looked at, and which failed.
    pub fn change<H: Host<Memory = M>>(
        &mut self,
        client: ClientId,
        number: u32,
        memory: &QueueMemory<M>,
        failures_allowed: u32,
        changes: &[Change],
        host: &mut H,
    ) -> Result<(u32, Vec<Failure>)> {
        let slot = self.client_slot(client)?;
        if changes.len() > MAX_CHANGES {
            return Err(Error::new(EINVAL));
        }
        let queue = self.queue(slot, number, memory)?;
        let mut failures = Vec::new();
        let mut processed = 0;
        for (index, &change) in changes.iter().enumerate() {
            processed += 1;
            if let Err(error) = self.apply(slot, queue, change, host) {
                failures.push(Failure { index: index as u32, errno: error.errno as u32 });
                if failures.len() as u32 >= failures_allowed.max(1) {
                    break;
                }
            }
        }
        if !self.graph.liars.is_empty() {
            self.end_liars(host);
        }
        Ok((processed, failures))
    }

    /// This shard's end of a queue.
    fn queue(&mut self, client: u32, number: u32, memory: &QueueMemory<M>) -> Result<u32> {
        let found = self.find_queue(client, number);
        if let Some(index) = found {
            let current = self.graph.queues.get_mut(index).filter(|queue| queue.is_of(memory));
            if let Some(queue) = current {
                queue.extend(self.graph.shard, memory)?;
                return Ok(index);
            }
            // A queue that was closed through another shard, and its number used again.
            self.drop_queue(client, index);
        }
        let member = self.clients.get_mut(client).ok_or(Error::new(ENOTCONN))?;
        let mut queue = Queue::new(client, number, member.session.clone(), memory)?;
        queue.extend(self.graph.shard, memory)?;
        let index = self.graph.queues.insert(|_, _| queue);
        member.queues.push((number, index));
        Ok(index)
    }

    fn find_queue(&self, client: u32, number: u32) -> Option<u32> {
        let queues = &self.clients.get(client)?.queues;
        queues.iter().find(|(own, _)| *own == number).map(|&(_, index)| index)
    }

    fn drop_queue(&mut self, client: u32, index: u32) {
        self.graph.remove_notes_of_queue(index);
        self.graph.queues.remove(index);
        if let Some(member) = self.clients.get_mut(client) {
            member.queues.retain(|&(_, own)| own != index);
        }
    }

    /// Drops a client's queue and its notes here.
    pub fn close_queue(&mut self, client: ClientId, number: u32) -> Result<()> {
        let slot = self.client_slot(client)?;
        if let Some(index) = self.find_queue(slot, number) {
            self.drop_queue(slot, index);
        }
        Ok(())
    }

    /// A client's session handle of this shard is closed, or it lied: all that it has here goes, and its session is over
    /// for the other shards too.
    pub fn client_closed(&mut self, id: ClientId) {
        if let Some(client) = self.client_slots.get(&id).and_then(|&slot| self.clients.get(slot)) {
            client.session.end();
        }
        self.leave(id);
    }

    /// Undoes [`Shard::enter`]: this shard forgets the client and all that it has here.
    pub fn leave(&mut self, id: ClientId) {
        let Some(slot) = self.client_slots.remove(&id) else { return };
        let queues = self.clients.get(slot).map(|client| client.queues.clone()).unwrap_or_default();
        for (_, index) in queues {
            self.drop_queue(slot, index);
        }
        self.clients.remove(slot);
        let adopted: Vec<_> = self.adoptions.range((slot, 0)..=(slot, NONE)).copied().collect();
        for pair in adopted {
            self.adoptions.remove(&pair);
        }
    }
}
