//! A client and a driver that speak the protocol themselves.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::soon;
use abi::Rights;
use abi::error::{EBADMSG, Error, Result};
use event_protocol::activation::{BankLayout, take};
use event_protocol::badge::SourceId;
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Publisher, Told, memory_size};
use event_protocol::control::client::{self, Adopted, Change, View};
use event_protocol::control::{SERVICE, VERSION, driver, label, lobby};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::SESSION_SIZE;
use event_protocol::ring::Consumer;
use event_protocol::shared::{Kept, Region};
use event_protocol::slot::{Control, Slot, Terms};
use rt::ipc::{Transfer, call_postcard};
use rt::sys::{Endpoint, Memory, Notification, Object};

use crate::region::{Pages, readable, writable};

/// Cells of a driver here.
pub const CELLS: u32 = 16;
/// Slots of a client's bank.
pub const SLOTS: u32 = 64;

fn nonsense<T>() -> Result<T> {
    Err(Error::new(EBADMSG))
}

/// The lobby of a shard, and how many shards there are.
pub fn lobby(shard: u32) -> Result<(Endpoint, u32)> {
    let any = rt::init::connect(SERVICE)?;
    let request = lobby::Request::Shard { shard };
    match call_postcard(&any, label::LOBBY, &request, Vec::new(), soon())? {
        (lobby::Reply::Shard { shards }, mut handles) => Ok((handles.object(0)?, shards)),
        _ => nonsense(),
    }
}

/// How many shards there are.
pub fn shards() -> Result<u32> {
    lobby(0).map(|(_, shards)| shards)
}

/// A shard's figures.
pub fn stats(shard: u32) -> Result<lobby::Stats> {
    let (lobby, _) = lobby(shard)?;
    match call_postcard(&lobby, label::LOBBY, &lobby::Request::Stats, Vec::new(), soon())? {
        (lobby::Reply::Stats(stats), _) => Ok(stats),
        _ => nonsense(),
    }
}

/// What lives in a shard.
pub fn living(shard: u32) -> Result<[u64; 7]> {
    let s = stats(shard)?;
    Ok([s.clients, s.drivers, s.sources, s.pages, s.knotes, s.notes, s.queues])
}

/// Asks on a session handle.
pub fn ask(session: &Endpoint, request: &client::Request, send: Vec<Transfer>) -> Result<client::Reply> {
    call_postcard(session, label::CLIENT, request, send, soon()).map(|(reply, _)| reply)
}

/// Shows a shard what may be a watch handle: the source and its page.
pub fn show(session: &Endpoint, handle: &impl Object) -> Result<(Adopted, Memory)> {
    let send = vec![Transfer::copy_with(handle, Rights::WRITE)];
    match call_postcard(session, label::CLIENT, &client::Request::Adopt, send, soon())? {
        (client::Reply::Adopted(adopted), mut handles) => Ok((adopted, handles.object(0)?)),
        _ => nonsense(),
    }
}

/// A client with one waiter and one queue.
pub struct Client {
    /// Its session handle.
    pub session: Endpoint,
    /// Who it is, for drivers.
    pub ticket: Endpoint,
    /// Session handle of the shard of the last source, where that is not the first.
    pub there: Option<Endpoint>,
    /// Its waiters.
    pub memory: Arc<Region<Pages>>,
    /// By which its waiter is woken.
    pub notification: Notification,
    /// The queue's bank.
    pub bank: Arc<Region<Pages>>,
    /// How that is laid out.
    pub layout: BankLayout,
    consumers: Vec<Consumer>,
}

impl Client {
    /// A session with its queue.
    pub fn new() -> Result<Client> {
        let (lobby, shards) = lobby(0)?;
        let memory = Memory::create(SESSION_SIZE)?;
        let region = writable(&memory)?;
        let send = vec![Transfer::moved(memory)];
        let (_, mut handles): (lobby::Reply, _) =
            call_postcard(&lobby, label::LOBBY, &lobby::Request::OpenSession, send, soon())?;
        let (session, ticket) = (handles.object(0)?, handles.object(1)?);
        let notification = Notification::create()?;
        let send = vec![Transfer::copy_with(&notification, Rights::WRITE)];
        ask(&session, &client::Request::RegisterWaiter { number: 0 }, send)?;
        let layout = BankLayout::new(SLOTS, shards).ok_or(Error::new(EBADMSG))?;
        let memory = Memory::create(layout.size())?;
        let bank = writable(&memory)?;
        let request = client::Request::CreateQueue { queue: 0, slots: SLOTS };
        ask(&session, &request, vec![Transfer::moved(memory)])?;
        let consumers = (0..shards).map(|_| Consumer::new()).collect();
        Ok(Client { session, ticket, there: None, memory: region, notification, bank, layout, consumers })
    }

    /// Adopts a source and hangs a note on it.
    pub fn watch(&mut self, source: &Source, slot: u32) -> Result<Kept<Pages, Cell>> {
        let (adopted, cell) = self.adopt(source)?;
        let terms = Terms { control: Control::ENABLED, filters: Filters::READ, ..Terms::default() };
        self.slot(slot)?.begin(1, terms, &cell);
        self.add(adopted.source, slot)?;
        Ok(cell)
    }

