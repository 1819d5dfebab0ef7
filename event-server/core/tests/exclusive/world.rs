//! Processes whose threads sleep for one source, and who wakes them.

use std::sync::Arc;

use abi::Handle;
use event_core::directory::Directory;
use event_core::session::Session;
use event_core::shard::Shard;
use event_protocol::activation::BankLayout;
use event_protocol::badge::{Badge, DriverId, SourceId};
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Publisher, memory_size};
use event_protocol::control::client::{Change, View};
use event_protocol::control::lobby::Stats;
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};
use event_protocol::park::{End, SESSION_SIZE};
use event_protocol::shared::{Kept, Owned, Region};
use event_protocol::slot::{Control, Slot, Terms};
use init_protocol::caller::Caller;
use shard_host::{Kernel, Memory};

const CELLS: u32 = 16;
const SLOTS: u32 = 64;

pub struct World {
    pub shard: Shard<Memory>,
    pub directory: Directory<Memory>,
    pub kernel: Kernel,
    driver: DriverId,
    memory: Memory,
    publisher: Publisher,
    pub source: SourceId,
    pub cell: Kept<Memory, Cell>,
    pub processes: Vec<Process>,
    level: Level,
}

/// A process with a queue that has one note on the source, in slot 0.
pub struct Process {
    pub session: Arc<Session<Memory>>,
    bank: Arc<Region<Memory>>,
    layout: BankLayout,
}

impl World {
    pub fn new() -> World {
        let (mut shard, mut directory) = (Shard::new(0), Directory::new(1, u64::MAX));
        let mut kernel = Kernel::of_honest_peers();
        let account = directory.account(Caller { pid: 1, provider: true });
        let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
        let filters = Filters::READ | Filters::WRITE | Filters::VNODE;
        let driver = shard.attach(account, Default::default(), memory.clone(), filters, CELLS).unwrap();
        let made = shard.create_source(driver, filters, None, (1, 1), &mut kernel).unwrap();
        let page = Arc::new(Region::new(kernel.pages[&made.handle].clone()));
        let cell = page.keep_cell(made.cell).unwrap();
        let (publisher, source, level) = (Publisher::new(), made.source, Level::new(0));
        let processes = Vec::new();
        World { shard, directory, kernel, driver, memory, publisher, source, cell, processes, level }
    }

    /// A process with so many threads, each on the CPU of its number.
    pub fn process(&mut self, threads: u32, exclusive: bool) -> usize {
        let number = self.processes.len();
        let caller = Caller { pid: number as u32 + 2, provider: false };
        let session = self.directory.open(caller, Arc::new(Owned::new(SESSION_SIZE))).unwrap();
        self.shard.enter(session.clone()).unwrap();
        for thread in 0..threads {
            session.set_notification(thread, notification(number, thread)).unwrap();
        }
        let layout = BankLayout::new(SLOTS, 1).unwrap();
        let memory = Arc::new(Owned::new(layout.size()));
        self.directory.create_queue(session.id(), 0, SLOTS, memory.clone()).unwrap();
        self.processes.push(Process { session, bank: Arc::new(Region::new(memory)), layout });
        self.shard.adopt(self.processes[number].session.id(), Badge::Source(self.source)).unwrap();
        self.add(number, 0, Filters::READ, exclusive).unwrap();
        number
    }

    pub fn add(&mut self, process: usize, slot: u32, filters: Filters, exclusive: bool) -> Result<(), i32> {
        let terms = Terms { control: Control::ENABLED, filters, ..Terms::default() };
        let place = self.slot(process, slot);
        place.begin(1, terms, &self.cell);
        if exclusive {
            place.keep();
        }
        let (source, view) = (self.source, View::Kevent);
        self.change(process, Change::Add { source, bank: 0, slot, generation: 1, filters, view, exclusive })
    }

    pub fn change(&mut self, process: usize, change: Change) -> Result<(), i32> {
        let id = self.processes[process].session.id();
        let memory = self.directory.queue(id, 0).unwrap();
        let (_, failures) = self.shard.change(id, 0, &memory, 1, &[change], &mut self.kernel).unwrap();
        failures.first().map_or(Ok(()), |failure| Err(failure.errno as i32))
    }

    pub fn slot(&self, process: usize, slot: u32) -> Kept<Memory, Slot> {
        let Process { bank, layout, .. } = &self.processes[process];
        bank.keep_slot(*layout, slot).unwrap()
    }

    /// The driver's level goes up or down, and the shard hears of it.
    pub fn publish(&mut self, amount: i64, arrived: bool) {
        self.tell(Level { amount, ..self.level }, arrived);
        self.hear();
    }

    pub fn amount(&self) -> i64 {
        self.level.amount
    }

    /// The driver's level has these flags from here on.
    pub fn flag(&mut self, flags: LevelFlags) {
        self.tell(self.level.with(flags), true);
        self.hear();
    }

    /// The same without the shard's hearing of it.
    pub fn tell(&mut self, level: Level, arrived: bool) {
        self.level = level;
        let region = Region::new(self.memory.clone());
        let changed = region.changed(CELLS).unwrap();
        let World { publisher, cell, source, .. } = self;
        let _ = publisher.publish(changed, cell, *source, Direction::Read, level, arrived).unwrap();
    }

    pub fn hear(&mut self) {
        self.shard.doorbell(1 << self.driver.index(), &mut self.kernel);
    }

    pub fn driver_dies(&mut self) {
        self.shard.driver_closed(self.driver, &mut self.kernel);
    }

    pub fn park(&self, process: usize, thread: u32) {
        self.park_on(process, thread, thread);
    }

    /// Announces a thread that runs on this CPU.
    pub fn park_on(&self, process: usize, thread: u32, cpu: u32) {
        let Process { session, bank, .. } = &self.processes[process];
        let parked = bank.queue_header().unwrap().parked();
        session.memory().waiters().unwrap()[thread as usize].announce(parked, thread, cpu);
    }

    /// A thread's wait is over.
    pub fn withdraw(&self, process: usize, thread: u32) -> End {
        let Process { session, bank, .. } = &self.processes[process];
        let parked = bank.queue_header().unwrap().parked();
        session.memory().waiters().unwrap()[thread as usize].withdraw(parked, thread)
    }

    pub fn is_chosen(&self, process: usize, thread: u32) -> bool {
        self.processes[process].session.memory().waiters().unwrap()[thread as usize].is_chosen()
    }

    pub fn hand_back(&mut self, process: usize) {
        let id = self.processes[process].session.id();
        self.shard.hand_back(id, 0, &mut self.kernel).unwrap();
    }

    pub fn dies(&mut self, process: usize) {
        let id = self.processes[process].session.id();
        self.directory.end(id);
        self.shard.client_closed(id, &mut self.kernel);
    }

    /// Who was woken since the last call: processes and threads.
    pub fn woken(&mut self) -> Vec<(usize, u32)> {
        let signalled = std::mem::take(&mut self.kernel.signalled);
        signalled.into_iter().map(|handle| (handle.0 as usize / 1000 - 1, (handle.0 % 1000) as u32)).collect()
    }

    pub fn stats(&self) -> Stats {
        self.shard.stats()
    }
}

fn notification(process: usize, thread: u32) -> Handle {
    Handle((process as u64 + 1) * 1000 + u64::from(thread))
}
