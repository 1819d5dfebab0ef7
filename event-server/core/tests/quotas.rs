//! What one process can have of the server, and that the others have theirs (R55).

use std::sync::Arc;

use abi::Handle;
use abi::error::{EINVAL, EMFILE, ENOMEM, ENOTCONN, Error};
use event_core::account::{Account, cost};
use event_core::directory::Directory;
use event_core::session::Session;
use event_core::shard::{Created, Shard};
use event_protocol::activation::BankLayout;
use event_protocol::badge::{Badge, DriverId};
use event_protocol::changed::memory_size;
use event_protocol::control::client::{Change, View};
use event_protocol::control::limits::{
    DRIVERS_OF_MANIFEST, MAX_CLIENTS_OF_PROCESS, MAX_DRIVERS, MAX_DRIVERS_OF_PROCESS,
};
use event_protocol::filter::Filters;
use event_protocol::park::{MAX_WAITERS, SESSION_SIZE};
use event_protocol::shared::Owned;
use init_protocol::caller::Caller;
use shard_host::{Kernel, Memory};

const CELLS: u32 = 256;
const SLOTS: u32 = 64;
const SHARE: u64 = 1 << 20;

struct World {
    shard: Shard<Memory>,
    directory: Directory<Memory>,
    kernel: Kernel,
}

fn application(pid: u32) -> Caller {
    Caller { pid, provider: false }
}

fn provider(pid: u32) -> Caller {
    Caller { pid, provider: true }
}

fn errno<T>(result: Result<T, Error>) -> Result<T, i32> {
    result.map_err(|error| error.errno)
}

/// An account takes all that it may.
fn fill(account: &Account) {
    for bytes in (0..=20).rev().map(|bit| 1 << bit) {
        while account.take(bytes).is_ok() {}
    }
}

impl World {
    fn new() -> World {
        World {
            shard: Shard::new(0),
            directory: Directory::new(2, 2 * SHARE),
            kernel: Kernel::of_honest_peers(),
        }
    }

    fn open(&mut self, caller: Caller) -> Result<Arc<Session<Memory>>, i32> {
        let session = errno(self.directory.open(caller, Arc::new(Owned::new(SESSION_SIZE))))?;
        self.shard.enter(session.clone()).unwrap();
        Ok(session)
    }

    fn close(&mut self, session: Arc<Session<Memory>>) {
        self.directory.end(session.id());
        self.shard.client_closed(session.id(), &mut self.kernel);
    }

    fn attach(&mut self, caller: Caller) -> Result<DriverId, i32> {
        let account = self.directory.account(caller);
        let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
        errno(self.shard.attach(account, Default::default(), memory, Filters::READ, CELLS))
    }

    fn attach_large(&mut self, caller: Caller) -> DriverId {
        const CELLS: u32 = 1 << 14;
        let account = self.directory.account(caller);
        let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
        self.shard.attach(account, Default::default(), memory, Filters::READ, CELLS).unwrap()
    }

    fn create(&mut self, driver: DriverId, session: Option<&Session<Memory>>) -> Result<Created, i32> {
        errno(self.shard.create_source(driver, Filters::READ, session, (1, 1), &mut self.kernel))
    }

    fn queue(&mut self, session: &Session<Memory>, number: u32) -> Result<(), i32> {
        let memory = Arc::new(Owned::new(BankLayout::new(SLOTS, 2).unwrap().size()));
        errno(self.directory.create_queue(session.id(), number, SLOTS, memory))
    }

    fn used(&mut self, caller: Caller) -> u64 {
        self.directory.account(caller).used()
    }
}

#[test]
fn r55_a_process_has_few_sessions_and_others_have_theirs() {
    let mut world = World::new();
    let mut own: Vec<_> = (0..MAX_CLIENTS_OF_PROCESS).map(|_| world.open(application(7)).unwrap()).collect();
    assert_eq!(world.open(application(7)).map(drop), Err(EMFILE));
    world.open(application(8)).unwrap();
    world.close(own.pop().unwrap());
    world.open(application(7)).map(drop).expect("one that ended makes room");
    assert_eq!(world.open(application(7)).map(drop), Err(EMFILE));
}

#[test]
fn r55_all_sessions_of_a_process_are_one_client_for_drivers() {
    let mut world = World::new();
    let (first, second) = (world.open(application(7)).unwrap(), world.open(application(7)).unwrap());
    let other = world.open(application(8)).unwrap();
    assert_eq!(first.ticket().process(), second.ticket().process());
    assert_ne!(first.ticket().process(), other.ticket().process());
    for session in [&first, &second, &other] {
        assert_eq!(world.directory.shown(session.ticket()).unwrap().id(), session.id());
    }
    let ticket = first.ticket();
    world.close(first);
    assert_eq!(errno(world.directory.shown(ticket)).map(drop), Err(ENOTCONN));
    world.open(application(9)).unwrap();
    assert_eq!(errno(world.directory.shown(ticket)).map(drop), Err(ENOTCONN), "its place is another's");
}

