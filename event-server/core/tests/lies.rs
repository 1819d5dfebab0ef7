//! Peers that write nonsense into shared memory end their own session, and nobody else's (R56).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use abi::error::{EACCES, EBADF, EEXIST, EINVAL, EMFILE, ENODEV, ENOENT, ENOMEM, ENOTCONN, Error};
use event_core::directory::Directory;
use event_core::session::Session;
use event_core::shard::Shard;
use event_protocol::activation::{BankLayout, take};
use event_protocol::badge::{Badge, DriverId, SourceId};
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Changed, ChangedHeader, Publisher, memory_size};
use event_protocol::control::client::{Change, View};
use event_protocol::control::limits::MAX_CHANGES;
use event_protocol::fault::Fault;
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};
use event_protocol::park::SESSION_SIZE;
use event_protocol::parked::NO_WAITER;
use event_protocol::ring::Consumer;
use event_protocol::shared::{Kept, Owned, Region};
use event_protocol::slot::{Control, Slot, Terms};
use init_protocol::caller::Caller;
use proptest::prelude::*;
use shard_host::{Kernel, Liar, Memory};

const CELLS: u32 = 16;
const SLOTS: u32 = 64;

struct World {
    shard: Shard<Memory>,
    directory: Directory<Memory>,
    kernel: Kernel,
    /// Processes so far.
    pids: u32,
}

struct Client {
    session: Arc<Session<Memory>>,
    bank: Arc<Region<Memory>>,
    layout: BankLayout,
    consumer: Consumer,
}

struct Driver {
    id: DriverId,
    memory: Memory,
    publisher: Publisher,
}

impl World {
    fn new() -> World {
        World {
            shard: Shard::new(0),
            directory: Directory::new(1, u64::MAX),
            kernel: Kernel::default(),
            pids: 0,
        }
    }

    /// A process of its own.
    fn caller(&mut self) -> Caller {
        self.pids += 1;
        Caller { pid: self.pids, provider: false }
    }

    fn open(&mut self) -> Arc<Session<Memory>> {
        let caller = self.caller();
        self.directory.open(caller, Arc::new(Owned::new(SESSION_SIZE))).unwrap()
    }

    fn client(&mut self) -> Client {
        let session = self.open();
        self.shard.enter(session.clone()).unwrap();
        let layout = BankLayout::new(SLOTS, 1).unwrap();
        let memory = Arc::new(Owned::new(layout.size()));
        self.directory.create_queue(session.id(), 0, SLOTS, memory.clone()).unwrap();
        Client { session, bank: Arc::new(Region::new(memory)), layout, consumer: Consumer::new() }
    }

    fn driver(&mut self) -> Driver {
        let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
        let caller = self.caller();
        let account = self.directory.account(caller);
        let id =
            self.shard.attach(account, Default::default(), memory.clone(), Filters::READ, CELLS).unwrap();
        Driver { id, memory, publisher: Publisher::new() }
    }

    fn shared_source(&mut self, driver: &Driver) -> (SourceId, Kept<Memory, Cell>) {
        let made =
            self.shard.create_source(driver.id, Filters::READ, None, (1, 1), &mut self.kernel).unwrap();
        let page = Arc::new(Region::new(self.kernel.pages[&made.handle].clone()));
        (made.source, page.keep_cell(made.cell).unwrap())
    }

    fn add(&mut self, client: &Client, source: SourceId, cell: &Cell, slot: u32) -> Result<(), i32> {
        let terms = Terms { control: Control::ENABLED, filters: Filters::READ, ..Terms::default() };
        client.slot(slot).begin(1, terms, cell);
        self.change(client, add(source, 0, slot, Filters::READ))
    }

    fn change(&mut self, client: &Client, change: Change) -> Result<(), i32> {
        let id = client.session.id();
        let memory = self.directory.queue(id, 0).map_err(|error| error.errno)?;
        let changed = self.shard.change(id, 0, &memory, 1, &[change], &mut self.kernel);
        let (_, failures) = changed.map_err(|error| error.errno)?;
        failures.first().map_or(Ok(()), |failure| Err(failure.errno as i32))
    }

    fn publish(&mut self, driver: &mut Driver, source: SourceId, cell: &Cell, amount: i64) {
        let region = Region::new(driver.memory.clone());
        let changed = region.changed(CELLS).unwrap();
        let level = Level::new(amount);
        let told = driver.publisher.publish(changed, cell, source, Direction::Read, level, true);
        let _ = told.unwrap();
        self.shard.doorbell(1 << driver.id.index(), &mut self.kernel);
    }
}

