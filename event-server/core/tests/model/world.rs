//! A shard, and the drivers and clients that it serves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use abi::Handle;
use event_core::directory::Directory;
use event_core::session::Session;
use event_core::shard::Shard;
use event_protocol::activation::{BankLayout, take};
use event_protocol::badge::{ClientId, DriverId, LineageId, SourceId};
use event_protocol::cell::Direction;
use event_protocol::changed::{Publisher, Told, memory_size};
use event_protocol::control::client::{Change, View};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::{End, SESSION_SIZE};
use event_protocol::ring::Consumer;
use event_protocol::shared::{Owned, Region};
use event_protocol::slot::{Control, Terms};
use init_protocol::caller::Caller;
use shard_host::{Kernel, Memory};

pub const CELLS: u32 = 16;
pub const SLOTS: u32 = 64;
pub const QUEUES: u32 = 2;
pub const WAITERS: u32 = 2;
/// The process that all drivers are.
pub const DRIVERS: u32 = 1000;

pub struct Driver {
    pub id: DriverId,
    pub memory: Region<Memory>,
    pub publisher: Publisher,
    pub rung: bool,
    pub lineage: Option<usize>,
}

/// Drivers that follow one another.
pub struct Lineage {
    pub id: LineageId,
    pub driver: Option<usize>,
    pub closed: bool,
}

pub struct Source {
    pub id: SourceId,
    pub driver: Option<usize>,
    pub owner: Option<usize>,
    pub cell: (Region<Memory>, u32),
    pub amount: i64,
    pub arrivals: u32,
    pub ended: bool,
    pub watched: bool,
    pub adopters: BTreeSet<usize>,
    pub page: u64,
    /// The lineage that it belongs to.
    pub durable: Option<usize>,
    /// What it had when its driver died.
    pub away: Option<i64>,
    /// The same while the driver that has claimed it has not said anything yet.
    pub unsaid: Option<i64>,
    /// What its client can go on with.
    pub descriptor: Option<Handle>,
}

#[derive(Clone, Copy)]
pub struct Note {
    pub source: usize,
    pub generation: u32,
    pub edge: bool,
    pub enabled: bool,
    pub seen: u32,
}

pub struct Queue {
    pub bank: Region<Memory>,
    pub layout: BankLayout,
    pub consumer: Consumer,
    pub notes: BTreeMap<u32, Note>,
    pub ready: Vec<u32>,
}

pub struct Client {
    pub id: ClientId,
    pub session: Arc<Session<Memory>>,
    pub memory: Region<Memory>,
    pub queues: BTreeMap<u32, Queue>,
    pub generation: u32,
    pub parked: BTreeMap<u32, u32>,
}

pub struct World {
    pub shard: Shard<Memory>,
    pub directory: Directory<Memory>,
    pub kernel: Kernel,
    pub drivers: Vec<Option<Driver>>,
    pub clients: Vec<Option<Client>>,
    pub sources: Vec<Source>,
    pub lineages: Vec<Lineage>,
}

pub fn notification(client: usize, waiter: u32) -> Handle {
    Handle(1 << 32 | (client as u64) << 8 | (u64::from(waiter) + 1))
}

impl World {
    pub fn new() -> World {
        World {
            shard: Shard::new(0),
            directory: Directory::new(1, u64::MAX),
            kernel: Kernel::default(),
            drivers: Vec::new(),
            clients: Vec::new(),
            sources: Vec::new(),
            lineages: Vec::new(),
        }
    }

    pub fn attach(&mut self) {
        let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
        let account = self.directory.account(Caller { pid: DRIVERS, provider: true });
        let id =
            self.shard.attach(account, Default::default(), memory.clone(), Filters::READ, CELLS).unwrap();
        let (memory, publisher) = (Region::new(memory), Publisher::new());
        let driver = Driver { id, memory, publisher, rung: false, lineage: None };
        self.drivers.push(Some(driver));
    }

