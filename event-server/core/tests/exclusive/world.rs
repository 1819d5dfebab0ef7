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
const SLOTS: u32 = 1024;

pub struct World {
    pub shard: Shard<Memory>,
    pub directory: Directory<Memory>,
    pub kernel: Kernel,
    driver: DriverId,
    memory: Memory,
    publisher: Publisher,
    /// What the driver publishes, in this order.
    pub sources: Vec<(SourceId, Kept<Memory, Cell>)>,
    /// One that whoever has its watch handle may adopt; or else each process has a watch handle of its own.
    is_open: bool,
    pub processes: Vec<Process>,
    level: Level,
}

/// A process with a queue that has one note on the source, in slot 0.
pub struct Process {
    pub session: Arc<Session<Memory>>,
    pub source: SourceId,
    pub cell: Kept<Memory, Cell>,
    bank: Arc<Region<Memory>>,
    layout: BankLayout,
}

impl World {
    /// With a source that was made for all.
    pub fn new() -> World {
        let mut world = World::of_watches();
        let World { shard, driver, kernel, sources, .. } = &mut world;
        let made = shard.create_source(*driver, filters(), None, (1, 1), kernel).unwrap();
        sources.push((made.source, cell_of(kernel, made.handle, made.cell)));
        world.is_open = true;
        world
    }

    /// With a file that each process watches by a handle of its own.
    pub fn of_watches() -> World {
        let (mut shard, mut directory) = (Shard::new(0), Directory::new(1, u64::MAX));
        let kernel = Kernel::of_honest_peers();
        let account = directory.account(Caller { pid: 1, provider: true });
        let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
        let driver = shard.attach(account, Default::default(), memory.clone(), filters(), CELLS).unwrap();
        let (publisher, level) = (Publisher::new(), Level::new(0));
        let (sources, processes) = (Vec::new(), Vec::new());
        let is_open = false;
        World { shard, directory, kernel, driver, memory, publisher, sources, is_open, processes, level }
    }

    /// How a process watches: the source that it knows, and its cell.
    fn watch(&mut self, session: &Session<Memory>) -> (SourceId, Kept<Memory, Cell>) {
        let World { shard, driver, kernel, sources, level, .. } = self;
        if self.is_open {
            return sources[0].clone();
        }
        let Some(&(known, _)) = sources.last() else {
            let made = shard.create_source(*driver, filters(), Some(session), (1, 1), kernel).unwrap();
            let source = (made.source, cell_of(kernel, made.handle, made.cell));
            sources.push(source.clone());
            let level = *level;
            self.tell(level, false);
            return source;
        };
        let shared = shard.share(*driver, known, session, kernel).unwrap();
        if shared.is_new {
            let cell = cell_of(kernel, shared.hub.handle, shared.hub.cell);
            assert_eq!(cell.level(Direction::Read), *level, "it shows what there is");
            sources.push((shared.hub.source, cell));
        }
        (shared.view, sources.last().unwrap().1.clone())
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
        let (source, cell) = self.watch(&session);
        let bank = Arc::new(Region::new(memory));
        self.shard.adopt(session.id(), Badge::Source(source), &mut self.kernel).unwrap();
        self.processes.push(Process { session, source, cell, bank, layout });
        self.add(number, 0, Filters::READ, exclusive).unwrap();
        number
    }

    pub fn add(&mut self, process: usize, slot: u32, filters: Filters, exclusive: bool) -> Result<(), i32> {
        let terms = Terms { control: Control::ENABLED, filters, ..Terms::default() };
        let place = self.slot(process, slot);
        place.begin(1, terms, &self.processes[process].cell);
        if exclusive {
            place.keep();
        }
        let (source, view) = (self.processes[process].source, View::Kevent);
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
        for (source, cell) in &self.sources {
            let _ = self.publisher.publish(changed, cell, *source, Direction::Read, level, arrived).unwrap();
        }
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

    pub fn bank(&self, process: usize) -> Arc<Region<Memory>> {
        self.processes[process].bank.clone()
    }

    /// Its handles are closed, that of the session first or last.
    pub fn dies(&mut self, process: usize) {
        let Process { session, source, .. } = &self.processes[process];
        let (id, source) = (session.id(), *source);
        if process.is_multiple_of(2) && !self.is_open {
            self.shard.watch_closed(source, &mut self.kernel);
        }
        self.directory.end(id);
        self.shard.client_closed(id, &mut self.kernel);
        if !process.is_multiple_of(2) && !self.is_open {
            self.shard.watch_closed(source, &mut self.kernel);
        }
    }

    /// The driver destroys what nobody watches any more.
    pub fn sweep(&mut self) {
        let World { shard, driver, kernel, sources, .. } = self;
        sources.retain(|(source, cell)| {
            let is_abandoned = cell.is_abandoned();
            if is_abandoned {
                shard.destroy_source(*driver, *source, 0, kernel).unwrap();
            }
            !is_abandoned
        });
    }

    /// The driver closes the file.
    pub fn close(&mut self) {
        for (source, _) in std::mem::take(&mut self.sources) {
            self.shard.destroy_source(self.driver, source, 0, &mut self.kernel).unwrap();
        }
    }

    /// Processes that have a source of their own, on which all of their threads sleep, and whose end comes.
    pub fn own_end(&mut self, processes: &[usize], threads: u32) {
        let World { shard, driver, kernel, .. } = self;
        let made = shard.create_source(*driver, filters(), None, (1, 1), kernel).unwrap();
        let cell = cell_of(&self.kernel, made.handle, made.cell);
        for &process in processes {
            let id = self.processes[process].session.id();
            self.shard.adopt(id, Badge::Source(made.source), &mut self.kernel).unwrap();
            self.processes[process].source = made.source;
            self.processes[process].cell = cell.clone();
            self.add(process, 1, Filters::READ, true).unwrap();
            (0..threads).for_each(|thread| self.park_on(process, thread, 0));
        }
        let region = Region::new(self.memory.clone());
        let changed = region.changed(CELLS).unwrap();
        let level = Level::new(1).with(LevelFlags::EOF);
        let _ = self.publisher.publish(changed, &cell, made.source, Direction::Read, level, true).unwrap();
        self.hear();
    }

    pub fn driver(&self) -> DriverId {
        self.driver
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

fn filters() -> Filters {
    Filters::READ | Filters::WRITE | Filters::VNODE
}

fn cell_of(kernel: &Kernel, page: Handle, cell: u32) -> Kept<Memory, Cell> {
    Arc::new(Region::new(kernel.pages[&page].clone())).keep_cell(cell).unwrap()
}

fn notification(process: usize, thread: u32) -> Handle {
    Handle((process as u64 + 1) * 1000 + u64::from(thread))
}
