//! A world for the library on the host: an event server of one shard that acts at once, a driver whose levels the test
//! sets, timers on a clock that the test moves. It speaks the real protocol over real (process-local) memory.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};

use event_protocol::activation::{BankLayout, Entry, activate};
use event_protocol::badge::SourceId;
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Drain, Publisher, memory_size};
use event_protocol::control::client::{Change, QueueNumber};
use event_protocol::descriptor::message::MessageFlags;
use event_protocol::descriptor::{Arm, Control, ControlReply, Kind, NONBLOCK, PathReply, PathRequest};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::{MAX_WAITERS, SESSION_SIZE, Waiter, choose};
use event_protocol::parked::Parked;
use event_protocol::ring::Producer;
use event_protocol::shared::{Owned, Region};
use libkq::ending::{Ending, Watches, tell};
use libkq::engine::Seats;
use libkq::platform::{Bank, Changed, Platform, Read, Received, Source};
use libkq::process::Process;
use libkq::{Error, Result};

pub const EBADF: i32 = abi::error::EBADF;
pub const EINVAL: i32 = abi::error::EINVAL;
pub const ENOENT: i32 = abi::error::ENOENT;
pub const ENODEV: i32 = abi::error::ENODEV;

const CELLS: u32 = 64;
const SOURCES_AT_MOST: usize = CELLS as usize;

/// A number of the calling thread.
pub fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

/// The memory that client and server share.
type Memory = Arc<Owned>;

/// A thread, and what is to be done when it is no more.

#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    server: Mutex<Server>,
    signalled: Condvar,
    session: Region<Memory>,
    seats: Seats,
    now: AtomicU64,
    ends: Mutex<Watches<()>>,
}

struct Server {
    page: Arc<Region<Memory>>,
    changed: Region<Memory>,
    publisher: Publisher,
    drain: Drain,
    sources: BTreeMap<u32, FakeSource>,
    queues: BTreeMap<QueueNumber, FakeQueue>,
    next_queue: u32,
    next_generation: u32,
    signals: [u64; MAX_WAITERS],
    last_chosen: u32,
    timers: BTreeMap<u32, Timer>,
    /// Whether a sleeper moves the clock to what it waits for.
    clock_runs: bool,
    dead: bool,
    /// Messages that were sent to the server: what a call costs.
    pub messages: usize,
    pub wakes: usize,
    fail_next: Option<i32>,
    /// What every growing of a queue fails with.
    fail_growing: Option<i32>,
    late: u64,
    at_parking: Option<Box<dyn FnOnce() + Send>>,
    /// Threads that never run again, once they sleep.
    killed: Vec<u64>,
    before_change: Option<Box<dyn FnOnce() + Send>>,
    before_answer: Option<Box<dyn FnOnce() + Send>>,
}

struct FakeSource {
    id: SourceId,
    filters: Filters,
    name: String,
    gone: bool,
}

struct FakeQueue {
    banks: Vec<(Arc<Region<Memory>>, BankLayout, Producer)>,
    notes: Vec<Note>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Note {
    source: SourceId,
    bank: u8,
    slot: u32,
    generation: u32,
}

#[derive(Clone, Copy)]
struct Timer {
    next: u64,
    period: Option<u64>,
}

/// An open file of the fake driver; closes with its value.
pub struct FakeFile {
    world: World,
    cell: u32,
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        let mut server = self.world.lock();
        server.timers.remove(&self.cell);
        server.sources.remove(&self.cell);
    }
}

impl World {
    pub fn new() -> World {
        let memory = |size| Region::new(Arc::new(Owned::new(size)));
        let changed = memory(memory_size(CELLS).unwrap());
        changed.changed(CELLS).unwrap().begin();
        World(Arc::new(Shared {
            server: Mutex::new(Server {
                page: Arc::new(memory(4096)),
                changed,
                publisher: Publisher::new(),
                drain: Drain::new(),
                sources: BTreeMap::new(),
                queues: BTreeMap::new(),
                next_queue: 0,
                next_generation: 0,
                signals: [0; MAX_WAITERS],
                last_chosen: 0,
                timers: BTreeMap::new(),
                clock_runs: true,
                dead: false,
                messages: 0,
                wakes: 0,
                fail_next: None,
                fail_growing: None,
                late: 0,
                at_parking: None,
                killed: Vec::new(),
                before_change: None,
                before_answer: None,
            }),
            signalled: Condvar::new(),
            session: memory(SESSION_SIZE),
            seats: Seats::new(),
            now: AtomicU64::new(1_000_000),
            ends: Mutex::new(Watches::new()),
        }))
    }

