//! A world for the library on the host: an event server of one shard that acts at once, a driver whose levels the test
//! sets, timers on a clock that the test moves. It speaks the real protocol over real (process-local) memory.
#![allow(dead_code)]

pub mod lasting;
mod platform;
mod server;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use event_protocol::badge::SourceId;
use event_protocol::cell::Direction;
use event_protocol::changed::{Drain, Publisher, memory_size};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::{MAX_WAITERS, SESSION_SIZE};
use event_protocol::parked::Parked;
use event_protocol::shared::{Owned, Region};
use libkq::ending::{Watches, tell};
use libkq::engine::Seats;
use libkq::process::Process;
use libkq::{Error, Result};

use server::{CELLS, FakeSource, SOURCES_AT_MOST, Server};

pub const EBADF: i32 = abi::error::EBADF;
pub const EINVAL: i32 = abi::error::EINVAL;
pub const ENOENT: i32 = abi::error::ENOENT;
pub const ENODEV: i32 = abi::error::ENODEV;

/// A number of the calling thread.
pub fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

/// The memory that client and server share.
type Memory = Arc<Owned>;

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

/// An open file of the fake driver; closes with its value.
pub struct FakeFile {
    world: World,
    cell: u32,
    descriptor: lasting::Descriptor,
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
                drivers: Default::default(),
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

    /// Places in which a thread is parked, of all queues.
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

    /// Waits until so many threads have announced themselves, each in all the sets that it waits for.
    pub fn until_announced(&self, threads: usize) {
        let waiters = self.0.session.waiters().unwrap();
        while waiters.iter().filter(|waiter| waiter.is_parked()).count() < threads {
            std::thread::yield_now();
        }
    }

    /// Waits until there are so many places in which a thread is parked: one that waits for sets in sets has several.
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
        server
            .sources
            .insert(cell, FakeSource { id, filters, name: String::from(name), gone: false, durable: None });
        Ok(FakeFile { world: self.clone(), cell, descriptor: Default::default() })
    }
}
