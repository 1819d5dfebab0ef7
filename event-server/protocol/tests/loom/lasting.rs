//! A driver dies, and the next one goes on with its cell, while a client looks at it.
//!
//! ```text
//! driver              shard                 next driver             client
//! kept = word
//! level, activity                                                   look: activity, level
//!   dies ───────────► level = AWAY          reads kept,             seen = activity, if the level is ready
//!                     (after its end)       what was there last
//!                                           level = of kept
//!                                           activity + 1, if that is a rise
//! ```
//! The kernel orders the three on the left: each begins after the end of the one before. The client is ordered with nobody.

use crate::session::{Queue, SOURCE, Session, check};
use event_protocol::cell::Direction;
use event_protocol::changed::Publisher;
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::slot::Control;
use loom::sync::Arc;
use loom::thread;

/// A look as a harvest does it: whether the edge is told.
fn told(queue: &Queue, session: &Session) -> usize {
    let activity = session.cell.activity();
    if queue.slots[0].active(&session.cell).is_empty() {
        return 0;
    }
    queue.slots[0].see_activity(activity, Filters::READ);
    // Whoever is told of a level may act on it: the next driver knows of it then.
    assert_eq!(session.cell.kept(), 1);
    1
}

#[test]
fn who_goes_on_knows_what_was_told_and_tells_it_once() {
    // When the driver dies it has done nothing, kept its word, or told it too.
    for done in 0..3 {
        check(4, move || {
            let (session, next) =
                (Arc::new(Session::new(Filters::READ)), Arc::new(Session::new(Filters::READ)));
            let queue = Arc::new(Queue::new(&session.cell, Control::ENABLED | Control::EDGE));
            let drivers = {
                let session = session.clone();
                thread::spawn(move || {
                    if done > 0 {
                        session.cell.keep(1);
                    }
                    if done > 1 {
                        session.publish(&mut Publisher::new(), 1, true);
                    }
                    let [before, _] = session.cell.leave();
                    session.cell.begin_look();
                    let level = Level::new(session.cell.kept() as i64);
                    let (direction, rose) = (Direction::Read, level.rose_from(before));
                    let (ring, cell) = (next.changed(), &session.cell);
                    Publisher::new().publish(ring, cell, SOURCE, direction, level, rose).unwrap()
                })
            };
            let meanwhile = told(&queue, &session) + told(&queue, &session);
            _ = drivers.join().unwrap();
            assert!(!session.cell.is_away());
            assert_eq!(meanwhile + told(&queue, &session), done.min(1));
        });
    }
}
