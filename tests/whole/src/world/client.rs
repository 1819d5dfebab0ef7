//! A client process's way to the world: what `libkq::machine` is on a machine with a kernel.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use abi::error::{EAGAIN, EINVAL, EMFILE, ENOENT, ENOMEM, ENOTCONN, EPERM, ETIMEDOUT, Error, Result};
use event_protocol::activation::BankLayout;
use event_protocol::badge::{Badge, ClientId, SourceId};
use event_protocol::control::client::{Change, QueueNumber};
use event_protocol::control::limits::MAX_QUEUES;
use event_protocol::descriptor::message::MessageFlags;
use event_protocol::descriptor::{Arm, Control, ControlReply, Kind, PathReply, PathRequest};
use event_protocol::filter::Filters;
use event_protocol::park::{SESSION_SIZE, Waiter};
use event_protocol::shared::{Owned, Region};
use init_protocol::caller::Caller;
use libkq::ending::Ending;
use libkq::engine::Seats;
use libkq::platform::{Bank, Changed, Platform, Read, Received, Source};
use shard_host::Memory;

use super::driver::{FileNumber, Nature};
use super::server::{Server, notification};
use super::turns::Turns;
use super::{CLOCK_DRIVER, State, World};

/// A client as the world knows it.
pub struct ClientState {
    id: ClientId,
    alive: bool,
    queues: Vec<bool>,
    /// The files of its open descriptions.
    open: BTreeMap<u64, FileNumber>,
}

/// A timer that runs.
pub struct Timer {
    next: u64,
    period: Option<u64>,
}

/// A client.
pub struct Client {
    world: World,
    number: usize,
    id: ClientId,
    first: u32,
    session: Region<Memory>,
    seats: Seats,
}

/// An open description at its driver.
pub struct OpenFile {
    world: World,
    client: usize,
    description: u64,
    file: FileNumber,
}

/// The path by which a client's attempts to send a signal are counted.
pub fn signal_path(client: usize, signal: u32) -> String {
    format!("/client/{client}{}{signal}", "/dev/process/signal/")
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        if state.clients[self.client].open.remove(&self.description).is_some() {
            state.close(self.file, self.description);
            state.settle();
        }
    }
}

impl State {
    fn open(&mut self, client: usize, file: FileNumber) -> u64 {
        self.next_description += 1;
        self.clients[client].open.insert(self.next_description, file);
        self.next_description
    }

    fn close(&mut self, file: FileNumber, description: u64) {
        self.timers.remove(&file);
        // Who hears first is chance.
        let driver_first = description.is_multiple_of(2);
        self.drivers.close(&mut self.server, file, description, driver_first);
    }

    /// A thread is about to sleep, perhaps again without having slept.
    fn announced(&mut self) {
        self.announced += 1;
        assert!(self.announced < super::TURNS, "a wait spins");
    }

    pub(super) fn client_dies(&mut self, client: usize) {
        let dead = &mut self.clients[client];
        if !std::mem::replace(&mut dead.alive, false) {
            return;
        }
        let (id, open) = (dead.id, std::mem::take(&mut dead.open));
        // Handles are closed in no order that anybody may rely on.
        let half = open.len() / 2;
        let (first, second): (Vec<_>, Vec<_>) = open.into_iter().enumerate().partition(|(at, _)| *at < half);
        for (_, (description, file)) in first {
            self.close(file, description);
        }
        self.server.directory.end(id);
        let Server { shards, kernel, .. } = &mut self.server;
        shards.iter_mut().for_each(|shard| shard.client_closed(id, kernel));
        for (_, (description, file)) in second {
            self.close(file, description);
        }
        self.settle();
    }

    pub(super) fn advance_to(&mut self, until: u64) {
        loop {
            let due = self.timers.iter().map(|(&file, timer)| (timer.next, file)).min();
            let Some((next, file)) = due.filter(|&(next, _)| next <= until) else { break };
            self.now = self.now.max(next);
            if let Some(timer) = self.timers.get_mut(&file) {
                match timer.period {
                    Some(period) => timer.next = next.saturating_add(period),
                    None => drop(self.timers.remove(&file)),
                }
            }
            self.drivers.count(file, 1);
        }
        self.now = until;
        let now = self.now;
        self.turns.wake(|_, _, deadline| deadline <= now);
    }
}

impl Client {
    /// A new client of the event server.
    pub(super) fn enter(world: &World, first: u32) -> (usize, Client) {
        let mut state = world.lock();
        let memory = Arc::new(Owned::new(SESSION_SIZE));
        let caller = Caller { pid: state.clients.len() as u32 + 1, provider: false };
        let session = state.server.directory.open(caller, memory.clone()).unwrap();
        let id = session.id();
        state.server.shards[first as usize].enter(session).unwrap();
        let number = state.clients.len();
        let queues = vec![false; MAX_QUEUES as usize];
        state.clients.push(ClientState { id, alive: true, queues, open: BTreeMap::new() });
        let session = Region::new(memory);
        (number, Client { world: world.clone(), number, id, first, session, seats: Seats::new() })
    }

