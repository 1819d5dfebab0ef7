//! A shard: what the server's thread on one CPU knows and does.

mod change;
mod clients;
mod drivers;
mod durable;
mod share;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::badge::{ClientId, DriverId};
use event_protocol::changed::Drain;
use event_protocol::control::limits::{MAX_DRIVERS, MAX_NAME};
use event_protocol::control::lobby::{Audit, Stats};
use event_protocol::control::policy::Policy;
use event_protocol::fault::Fault;
use event_protocol::filter::Filters;
use event_protocol::shared::{KeptChanged, Mapped};
use hashbrown::HashMap;

pub use drivers::Created;
use durable::{Durable, Lineage};
pub use share::Shared;

use crate::account::{Account, Charge};
use crate::adoptions::Adoptions;
use crate::arena::Arena;
use crate::graph::Graph;
use crate::host::{Host, Peer};
use crate::page::Owners;
use crate::session::Session;

/// Entries taken from one driver's ring before others are heard again.
const BATCH: usize = 256;

/// Name of a driver, for logs.
pub type Name = heapless::String<MAX_NAME>;

/// A shard.
#[derive(Debug)]
pub struct Shard<M> {
    /// Sources, notes and queues.
    graph: Graph<M>,
    drivers: Vec<Option<Driver<M>>>,
    driver_generation: u32,
    clients: Arena<Client<M>>,
    client_slots: HashMap<ClientId, u32>,
    /// Slots of clients that may have notes on sources.
    adoptions: Adoptions,
    /// Sources for each client, also those that only it still holds on to.
    made_for: HashMap<Option<ClientId>, u32>,
    /// A page that may have a free cell.
    roomy: HashMap<Owners, u32>,
    lineages: Arena<Lineage>,
    /// What is kept of durable sources, by their indices.
    durable: HashMap<u32, Durable>,
    /// How many of them wait for their driver.
    orphans: u64,
}

#[derive(Debug)]
struct Driver<M> {
    id: DriverId,
    name: Name,
    filters: Filters,
    cells: u32,
    sources: u32,
    account: Arc<Account>,
    /// What outlives its session belongs to this.
    lineage: Option<u32>,
    _charge: Charge,
    changed: KeptChanged<M>,
    drain: Drain,
}

/// A client that this shard knows.
#[derive(Debug)]
struct Client<M> {
    session: Arc<Session<M>>,
    /// (the client's number, index) of its queues here.
    queues: Vec<(u32, u32)>,
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
            adoptions: Adoptions::default(),
            made_for: HashMap::new(),
            roomy: HashMap::new(),
            lineages: Arena::default(),
            durable: HashMap::new(),
            orphans: 0,
        }
    }

    /// The books.
    pub fn stats(&self) -> Stats {
        Stats {
            clients: self.clients.len() as u64,
            drivers: self.drivers.iter().flatten().count() as u64,
            sources: self.graph.sources.len() as u64,
            orphans: self.orphans,
            pages: self.graph.pages.len() as u64,
            knotes: self.graph.knotes.len() as u64,
            notes: self.graph.notes.len() as u64,
            queues: self.graph.queues.len() as u64,
            ..self.graph.stats
        }
    }

    /// The books against each other. Takes as long as there are notes.
    #[cold]
    pub fn audit(&self) -> Audit {
        let mut audit = self.graph.audit();
        let made: u32 = self.made_for.values().sum();
        if made as usize != self.graph.sources.len() {
            audit.fault.get_or_insert_with(|| format!("{made} sources of {}", self.graph.sources.len()));
        }
        audit
    }

    /// Whom arrivals wake that exclusive notes wait for, where neither note nor source says it.
    pub fn set_policy(&mut self, policy: Policy) {
        self.graph.policy = policy;
    }

    /// When [`Shard::expired`] has something to do: monotonic ns.
    #[inline(always)]
    pub fn deadline(&mut self) -> u64 {
        self.graph.next_lease()
    }

    /// Waiters that were chosen and have not come back by now are given up, and others are woken.
    #[cold]
    pub fn expired<H: Host<Memory = M>>(&mut self, host: &mut H) {
        self.graph.expire(host.now(), host);
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
    #[inline(always)]
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
    #[inline(always)]
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
            host.ended(Peer::Driver(id, &driver.name), fault);
            // What it wrote is not to be told from what is true: nobody goes on with it.
            self.leave_lineage(slot);
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
                self.client_closed(id, host);
            }
        }
    }
}
