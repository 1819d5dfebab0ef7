//! One source for all processes that watch a file, each by a watch handle of its own.

use abi::error::{EACCES, EMFILE, ENODEV, ENOENT, EOPNOTSUPP};
use event_protocol::badge::Badge;
use event_protocol::control::client::Change;
use event_protocol::control::policy::Policy;
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};

use crate::world::World;

/// So many processes that sleep.
fn asleep(processes: usize, exclusive: bool) -> World {
    let mut world = World::of_watches();
    world.shard.set_policy(Policy::RoundRobin);
    for _ in 0..processes {
        let process = world.process(1, exclusive);
        world.park(process, 0);
    }
    world
}

#[test]
fn r43_an_arrival_wakes_one_of_all_processes_each_in_turn() {
    let mut world = asleep(5, true);
    assert_eq!(world.sources.len(), 2, "that of the first, and that of the others");
    let mut counts = [0; 5];
    for _ in 0..50 {
        world.publish(1, true);
        let woken = world.woken();
        let [(process, thread)] = woken[..] else { panic!("{woken:?}") };
        counts[process] += 1;
        world.publish(0, false);
        let _ = world.withdraw(process, thread);
        world.park(process, thread);
    }
    assert_eq!(counts, [10; 5]);
}

#[test]
fn r43_without_the_flag_all_are_woken() {
    let mut world = asleep(5, false);
    world.publish(1, true);
    assert_eq!(world.woken().len(), 5);
}

#[test]
fn who_slept_before_there_was_another_is_chosen_like_the_others() {
    let mut world = asleep(1, true);
    // Told and not heard yet when the second comes.
    world.tell(Level::new(1), true);
    let second = world.process(1, true);
    assert_eq!(world.woken(), [(0, 0)], "it is looked at before");
    world.hear();
    assert_eq!(world.woken(), []);
    let _ = world.withdraw(0, 0);
    world.park(0, 0);
    world.park(second, 0);
    let mut order = Vec::new();
    for amount in 2..4 {
        world.publish(amount, true);
        order.extend(world.woken());
    }
    order.sort_unstable();
    assert_eq!(order, [(0, 0), (1, 0)]);
}

#[test]
fn what_one_does_to_its_notes_is_nobody_elses() {
    let mut world = asleep(4, true);
    let [first, second, third] = [0, 1, 2].map(|process| world.processes[process].source);
    let id = |process: usize| world.processes[process].session.id();
    let (other, own) = (id(3), id(1));
    for source in [first, second] {
        let refused = world.shard.adopt(other, Badge::Source(source), &mut world.kernel);
        assert_eq!(refused.map_err(|error| error.errno).map(drop), Err(EACCES));
        world.shard.release(other, source, &mut world.kernel).unwrap();
    }
    assert_eq!(world.stats().notes, 4);
    world.shard.release(own, second, &mut world.kernel).unwrap();
    assert_eq!(world.stats().notes, 3);
    world.change(2, Change::Delete { bank: 0, slot: 0, generation: 1 }).unwrap();
    world.shard.watch_closed(third, &mut world.kernel);
    // The first and the last are there.
    let mut order = Vec::new();
    for amount in 1..4 {
        world.publish(amount, true);
        order.extend(world.woken());
    }
    order.sort_unstable();
    assert_eq!(order, [(0, 0), (3, 0)]);
}

#[test]
fn one_process_may_watch_twice() {
    let mut world = asleep(2, false);
    let session = world.processes[1].session.clone();
    let (driver, known) = (world.driver(), world.sources[0].0);
    let again = world.shard.share(driver, known, &session, &mut world.kernel).unwrap();
    assert!(!again.is_new && again.view != world.processes[1].source);
    world.shard.adopt(session.id(), Badge::Source(again.view), &mut world.kernel).unwrap();
    let former = std::mem::replace(&mut world.processes[1].source, again.view);
    world.add(1, 1, Filters::READ, true).unwrap();
    assert_eq!((world.stats().notes, world.stats().knotes), (3, 3));
    world.shard.release(session.id(), former, &mut world.kernel).unwrap();
    assert_eq!((world.stats().notes, world.stats().knotes), (2, 2));
    world.publish(1, true);
    assert_eq!(world.woken().len(), 2, "by the first one's note, and by the one that is left");
}