    /// Its state in the world, unless it is dead.
    fn alive(&self) -> Result<std::sync::MutexGuard<'_, State>> {
        let state = self.world.lock();
        if state.clients[self.number].alive { Ok(state) } else { Err(Error::new(ENOTCONN)) }
    }

    fn file(&self, description: u64, file: FileNumber) -> OpenFile {
        OpenFile { world: self.world.clone(), client: self.number, description, file }
    }

    /// A descriptor for the same file came from another process.
    pub fn receive_file(&self, file: FileNumber) -> Result<OpenFile> {
        let mut state = self.alive()?;
        let description = state.open(self.number, file);
        Ok(self.file(description, file))
    }

    fn open_counting(&self, path: &str, filters: Filters) -> Result<OpenFile> {
        let mut state = self.alive()?;
        let nature =
            Nature { driver: CLOCK_DRIVER, kind: Kind::Device, filters, low_water: (1, 1), shared: false };
        let known = state.paths.get(path).copied().filter(|_| !path.is_empty());
        let file = known.unwrap_or_else(|| state.drivers.create(nature));
        if !path.is_empty() {
            state.paths.insert(String::from(path), file);
        }
        let description = state.open(self.number, file);
        Ok(self.file(description, file))
    }

    fn bank(&self, shards: usize, slots: u32) -> Result<(Memory, Bank<Memory>)> {
        let layout = BankLayout::new(slots, shards as u32).ok_or(Error::new(ENOMEM))?;
        let memory = Arc::new(Owned::new(layout.size()));
        Ok((memory.clone(), (Arc::new(Region::new(memory)), layout)))
    }
}

impl Platform for Client {
    type Memory = Memory;
    type File = OpenFile;

    fn now(&self) -> u64 {
        self.world.lock().now
    }

    fn cpu(&self) -> u32 {
        // Asked each time that a thread is about to sleep.
        self.world.lock().announced();
        0
    }

    fn thread(&self) -> u64 {
        // The test's own thread has a number too.
        Turns::current().map_or(1, |task| task as u64 + 2)
    }

    fn is_alone(&self) -> bool {
        // Threads end when their call is over, and never in it.
        true
    }

    fn when_thread_ends(&self, _told: Weak<dyn Ending>) -> Result<()> {
        // Threads end when their call is over, and leave nothing behind.
        Ok(())
    }

    fn waiters(&self) -> (&[Waiter], &Seats) {
        (self.session.waiters().unwrap_or_default(), &self.seats)
    }

    fn register_waiter(&self, number: u32) -> Result<()> {
        let mut state = self.alive()?;
        state.server.directory.set_waiter(self.id, number, notification(self.number, number)).map(drop)
    }

    fn sleep(&self, number: u32, deadline: u64) -> Result<()> {
        let task = Turns::current().expect("the test's own thread would sleep");
        let mut state = self.world.lock();
        loop {
            if !state.clients[self.number].alive || state.turns.are_over() {
                return Err(Error::new(ENOTCONN));
            }
            if state.signals.remove(&(self.number, number)) {
                return Ok(());
            }
            if state.now >= deadline {
                return Err(Error::new(ETIMEDOUT));
            }
            state.announced = 0;
            state.turns.sleep(task, self.number, number, deadline);
            self.world.0.turned.notify_all();
            state = self.world.wait_for_turn(state, task);
        }
    }

    fn wake(&self, number: u32) {
        self.world.lock().signal(self.number, number);
    }

    fn create_queue(&self, slots: u32) -> Result<(QueueNumber, Bank<Memory>)> {
        let mut state = self.alive()?;
        let (memory, bank) = self.bank(state.server.shards.len(), slots)?;
        let queues = &mut state.clients[self.number].queues;
        let number = queues.iter().position(|used| !used).ok_or(Error::new(EMFILE))?;
        queues[number] = true;
        state.server.directory.create_queue(self.id, number as u32, slots, memory)?;
        Ok((number as u32, bank))
    }

    fn grow_queue(&self, queue: QueueNumber, banks: usize, slots: u32) -> Result<Bank<Memory>> {
        let mut state = self.alive()?;
        let (memory, bank) = self.bank(state.server.shards.len(), slots)?;
        let number = state.server.directory.grow_queue(self.id, queue, slots, memory)?;
        assert_eq!(usize::from(number), banks);
        Ok(bank)
    }

    fn close_queue(&self, queue: QueueNumber, shards: u64) {
        let Ok(mut state) = self.alive() else { return };
        let shards = shards | 1 << self.first;
        for shard in 0..state.server.shards.len() {
            if shards & 1 << shard != 0 {
                state.server.directory.close_queue(self.id, queue).unwrap();
                let Server { shards, kernel, .. } = &mut state.server;
                shards[shard].close_queue(self.id, queue, kernel).unwrap();
            }
        }
        state.clients[self.number].queues[queue as usize] = false;
    }