    /// A process in this world.
    pub fn process(&self) -> Process<World> {
        Process::new(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.0.server.lock().unwrap()
    }

    /// The file that was opened by this path.
    fn cell_of(server: &Server, name: &str) -> u32 {
        *server.sources.iter().find(|(_, source)| source.name == name).expect("opened").0
    }

    /// The driver publishes a level.
    pub fn publish(&self, name: &str, direction: Direction, level: Level, arrived: bool) {
        let mut server = self.lock();
        let cell = World::cell_of(&server, name);
        server.publish(cell, direction, level, arrived);
        server.shard(&self.0);
    }

    /// So many bytes can be read, some of them new.
    pub fn readable(&self, name: &str, bytes: i64) {
        self.publish(name, Direction::Read, Level::new(bytes), true);
    }

    /// Somebody read: so many bytes are left.
    pub fn drained_to(&self, name: &str, bytes: i64) {
        self.publish(name, Direction::Read, Level::new(bytes), false);
    }

    /// Bytes that can be read.
    pub fn left(&self, name: &str) -> i64 {
        let server = self.lock();
        let cell = World::cell_of(&server, name);
        server.page.cell(cell).unwrap().level(Direction::Read).amount
    }

    /// There is room for so many bytes.
    pub fn writable(&self, name: &str, bytes: i64) {
        self.publish(name, Direction::Write, Level::new(bytes), true);
    }

    /// Sets the errno of a source.
    pub fn set_error(&self, name: &str, errno: i32) {
        let server = self.lock();
        let cell = World::cell_of(&server, name);
        server.page.cell(cell).unwrap().set_error(errno as u32);
    }

    /// The driver of a file dies.
    pub fn driver_dies(&self, name: &str) {
        let mut server = self.lock();
        let cell = World::cell_of(&server, name);
        server.page.cell(cell).unwrap().end(ENODEV as u32);
        let source = server.sources.get_mut(&cell).unwrap();
        source.gone = true;
        let id = source.id;
        server.look(&self.0, id);
    }

    /// Something happened to a file.
    pub fn note(&self, name: &str, bits: u32) {
        let mut server = self.lock();
        let cell = World::cell_of(&server, name);
        let source = server.sources[&cell].id;
        let page = server.page.clone();
        let inner = &mut *server;
        let changed = inner.changed.changed(CELLS).unwrap();
        let _ = inner.publisher.note(changed, page.cell(cell).unwrap(), source, bits, 0).unwrap();
        server.shard(&self.0);
    }

    /// Something that is counted happened.
    pub fn count(&self, name: &str) {
        let mut server = self.lock();
        let cell = World::cell_of(&server, name);
        server.post(cell);
        server.shard(&self.0);
    }

    /// A thread that sleeps, or will, never runs again.
    pub fn kill(&self, thread: u64) {
        self.lock().killed.push(thread);
    }

    /// The kernel tells that a thread is gone: what was to be done then is done.
    pub fn thread_ends(&self, thread: u64) {
        let ended = self.0.ends.lock().unwrap().ended(|number, _| number == thread);
        tell(ended);
    }

    /// Threads whose ends are watched, and how many times somebody hears of one.
    pub fn watched(&self) -> (usize, usize) {
        self.0.ends.lock().unwrap().count()
    }

    /// The event server dies: every call fails, every sleeper is told.
    pub fn server_dies(&self) {
        self.lock().dead = true;
        self.0.signalled.notify_all();
    }

    /// The next change fails so.
    pub fn fail_next(&self, errno: i32) {
        self.lock().fail_next = Some(errno);
    }

    /// What is done before a driver answers the next request of its own kind.
    pub fn before_next_answer(&self, act: impl FnOnce() + Send + 'static) {
        self.lock().before_answer = Some(Box::new(act));
    }

    /// From here on queues do not grow.
    pub fn fail_growing(&self, errno: i32) {
        self.lock().fail_growing = Some(errno);
    }

    /// So many bytes can be read in the moment in which a thread announces that it parks.
    pub fn readable_at_parking(&self, name: &str, bytes: i64) {
        let (world, name) = (self.clone(), String::from(name));
        self.at_parking(move || world.readable(&name, bytes));
    }

    /// Done by another thread at the moment in which the next thread parks: it has looked what it waits for.
    pub fn at_parking(&self, act: impl FnOnce() + Send + 'static) {
        self.lock().at_parking = Some(Box::new(act));
    }

    /// Done by another thread at the moment in which the server is asked for the next change.
    pub fn before_next_change(&self, act: impl FnOnce() + Send + 'static) {
        self.lock().before_change = Some(Box::new(act));
    }

    /// The next timer is armed only when so much time has passed.
    pub fn arm_late(&self, ns: u64) {
        self.lock().late = ns;
    }

    /// Time passes.
    pub fn advance(&self, ns: u64) {
        let mut server = self.lock();
        self.advance_to(&mut server, self.0.now.load(Ordering::SeqCst) + ns);
        drop(server);
        self.0.signalled.notify_all();
    }

    fn advance_to(&self, server: &mut Server, until: u64) {
        loop {
            let due = server.timers.iter().map(|(&cell, timer)| (timer.next, cell)).min();
            let Some((next, cell)) = due.filter(|&(next, _)| next <= until) else { break };
            self.0.now.fetch_max(next, Ordering::SeqCst);
            let timer = server.timers.get_mut(&cell).unwrap();
            match timer.period {
                Some(period) => timer.next = next.saturating_add(period),
                None => drop(server.timers.remove(&cell)),
            }
            server.post(cell);
            server.shard(&self.0);
        }
        self.0.now.fetch_max(until, Ordering::SeqCst);
    }

    /// What the clock says.
    pub fn time(&self) -> u64 {
        self.0.now.load(Ordering::SeqCst)
    }

    /// Only [`advance`](World::advance) moves the clock from here on.
    pub fn stop_clock(&self) {
        self.lock().clock_runs = false;
    }

    pub fn messages(&self) -> usize {
        self.lock().messages
    }

    pub fn wakes(&self) -> usize {
        self.lock().wakes
    }

    /// Notes that the server has.
    pub fn notes(&self) -> usize {
        self.lock().queues.values().map(|queue| queue.notes.len()).sum()
    }

    pub fn queues(&self) -> usize {
        self.lock().queues.len()
    }

    /// Files that are open at the driver, timers too.
    pub fn files(&self) -> usize {
        self.lock().sources.len()
    }

    /// Threads that are parked on any queue.
    pub fn parked(&self) -> u32 {
        let server = self.lock();
        let parked = server.queues.values().map(|queue| queue.banks[0].0.queue_header().unwrap().parked());
        parked.map(Parked::count).sum()
    }

    /// The source has these levels in both directions, with an arrival in each.
    pub fn level(&self, name: &str, read: Level, write: Level) {
        self.publish(name, Direction::Read, read, true);
        self.publish(name, Direction::Write, write, true);
    }

    /// Waits until so many threads are parked.
    pub fn until_parked(&self, threads: u32) {
        while self.parked() < threads {
            std::thread::yield_now();
        }
    }

    fn open_named(&self, name: &str, filters: Filters) -> Result<FakeFile> {
        let mut server = self.lock();
        let cell = (0..SOURCES_AT_MOST as u32)
            .find(|cell| !server.sources.contains_key(cell))
            .ok_or(Error::new(abi::error::ENOMEM))?;
        server.next_generation += 1;
        let generation = server.next_generation;
        server.page.cell(cell).unwrap().begin(generation);
        let id = SourceId::new(0, cell, generation);
        server.sources.insert(cell, FakeSource { id, filters, name: String::from(name), gone: false });
        Ok(FakeFile { world: self.clone(), cell })
    }
}

impl Server {
    fn publish(&mut self, cell: u32, direction: Direction, level: Level, arrived: bool) {
        let source = self.sources[&cell].id;
        let page = self.page.clone();
        let changed = self.changed.changed(CELLS).unwrap();
        let cell = page.cell(cell).unwrap();
        let _ = self.publisher.publish(changed, cell, source, direction, level, arrived).unwrap();
    }

