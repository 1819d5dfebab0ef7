//! Random lives of drivers, clients, sources and notes against a reference that knows nothing of rings and words: what
//! should be active is, nothing else is, and nothing is left when all have gone.

mod check;
mod lasting;
mod steps;
mod world;

use proptest::prelude::*;

use steps::{Step, steps};
use world::World;

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

/// One driver dies when it has stored a level and not counted what came, the next one when it has claimed the source and said nothing.
#[test]
fn an_edge_is_told_once_though_two_drivers_die_over_it() {
    let mut world = World::new();
    world.attach();
    world.open();
    world.bequeath(0);
    world.create(0, Some(0), true);
    world.adopt(0, 0);
    world.add(0, 0, 0, 0, true);
    world.publish(0, 1, true);
    world.doorbell();
    world.harvest(0, 0);
    world.publish(0, 0, false);
    world.dies_over(0, 2, true);
    world.follow(0);
    world.claim(1, 0, None);
    world.driver_dies(1);
    world.follow(0);
    // What was told last is told of again: 2. So this is no rise, and no arrival.
    world.claim(2, 0, Some(2));
    world.doorbell();
    world.check();
    let seen = |world: &World| world.clients[0].as_ref().unwrap().queues[&0].notes[&0].seen;
    let arrivals = world.sources[0].arrivals;
    assert_eq!(seen(&world), arrivals - 1, "one that was not told");
    world.harvest(0, 0);
    assert_eq!(seen(&world), arrivals, "it is");
    world.end();
}