    pub fn open(&mut self) {
        let memory = Arc::new(Owned::new(SESSION_SIZE));
        let caller = Caller { pid: self.clients.len() as u32 + 1, provider: false };
        let session = self.directory.open(caller, memory.clone()).unwrap();
        self.shard.enter(session.clone()).unwrap();
        let (id, number) = (session.id(), self.clients.len());
        let mut queues = BTreeMap::new();
        for queue in 0..QUEUES {
            queues.insert(queue, self.create_queue(id, queue));
        }
        for waiter in 0..WAITERS {
            self.directory.set_waiter(id, waiter, notification(number, waiter)).unwrap();
        }
        let memory = Region::new(memory);
        let client = Client { id, session, memory, queues, generation: 0, parked: BTreeMap::new() };
        self.clients.push(Some(client));
    }

    pub fn create_queue(&mut self, id: ClientId, number: u32) -> Queue {
        let layout = BankLayout::new(SLOTS, 1).unwrap();
        let memory = Arc::new(Owned::new(layout.size()));
        self.directory.create_queue(id, number, SLOTS, memory.clone()).unwrap();
        let (consumer, notes, ready) = (Consumer::new(), BTreeMap::new(), Vec::new());
        Queue { bank: Region::new(memory), layout, consumer, notes, ready }
    }

    pub fn create(&mut self, driver: usize, client: Option<usize>, durable: bool) {
        let Some(Some(of)) = self.drivers.get(driver) else { return };
        let owner = match client.map(|number| (number, &self.clients[number])) {
            Some((number, Some(client))) => Some((number, client.session.clone())),
            Some((_, None)) => return,
            None => None,
        };
        let live = self.sources.iter().filter(|source| source.driver == Some(driver)).count();
        let session = owner.as_ref().map(|(_, session)| &**session);
        let (id, lineage, kernel) = (of.id, of.lineage, &mut self.kernel);
        let made = match durable {
            true => self.shard.create_durable(id, Filters::READ, session, (1, 1), vec![7; 9], kernel),
            false => self.shard.create_source(id, Filters::READ, session, (1, 1), kernel),
        };
        let allowed = live < CELLS as usize && (!durable || lineage.is_some());
        assert_eq!(made.is_ok(), allowed, "quota of cells, and of whom it could outlive");
        // Who makes new ones has had the time for the old ones, also if it cannot have it.
        self.settled(driver);
        let Ok(made) = made else { return };
        let page = Region::new(self.kernel.pages[&made.handle].clone());
        self.sources.push(Source {
            id: made.source,
            driver: Some(driver),
            owner: owner.map(|(number, _)| number),
            cell: (page, made.cell),
            amount: 0,
            arrivals: 0,
            ended: false,
            watched: true,
            adopters: BTreeSet::new(),
            page: made.page,
            durable: lineage.filter(|_| durable),
            away: None,
            unsaid: None,
            descriptor: None,
        });
    }

    pub fn publish(&mut self, source: usize, amount: i64, arrived: bool) {
        let source = &mut self.sources[source];
        let Some(driver) = source.driver.and_then(|driver| self.drivers[driver].as_mut()) else { return };
        let changed = driver.memory.changed(CELLS).unwrap();
        let cell = source.cell.0.cell(source.cell.1).unwrap();
        let level = Level::new(amount);
        let told =
            driver.publisher.publish(changed, cell, source.id, Direction::Read, level, arrived).unwrap();
        driver.rung |= told == Told::Ring;
        (source.amount, source.unsaid) = (amount, None);
        source.arrivals += u32::from(arrived);
    }

    pub fn doorbell(&mut self) {
        let drivers = self.drivers.iter_mut().flatten();
        let bits =
            drivers.map(|driver| u64::from(std::mem::take(&mut driver.rung)) << driver.id.index()).sum();
        assert_eq!(self.shard.doorbell(bits, &mut self.kernel), 0);
    }

