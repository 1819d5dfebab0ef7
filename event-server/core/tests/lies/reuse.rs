//! What is closed leaves nothing, and what is used again has nothing of before.

use std::sync::Arc;

use abi::error::{EMFILE, ENOENT, ENOTCONN};
use event_protocol::badge::{Badge, SourceId};
use event_protocol::cell::{Cell, Direction};
use event_protocol::control::client::Change;
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::shared::{Owned, Region};

use crate::world::{CELLS, Client, SLOTS, World, add};

#[test]
fn r53_notes_of_many_queues_on_one_source_come_and_go_in_any_order() {
    let mut world = World::new();
    let mut driver = world.driver();
    let (source, cell) = world.shared_source(&driver);
    let mut clients: Vec<Client> = (0..5).map(|_| world.client()).collect();
    for client in &clients {
        world.shard.adopt(client.session.id(), Badge::Source(source), &mut world.kernel).unwrap();
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

#[test]
fn r34_a_queue_closes_with_its_notes_whatever_went_before() {
    let mut world = World::new();
    let (client, driver) = (world.client(), world.driver());
    let id = client.session.id();
    for gone in 0..4 {
        for slot in 0..4 {
            let (source, cell) = world.shared_source(&driver);
            world.shard.adopt(id, Badge::Source(source), &mut world.kernel).unwrap();
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
    world.shard.adopt(id, Badge::Source(source), &mut world.kernel).unwrap();
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
        world.shard.adopt(client.session.id(), Badge::Source(source), &mut world.kernel).unwrap();
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