#[test]
fn r57_its_end_is_everybodys() {
    for unplugged in [true, false] {
        let mut world = asleep(4, true);
        let plain = world.process(1, false);
        world.park(plain, 0);
        if unplugged {
            world.close();
        } else {
            world.driver_dies();
        }
        assert_eq!(world.woken().len(), 5);
        assert_eq!(world.add(1, 1, Filters::READ, true), Err(ENODEV));
        assert_eq!(world.add(0, 1, Filters::READ, true), Err(ENODEV));
        (0..5).for_each(|process| world.dies(process));
        let stats = world.stats();
        assert_eq!((stats.notes, stats.knotes, stats.sources, stats.pages), (0, 0, 0, 0));
    }
}

#[test]
fn r51_a_shutdown_is_everybodys() {
    let mut world = asleep(4, true);
    world.flag(LevelFlags::EOF);
    assert_eq!(world.woken().len(), 4);
}

/// A driver that ends only one of the two leaves nobody asleep.
#[test]
fn an_end_of_one_is_told_to_all_whom_the_other_would_have_woken() {
    for destroyed in [0, 1] {
        let mut world = asleep(3, true);
        let (source, _) = world.sources[destroyed];
        let driver = world.driver();
        world.shard.destroy_source(driver, source, 0, &mut world.kernel).unwrap();
        let mut woken = world.woken();
        woken.sort_unstable();
        let expected: &[(usize, u32)] = if destroyed == 0 { &[(0, 0)] } else { &[(0, 0), (1, 0), (2, 0)] };
        assert_eq!(woken, expected);
        world.driver_dies();
        (0..3).for_each(|process| world.dies(process));
        assert_eq!((world.stats().sources, world.stats().pages), (0, 0));
    }
}

#[test]
fn what_nobody_watches_goes_and_comes_again() {
    let mut world = asleep(3, true);
    world.publish(3, true);
    (0..3).for_each(|process| world.dies(process));
    world.sweep();
    world.sweep();
    let stats = world.stats();
    assert_eq!((stats.sources, stats.pages, world.sources.len()), (0, 0, 0));
    // Only those who came later are gone: there is one source for who comes next.
    let mut world = asleep(3, true);
    world.dies(1);
    world.dies(2);
    world.sweep();
    let known = world.sources.clone();
    let fourth = world.process(1, true);
    assert_eq!((world.sources.len(), known.len()), (2, 2));
    world.park(fourth, 0);
    world.publish(1, true);
    assert_eq!(world.woken().len(), 1);
    // The first is gone, and the others are not.
    world.dies(0);
    world.sweep();
    assert_eq!(world.sources.len(), 1);
    let fifth = world.process(1, true);
    assert_eq!(world.sources.len(), 1);
    world.park(fifth, 0);
    let _ = world.woken();
    world.publish(2, true);
    assert_eq!(world.woken().len(), 1);
}

#[test]
fn who_watches_pays() {
    let mut world = asleep(1, true);
    let used = |world: &World, process: usize| world.processes[process].session.account().used();
    let (second, third) = (world.process(1, true), world.process(1, true));
    let (dear, cheap) = (used(&world, second), used(&world, third));
    assert!(dear > cheap, "whom it was made for pays for the page: {dear}, {cheap}");
    let source = world.processes[third].source;
    world.shard.watch_closed(source, &mut world.kernel);
    assert!(used(&world, third) < cheap);
}

#[test]
fn r55_only_what_is_the_drivers_and_not_durable_is_shared_and_cells_have_an_end() {
    let mut world = asleep(1, true);
    let session = world.processes[0].session.clone();
    let (driver, source) = (world.driver(), world.sources[0].0);
    let World { shard, kernel, .. } = &mut world;
    let read = Filters::READ;
    shard.bequeath(driver).unwrap();
    let durable = shard.create_durable(driver, read, Some(&session), (1, 1), vec![], kernel).unwrap();
    let mut refused =
        |driver, source| shard.share(driver, source, &session, kernel).map_err(|error| error.errno);
    assert_eq!(refused(driver, durable.source), Err(EOPNOTSUPP));
    let mut made = 2;
    while shard.create_source(driver, read, Some(&session), (1, 1), kernel).is_ok() {
        made += 1;
    }
    assert_eq!(made, 16);
    assert_eq!(shard.share(driver, source, &session, kernel).map_err(|error| error.errno), Err(EMFILE));
    shard.destroy_source(driver, durable.source, 0, kernel).unwrap();
    shard.watch_closed(durable.source, kernel);
    let shared = shard.share(driver, source, &session, kernel).unwrap();
    let unknown = shard.share(driver, shared.view, &session, kernel);
    assert_eq!(unknown.map_err(|error| error.errno), Err(ENOENT), "a view is no source of the driver's");
    // The driver could not be told.
    shard.unshare(driver, shared, kernel);
    assert_eq!(shard.stats().sources, 15);
    assert!(shard.share(driver, source, &session, kernel).unwrap().is_new);
}