#[test]
fn r55_a_process_has_few_places_for_drivers() {
    let mut world = World::new();
    let own: Vec<_> = (0..MAX_DRIVERS_OF_PROCESS).map(|_| world.attach(application(7)).unwrap()).collect();
    assert_eq!(world.attach(application(7)), Err(EMFILE));
    world.attach(application(8)).unwrap();
    world.shard.driver_closed(own[0], &mut world.kernel);
    world.attach(application(7)).unwrap();
    assert_eq!(world.attach(application(7)), Err(EMFILE));
}

#[test]
fn r55_a_driver_of_the_manifest_finds_a_place_whoever_else_attached() {
    let mut world = World::new();
    let mut pid = 100;
    let mut attached = 0;
    while world.attach(application(pid)).is_ok() {
        (pid, attached) = (pid + 1, attached + 1);
    }
    assert_eq!(attached, MAX_DRIVERS as usize - DRIVERS_OF_MANIFEST);
    for pid in 2..2 + DRIVERS_OF_MANIFEST as u32 {
        world.attach(provider(pid)).unwrap();
    }
    assert_eq!(world.attach(provider(90)), Err(EMFILE), "there are no more bits");
}

#[test]
fn r55_a_driver_pays_for_sources_for_sharing() {
    let mut world = World::new();
    let (greedy, modest) = (world.attach(application(7)).unwrap(), world.attach(application(8)).unwrap());
    let mut sources = Vec::new();
    let refused = loop {
        match world.create(greedy, None) {
            Ok(created) => sources.push(created.source),
            Err(errno) => break errno,
        }
    };
    assert_eq!((refused, world.kernel.pages.len()), (ENOMEM, sources.len()));
    assert!(sources.len() as u64 >= SHARE / (cost::PAGE_OF_CELLS + cost::SOURCE) - 5);
    world.create(modest, None).unwrap();
    // What others still hold stays paid for.
    world.shard.destroy_source(greedy, sources[0], 0, &mut world.kernel).unwrap();
    assert_eq!(world.create(greedy, None).map(drop), Err(ENOMEM));
    world.shard.driver_closed(greedy, &mut world.kernel);
    let again = world.attach(application(7)).unwrap();
    assert_eq!(world.create(again, None).map(drop), Err(ENOMEM));
    for source in sources {
        world.shard.watch_closed(source, &mut world.kernel);
    }
    world.create(again, None).unwrap();
    assert_eq!(world.kernel.pages.len(), 2);
}

#[test]
fn r55_a_client_pays_for_sources_of_its_own() {
    let mut world = World::new();
    let driver = world.attach(provider(2)).unwrap();
    let session = world.open(application(7)).unwrap();
    let (own, drivers) = (world.used(application(7)), world.used(provider(2)));
    let made = world.create(driver, Some(&session)).unwrap();
    world.create(driver, Some(&session)).unwrap();
    assert_eq!(world.used(application(7)) - own, cost::PAGE_OF_CELLS + 2 * cost::SOURCE);
    assert_eq!(world.used(provider(2)), drivers);
    // It is the process's, whichever session wants it.
    let account = session.account().clone();
    fill(&account);
    assert_eq!(world.open(application(7)).map(drop), Err(ENOMEM));
    assert_eq!(world.create(driver, Some(&session)).map(drop), Err(ENOMEM));
    assert_eq!(world.attach(application(7)), Err(ENOMEM));
    world.shard.destroy_source(driver, made.source, 0, &mut world.kernel).unwrap();
    world.shard.watch_closed(made.source, &mut world.kernel);
    world.create(driver, Some(&session)).unwrap();
    let other = world.open(application(8)).unwrap();
    world.create(driver, Some(&other)).unwrap();
}

#[test]
fn r55_a_driver_does_not_use_up_what_its_client_may_have_of_others() {
    for greedy in [provider(2), application(9)] {
        let mut world = World::new();
        // More sessions do not help it, nor do children that attach.
        let mut drivers = vec![world.attach_large(greedy), world.attach_large(greedy)];
        if !greedy.provider {
            drivers.push(world.attach_large(application(10)));
        }
        let other = world.attach(provider(3)).unwrap();
        let session = world.open(application(7)).unwrap();
        let shared = world.create(drivers[0], Some(&session)).unwrap().source;
        for _ in 0..100 {
            world.shard.share(drivers[0], shared, &session, &mut world.kernel).unwrap();
        }
        let mut made = Vec::new();
        for &driver in &drivers {
            while let Ok(created) = world.create(driver, Some(&session)) {
                made.push(created.source);
            }
            assert_eq!(world.create(driver, Some(&session)).map(drop), Err(ENOMEM));
        }
        // What there was no page for is used up by what needs none.
        let refused = loop {
            if let Err(error) = world.shard.share(drivers[0], shared, &session, &mut world.kernel) {
                break error.errno;
            }
        };
        assert_eq!(refused, ENOMEM);
        let used = world.used(application(7));
        assert!(used > SHARE / 2, "{used}");
        for _ in 0..40 {
            world.create(other, Some(&session)).unwrap();
        }
        // Nor is a process limited in what it makes itself.
        let own = world.attach(application(7)).unwrap();
        world.create(own, Some(&session)).unwrap();
        // What has gone does not count.
        world.shard.driver_closed(drivers[0], &mut world.kernel);
        world.shard.driver_closed(*drivers.last().unwrap(), &mut world.kernel);
        made.into_iter().for_each(|source| world.shard.watch_closed(source, &mut world.kernel));
        let again = world.attach_large(greedy);
        world.create(again, Some(&session)).unwrap();
    }
}