    pub fn add(&mut self, client: usize, queue: u32, source: usize, slot: u32, edge: bool) {
        let Some(member) = self.clients[client].as_mut() else { return };
        let Ok(memory) = self.directory.queue(member.id, queue) else { return };
        let own = member.queues.get_mut(&queue).unwrap();
        let taken = own.notes.contains_key(&slot);
        member.generation += 1;
        let generation = member.generation;
        let found = &self.sources[source];
        let cell = found.cell.0.cell(found.cell.1).unwrap();
        if !taken {
            let mut control = Control::ENABLED;
            control.set(Control::EDGE, edge);
            let terms = Terms { control, filters: Filters::READ, ..Terms::default() };
            own.bank.slots(own.layout).unwrap()[slot as usize].begin(generation, terms, cell);
        }
        let filters = Filters::READ;
        let change = Change::Add {
            source: found.id,
            bank: 0,
            slot,
            generation,
            filters,
            view: View::Kevent,
            exclusive: false,
        };
        let (processed, failures) =
            self.shard.change(member.id, queue, &memory, 1, &[change], &mut self.kernel).unwrap();
        assert_eq!(processed, 1);
        let allowed = found.adopters.contains(&client) && !found.ended && !taken;
        assert_eq!(failures.is_empty(), allowed, "{failures:?}");
        if allowed {
            let seen = found.arrivals.wrapping_sub(1);
            own.notes.insert(slot, Note { source, generation, edge, enabled: true, seen });
        }
    }

    pub fn delete(&mut self, client: usize, queue: u32, slot: u32) {
        let Some(member) = self.clients[client].as_mut() else { return };
        let Ok(memory) = self.directory.queue(member.id, queue) else { return };
        let own = member.queues.get_mut(&queue).unwrap();
        let generation = own.notes.get(&slot).map_or(member.generation, |note| note.generation);
        let change = Change::Delete { bank: 0, slot, generation };
        let (_, failures) =
            self.shard.change(member.id, queue, &memory, 1, &[change], &mut self.kernel).unwrap();
        assert_eq!(failures.is_empty(), own.notes.contains_key(&slot));
        forget(own, slot);
    }

    pub fn forget_notes(&mut self, on: usize, of: Option<usize>) {
        for (number, member) in self.clients.iter_mut().enumerate() {
            if of.is_some_and(|of| of != number) {
                continue;
            }
            for queue in member.iter_mut().flat_map(|member| member.queues.values_mut()) {
                let doomed: Vec<u32> =
                    queue.notes.iter().filter(|(_, n)| n.source == on).map(|(&s, _)| s).collect();
                for slot in doomed {
                    forget(queue, slot);
                }
            }
        }
    }

    pub fn enable(&mut self, client: usize, queue: u32, slot: u32, enabled: bool) {
        let Some(member) = self.clients[client].as_mut() else { return };
        let Some(queue) = member.queues.get_mut(&queue) else { return };
        let Some(note) = queue.notes.get_mut(&slot) else { return };
        note.enabled = enabled;
        let source = &self.sources[note.source];
        let cell = source.cell.0.cell(source.cell.1).unwrap();
        let words = &queue.bank.slots(queue.layout).unwrap()[slot as usize];
        words.set_enabled(enabled);
        if enabled && words.requeue_if_active(cell) {
            queue.ready.push(slot);
        }
    }

    /// Reports what is true as a queue's owner would, and checks every single report.
    pub fn harvest(&mut self, client: usize, number: u32) {
        let Some(member) = self.clients[client].as_mut() else { return };
        let Some(queue) = member.queues.get_mut(&number) else { return };
        drain(queue);
        for slot in std::mem::take(&mut queue.ready) {
            let note = queue.notes.get_mut(&slot).expect("only live notes are ready");
            let source = &self.sources[note.source];
            let cell = source.cell.0.cell(source.cell.1).unwrap();
            let words = &queue.bank.slots(queue.layout).unwrap()[slot as usize];
            let activity = cell.activity();
            let active = words.active(cell);
            assert_eq!(!active.is_empty(), expected(note, source), "R11: true is reported, else not");
            if !active.is_empty() && !note.edge {
                queue.ready.push(slot);
                continue;
            }
            if !active.is_empty() {
                words.see_activity(activity, active);
                note.seen = source.arrivals;
            }
            assert!(!words.settle(cell), "nothing runs meanwhile");
        }
    }

