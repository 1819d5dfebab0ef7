//! Which of the sleepers is woken.

use abi::error::{EINVAL, ENOENT};
use event_protocol::control::client::Change;
use event_protocol::control::policy::Policy;

use crate::world::World;

/// A process for each of these CPUs, all asleep.
fn on_cpus(world: &mut World, cpus: &[u32]) {
    for &cpu in cpus {
        let process = world.process(1, true);
        world.park_on(process, 0, cpu);
    }
}

/// CPUs of those who are woken by one arrival after another, all of whom stay away.
fn woken(world: &mut World, cpus: &[u32], times: usize) -> Vec<u32> {
    let mut found = Vec::new();
    for _ in 0..times {
        world.publish(world.amount() + 1, true);
        found.extend(world.woken().into_iter().map(|(process, _)| cpus[process]));
    }
    found
}

#[test]
fn one_on_this_cpu_and_anybody_when_nobody_is_there() {
    let (mut world, cpus) = (World::new(), [0, 1, 2, 1, 3]);
    world.shard.set_policy(Policy::OneThisCpu);
    world.kernel.cpu = 1;
    on_cpus(&mut world, &cpus);
    let order = woken(&mut world, &cpus, 5);
    assert_eq!(order[..2], [1, 1]);
    assert_eq!(order.len(), 5);
}

#[test]
fn one_on_another_cpu_and_anybody_when_nobody_is_there() {
    let (mut world, cpus) = (World::new(), [1, 1, 2, 1, 3]);
    world.shard.set_policy(Policy::OneOtherCpu);
    world.kernel.cpu = 1;
    on_cpus(&mut world, &cpus);
    let order = woken(&mut world, &cpus, 5);
    assert!(!order[..2].contains(&1));
    assert_eq!(order[2..], [1, 1, 1]);
}

#[test]
fn one_on_each_cpu() {
    let (mut world, cpus) = (World::new(), [0, 0, 1, 1, 3]);
    world.shard.set_policy(Policy::OnePerCpu);
    on_cpus(&mut world, &cpus);
    let mut first = woken(&mut world, &cpus, 1);
    first.sort_unstable();
    assert_eq!(first, [0, 1, 3]);
    let mut second = woken(&mut world, &cpus, 1);
    second.sort_unstable();
    assert_eq!(second, [0, 1]);
}

#[test]
fn one_of_each_queue() {
    let mut world = World::new();
    world.shard.set_policy(Policy::All);
    for _ in 0..3 {
        let process = world.process(2, true);
        (0..2).for_each(|thread| world.park(process, thread));
    }
    world.publish(1, true);
    assert_eq!(world.woken().len(), 3);
}

#[test]
fn by_itself_first_this_cpu_if_it_is_quiet_then_idle_ones() {
    let cpus = [0, 1, 2, 3];
    for (quiet, idle, expected) in [(true, 0b1000, 1), (false, 0b1000, 3), (false, 0b0100, 2)] {
        let mut world = World::new();
        world.shard.set_policy(Policy::Auto);
        (world.kernel.cpu, world.kernel.quiet, world.kernel.idle) = (1, quiet, idle);
        on_cpus(&mut world, &cpus);
        let order = woken(&mut world, &cpus, 4);
        assert_eq!(order[0], expected);
        if quiet {
            assert_eq!(order[1], 3, "then the idle one");
        }
        assert_eq!(order.len(), 4, "then whoever sleeps");
    }
}

#[test]
fn a_note_says_it_before_its_source_and_that_before_the_server() {
    let (mut world, cpus) = (World::new(), [0, 1, 2]);
    world.shard.set_policy(Policy::All);
    on_cpus(&mut world, &cpus);
    let prefer = |policy| Change::Prefer { bank: 0, slot: 0, generation: 1, policy };
    let all = |source, policy| Change::PreferAll { source, policy };
    let again = |world: &mut World| {
        world.publish(1, true);
        let woken = world.woken();
        for &(process, thread) in &woken {
            let _ = world.withdraw(process, thread);
            world.park_on(process, thread, cpus[process]);
        }
        world.publish(0, false);
        woken.len()
    };
    assert_eq!(again(&mut world), 3);
    let source = world.processes[0].source;
    world.change(0, all(source, Some(Policy::RoundRobin))).unwrap();
    assert_eq!(again(&mut world), 1);
    // One that wants all is woken besides one of the others.
    world.change(2, prefer(Some(Policy::All))).unwrap();
    assert_eq!(again(&mut world), 2);
    world.change(2, prefer(None)).unwrap();
    assert_eq!(again(&mut world), 1);
    world.change(0, all(source, None)).unwrap();
    assert_eq!(again(&mut world), 3);
}

#[test]
fn what_is_not_exclusive_and_what_is_not_there_has_no_policy() {
    let mut world = World::new();
    let process = world.process(1, false);
    let prefer = |generation| Change::Prefer { bank: 0, slot: 0, generation, policy: Some(Policy::All) };
    assert_eq!(world.change(process, prefer(1)), Err(EINVAL));
    assert_eq!(world.change(process, prefer(2)), Err(ENOENT));
    let id = world.processes[process].session.id();
    let source = world.processes[process].source;
    world.shard.release(id, source, &mut world.kernel).unwrap();
    let all = Change::PreferAll { source, policy: None };
    assert_eq!(world.change(process, all), Err(ENOENT));
}