    fn post(&mut self, cell: u32) {
        let source = self.sources[&cell].id;
        let page = self.page.clone();
        let changed = self.changed.changed(CELLS).unwrap();
        let _ = self.publisher.post(changed, page.cell(cell).unwrap(), source, 1).unwrap();
    }

    /// One turn of the shard.
    fn shard(&mut self, shared: &Shared) {
        loop {
            let popped = self.drain.pop(self.changed.changed(CELLS).unwrap()).unwrap();
            let Some(source) = popped else { break };
            self.page.cell(source.index() as u32).unwrap().begin_look();
            self.look(shared, source);
        }
    }

    fn look(&mut self, shared: &Shared, source: SourceId) {
        let page = self.page.clone();
        let cell: &Cell = page.cell(source.index() as u32).unwrap();
        let bits = cell.take_note_bits();
        let numbers: Vec<u32> = self.queues.keys().copied().collect();
        for number in numbers {
            let notes: Vec<Note> = self.queues[&number].notes.clone();
            for note in notes.into_iter().filter(|note| note.source == source) {
                let (region, layout, _) = &self.queues[&number].banks[usize::from(note.bank)];
                region.slots(*layout).unwrap()[note.slot as usize].fold(bits);
                self.activate(shared, number, note, cell);
            }
        }
    }

