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
