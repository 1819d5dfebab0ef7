//! A driver dies, and the next one goes on with its cell, while a client looks at it.
//!
//! ```text
//! driver              shard                 next driver             client
//! kept = word
//! level, activity                                                   activity; level
//!   dies ───────────► level = AWAY          reads kept,             told, if it is ready and the
//!                     (after its end)       what was there last     activity not the one seen last
//!                                           level = of kept
//!                                           activity + 1, if that is a rise
//! ```
//! The kernel orders the three on the left: each begins after the end of the one before. The client is ordered with nobody.

use crate::session::{SOURCE, Session, check};
use event_protocol::cell::Direction;
use event_protocol::changed::Publisher;
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use loom::sync::Arc;
use loom::thread;

/// An edge-triggered note of a client.
#[derive(Default)]
struct Note {
    seen: u32,
    told: usize,
}

impl Note {
    fn look(&mut self, session: &Session) {
        let (activity, _) = session.cell.activity();
        if activity != self.seen && session.read_level() > 0 {
            self.seen = activity;
            self.told += 1;
            // Whoever is told of a level may act on it: the next driver has to know of it.
            assert_eq!(session.cell.kept(), 1);
        }
    }
}

#[test]
fn who_goes_on_knows_what_was_told_and_tells_it_once() {
    // When the driver dies it has done nothing, kept its word, or told it too.
    for done in 0..3 {
        check(4, move || {
            let (session, next) = (Arc::new(Session::new(Filters::READ)), Session::new(Filters::READ));
            let client = {
                let session = session.clone();
                thread::spawn(move || {
                    let mut note = Note::default();
                    note.look(&session);
                    note.look(&session);
                    note
                })
            };
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
            _ = Publisher::new().publish(ring, cell, SOURCE, direction, level, rose).unwrap();
            let mut note = client.join().unwrap();
            note.look(&session);
            assert!(!session.cell.is_away());
            assert_eq!(note.told, done.min(1));
        });
    }
}