#[test]
fn r55_a_client_pays_for_its_waiters() {
    let mut world = World::new();
    let session = world.open(application(7)).unwrap();
    let set = |world: &mut World, waiter, handle| {
        errno(world.directory.set_waiter(session.id(), waiter, Handle(handle)))
    };
    let alone = world.used(application(7));
    assert_eq!(set(&mut world, 0, 1), Ok(Handle::NONE));
    assert_eq!(set(&mut world, 0, 2), Ok(Handle(1)), "another notification of the same waiter");
    assert_eq!(world.used(application(7)), alone + cost::WAITER);
    fill(session.account());
    assert_eq!(set(&mut world, 1, 3), Err(ENOMEM));
    assert_eq!(session.notification(1), Handle::NONE);
    assert_eq!(set(&mut world, MAX_WAITERS as u32, 3), Err(EINVAL));
    assert_eq!(set(&mut world, 0, Handle::NONE.0), Ok(Handle(2)));
    session.account().take(cost::WAITER).expect("one that is taken back is paid back");
}

#[test]
fn r55_a_client_pays_for_queues_and_notes() {
    let mut world = World::new();
    let driver = world.attach(provider(2)).unwrap();
    let session = world.open(application(7)).unwrap();
    let id = session.id();
    let source = world.create(driver, Some(&session)).unwrap().source;
    world.shard.adopt(id, Badge::Source(source), &mut world.kernel).unwrap();
    let before = world.used(application(7));
    world.queue(&session, 0).unwrap();
    assert!(world.used(application(7)) > before + cost::INDEX * u64::from(SLOTS) * 2);
    let with_queue = world.used(application(7));
    let memory = world.directory.queue(id, 0).unwrap();
    let add = |world: &mut World, slot| {
        let (filters, view) = (Filters::READ, View::Kevent);
        let change = Change::Add { source, bank: 0, slot, generation: 1, filters, view, exclusive: false };
        let (_, failures) = world.shard.change(id, 0, &memory, 1, &[change], &mut world.kernel).unwrap();
        failures.first().map_or(Ok(()), |failure| Err(failure.errno as i32))
    };
    for slot in 0..3 {
        add(&mut world, slot).unwrap();
    }
    assert_eq!(world.used(application(7)), with_queue + 3 * cost::NOTE);
    let account = session.account().clone();
    fill(&account);
    account.give_back(cost::NOTE);
    assert_eq!((add(&mut world, 3), add(&mut world, 4)), (Ok(()), Err(ENOMEM)));
    assert_eq!(world.queue(&session, 1), Err(ENOMEM));
    let used = world.used(application(7));
    world.directory.close_queue(id, 0).unwrap();
    drop(memory);
    world.shard.close_queue(id, 0, &mut world.kernel).unwrap();
    assert_eq!(world.used(application(7)), used - 4 * cost::NOTE - (with_queue - before));
}

#[test]
fn r55_lobbies_are_made_once_for_a_process_and_go_with_it() {
    let mut directory = Directory::<Memory>::new(3, 2 * SHARE);
    let caller = application(7);
    let mut made = 0;
    let mut lobby = |directory: &mut Directory<Memory>, caller, shard| {
        errno(directory.lobby(caller, shard, || {
            made += 1;
            Ok(Handle(made))
        }))
    };
    assert_eq!(lobby(&mut directory, caller, 2), Ok(Handle(1)));
    assert_eq!(lobby(&mut directory, caller, 2), Ok(Handle(1)));
    assert_eq!(lobby(&mut directory, caller, 0), Ok(Handle(2)));
    assert_eq!(lobby(&mut directory, caller, 3), Err(EINVAL));
    assert_eq!(lobby(&mut directory, application(8), 2), Ok(Handle(3)));
    let failed = directory.lobby(caller, 1, || Err(Error::new(ENOMEM)));
    assert_eq!(errno(failed), Err(ENOMEM));
    assert_eq!(directory.process_ended(caller), [Handle(2), Handle(1)]);
    assert_eq!((directory.process_ended(caller).len(), directory.processes().len()), (0, 1));
}

#[test]
fn r55_a_process_is_forgotten_with_the_last_of_its_sessions() {
    let mut world = World::new();
    let sessions = [world.open(application(7)).unwrap(), world.open(application(7)).unwrap()];
    let account: Arc<Account> = sessions[0].account().clone();
    world.directory.process_ended(application(7));
    for session in sessions {
        assert_eq!(world.directory.processes().len(), 1);
        world.close(session);
    }
    assert!(world.directory.processes().is_empty());
    assert_eq!(account.used(), 0);
}