    /// Shows a source's shard its watch handle.
    pub fn adopt(&mut self, source: &Source) -> Result<(Adopted, Kept<Pages, Cell>)> {
        let shard = source.id.shard();
        if shard != 0 && self.there.is_none() {
            self.there = Some(self.meet(shard)?);
        }
        let (adopted, page) = show(self.there.as_ref().unwrap_or(&self.session), &source.watch)?;
        Ok((adopted, readable(&page)?.keep_cell(adopted.cell)?))
    }

    /// The session handle of another shard.
    pub fn meet(&self, shard: u32) -> Result<Endpoint> {
        let request = client::Request::Meet { shard };
        match call_postcard(&self.session, label::CLIENT, &request, Vec::new(), soon())? {
            (client::Reply::Done, mut handles) => handles.object(0),
            _ => nonsense(),
        }
    }

    /// A note on a source that was adopted, in a slot.
    pub fn add(&self, source: SourceId, slot: u32) -> Result<()> {
        let (filters, view) = (Filters::READ, View::Kevent);
        self.change(Change::Add { source, bank: 0, slot, generation: 1, filters, view, exclusive: false })
    }

    /// One change of the queue.
    pub fn change(&self, change: Change) -> Result<()> {
        let request = client::Request::Change { queue: 0, failures_allowed: 1, changes: vec![change] };
        let session = self.there.as_ref().unwrap_or(&self.session);
        match ask(session, &request, Vec::new())? {
            client::Reply::Changed { failures, .. } => match failures.first() {
                Some(failure) => Err(Error::new(failure.errno as i32)),
                None => Ok(()),
            },
            _ => nonsense(),
        }
    }

    /// A slot of the bank.
    pub fn slot(&self, slot: u32) -> Result<Kept<Pages, Slot>> {
        Ok(self.bank.keep_slot(self.layout, slot)?)
    }

    /// The next activated slot from a shard.
    pub fn take(&mut self, shard: u32) -> Result<Option<u32>> {
        let (ring, slots) = (self.bank.ring(self.layout, shard)?, self.bank.slots(self.layout)?);
        let Some(consumer) = self.consumers.get_mut(shard as usize) else { return nonsense() };
        Ok(take(consumer, ring, slots)?.map(|(slot, _)| slot))
    }

    /// Parks until chosen.
    pub fn park(&self) -> Result<()> {
        let waiter = &self.memory.waiters()?[0];
        let parked = self.bank.queue_header()?.parked();
        waiter.announce(parked, 0, 0);
        while !self.bank.queue_header()?.looks_pending() && !waiter.is_chosen() {
            self.notification.wait(soon())?;
        }
        let _ = waiter.withdraw(parked, 0);
        self.bank.queue_header()?.take_pending();
        Ok(())
    }
}

/// A source of a driver here.
pub struct Source {
    /// Its name.
    pub id: SourceId,
    /// Its watch handle.
    pub watch: Endpoint,
    /// Its cell, as its driver sees it.
    pub cell: Kept<Pages, Cell>,
}

/// A driver with up to [`CELLS`] sources.
pub struct Driver {
    /// Its session handle.
    pub session: Endpoint,
    doorbell: Notification,
    bits: u64,
    /// The changed ring.
    pub ring: Arc<Region<Pages>>,
    publisher: Publisher,
}

impl Driver {
    /// A session with a shard.
    pub fn new(shard: u32) -> Result<Driver> {
        Driver::of_version(VERSION, shard)
    }

    /// The same for a driver that was built for another version.
    pub fn of_version(version: u32, shard: u32) -> Result<Driver> {
        let (lobby, _) = lobby(shard)?;
        let memory = Memory::create(memory_size(CELLS).unwrap_or(0))?;
        let ring = writable(&memory)?;
        let name = String::from("by_hand");
        let request = lobby::Request::Attach { version, name, filters: Filters::READ, cells: CELLS };
        match call_postcard(&lobby, label::LOBBY, &request, vec![Transfer::moved(memory)], soon())? {
            (lobby::Reply::Attached { doorbell_bits: bits, .. }, mut handles) => {
                let (session, doorbell) = (handles.object(0)?, handles.object(1)?);
                Ok(Driver { session, doorbell, bits, ring, publisher: Publisher::new() })
            }
            _ => nonsense(),
        }
    }

    /// A source for a client, or for all.
    pub fn create(&self, client: Option<&Endpoint>) -> Result<Source> {
        let request = driver::Request::CreateSource {
            filters: Filters::READ,
            shared: client.is_none(),
            low_water: (1, 1),
        };
        let send = client.map(|ticket| Transfer::copy_with(ticket, Rights::WRITE)).into_iter().collect();
        match call_postcard(&self.session, label::DRIVER, &request, send, soon())? {
            (driver::Reply::Created { source, cell, .. }, mut handles) => {
                let cell = writable(&handles.object(0)?)?.keep_cell(cell)?;
                Ok(Source { id: source, cell, watch: handles.object(1)? })
            }
            _ => nonsense(),
        }
    }

    /// Publishes what can be read, as an arrival.
    pub fn publish(&mut self, source: &Source, amount: i64) -> Result<()> {
        let (changed, level) = (self.ring.changed(CELLS)?, Level::new(amount));
        let told = self.publisher.publish(changed, &source.cell, source.id, Direction::Read, level, true)?;
        if told == Told::Ring { self.ring_doorbell() } else { Ok(()) }
    }

    /// Rings the shard's doorbell.
    pub fn ring_doorbell(&self) -> Result<()> {
        self.doorbell.signal(self.bits)
    }
}