impl Client {
    fn slot(&self, slot: u32) -> Kept<Memory, Slot> {
        self.bank.keep_slot(self.layout, slot).unwrap()
    }

    fn take(&mut self) -> Option<u32> {
        let ring = self.bank.ring(self.layout, 0).unwrap();
        let slots = self.bank.slots(self.layout).unwrap();
        take(&mut self.consumer, ring, slots).unwrap().map(|(slot, _)| slot)
    }
}

fn add(source: SourceId, bank: u8, slot: u32, filters: Filters) -> Change {
    Change::Add { source, bank, slot, generation: 1, filters, view: View::Kevent, exclusive: false }
}

#[test]
fn a_client_that_never_consumes_and_clears_its_words_is_ended_alone() {
    let mut world = World::new();
    let (liar, mut honest, mut driver) = (world.client(), world.client(), world.driver());
    let (source, cell) = world.shared_source(&driver);
    for client in [&liar, &honest] {
        world.shard.adopt(client.session.id(), Badge::Source(source)).unwrap();
        world.add(client, source, &cell, 0).unwrap();
    }
    for round in 0..200 {
        // The liar says that its note is idle though it has not taken it out of the ring.
        let _ = liar.slot(0).settle(&Cell::default());
        world.publish(&mut driver, source, &cell, 1);
        if round == 0 {
            assert_eq!(honest.take(), Some(0));
            assert!(world.kernel.lies.is_empty());
        }
    }
    let fault = Fault::RingFull { capacity: SLOTS };
    assert_eq!(world.kernel.lies, [(Liar::Client(liar.session.id()), fault)]);
    assert!(liar.session.is_ended() && !honest.session.is_ended());
    assert_eq!(world.change(&liar, add(source, 0, 1, Filters::READ)), Err(ENOTCONN));
    // The other one is still served.
    assert!(!honest.slot(0).settle(&Cell::default()));
    world.publish(&mut driver, source, &cell, 1);
    assert_eq!(honest.take(), Some(0));
}

#[test]
fn a_driver_that_speaks_for_another_is_ended_and_its_sources_with_it() {
    let mut world = World::new();
    let (mut client, mut liar, honest) = (world.client(), world.driver(), world.driver());
    let (theirs, other_cell) = world.shared_source(&honest);
    let (own, cell) = world.shared_source(&liar);
    for (slot, source, cell) in [(0, own, &cell), (1, theirs, &other_cell)] {
        world.shard.adopt(client.session.id(), Badge::Source(source)).unwrap();
        world.add(&client, source, cell, slot).unwrap();
    }
    let false_cell = Cell::default();
    false_cell.begin(1);
    false_cell.set_interest(Filters::READ);
    world.publish(&mut liar, theirs, &false_cell, 1);
    assert_eq!(world.kernel.lies, [(Liar::Driver(liar.id), Fault::Reference(theirs.0))]);
    // R57: the liar's own note fires with the end, the other's is untouched.
    assert_eq!((client.take(), client.take()), (Some(0), None));
    let level = cell.level(Direction::Read);
    assert!(level.flags.contains(LevelFlags::EOF | LevelFlags::GONE));
    assert_eq!(cell.error(), ENODEV as u32);
    assert!(other_cell.level(Direction::Read).flags.is_empty());
    let made = world.shard.create_source(liar.id, Filters::READ, None, (1, 1), &mut world.kernel);
    assert_eq!(made.map_err(|error| error.errno), Err(ENOTCONN));
}

#[test]
fn r57_after_the_end_a_new_note_is_refused() {
    let mut world = World::new();
    let (client, driver) = (world.client(), world.driver());
    let (source, cell) = world.shared_source(&driver);
    world.shard.adopt(client.session.id(), Badge::Source(source)).unwrap();
    world.shard.driver_closed(driver.id, &mut world.kernel);
    assert_eq!(world.add(&client, source, &cell, 0), Err(ENODEV));
}

