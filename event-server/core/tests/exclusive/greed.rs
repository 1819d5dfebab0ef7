//! What one client can cost others.

use event_core::exclusive::PATIENCE;
use event_protocol::badge::Badge;
use event_protocol::control::client::Change;
use event_protocol::filter::Filters;
use event_protocol::level::Level;

use crate::world::World;

/// A process that watches one file very often hands back: it is looked once who sleeps there.
#[test]
fn what_is_handed_back_of_one_file_is_handed_on_once() {
    let mut world = World::of_watches();
    let own = world.process(1, true);
    let session = world.processes[own].session.clone();
    let driver = world.driver();
    let known = world.sources[0].0;
    for slot in 1..500 {
        let shared = world.shard.share(driver, known, &session, &mut world.kernel).unwrap();
        world.shard.adopt(session.id(), Badge::Source(shared.view), &mut world.kernel).unwrap();
        world.processes[own].source = shared.view;
        world.add(own, slot, Filters::READ, true).unwrap();
    }
    world.publish(1, true);
    let before = world.kernel.choices.get();
    world.hand_back(own);
    // Of its own source and of what all the others watch, in two directions.
    let choices = world.kernel.choices.get() - before;
    assert!((1..=4).contains(&choices), "{choices}");
}

/// Two of three victims sleep on and the third, which was chosen, is suspended. Others have very many waiters chosen meanwhile.
#[test]
fn r44_a_lease_is_looked_after_however_many_others_have() {
    for others in [0, 500] {
        let mut world = World::new();
        let crowds = [world.process(500, true), world.process(500, true)];
        for crowd in crowds {
            world.change(crowd, Change::Delete { bank: 0, slot: 0, generation: 1 }).unwrap();
        }
        crate::asleep(&mut world, 3);
        world.publish(1, true);
        assert_eq!(world.woken().len(), 1);
        if others > 0 {
            world.own_end(&crowds, others);
            assert!(world.woken().len() > 900);
        }
        assert_eq!(world.shard.audit().fault, None);
        world.kernel.now = PATIENCE;
        world.shard.expired(&mut world.kernel);
        let woken = world.woken();
        assert_eq!(woken.iter().filter(|(process, _)| *process >= 2).count(), 1, "{others} others");
    }
}

/// Very much has arrived, says a driver whose waiters lie down again as soon as they are chosen: each is woken once.
#[test]
fn an_event_ends_though_who_is_woken_lies_down_again() {
    const WAITERS: u32 = 24;
    let mut world = World::new();
    let own = world.process(WAITERS, true);
    (0..WAITERS).for_each(|thread| world.park_on(own, thread, 0));
    for _ in 0..1_000_000 {
        world.tell(Level::new(1 << 40), true);
    }
    let (session, bank) = (world.processes[own].session.clone(), world.bank(own));
    world.kernel.at_once = Some(Box::new(move || {
        let parked = bank.queue_header().unwrap().parked();
        for thread in 0..WAITERS {
            session.memory().waiters().unwrap()[thread as usize].announce(parked, thread, 0);
        }
    }));
    world.hear();
    assert_eq!(world.woken().len(), WAITERS as usize);
}