    pub fn park(&mut self, client: usize, number: u32, waiter: u32) {
        let Some(member) = self.clients[client].as_mut() else { return };
        let words = &member.memory.waiters().unwrap()[waiter as usize];
        if let Some(on) = member.parked.remove(&waiter) {
            let Some(queue) = member.queues.get_mut(&on) else { return };
            let parked = queue.bank.queue_header().unwrap().parked();
            let was_chosen = words.is_chosen();
            let end = words.withdraw(parked, waiter);
            assert_eq!(end == End::Chosen, was_chosen);
            if end == End::Chosen {
                // It owes a harvest.
                drain(queue);
            }
            return;
        }
        let Some(queue) = member.queues.get_mut(&number) else { return };
        drain(queue);
        if queue.ready.is_empty() {
            words.announce(queue.bank.queue_header().unwrap().parked(), waiter, 0);
            member.parked.insert(waiter, number);
        }
    }

    pub fn close_queue(&mut self, client: usize, number: u32) {
        let Some(member) = self.clients[client].as_mut() else { return };
        let id = member.id;
        member.queues.remove(&number);
        member.parked.retain(|_, on| *on != number);
        self.directory.close_queue(id, number).unwrap();
        self.shard.close_queue(id, number, &mut self.kernel).unwrap();
        let queue = self.create_queue(id, number);
        self.clients[client].as_mut().unwrap().queues.insert(number, queue);
    }

    pub fn end_source(&mut self, source: usize) {
        let source = &mut self.sources[source];
        source.driver = None;
        source.ended = true;
        source.arrivals += 1;
        (source.durable, source.away, source.descriptor) = (None, None, None);
        source.unsaid = None;
    }

    pub fn close_watch(&mut self, number: usize) {
        if std::mem::take(&mut self.sources[number].watched) {
            self.shard.watch_closed(self.sources[number].id, &mut self.kernel);
            let source = &mut self.sources[number];
            source.adopters.clear();
            // Nobody can go on with it.
            if source.away.is_some() {
                self.end_source(number);
            }
            (self.sources[number].durable, self.sources[number].descriptor) = (None, None);
            self.forget_notes(number, None);
        }
    }

    pub fn driver_dies(&mut self, number: usize) {
        let Some(driver) = self.drivers[number].take() else { return };
        self.shard.driver_closed(driver.id, &mut self.kernel);
        for source in 0..self.sources.len() {
            if self.sources[source].driver != Some(number) {
                continue;
            }
            let left = &mut self.sources[source];
            if left.durable.is_none() || left.durable != driver.lineage {
                self.end_source(source);
                continue;
            }
            (left.driver, left.descriptor) = (None, None);
            let amount = std::mem::take(&mut left.amount);
            left.away = Some(left.unsaid.take().unwrap_or(amount));
        }
        if let Some(lineage) = driver.lineage {
            self.lineages[lineage].driver = None;
        }
    }

    pub fn client_dies(&mut self, number: usize) {
        let Some(client) = self.clients[number].take() else { return };
        assert_eq!(self.directory.end(client.id).len(), WAITERS as usize);
        assert!(client.session.is_ended());
        self.shard.client_closed(client.id, &mut self.kernel);
        for source in &mut self.sources {
            source.adopters.remove(&number);
        }
    }
}

fn forget(queue: &mut Queue, slot: u32) {
    if queue.notes.remove(&slot).is_some() {
        queue.bank.slots(queue.layout).unwrap()[slot as usize].retire();
        queue.ready.retain(|&ready| ready != slot);
        drain(queue);
    }
}

/// Moves activations to the ready list; each must be of a live note that is not there yet.
pub fn drain(queue: &mut Queue) {
    let header = queue.bank.queue_header().unwrap();
    if header.take_pending() == 0 {
        return;
    }
    let ring = queue.bank.ring(queue.layout, 0).unwrap();
    let slots = queue.bank.slots(queue.layout).unwrap();
    while let Some((slot, _)) = take(&mut queue.consumer, ring, slots).unwrap() {
        assert!(queue.notes.contains_key(&slot), "R35: activation of a deleted note");
        assert!(!queue.ready.contains(&slot), "R60: in two places");
        queue.ready.push(slot);
    }
}

pub fn expected(note: &Note, source: &Source) -> bool {
    let level = source.amount >= 1 || source.ended;
    note.enabled && level && (!note.edge || note.seen != source.arrivals)
}