    fn changes(
        &self,
        shard: u32,
        queue: QueueNumber,
        failures_allowed: u32,
        changes: Vec<Change>,
    ) -> Result<Changed> {
        let state = &mut *self.alive()?;
        let memory = state.server.directory.queue(self.id, queue)?;
        let (own, kernel) = (&mut state.server.shards[shard as usize], &mut state.server.kernel);
        let (processed, failures) =
            own.change(self.id, queue, &memory, failures_allowed, &changes, kernel)?;
        state.settle();
        let failures = failures.iter().map(|failure| {
            let errno = i32::try_from(failure.errno).unwrap();
            (failure.index as usize, Error::new(errno))
        });
        Ok(Changed { processed: processed as usize, failures: failures.collect() })
    }

    fn adopt(&self, file: &OpenFile) -> Result<Source<Memory>> {
        let state = &mut *self.alive()?;
        if state.drivers.nature(file.file).filters.is_empty() {
            return Err(Error::new(EPERM));
        }
        let id = state.drivers.watch(&mut state.server, file.file, file.description, self.id)?;
        let session = state.server.directory.session(self.id)?;
        let Server { shards, kernel, .. } = &mut state.server;
        let shard = &mut shards[id.shard() as usize];
        shard.enter(session)?;
        let (adopted, page) = shard.adopt(self.id, Badge::Source(id), kernel)?;
        let page = Arc::new(Region::new(state.server.kernel.pages[&page].clone()));
        Ok(Source {
            id,
            cell: page.keep_cell(adopted.cell)?,
            filters: adopted.filters,
            low_water: adopted.low_water,
        })
    }

    fn hand_back(&self, queue: QueueNumber, shards: u64) {
        let Ok(mut state) = self.alive() else { return };
        let Server { shards: all, kernel, .. } = &mut state.server;
        for (number, shard) in all.iter_mut().enumerate() {
            if shards & 1 << number != 0 {
                shard.hand_back(self.id, queue, kernel).unwrap();
            }
        }
    }

    fn release(&self, source: SourceId) {
        let Ok(mut state) = self.alive() else { return };
        let Server { shards, kernel, .. } = &mut state.server;
        shards[source.shard() as usize].release(self.id, source, kernel).unwrap();
    }

    fn open(&self, path: &str, _flags: u64) -> Result<OpenFile> {
        if let Some(signal) = path.strip_prefix("/dev/process/signal/") {
            let signal = signal.parse().map_err(|_| Error::new(ENOENT))?;
            return self.open_counting(&signal_path(self.number, signal), Filters::SIGNAL);
        }
        let mut state = self.alive()?;
        let file = *state.paths.get(path).ok_or(Error::new(ENOENT))?;
        if state.drivers.is_gone(file) {
            return Err(Error::new(abi::error::ENODEV));
        }
        let description = state.open(self.number, file);
        Ok(self.file(description, file))
    }

    fn kind(&self, file: &OpenFile) -> Kind {
        self.world.lock().drivers.nature(file.file).kind
    }

    fn open_timer(&self) -> Result<OpenFile> {
        self.open_counting("", Filters::TIMER)
    }

    fn open_beside(&self, _file: &OpenFile, path: &str, flags: u64) -> Result<OpenFile> {
        self.open(path, flags)
    }

    fn path(&self, _path: &str, _request: PathRequest) -> Result<PathReply> {
        Err(Error::new(EINVAL))
    }

    fn read(&self, _file: &OpenFile, _buffer: &mut [u8], _flags: u64, _offset: u64) -> Result<Read> {
        Err(Error::new(EAGAIN))
    }

    fn write(&self, _file: &OpenFile, _bytes: &[u8], _flags: u64, _offset: u64) -> Result<usize> {
        Err(Error::new(EAGAIN))
    }

    fn send(
        &self,
        _file: &OpenFile,
        _address: &str,
        _bytes: &[u8],
        _files: &[&OpenFile],
        _flags: MessageFlags,
    ) -> Result<usize> {
        Err(Error::new(EAGAIN))
    }

    fn receive(
        &self,
        _file: &OpenFile,
        _buffer: &mut [u8],
        _files: usize,
        _flags: MessageFlags,
    ) -> Result<Received<OpenFile>> {
        Err(Error::new(EAGAIN))
    }

    fn control(&self, file: &OpenFile, control: Control, _flags: u64) -> Result<ControlReply> {
        let mut state = self.alive()?;
        match control {
            Control::Arm(Arm { first, period, absolute, .. }) => {
                let first = u64::try_from(first).map_err(|_| Error::new(EINVAL))?;
                let next = if absolute { first } else { state.now.saturating_add(first) };
                let period = period.and_then(|period| u64::try_from(period).ok());
                state.timers.insert(file.file, Timer { next, period });
                let now = state.now;
                state.advance_to(now);
                state.settle();
            }
            Control::Disarm => drop(state.timers.remove(&file.file)),
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(ControlReply::Done)
    }
}
