//! A machine without a kernel: the event server's real shards, drivers that publish through the real protocol, client
//! processes that are libkq's, threads that run one at a time, a clock that the test moves.

mod client;
mod driver;
mod server;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use event_protocol::cell::Direction;
use event_protocol::level::Level;
use libkq::process::Process;

pub use client::{Client, OpenFile, signal_path};
use client::{ClientState, Timer};
use driver::Drivers;
pub use driver::{FileNumber, Nature};
pub use server::Counts;
use server::{Server, waiter_of};
use turns::Turns;

/// The driver of timers and signals, which never dies.
const CLOCK_DRIVER: usize = 0;

/// More turns than any number of threads needs before all sleep.
const TURNS: usize = 1000;

/// The machine.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    turned: Condvar,
}

/// Everything outside of the clients' own memory.
struct State {
    server: Server,
    drivers: Drivers,
    clients: Vec<ClientState>,
    /// The file of each path.
    paths: BTreeMap<String, FileNumber>,
    timers: BTreeMap<FileNumber, Timer>,
    now: u64,
    turns: Turns,
    /// Waiters that were signalled and have not found out.
    signals: BTreeSet<(usize, u32)>,
    next_description: u64,
    /// How often threads were about to sleep since one slept.
    announced: usize,
}

impl State {
    /// Passes on what shards have signalled.
    fn deliver_signals(&mut self) {
        for notification in std::mem::take(&mut self.server.kernel.signalled) {
            let (client, waiter) = waiter_of(notification);
            self.signal(client, waiter);
        }
    }

    fn signal(&mut self, client: usize, waiter: u32) {
        self.signals.insert((client, waiter));
        self.turns.wake(|asleep, number, _| (asleep, number) == (client, waiter));
    }

    fn settle(&mut self) {
        self.drivers.ring(&mut self.server);
        self.deliver_signals();
    }
}

impl World {
    /// A machine of so many CPUs, with the driver of timers and signals in shard 0.
    pub fn new(shards: u32) -> World {
        let mut server = Server::new(shards);
        let mut drivers = Drivers::default();
        assert_eq!(drivers.attach(&mut server, 0), CLOCK_DRIVER);
        World(Arc::new(Shared {
            state: Mutex::new(State {
                server,
                drivers,
                clients: Vec::new(),
                paths: BTreeMap::new(),
                timers: BTreeMap::new(),
                now: 1_000_000,
                turns: Turns::default(),
                signals: BTreeSet::new(),
                next_description: 0,
                announced: 0,
            }),
            turned: Condvar::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A process that enters the machine by this shard.
    pub fn process(&self, first: u32) -> (usize, Arc<Process<Client>>) {
        let (number, client) = Client::enter(self, first);
        (number, Arc::new(Process::new(client)))
    }

    /// A process ends at once, wherever its threads are. What its memory held is not asked for anything any more.
    pub fn client_dies(&self, client: usize) {
        let mut state = self.lock();
        state.client_dies(client);
        state.turns.wake(|asleep, _, _| asleep == client);
    }

    /// A driver begins in a shard.
    pub fn attach(&self, shard: u32) -> usize {
        let state = &mut *self.lock();
        state.drivers.attach(&mut state.server, shard)
    }

    /// A driver dies.
    pub fn driver_dies(&self, driver: usize) {
        let state = &mut *self.lock();
        state.drivers.die(&mut state.server, driver);
        state.settle();
    }

    /// A file comes to be under a path; what had the path before has it no more.
    pub fn create(&self, path: &str, nature: Nature) -> FileNumber {
        let mut state = self.lock();
        let file = state.drivers.create(nature);
        state.paths.insert(String::from(path), file);
        file
    }

    /// A device is unplugged.
    pub fn detach(&self, file: FileNumber) {
        let state = &mut *self.lock();
        state.drivers.detach(&mut state.server, file);
        state.settle();
    }

    /// The level of a direction is this one now.
    pub fn publish(&self, file: FileNumber, direction: Direction, level: Level, error: u32, arrived: bool) {
        let mut state = self.lock();
        state.drivers.publish(file, direction, level, error, arrived);
        state.settle();
    }

    /// Something happened to a file.
    pub fn note(&self, file: FileNumber, bits: u32) {
        let mut state = self.lock();
        state.drivers.note(file, bits);
        state.settle();
    }

    /// A signal is sent to a process, whether anybody wants to know or not (R28).
    pub fn attempt(&self, client: usize, signal: u32) {
        let mut state = self.lock();
        if let Some(&file) = state.paths.get(&signal_path(client, signal)) {
            state.drivers.count(file, 1);
        }
        state.settle();
    }

    /// Time passes.
    pub fn advance(&self, ns: u64) {
        let mut state = self.lock();
        let until = state.now.saturating_add(ns);
        state.advance_to(until);
        state.settle();
    }

    /// What lives in the server.
    pub fn counts(&self) -> Counts {
        self.lock().server.counts()
    }

    /// Sessions of clients.
    pub fn sessions(&self) -> usize {
        self.lock().server.directory.len()
    }

    /// Begins a thread of a client; it runs at the next [`run`](World::run).
    pub fn spawn(&self, body: impl FnOnce() + Send + 'static) -> (usize, std::thread::JoinHandle<()>) {
        let task = self.lock().turns.begin();
        let world = self.clone();
        let thread = std::thread::spawn(move || {
            Turns::is(task);
            let _turn = Turn { world: world.clone(), task };
            drop(world.wait_for_turn(world.lock(), task));
            body();
        });
        (task, thread)
    }

    fn wait_for_turn<'a>(&self, mut state: MutexGuard<'a, State>, task: usize) -> MutexGuard<'a, State> {
        while !state.turns.may_run(task) {
            state = self.0.turned.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state
    }

    /// Lets the threads run until each has ended or sleeps. Those that have ended, in order.
    pub fn run(&self) -> Vec<usize> {
        let mut state = self.lock();
        let mut turns = 0;
        while state.turns.next() {
            turns += 1;
            state.announced = 0;
            assert!(turns < TURNS, "threads wake each other for ever");
            self.0.turned.notify_all();
            while !state.turns.is_own() {
                state = self.0.turned.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
        }
        state.turns.take_ended()
    }

    /// The test is over, however it went: threads that sleep end.
    pub fn give_up(&self) {
        self.lock().turns.give_up();
        self.0.turned.notify_all();
    }
}

/// A thread's turn, which is given on when the thread ends, however it ends.
struct Turn {
    world: World,
    task: usize,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.world.lock().turns.end(self.task);
        self.world.0.turned.notify_all();
    }
}