#[test]
fn r56_every_wrong_change_has_its_error() {
    let mut world = World::new();
    let (client, stranger, driver) = (world.client(), world.client(), world.driver());
    let id = client.session.id();
    let made =
        world.shard.create_source(driver.id, Filters::READ, Some(&client.session), (1, 1), &mut world.kernel);
    let source = made.unwrap().source;
    let denied = world.shard.adopt(stranger.session.id(), Badge::Source(source)).map_err(|error| error.errno);
    assert_eq!(denied, Err(EACCES));
    assert_eq!(world.change(&client, add(source, 0, 0, Filters::READ)), Err(ENOENT), "not adopted");
    world.shard.adopt(id, Badge::Source(source)).unwrap();
    let unserved = Filters::READ | Filters::WRITE;
    let unknown = Filters::from_bits_retain(1 << 20);
    for (change, errno) in [
        (add(SourceId(0), 0, 0, Filters::READ), ENOENT),
        (add(SourceId(source.0 + (1 << 24)), 0, 0, Filters::READ), ENOENT),
        (add(source, 0, 0, Filters::empty()), EINVAL),
        (add(source, 0, 0, unserved), EINVAL),
        (add(source, 0, 0, unknown), EINVAL),
        (add(source, 0, SLOTS, Filters::READ), EINVAL),
        (add(source, 1, 0, Filters::READ), EINVAL),
        (Change::Delete { bank: 0, slot: 0, generation: 1 }, ENOENT),
        (Change::Modify { bank: 9, slot: 9, generation: 1, filters: Filters::READ, exclusive: false }, ENOENT),
    ] {
        assert_eq!(world.change(&client, change), Err(errno), "{change:?}");
    }
    assert_eq!(world.change(&client, add(source, 0, 0, Filters::READ | Filters::HANGUP)), Ok(()));
    assert_eq!(world.change(&client, add(source, 0, 0, Filters::READ)), Err(EEXIST));
    assert_eq!(world.change(&client, Change::Delete { bank: 0, slot: 0, generation: 2 }), Err(ENOENT));
    assert_eq!(world.change(&client, Change::Delete { bank: 0, slot: 0, generation: 1 }), Ok(()));
    assert_eq!(world.shard.stats().notes, 0);
}

#[test]
fn r56_only_a_watch_handle_of_this_shard_is_adopted() {
    let mut world = World::new();
    let (client, driver) = (world.client(), world.driver());
    let id = client.session.id();
    let (source, cell) = world.shared_source(&driver);
    let (index, generation) = (source.index() as u32, source.generation());
    for (shown, errno) in [
        (Badge::Lobby(Caller::default()), EBADF),
        (Badge::Client(id), EBADF),
        (Badge::Ticket(client.session.ticket()), EBADF),
        (Badge::Driver(driver.id), EBADF),
        (Badge::Source(SourceId::new(1, index, generation)), ENOENT),
        (Badge::Source(SourceId::new(0, index + 1, generation)), ENOENT),
        (Badge::Source(SourceId::new(0, index, generation + 1)), ENOENT),
        (Badge::Source(SourceId(u64::MAX)), ENOENT),
    ] {
        let refused = world.shard.adopt(id, shown).map_err(|error| error.errno);
        assert_eq!(refused, Err(errno), "{shown:?}");
    }
    assert_eq!(world.add(&client, source, &cell, 0), Err(ENOENT), "nothing was adopted");
    let unknown = world.open().id();
    let refused = world.shard.adopt(unknown, Badge::Source(source)).map_err(|error| error.errno);
    assert_eq!(refused, Err(ENOTCONN), "not in this shard");
    world.shard.adopt(id, Badge::Source(source)).unwrap();
    assert_eq!(world.add(&client, source, &cell, 0), Ok(()));
}

#[test]
fn a_session_handle_of_each_shard_is_made_once() {
    let mut directory = Directory::<Memory>::new(2, u64::MAX);
    let caller = Caller { pid: 7, provider: false };
    let id = directory.open(caller, Arc::new(Owned::new(SESSION_SIZE))).unwrap().id();
    let introduce = |directory: &mut Directory<Memory>, shard, made: Result<u32, i32>| {
        let made = directory.introduce(id, shard, || made.map_err(Error::new));
        made.map_err(|error| error.errno)
    };
    assert_eq!(introduce(&mut directory, 1, Err(ENOMEM)), Err(ENOMEM));
    assert_eq!(introduce(&mut directory, 1, Ok(7)), Ok(7), "what was not made can be asked for again");
    assert_eq!(introduce(&mut directory, 1, Ok(8)), Err(EEXIST));
    assert_eq!(introduce(&mut directory, 0, Ok(9)), Ok(9));
    assert_eq!(introduce(&mut directory, 2, Ok(1)), Err(EINVAL));
    directory.end(id);
    assert_eq!(introduce(&mut directory, 1, Ok(1)), Err(ENOTCONN));
}

