//! Exclusive notes: of all who sleep for a source as many are woken as something arrived for, whoever they are, and whoever
//! dies.

mod greed;
mod losses;
mod policies;
mod shares;
mod world;

use abi::error::EINVAL;
use event_protocol::control::client::Change;
use event_protocol::control::policy::Policy;
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};

use world::World;

/// So many processes of one thread each, which sleep.
fn asleep(world: &mut World, processes: usize) {
    for _ in 0..processes {
        let process = world.process(1, true);
        world.park_on(process, 0, process as u32);
    }
}

#[test]
fn r43_an_arrival_wakes_one_of_all_processes_each_in_turn() {
    let mut world = World::new();
    world.shard.set_policy(Policy::RoundRobin);
    asleep(&mut world, 5);
    let mut counts = [0; 5];
    for _ in 0..50 {
        world.publish(1, true);
        let woken = world.woken();
        let [(process, thread)] = woken[..] else { panic!("{woken:?}") };
        assert!(world.is_chosen(process, thread));
        counts[process] += 1;
        world.publish(0, false);
        let _ = world.withdraw(process, thread);
        world.park(process, thread);
    }
    assert_eq!(counts, [10; 5]);
    let stats = world.stats();
    assert_eq!((stats.wakes, stats.leases, stats.handed_on, stats.activations), (50, 50, 0, 0));
}

#[test]
fn r43_who_is_not_exclusive_is_told_besides() {
    let mut world = World::new();
    asleep(&mut world, 3);
    let plain = world.process(1, false);
    world.park(plain, 0);
    world.publish(1, true);
    let woken = world.woken();
    assert_eq!((woken.len(), woken.contains(&(plain, 0))), (2, true));
}

#[test]
fn as_many_are_woken_as_something_arrived_for() {
    let mut world = World::new();
    asleep(&mut world, 5);
    // Three come before the shard hears of the first.
    for amount in 1..=3 {
        world.tell(Level::new(amount), true);
    }
    world.hear();
    assert_eq!(world.woken().len(), 3);
    // One of two is gone by then.
    world.tell(Level::new(4), true);
    world.tell(Level::new(5), true);
    world.tell(Level::new(1), false);
    world.hear();
    assert_eq!(world.woken().len(), 1);
    // More than there are sleepers.
    for amount in 2..=9 {
        world.tell(Level::new(amount), true);
    }
    world.hear();
    assert_eq!(world.woken().len(), 1);
}

#[test]
fn threads_of_one_queue_and_of_others_have_their_turns() {
    let mut world = World::new();
    world.shard.set_policy(Policy::RoundRobin);
    let (many, one) = (world.process(3, true), world.process(1, true));
    (0..3).for_each(|thread| world.park(many, thread));
    world.park(one, 0);
    let mut order = Vec::new();
    for _ in 0..4 {
        world.publish(world.amount() + 1, true);
        order.extend(world.woken());
    }
    order.sort_unstable();
    assert_eq!(order, [(many, 0), (many, 1), (many, 2), (one, 0)]);
}

#[test]
fn who_is_off_is_not_chosen_and_an_edge_that_was_seen_wakes_nobody() {
    let mut world = World::new();
    world.shard.set_policy(Policy::RoundRobin);
    asleep(&mut world, 3);
    world.slot(1, 0).set_enabled(false);
    for _ in 0..4 {
        world.publish(1, true);
        let (process, thread) = world.woken()[0];
        assert_ne!(process, 1);
        let _ = world.withdraw(process, thread);
        world.park(process, thread);
    }
    world.publish(1, false);
    assert_eq!(world.woken(), []);
}

#[test]
fn r51_the_end_of_a_source_and_its_shutdown_are_for_everybody() {
    let mut world = World::new();
    asleep(&mut world, 3);
    let shared = world.process(4, true);
    (0..4).for_each(|thread| world.park(shared, thread));
    world.flag(LevelFlags::EOF);
    assert_eq!(world.woken().len(), 7);
    for process in 0..3 {
        let _ = world.withdraw(process, 0);
        world.park(process, 0);
    }
    world.driver_dies();
    assert_eq!(world.woken().len(), 3, "the others have not come back");
}

#[test]
fn a_note_becomes_exclusive_and_is_no_longer() {
    let mut world = World::new();
    let (one, other) = (world.process(1, false), world.process(1, false));
    let modify =
        |exclusive| Change::Modify { bank: 0, slot: 0, generation: 1, filters: Filters::READ, exclusive };
    for (exclusive, expected) in [(false, 2), (true, 1), (false, 2), (true, 1)] {
        for process in [one, other] {
            let slot = world.slot(process, 0);
            if exclusive {
                slot.keep();
            } else {
                slot.settle(&world.processes[process].cell);
            }
            world.change(process, modify(exclusive)).unwrap();
            world.park(process, 0);
        }
        world.publish(1, true);
        assert_eq!(world.woken().len(), expected, "exclusive: {exclusive}");
        world.publish(0, false);
        for process in [one, other] {
            let _ = world.withdraw(process, 0);
        }
    }
    assert_eq!((world.stats().notes, world.stats().knotes), (2, 2));
}

#[test]
fn only_levels_can_be_looked_at_by_whoever_comes() {
    let mut world = World::new();
    let process = world.process(1, true);
    assert_eq!(world.add(process, 1, Filters::VNODE, true), Err(EINVAL));
    assert_eq!(world.add(process, 1, Filters::WRITE, true), Ok(()));
    let widen = |filters, exclusive| Change::Modify { bank: 0, slot: 1, generation: 1, filters, exclusive };
    assert_eq!(world.change(process, widen(Filters::VNODE, true)), Err(EINVAL));
    assert_eq!(world.change(process, widen(Filters::VNODE, false)), Ok(()));
}

#[test]
fn r35_the_books_are_empty_when_all_have_gone() {
    let mut world = World::new();
    asleep(&mut world, 6);
    world.publish(1, true);
    world.change(0, Change::Delete { bank: 0, slot: 0, generation: 1 }).unwrap();
    let id = world.processes[1].session.id();
    world.shard.release(id, world.processes[1].source, &mut world.kernel).unwrap();
    let id = world.processes[2].session.id();
    world.shard.close_queue(id, 0, &mut world.kernel).unwrap();
    (0..6).for_each(|process| world.dies(process));
    let stats = world.stats();
    assert_eq!((stats.notes, stats.knotes, stats.queues, stats.clients), (0, 0, 0, 0));
    world.publish(2, true);
    world.driver_dies();
}