    fn activate(&mut self, shared: &Shared, number: QueueNumber, note: Note, cell: &Cell) {
        let queue = self.queues.get_mut(&number).unwrap();
        let first = queue.banks[0].0.clone();
        let header = first.queue_header().unwrap();
        let (region, layout, producer) = &mut queue.banks[usize::from(note.bank)];
        let slot = &region.slots(*layout).unwrap()[note.slot as usize];
        let entry = Entry { slot: note.slot, generation: note.generation };
        let ring = region.ring(*layout, 0).unwrap();
        if slot.active(cell).is_empty() || !activate(producer, ring, header, 0, slot, entry).unwrap() {
            return;
        }
        let waiters = shared.session.waiters().unwrap();
        if let Some(chosen) = choose(header.parked(), waiters, self.last_chosen) {
            self.last_chosen = chosen;
            self.signals[chosen as usize] |= 1;
            self.wakes += 1;
            shared.signalled.notify_all();
        }
    }

    fn ask(&mut self) -> Result<()> {
        self.messages += 1;
        if self.dead { Err(Error::new(abi::error::ENOTCONN)) } else { Ok(()) }
    }

    fn change(&mut self, shared: &Shared, queue: QueueNumber, change: Change) -> Result<()> {
        match change {
            Change::Add { source, bank, slot, generation, .. } => {
                let known = self.sources.get(&(source.index() as u32)).filter(|known| known.id == source);
                if known.ok_or(Error::new(ENOENT))?.gone {
                    return Err(Error::new(ENODEV));
                }
                let note = Note { source, bank, slot, generation };
                let notes = &mut self.queues.get_mut(&queue).unwrap().notes;
                assert!(!notes.iter().any(|other| (other.bank, other.slot) == (bank, slot)), "slot in use");
                notes.push(note);
                self.update_interest();
                let page = self.page.clone();
                self.activate(shared, queue, note, page.cell(source.index() as u32).unwrap());
                Ok(())
            }
            Change::Delete { bank, slot, generation } => {
                let notes = &mut self.queues.get_mut(&queue).unwrap().notes;
                let before = notes.len();
                notes.retain(|note| (note.bank, note.slot, note.generation) != (bank, slot, generation));
                let found = notes.len() < before;
                self.update_interest();
                if found { Ok(()) } else { Err(Error::new(ENOENT)) }
            }
            Change::Modify { bank, slot, generation, .. } => {
                let notes = &self.queues.get_mut(&queue).unwrap().notes;
                let name = (bank, slot, generation);
                let found = notes.iter().find(|note| (note.bank, note.slot, note.generation) == name);
                let note = *found.ok_or(Error::new(ENOENT))?;
                let page = self.page.clone();
                self.activate(shared, queue, note, page.cell(note.source.index() as u32).unwrap());
                Ok(())
            }
        }
    }