#[test]
fn r2_processing_stops_after_the_failures_that_have_room() {
    let mut world = World::new();
    let client = world.client();
    let id = client.session.id();
    let memory = world.directory.queue(id, 0).unwrap();
    let wrong = [Change::Delete { bank: 0, slot: 0, generation: 1 }; 5];
    let (processed, failures) = world.shard.change(id, 0, &memory, 2, &wrong, &mut world.kernel).unwrap();
    assert_eq!((processed, failures.len(), failures[1].index), (2, 2, 1));
    let many = vec![wrong[0]; MAX_CHANGES + 1];
    let error = world.shard.change(id, 0, &memory, 1, &many, &mut world.kernel).unwrap_err();
    assert_eq!(error.errno, EINVAL);
}

#[test]
fn r53_notes_of_many_queues_on_one_source_come_and_go_in_any_order() {
    let mut world = World::new();
    let mut driver = world.driver();
    let (source, cell) = world.shared_source(&driver);
    let mut clients: Vec<Client> = (0..5).map(|_| world.client()).collect();
    for client in &clients {
        world.shard.adopt(client.session.id(), Badge::Source(source)).unwrap();
        world.add(client, source, &cell, 0).unwrap();
    }
    let mut there = [true; 5];
    for gone in [2, 0, 4, 1, 3] {
        world.publish(&mut driver, source, &cell, 1);
        for (client, there) in clients.iter_mut().zip(there) {
            assert_eq!(client.take(), there.then_some(0));
            let _ = client.slot(0).settle(&Cell::default());
        }
        let delete = Change::Delete { bank: 0, slot: 0, generation: 1 };
        world.change(&clients[gone], delete).unwrap();
        there[gone] = false;
    }
    assert!(cell.interest().is_empty(), "nobody wants it any more");
}

#[test]
fn r11_what_is_not_true_activates_nothing() {
    let mut world = World::new();
    let (mut client, mut driver) = (world.client(), world.driver());
    let (source, cell) = world.shared_source(&driver);
    world.shard.adopt(client.session.id(), Badge::Source(source)).unwrap();
    world.add(&client, source, &cell, 0).unwrap();
    world.publish(&mut driver, source, &cell, 0);
    assert_eq!((client.take(), world.shard.stats().activations), (None, 0));
    client.slot(0).set_enabled(false);
    world.publish(&mut driver, source, &cell, 5);
    assert_eq!((client.take(), world.shard.stats().activations), (None, 0));
}

#[test]
fn r55_sources_beyond_the_cells_are_refused_and_their_cells_used_again() {
    let mut world = World::new();
    let (client, driver) = (world.client(), world.driver());
    let owner = Some(&*client.session);
    let make = |world: &mut World| {
        world.shard.create_source(driver.id, Filters::READ, owner, (1, 1), &mut world.kernel)
    };
    let sources: Vec<SourceId> = (0..CELLS).map(|_| make(&mut world).unwrap().source).collect();
    assert_eq!(make(&mut world).unwrap_err().errno, EMFILE);
    assert_eq!(world.shard.stats().pages, 1, "one client's cells share a page");
    world.shard.destroy_source(driver.id, sources[3], 0, &mut world.kernel).unwrap();
    let again = world.shard.destroy_source(driver.id, sources[3], 0, &mut world.kernel);
    assert_eq!(again.unwrap_err().errno, ENOENT);
    let next = make(&mut world).unwrap();
    assert_eq!(next.cell, CELLS, "the client still has the watch handle of the old one");
    world.shard.watch_closed(sources[3], &mut world.kernel);
    world.shard.destroy_source(driver.id, next.source, 0, &mut world.kernel).unwrap();
    assert_eq!(make(&mut world).unwrap().cell, 3);
}

/// Writes into a driver's ring memory by way of views of other kinds, as a hostile driver can: the published tail, the
/// published head, or the first two entries.
fn poke(region: &Region<Memory>, at: usize, word: u64, source: SourceId) {
    let header = region.queue_header().unwrap();
    match at % 6 {
        0 => {
            header.take_pending();
            header.put_back_pending(word as u32);
        }
        1 => {
            header.take_pending();
            header.put_back_pending(word as u32 % 32);
        }
        2 => {
            let parked = header.parked();
            let bits = (0..NO_WAITER).map(|number| (number, word & 1 << number != 0));
            bits.for_each(|(number, set)| if set { parked.add(number) } else { parked.remove(number) });
        }
        kind => {
            let (other, entries) = (ChangedHeader::default(), [AtomicU64::new(0)]);
            let entry = Level::unpack(if kind == 3 { word } else { source.0 });
            let direction = if kind == 5 { Direction::Write } else { Direction::Read };
            let cell = region.cell(3).unwrap();
            let changed = Changed::new(&other, &entries).unwrap();
            let _ = Publisher::new().publish(changed, cell, source, direction, entry, false).unwrap();
        }
    }
}

