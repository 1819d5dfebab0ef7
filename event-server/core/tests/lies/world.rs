//! A shard, its clients and its drivers.

use std::sync::Arc;

use event_core::directory::Directory;
use event_core::session::Session;
use event_core::shard::Shard;
use event_protocol::activation::{BankLayout, take};
use event_protocol::badge::{DriverId, SourceId};
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Publisher, memory_size};
use event_protocol::control::client::{Change, View};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::SESSION_SIZE;
use event_protocol::ring::Consumer;
use event_protocol::shared::{Kept, Owned, Region};
use event_protocol::slot::{Control, Slot, Terms};
use init_protocol::caller::Caller;
use shard_host::{Kernel, Memory};

pub const CELLS: u32 = 16;

pub const SLOTS: u32 = 64;

pub struct World {
    pub shard: Shard<Memory>,
    pub directory: Directory<Memory>,
    pub kernel: Kernel,
    /// Processes so far.
    pub pids: u32,
}

pub struct Client {
    pub session: Arc<Session<Memory>>,
    pub bank: Arc<Region<Memory>>,
    pub layout: BankLayout,
    pub consumer: Consumer,
}

pub struct Driver {
    pub id: DriverId,
    pub memory: Memory,
    pub publisher: Publisher,
}

impl World {
    pub fn new() -> World {
        World {
            shard: Shard::new(0),
            directory: Directory::new(1, u64::MAX),
            kernel: Kernel::default(),
            pids: 0,
        }
    }

    /// A process of its own.
    pub fn caller(&mut self) -> Caller {
        self.pids += 1;
        Caller { pid: self.pids, provider: false }
    }

    pub fn open(&mut self) -> Arc<Session<Memory>> {
        let caller = self.caller();
        self.directory.open(caller, Arc::new(Owned::new(SESSION_SIZE))).unwrap()
    }

    pub fn client(&mut self) -> Client {
        let session = self.open();
        self.shard.enter(session.clone()).unwrap();
        let layout = BankLayout::new(SLOTS, 1).unwrap();
        let memory = Arc::new(Owned::new(layout.size()));
        self.directory.create_queue(session.id(), 0, SLOTS, memory.clone()).unwrap();
        Client { session, bank: Arc::new(Region::new(memory)), layout, consumer: Consumer::new() }
    }

    pub fn driver(&mut self) -> Driver {
        let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
        let caller = self.caller();
        let account = self.directory.account(caller);
        let id =
            self.shard.attach(account, Default::default(), memory.clone(), Filters::READ, CELLS).unwrap();
        Driver { id, memory, publisher: Publisher::new() }
    }

    pub fn shared_source(&mut self, driver: &Driver) -> (SourceId, Kept<Memory, Cell>) {
        let made =
            self.shard.create_source(driver.id, Filters::READ, None, (1, 1), &mut self.kernel).unwrap();
        let page = Arc::new(Region::new(self.kernel.pages[&made.handle].clone()));
        (made.source, page.keep_cell(made.cell).unwrap())
    }

    pub fn add(&mut self, client: &Client, source: SourceId, cell: &Cell, slot: u32) -> Result<(), i32> {
        let terms = Terms { control: Control::ENABLED, filters: Filters::READ, ..Terms::default() };
        client.slot(slot).begin(1, terms, cell);
        self.change(client, add(source, 0, slot, Filters::READ))
    }

    pub fn change(&mut self, client: &Client, change: Change) -> Result<(), i32> {
        let id = client.session.id();
        let memory = self.directory.queue(id, 0).map_err(|error| error.errno)?;
        let changed = self.shard.change(id, 0, &memory, 1, &[change], &mut self.kernel);
        let (_, failures) = changed.map_err(|error| error.errno)?;
        failures.first().map_or(Ok(()), |failure| Err(failure.errno as i32))
    }

    pub fn publish(&mut self, driver: &mut Driver, source: SourceId, cell: &Cell, amount: i64) {
        let region = Region::new(driver.memory.clone());
        let changed = region.changed(CELLS).unwrap();
        let level = Level::new(amount);
        let told = driver.publisher.publish(changed, cell, source, Direction::Read, level, true);
        let _ = told.unwrap();
        self.shard.doorbell(1 << driver.id.index(), &mut self.kernel);
    }
}

impl Client {
    pub fn slot(&self, slot: u32) -> Kept<Memory, Slot> {
        self.bank.keep_slot(self.layout, slot).unwrap()
    }

    pub fn take(&mut self) -> Option<u32> {
        let ring = self.bank.ring(self.layout, 0).unwrap();
        let slots = self.bank.slots(self.layout).unwrap();
        take(&mut self.consumer, ring, slots).unwrap().map(|(slot, _)| slot)
    }
}

pub fn add(source: SourceId, bank: u8, slot: u32, filters: Filters) -> Change {
    Change::Add { source, bank, slot, generation: 1, filters, view: View::Kevent, exclusive: false }
}