    /// What the server wants of the driver.
    fn update_interest(&self) {
        for (&cell, source) in &self.sources {
            let wanted = self.queues.values().flat_map(|queue| &queue.notes);
            let wanted = wanted.filter(|note| note.source == source.id).count() > 0;
            let interest = if wanted { Filters::all() } else { Filters::empty() };
            self.page.cell(cell).unwrap().set_interest(interest);
        }
    }
}

fn bank(slots: u32) -> Bank<Memory> {
    let layout = BankLayout::new(slots, 1).unwrap();
    (Arc::new(Region::new(Arc::new(Owned::new(layout.size())))), layout)
}

impl Platform for World {
    type Memory = Memory;
    type File = FakeFile;

    fn now(&self) -> u64 {
        self.0.now.load(Ordering::SeqCst)
    }

    fn is_alone(&self) -> bool {
        false
    }

    fn when_thread_ends(&self, told: Weak<dyn Ending>) -> Result<()> {
        self.0.ends.lock().unwrap().add(thread_number(), told, || Ok(()))
    }

    fn cpu(&self) -> u32 {
        // Asked as part of the announcement.
        let act = self.lock().at_parking.take();
        if let Some(act) = act {
            std::thread::spawn(act).join().unwrap();
        }
        0
    }

    fn waiters(&self) -> (&[Waiter], &Seats) {
        (self.0.session.waiters().unwrap(), &self.0.seats)
    }

    fn register_waiter(&self, _number: u32) -> Result<()> {
        self.lock().ask()
    }

    fn sleep(&self, number: u32, deadline: u64) -> Result<()> {
        let mut server = self.lock();
        loop {
            while server.killed.contains(&thread_number()) {
                server = self.0.signalled.wait(server).unwrap();
            }
            if server.dead {
                return Err(Error::new(abi::error::ENOTCONN));
            }
            if std::mem::take(&mut server.signals[number as usize]) != 0 {
                return Ok(());
            }
            if self.now() >= deadline {
                return Err(Error::new(abi::error::ETIMEDOUT));
            }
            if server.clock_runs {
                let next = server.timers.values().map(|timer| timer.next).min();
                let until = next.unwrap_or(deadline).min(deadline);
                assert_ne!(until, u64::MAX, "nothing will ever happen");
                self.advance_to(&mut server, until);
            } else {
                server = self.0.signalled.wait(server).unwrap();
            }
        }
    }

    fn wake(&self, number: u32) {
        let mut server = self.lock();
        server.signals[number as usize] |= 1;
        server.wakes += 1;
        drop(server);
        self.0.signalled.notify_all();
    }

    fn create_queue(&self, slots: u32) -> Result<(QueueNumber, Bank<Memory>)> {
        let mut server = self.lock();
        server.ask()?;
        let (region, layout) = bank(slots);
        let number = server.next_queue;
        server.next_queue += 1;
        let banks = vec![(region.clone(), layout, Producer::new())];
        server.queues.insert(number, FakeQueue { banks, notes: Vec::new() });
        Ok((number, (region, layout)))
    }

    fn grow_queue(&self, queue: QueueNumber, banks: usize, slots: u32) -> Result<Bank<Memory>> {
        let mut server = self.lock();
        server.ask()?;
        if let Some(errno) = server.fail_growing {
            return Err(Error::new(errno));
        }
        let (region, layout) = bank(slots);
        let queue = server.queues.get_mut(&queue).unwrap();
        assert_eq!(queue.banks.len(), banks);
        queue.banks.push((region.clone(), layout, Producer::new()));
        Ok((region, layout))
    }

    fn close_queue(&self, queue: QueueNumber, _shards: u64) {
        let mut server = self.lock();
        server.messages += 1;
        server.queues.remove(&queue);
        server.update_interest();
    }

    fn thread(&self) -> u64 {
        thread_number()
    }

    fn changes(
        &self,
        shard: u32,
        queue: QueueNumber,
        failures_allowed: u32,
        changes: Vec<Change>,
    ) -> Result<Changed> {
        assert_eq!(shard, 0);
        assert!(changes.len() <= event_protocol::control::limits::MAX_CHANGES);
        let before = self.lock().before_change.take();
        if let Some(act) = before {
            std::thread::spawn(act).join().unwrap();
        }
        let mut server = self.lock();
        server.ask()?;
        let mut done = Changed::default();
        for (index, change) in changes.into_iter().enumerate() {
            done.processed += 1;
            let failed = match server.fail_next.take() {
                Some(errno) => Err(Error::new(errno)),
                None => server.change(&self.0, queue, change),
            };
            if let Err(error) = failed {
                done.failures.push((index, error));
                if done.failures.len() >= failures_allowed as usize {
                    break;
                }
            }
        }
        Ok(done)
    }