proptest! {
    /// Whatever a driver writes into its ring memory, the shard ends its work, and the session when it was a lie.
    #[test]
    fn any_ring_memory_is_survived(words in prop::collection::vec((0usize..64, any::<u64>()), 1..40)) {
        let mut world = World::new();
        let driver = world.driver();
        let (source, _) = world.shared_source(&driver);
        let region = Region::new(driver.memory.clone());
        for (at, word) in words {
            poke(&region, at, word, source);
            let unfinished = world.shard.doorbell(1 << driver.id.index(), &mut world.kernel);
            prop_assert!(unfinished == 0 || unfinished == 1 << driver.id.index());
        }
        let ended = world.kernel.lies.len() as u64;
        prop_assert_eq!(world.shard.stats().drivers, 1 - ended);
    }
}

#[test]
fn r34_a_queue_closes_with_its_notes_whatever_went_before() {
    let mut world = World::new();
    let (client, driver) = (world.client(), world.driver());
    let id = client.session.id();
    for gone in 0..4 {
        for slot in 0..4 {
            let (source, cell) = world.shared_source(&driver);
            world.shard.adopt(id, Badge::Source(source)).unwrap();
            world.add(&client, source, &cell, slot).unwrap();
        }
        world.change(&client, Change::Delete { bank: 0, slot: gone, generation: 1 }).unwrap();
        world.shard.close_queue(id, 0, &mut world.kernel).unwrap();
        let stats = world.shard.stats();
        assert_eq!((stats.notes, stats.knotes, stats.queues), (0, 0, 0));
    }
}

#[test]
fn a_queue_whose_number_is_used_again_has_no_notes_of_the_old_one() {
    let mut world = World::new();
    let (client, driver) = (world.client(), world.driver());
    let id = client.session.id();
    let (source, cell) = world.shared_source(&driver);
    world.shard.adopt(id, Badge::Source(source)).unwrap();
    world.add(&client, source, &cell, 0).unwrap();
    // Closed through another shard: this one has not heard of it.
    world.directory.close_queue(id, 0).unwrap();
    let memory = Arc::new(Owned::new(client.layout.size()));
    world.directory.create_queue(id, 0, SLOTS, memory).unwrap();
    assert_eq!(world.change(&client, add(source, 0, 0, Filters::READ)), Ok(()));
    assert_eq!((world.shard.stats().notes, world.shard.stats().queues), (1, 1));
}

#[test]
fn a_cell_used_again_finds_room_in_the_ring() {
    let mut world = World::new();
    let (client, mut driver) = (world.client(), world.driver());
    let region = Region::new(driver.memory.clone());
    for _ in 0..3 * CELLS {
        let (source, cell) = world.shared_source(&driver);
        world.shard.adopt(client.session.id(), Badge::Source(source)).unwrap();
        world.add(&client, source, &cell, 0).unwrap();
        let changed = region.changed(CELLS).unwrap();
        let told = driver.publisher.publish(changed, &cell, source, Direction::Read, Level::new(1), true);
        assert!(told.is_ok(), "the doorbell was not answered, and still there is room");
        world.shard.destroy_source(driver.id, source, 0, &mut world.kernel).unwrap();
        world.shard.watch_closed(source, &mut world.kernel);
        let _ = client.slot(0).settle(&Cell::default());
    }
}

#[test]
fn a_session_that_is_over_opens_nothing_more() {
    let mut world = World::new();
    let client = world.client();
    let id = client.session.id();
    world.shard.client_closed(id, &mut world.kernel);
    assert_eq!(world.directory.session(id).unwrap_err().errno, ENOTCONN);
    assert_eq!(world.directory.queue(id, 0).unwrap_err().errno, ENOTCONN);
    world.directory.end(id);
    let next = world.client();
    assert_ne!(next.session.id(), id, "the id is never somebody else's");
    assert!(world.directory.end(id).is_empty() && world.directory.session(next.session.id()).is_ok());
}
