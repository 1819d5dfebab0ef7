//! Changes and handles that are wrong have their errors.

use std::sync::Arc;

use abi::error::{EACCES, EBADF, EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM, ENOTCONN, Error};
use event_core::directory::Directory;
use event_protocol::badge::{Badge, SourceId};
use event_protocol::control::client::Change;
use event_protocol::control::limits::MAX_CHANGES;
use event_protocol::filter::Filters;
use event_protocol::park::SESSION_SIZE;
use event_protocol::shared::Owned;
use init_protocol::caller::Caller;
use shard_host::Memory;

use crate::world::{SLOTS, World, add};

#[test]
fn r57_after_the_end_a_new_note_is_refused() {
    let mut world = World::new();
    let (client, driver) = (world.client(), world.driver());
    let (source, cell) = world.shared_source(&driver);
    world.shard.adopt(client.session.id(), Badge::Source(source), &mut world.kernel).unwrap();
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
    let denied = world
        .shard
        .adopt(stranger.session.id(), Badge::Source(source), &mut world.kernel)
        .map_err(|error| error.errno);
    assert_eq!(denied, Err(EACCES));
    assert_eq!(world.change(&client, add(source, 0, 0, Filters::READ)), Err(ENOENT), "not adopted");
    world.shard.adopt(id, Badge::Source(source), &mut world.kernel).unwrap();
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
        (
            Change::Modify { bank: 9, slot: 9, generation: 1, filters: Filters::READ, exclusive: false },
            ENOENT,
        ),
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
        let refused = world.shard.adopt(id, shown, &mut world.kernel).map_err(|error| error.errno);
        assert_eq!(refused, Err(errno), "{shown:?}");
    }
    assert_eq!(world.add(&client, source, &cell, 0), Err(ENOENT), "nothing was adopted");
    let unknown = world.open().id();
    let refused =
        world.shard.adopt(unknown, Badge::Source(source), &mut world.kernel).map_err(|error| error.errno);
    assert_eq!(refused, Err(ENOTCONN), "not in this shard");
    world.shard.adopt(id, Badge::Source(source), &mut world.kernel).unwrap();
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
fn r11_what_is_not_true_activates_nothing() {
    let mut world = World::new();
    let (mut client, mut driver) = (world.client(), world.driver());
    let (source, cell) = world.shared_source(&driver);
    world.shard.adopt(client.session.id(), Badge::Source(source), &mut world.kernel).unwrap();
    world.add(&client, source, &cell, 0).unwrap();
    world.publish(&mut driver, source, &cell, 0);
    assert_eq!((client.take(), world.shard.stats().activations), (None, 0));
    client.slot(0).set_enabled(false);
    world.publish(&mut driver, source, &cell, 5);
    assert_eq!((client.take(), world.shard.stats().activations), (None, 0));
}