    fn adopt(&self, file: &FakeFile) -> Result<Source<Memory>> {
        let mut server = self.lock();
        server.ask()?;
        let source = &server.sources[&file.cell];
        Ok(Source {
            id: source.id,
            cell: server.page.keep_cell(file.cell)?,
            filters: source.filters,
            low_water: (1, 1),
        })
    }

    fn release(&self, source: SourceId) {
        let mut server = self.lock();
        server.messages += 1;
        for queue in server.queues.values_mut() {
            queue.notes.retain(|note| note.source != source);
        }
        server.update_interest();
    }

    fn open(&self, path: &str, _flags: u64) -> Result<FakeFile> {
        if path.starts_with("/dev/process/signal/") {
            return self.open_named(path, Filters::SIGNAL);
        }
        let more = match path {
            path if path.starts_with("/urgent/") => Filters::EXCEPT,
            path if path.starts_with("/file/") => Filters::VNODE,
            _ => Filters::empty(),
        };
        self.open_named(path, Filters::READ | Filters::WRITE | more)
    }

    fn kind(&self, file: &FakeFile) -> Kind {
        let server = self.lock();
        match &server.sources[&file.cell].name {
            name if name.starts_with("/file/") => Kind::File,
            name if name.starts_with("/pipe/") => Kind::Pipe,
            _ => Kind::Device,
        }
    }

    fn open_timer(&self) -> Result<FakeFile> {
        self.open_named("timer", Filters::TIMER)
    }

    fn open_beside(&self, _file: &FakeFile, path: &str, flags: u64) -> Result<FakeFile> {
        self.open(path, flags)
    }

    fn path(&self, _path: &str, _request: PathRequest) -> Result<PathReply> {
        Ok(PathReply::Done)
    }

    fn read(&self, file: &FakeFile, buffer: &mut [u8], flags: u64, _offset: u64) -> Result<Read> {
        let mut server = self.lock();
        let level = server.page.cell(file.cell)?.level(Direction::Read).amount;
        if level == 0 && flags & NONBLOCK != 0 {
            return Err(Error::new(abi::error::EAGAIN));
        }
        let count = buffer.len().min(level as usize);
        server.publish(file.cell, Direction::Read, Level::new(level - count as i64), false);
        Ok(Read { count, arrival: 0 })
    }

    fn write(&self, _file: &FakeFile, bytes: &[u8], _flags: u64, _offset: u64) -> Result<usize> {
        Ok(bytes.len())
    }

    fn send(
        &self,
        _file: &FakeFile,
        _address: &str,
        bytes: &[u8],
        _files: &[&FakeFile],
        _flags: MessageFlags,
    ) -> Result<usize> {
        Ok(bytes.len())
    }

    fn receive(
        &self,
        _file: &FakeFile,
        _buffer: &mut [u8],
        _files: usize,
        _flags: MessageFlags,
    ) -> Result<Received<FakeFile>> {
        Err(Error::new(abi::error::EAGAIN))
    }

    fn control(&self, file: &FakeFile, control: Control, _flags: u64) -> Result<ControlReply> {
        let mut server = self.lock();
        server.messages += 1;
        match control {
            Control::Arm(Arm { first, period, absolute, .. }) => {
                let until = self.now() + std::mem::take(&mut server.late);
                self.advance_to(&mut server, until);
                let first = u64::try_from(first).map_err(|_| Error::new(EINVAL))?;
                let next = if absolute { first } else { self.now().saturating_add(first) };
                let period = period.map(|period| u64::try_from(period).unwrap());
                server.timers.insert(file.cell, Timer { next, period });
                let now = self.now();
                self.advance_to(&mut server, now);
            }
            Control::Private { .. } => {
                let before = server.before_answer.take();
                drop(server);
                if let Some(act) = before {
                    act();
                }
            }
            Control::Disarm => drop(server.timers.remove(&file.cell)),
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(ControlReply::Done)
    }
}
