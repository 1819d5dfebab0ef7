//! Random lives of drivers, clients, sources and notes against a reference that knows nothing of rings and words: what
//! should be active is, nothing else is, and nothing is left when all have gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use abi::Handle;
use event_core::directory::Directory;
use event_core::session::Session;
use event_core::shard::Shard;
use event_protocol::activation::{BankLayout, take};
use event_protocol::badge::{Badge, ClientId, DriverId, SourceId};
use event_protocol::cell::Direction;
use event_protocol::changed::{Publisher, Told, memory_size};
use event_protocol::control::client::{Change, View};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::{End, SESSION_SIZE};
use event_protocol::ring::Consumer;
use event_protocol::shared::{Owned, Region};
use event_protocol::slot::{Control, Terms};
use proptest::prelude::*;
use proptest::sample::Index;
use shard_host::{Kernel, Memory};

const CELLS: u32 = 16;
const SLOTS: u32 = 64;
const QUEUES: u32 = 2;
const WAITERS: u32 = 2;

struct Driver {
    id: DriverId,
    memory: Region<Memory>,
    publisher: Publisher,
    rung: bool,
}

struct Source {
    id: SourceId,
    driver: Option<usize>,
    owner: Option<usize>,
    cell: (Region<Memory>, u32),
    amount: i64,
    arrivals: u32,
    ended: bool,
    watched: bool,
    adopters: BTreeSet<usize>,
}

#[derive(Clone, Copy)]
struct Note {
    source: usize,
    generation: u32,
    edge: bool,
    enabled: bool,
    seen: u32,
}

struct Queue {
    bank: Region<Memory>,
    layout: BankLayout,
    consumer: Consumer,
    notes: BTreeMap<u32, Note>,
    ready: Vec<u32>,
}

struct Client {
    id: ClientId,
    session: Arc<Session<Memory>>,
    memory: Region<Memory>,
    queues: BTreeMap<u32, Queue>,
    generation: u32,
    parked: BTreeMap<u32, u32>,
}

struct World {
    shard: Shard<Memory>,
    directory: Directory<Memory>,
    kernel: Kernel,
    drivers: Vec<Option<Driver>>,
    clients: Vec<Option<Client>>,
    sources: Vec<Source>,
}

#[derive(Clone, Debug)]
enum Step {
    Attach,
    Open,
    Create { driver: Index, client: Option<Index> },
    Adopt { client: Index, source: Index },
    Release { client: Index, source: Index },
    Publish { source: Index, amount: u8, arrived: bool },
    Add { client: Index, queue: u32, source: Index, slot: u32, edge: bool },
    Delete { client: Index, queue: u32, slot: u32 },
    Enable { client: Index, queue: u32, slot: u32, enabled: bool },
    Harvest { client: Index, queue: u32 },
    Park { client: Index, queue: u32, waiter: u32 },
    CloseQueue { client: Index, queue: u32 },
    Destroy { source: Index },
    CloseWatch { source: Index },
    DriverDies { driver: Index },
    ClientDies { client: Index },
    Doorbell,
}

fn steps() -> impl Strategy<Value = Step> {
    use Step::*;
    let index = any::<Index>;
    prop_oneof![
        1 => Just(Attach),
        1 => Just(Open),
        3 => (index(), any::<Option<Index>>()).prop_map(|(driver, client)| Create { driver, client }),
        4 => (index(), index()).prop_map(|(client, source)| Adopt { client, source }),
        1 => (index(), index()).prop_map(|(client, source)| Release { client, source }),
        12 => (index(), 0u8..3, any::<bool>())
            .prop_map(|(source, amount, arrived)| Publish { source, amount, arrived }),
        8 => (index(), 0..QUEUES, index(), 0u32..6, any::<bool>())
            .prop_map(|(client, queue, source, slot, edge)| Add { client, queue, source, slot, edge }),
        2 => (index(), 0..QUEUES, 0u32..6).prop_map(|(client, queue, slot)| Delete { client, queue, slot }),
        2 => (index(), 0..QUEUES, 0u32..6, any::<bool>())
            .prop_map(|(client, queue, slot, enabled)| Enable { client, queue, slot, enabled }),
        6 => (index(), 0..QUEUES).prop_map(|(client, queue)| Harvest { client, queue }),
        4 => (index(), 0..QUEUES, 0..WAITERS).prop_map(|(client, queue, waiter)| Park { client, queue, waiter }),
        1 => (index(), 0..QUEUES).prop_map(|(client, queue)| CloseQueue { client, queue }),
        1 => index().prop_map(|source| Destroy { source }),
        1 => index().prop_map(|source| CloseWatch { source }),
        1 => index().prop_map(|driver| DriverDies { driver }),
        1 => index().prop_map(|client| ClientDies { client }),
        12 => Just(Doorbell),
    ]
}

