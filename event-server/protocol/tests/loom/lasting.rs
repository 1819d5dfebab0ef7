//! A driver dies, and the next one goes on with its cell, while a client looks at it.
//!
//! ```text
//! driver              shard                 next driver             client
//! kept = word
//! level, with parity                                                activity; level
//! activity + 1                                                      told, if it is ready and the
//! queued, ring, armed                                               activity not the one seen last
//!   dies ───────────► activity + 1, if the
//!    (after any of    parity says so
//!     these stores)   queued = 0; looks
//!                     level = AWAY          reads kept,
//!                                           what was there last
//!                                           level = of kept
//!                                           activity + 1, if that is a rise
//! ```
//! The kernel orders the three on the left: each begins after the end of the one before. The client is ordered with nobody.

use crate::session::{SOURCE, Session, check};
use event_protocol::atomic::live;
use event_protocol::cell::Direction;
use event_protocol::changed::Publisher;
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::slot::{Control, Slot, Terms};
use loom::sync::Arc;
use loom::thread;

/// Stores of an arrival that somebody waits for: two words of the cell, and four to tell of it.
const STORES: usize = 6;

/// An edge-triggered note of a client.
struct Note {
    slot: Slot,
    told: usize,
}

impl Note {
    /// One that has seen what was there.
    fn new(session: &Session) -> Note {
        let slot = Slot::default();
        let control = Control::ENABLED.union(Control::EDGE);
        slot.begin(1, Terms { control, filters: Filters::READ, ..Terms::default() }, &session.cell);
        slot.see_activity(session.cell.activity(), Filters::READ);
        Note { slot, told: 0 }
    }

    /// Whether it was told, and of how much, which is read after the note was found true.
    fn look(&mut self, session: &Session) -> bool {
        let activity = session.cell.activity();
        let active = !self.slot.active_at(&session.cell, activity).is_empty();
        if active {
            self.slot.see_activity(activity, Filters::READ);
            self.told += 1;
        }
        active
    }
}

/// What the shard does when the driver is dead, and what was there.
fn leave(session: &Session) -> Level {
    session.cell.make_up();
    session.cell.begin_look();
    let [before, _] = session.cell.leave();
    before
}

/// The next driver's first publishing of so much, as the sdk does it.
fn go_on(session: &Session, before: Level, amount: i64) {
    let (next, level) = (Session::new(Filters::READ), Level::new(amount));
    let rose = level.rose_from(before);
    _ = Publisher::new()
        .publish(next.changed(), &session.cell, SOURCE, Direction::Read, level, rose)
        .unwrap();
    assert!(!session.cell.is_away());
}

/// A driver that has told of `first` and seen the client told of it dies after so many stores of an arrival that makes it `then`.
/// Returns how often the client is told.
fn told_of(first: i64, then: i64, stores: usize) -> usize {
    let session = Arc::new(Session::new(Filters::READ));
    let mut publisher = Publisher::new();
    session.publish(&mut publisher, first, true);
    session.cell.begin_look();
    let mut note = Note::new(&session);
    let client = {
        let session = session.clone();
        thread::spawn(move || {
            note.look(&session);
            note.look(&session);
            note
        })
    };
    live(stores, || session.publish(&mut publisher, then, true));
    let before = leave(&session);
    go_on(&session, before, then);
    let mut note = client.join().unwrap();
    note.look(&session);
    note.look(&session);
    note.told
}

#[test]
fn an_edge_is_told_once_wherever_its_driver_dies() {
    for stores in 0..=STORES {
        check(3, move || assert_eq!(told_of(0, 1, stores), 1, "dead after {stores} stores"));
    }
}

/// An arrival that is no rise is one as soon as its level is stored: before that nobody but the dead knew of it.
#[test]
fn an_edge_without_a_rise_is_told_once_if_its_driver_lived_to_say_so() {
    for stores in 0..=STORES {
        let expected = stores.min(1);
        check(3, move || assert_eq!(told_of(1, 1, stores), expected, "dead after {stores} stores"));
    }
}

/// One dies after the other, the second one while it goes on with what the first one left.
#[test]
fn an_edge_is_told_once_if_the_next_driver_dies_over_it_too() {
    for stores in 0..=STORES {
        check(2, move || {
            let session = Arc::new(Session::new(Filters::READ));
            let mut note = Note::new(&session);
            let client = {
                let session = session.clone();
                thread::spawn(move || {
                    note.look(&session);
                    note.look(&session);
                    note
                })
            };
            live(stores % 2, || session.publish(&mut Publisher::new(), 1, true));
            let before = leave(&session);
            live(stores, || go_on_dying(&session, before));
            // The levels that the third one is told: of the second one if it said anything.
            let now = leave(&session);
            let before = if now.flags.is_empty() { now } else { before };
            go_on(&session, before, 1);
            let mut note = client.join().unwrap();
            note.look(&session);
            assert_eq!(note.told, 1, "dead after {stores} stores");
        });
    }
}

/// As [`go_on`], of one that perhaps does not get to the end.
fn go_on_dying(session: &Session, before: Level) {
    let (next, level) = (Session::new(Filters::READ), Level::new(1));
    let rose = level.rose_from(before);
    _ = Publisher::new()
        .publish(next.changed(), &session.cell, SOURCE, Direction::Read, level, rose)
        .unwrap();
}

/// The end of one direction's arrival is not the other's.
#[test]
fn arrivals_of_both_directions_are_made_up_for_each_by_itself() {
    for stores in 0..=STORES + 1 {
        check(2, move || {
            let session = Session::new(Filters::READ);
            let levels = [(Level::new(1), true), (Level::new(1), true)];
            let mut publisher = Publisher::new();
            let (changed, cell) = (session.changed(), &session.cell);
            live(stores, || _ = publisher.publish_both(changed, cell, SOURCE, levels).unwrap());
            cell.make_up();
            let expected = [0, 1, 2][stores.min(2)];
            assert_eq!(cell.activity(), (u32::from(expected > 0), u32::from(expected > 1)));
            // And not again.
            cell.make_up();
            assert_eq!(cell.activity(), (u32::from(expected > 0), u32::from(expected > 1)));
        });
    }
}

#[test]
fn who_goes_on_knows_what_was_told() {
    // When the driver dies it has done nothing, kept its word, or told it too.
    for stores in 0..=STORES + 1 {
        check(3, move || {
            let session = Arc::new(Session::new(Filters::READ));
            let mut note = Note::new(&session);
            let client = {
                let session = session.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        // Whoever is told of a level may act on it: the next driver has to know of it.
                        if note.look(&session) {
                            assert_eq!(session.cell.kept(), 1);
                        }
                    }
                    note
                })
            };
            live(stores, || {
                session.cell.keep(1);
                session.publish(&mut Publisher::new(), 1, true);
            });
            let before = leave(&session);
            let amount = session.cell.kept() as i64;
            go_on(&session, before, amount);
            let mut note = client.join().unwrap();
            note.look(&session);
            assert_eq!(note.told, stores.min(1));
        });
    }
}