fn pick<T>(of: &[T], index: Index) -> Option<usize> {
    (!of.is_empty()).then(|| index.index(of.len()))
}

fn notification(client: usize, waiter: u32) -> Handle {
    Handle(1 << 32 | (client as u64) << 8 | (u64::from(waiter) + 1))
}

impl World {
    fn new() -> World {
        World {
            shard: Shard::new(0),
            directory: Directory::new(1),
            kernel: Kernel::default(),
            drivers: Vec::new(),
            clients: Vec::new(),
            sources: Vec::new(),
        }
    }

    fn attach(&mut self) {
        let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
        let id = self.shard.attach(Default::default(), memory.clone(), Filters::READ, CELLS).unwrap();
        let driver = Driver { id, memory: Region::new(memory), publisher: Publisher::new(), rung: false };
        self.drivers.push(Some(driver));
    }

    fn open(&mut self) {
        let memory = Arc::new(Owned::new(SESSION_SIZE));
        let session = self.directory.open(memory.clone()).unwrap();
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

    fn create_queue(&mut self, id: ClientId, number: u32) -> Queue {
        let layout = BankLayout::new(SLOTS, 1).unwrap();
        let memory = Arc::new(Owned::new(layout.size()));
        self.directory.create_queue(id, number, SLOTS, memory.clone()).unwrap();
        let (consumer, notes, ready) = (Consumer::new(), BTreeMap::new(), Vec::new());
        Queue { bank: Region::new(memory), layout, consumer, notes, ready }
    }

    fn create(&mut self, driver: usize, client: Option<usize>) {
        let Some(Some(of)) = self.drivers.get(driver) else { return };
        let owner = match client.map(|number| (number, &self.clients[number])) {
            Some((number, Some(client))) => Some((number, client.id)),
            Some((_, None)) => return,
            None => None,
        };
        let live = self.sources.iter().filter(|source| source.driver == Some(driver)).count();
        let made =
            self.shard.create_source(of.id, Filters::READ, owner.map(|(_, id)| id), (1, 1), &mut self.kernel);
        assert_eq!(made.is_ok(), live < CELLS as usize, "quota of cells");
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
        });
    }

    fn publish(&mut self, source: usize, amount: i64, arrived: bool) {
        let source = &mut self.sources[source];
        let Some(driver) = source.driver.and_then(|driver| self.drivers[driver].as_mut()) else { return };
        let changed = driver.memory.changed(CELLS).unwrap();
        let cell = source.cell.0.cell(source.cell.1).unwrap();
        let level = Level::new(amount);
        let told =
            driver.publisher.publish(changed, cell, source.id, Direction::Read, level, arrived).unwrap();
        driver.rung |= told == Told::Ring;
        source.amount = amount;
        source.arrivals += u32::from(arrived);
    }

    fn doorbell(&mut self) {
        let drivers = self.drivers.iter_mut().flatten();
        let bits =
            drivers.map(|driver| u64::from(std::mem::take(&mut driver.rung)) << driver.id.index()).sum();
        assert_eq!(self.shard.doorbell(bits, &mut self.kernel), 0);
    }

    fn add(&mut self, client: usize, queue: u32, source: usize, slot: u32, edge: bool) {
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
        let change = Change::Add { source: found.id, bank: 0, slot, generation, filters, view: View::Kevent };
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

    fn delete(&mut self, client: usize, queue: u32, slot: u32) {
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

    fn forget_notes(&mut self, on: usize, of: Option<usize>) {
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

    fn enable(&mut self, client: usize, queue: u32, slot: u32, enabled: bool) {
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
    fn harvest(&mut self, client: usize, number: u32) {
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

    fn park(&mut self, client: usize, number: u32, waiter: u32) {
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

    fn close_queue(&mut self, client: usize, number: u32) {
        let Some(member) = self.clients[client].as_mut() else { return };
        let id = member.id;
        member.queues.remove(&number);
        member.parked.retain(|_, on| *on != number);
        self.directory.close_queue(id, number).unwrap();
        self.shard.close_queue(id, number).unwrap();
        let queue = self.create_queue(id, number);
        self.clients[client].as_mut().unwrap().queues.insert(number, queue);
    }

    fn end_source(&mut self, source: usize) {
        let source = &mut self.sources[source];
        source.driver = None;
        source.ended = true;
        source.arrivals += 1;
    }

    fn close_watch(&mut self, number: usize) {
        if std::mem::take(&mut self.sources[number].watched) {
            self.shard.watch_closed(self.sources[number].id, &mut self.kernel);
            self.sources[number].adopters.clear();
            self.forget_notes(number, None);
        }
    }

    fn driver_dies(&mut self, number: usize) {
        let Some(driver) = self.drivers[number].take() else { return };
        self.shard.driver_closed(driver.id, &mut self.kernel);
        for source in 0..self.sources.len() {
            if self.sources[source].driver == Some(number) {
                self.end_source(source);
            }
        }
    }

    fn client_dies(&mut self, number: usize) {
        let Some(client) = self.clients[number].take() else { return };
        assert_eq!(self.directory.end(client.id).len(), WAITERS as usize);
        assert!(client.session.is_ended());
        self.shard.client_closed(client.id);
        for source in &mut self.sources {
            source.adopters.remove(&number);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Attach if self.drivers.len() < 4 => self.attach(),
            Step::Open if self.clients.len() < 4 => self.open(),
            Step::Attach | Step::Open => {}
            Step::Create { driver, client } => {
                let client = client.and_then(|client| pick(&self.clients, client));
                if let Some(driver) = pick(&self.drivers, driver) {
                    self.create(driver, client);
                }
            }
            Step::Adopt { client, source } => {
                let (Some(client), Some(source)) = (pick(&self.clients, client), pick(&self.sources, source))
                else {
                    return;
                };
                let (Some(member), found) = (&self.clients[client], &mut self.sources[source]) else {
                    return;
                };
                if !found.watched {
                    return;
                }
                let adopted = self.shard.adopt(member.id, Badge::Source(found.id));
                let allowed = found.owner.is_none_or(|owner| owner == client);
                assert_eq!(adopted.is_ok(), allowed);
                if allowed {
                    found.adopters.insert(client);
                }
            }
            Step::Release { client, source } => {
                let (Some(client), Some(source)) = (pick(&self.clients, client), pick(&self.sources, source))
                else {
                    return;
                };
                let Some(member) = &self.clients[client] else { return };
                self.shard.release(member.id, self.sources[source].id).unwrap();
                self.sources[source].adopters.remove(&client);
                self.forget_notes(source, Some(client));
            }
            Step::Publish { source, amount, arrived } => {
                if let Some(source) = pick(&self.sources, source) {
                    self.publish(source, i64::from(amount), arrived);
                }
            }
            Step::Add { client, queue, source, slot, edge } => {
                if let (Some(client), Some(source)) =
                    (pick(&self.clients, client), pick(&self.sources, source))
                {
                    self.add(client, queue, source, slot, edge);
                }
            }
            Step::Delete { client, queue, slot } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.delete(client, queue, slot);
                }
            }
            Step::Enable { client, queue, slot, enabled } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.enable(client, queue, slot, enabled);
                }
            }
            Step::Harvest { client, queue } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.harvest(client, queue);
                }
            }
            Step::Park { client, queue, waiter } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.park(client, queue, waiter);
                }
            }
            Step::CloseQueue { client, queue } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.close_queue(client, queue);
                }
            }
            Step::Destroy { source } => {
                let Some(source) = pick(&self.sources, source) else { return };
                let Some(driver) = self.sources[source].driver else { return };
                let id = self.drivers[driver].as_ref().unwrap().id;
                self.shard.destroy_source(id, self.sources[source].id, 0, &mut self.kernel).unwrap();
                self.end_source(source);
            }
            Step::CloseWatch { source } => {
                if let Some(source) = pick(&self.sources, source) {
                    self.close_watch(source);
                }
            }
            Step::DriverDies { driver } => {
                if let Some(driver) = pick(&self.drivers, driver) {
                    self.driver_dies(driver);
                }
            }
            Step::ClientDies { client } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.client_dies(client);
                }
            }
            Step::Doorbell => self.doorbell(),
        }
    }

    /// With every doorbell answered: what should be active is in a ready list, once, and who could be woken was.
    fn check(&mut self) {
        self.doorbell();
        assert!(self.kernel.lies.is_empty(), "nobody lied: {:?}", self.kernel.lies);
        for (number, member) in self.clients.iter_mut().enumerate() {
            let Some(member) = member else { continue };
            let words = member.memory.waiters().unwrap();
            for (&on, queue) in &mut member.queues {
                let before: BTreeSet<u32> = queue.ready.iter().copied().collect();
                drain(queue);
                for (slot, note) in &queue.notes {
                    if expected(note, &self.sources[note.source]) {
                        assert!(queue.ready.contains(slot), "lost: slot {slot}");
                    }
                }
                let fresh = queue.ready.iter().filter(|slot| !before.contains(slot)).count();
                let parked: Vec<u32> =
                    member.parked.iter().filter(|(_, queue)| **queue == on).map(|(&w, _)| w).collect();
                let chosen: Vec<u32> =
                    parked.iter().copied().filter(|&w| words[w as usize].is_chosen()).collect();
                if fresh > 0 && !parked.is_empty() {
                    assert!(!chosen.is_empty(), "activated, and nobody woken");
                }
                for waiter in chosen {
                    let handle = notification(number, waiter);
                    assert!(self.kernel.signalled.contains(&handle), "chosen and not signalled");
                }
            }
        }
    }

    /// Everybody goes; nothing may be left.
    fn end(mut self) {
        for client in 0..self.clients.len() {
            self.client_dies(client);
        }
        for driver in 0..self.drivers.len() {
            self.driver_dies(driver);
        }
        for source in 0..self.sources.len() {
            self.close_watch(source);
        }
        let stats = self.shard.stats();
        let left = [stats.clients, stats.drivers, stats.sources, stats.pages, stats.knotes, stats.notes];
        assert_eq!((left, stats.queues), ([0; 6], 0), "leak");
        assert!(self.kernel.pages.is_empty() && self.directory.is_empty());
    }
}

fn expected(note: &Note, source: &Source) -> bool {
    let level = source.amount >= 1 || source.ended;
    note.enabled && level && (!note.edge || note.seen != source.arrivals)
}

fn forget(queue: &mut Queue, slot: u32) {
    if queue.notes.remove(&slot).is_some() {
        queue.bank.slots(queue.layout).unwrap()[slot as usize].retire();
        queue.ready.retain(|&ready| ready != slot);
        drain(queue);
    }
}

/// Moves activations to the ready list; each must be of a live note that is not there yet.
fn drain(queue: &mut Queue) {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_note_is_lost_none_is_invented_and_nothing_is_left(
        steps in prop::collection::vec(steps(), 1..160)
    ) {
        let mut world = World::new();
        world.attach();
        world.open();
        for step in steps {
            let look = matches!(step, Step::Doorbell);
            world.step(step);
            if look {
                world.check();
            }
        }
        world.check();
        world.end();
    }
}
