//! Activation against harvest.

use crate::session::{NOTE, Queue, Session, check};
use event_protocol::changed::{Drain, Publisher};
use event_protocol::filter::Filters;
use event_protocol::ring::{Consumer, Producer};
use event_protocol::slot::{Control, Terms};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// Driver, shard and a harvesting client: the note is never lost, never twice in ring or list.
fn activation_against_harvest(control: Control, later: &'static [i64]) {
    check(4, move || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, control));
        let driver = {
            let session = session.clone();
            thread::spawn(move || {
                let mut publisher = Publisher::new();
                session.publish(&mut publisher, 1, true);
                for &level in later {
                    session.publish(&mut publisher, level, level > 0);
                }
            })
        };
        let shard = {
            let (session, queue) = (session.clone(), queue.clone());
            thread::spawn(move || {
                let (mut drain, mut producer) = (Drain::new(), Producer::new());
                for _ in 0..2 {
                    while drain.pop(session.changed()).unwrap().is_some() {
                        session.cell.begin_look();
                        queue.look(&mut producer, &session.cell, NOTE);
                    }
                }
                (drain, producer)
            })
        };
        let mut consumer = Consumer::new();
        let slot = &queue.slots[0];
        let mut listed = queue.drain(&mut consumer);
        assert!(listed <= 1);
        if listed == 1 {
            let activity = session.cell.activity();
            let active = slot.active(&session.cell);
            if !active.is_empty() && control.contains(Control::EDGE) {
                slot.see_activity(activity, active);
                listed = usize::from(slot.settle(&session.cell));
            } else if active.is_empty() {
                listed = usize::from(slot.settle(&session.cell));
            }
        }
        driver.join().unwrap();
        let (mut drain, mut producer) = shard.join().unwrap();
        while drain.pop(session.changed()).unwrap().is_some() {
            session.cell.begin_look();
            queue.look(&mut producer, &session.cell, NOTE);
        }
        let listed = listed + queue.drain(&mut consumer);
        assert!(listed <= 1, "twice at once");
        if !slot.active(&session.cell).is_empty() {
            assert_eq!(listed, 1, "lost");
        }
        assert_eq!(slot.try_queue(), listed == 0, "the queued word says where the note is");
    });
}

#[test]
fn r12_a_level_note_is_not_lost_between_activation_and_harvest() {
    activation_against_harvest(Control::ENABLED, &[0, 2]);
}

#[test]
fn r15_an_edge_is_not_lost_between_activation_and_harvest() {
    activation_against_harvest(Control::ENABLED | Control::EDGE, &[2]);
}

#[test]
fn r15_an_edge_is_told_with_the_level_that_came_with_it() {
    check(3, || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, Control::ENABLED | Control::EDGE));
        let mut publisher = Publisher::new();
        session.publish(&mut publisher, 1, true);
        let driver = {
            let session = session.clone();
            thread::spawn(move || session.publish(&mut publisher, 2, true))
        };
        let harvest = {
            let (session, queue) = (session.clone(), queue.clone());
            thread::spawn(move || {
                let activity = session.cell.activity();
                let told = session.read_level();
                queue.slots[0].see_activity(activity, Filters::READ);
                told
            })
        };
        driver.join().unwrap();
        // It told the first arrival, or both.
        let told = harvest.join().unwrap();
        assert!(told == 2 || !queue.slots[0].active(&session.cell).is_empty(), "the second is never told");
    });
}

#[test]
fn r35_a_deleted_note_is_not_delivered_to_the_next_user_of_its_slot() {
    check(3, || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, Control::ENABLED));
        session.publish(&mut Publisher::new(), 1, true);
        let replied = Arc::new(AtomicU32::new(0));
        let shard = {
            let (session, queue, replied) = (session.clone(), queue.clone(), replied.clone());
            thread::spawn(move || {
                let mut producer = Producer::new();
                queue.look(&mut producer, &session.cell, NOTE);
                replied.store(1, Ordering::Release);
            })
        };
        let mut consumer = Consumer::new();
        let slot = &queue.slots[0];
        let before = queue.drain(&mut consumer);
        assert!(before <= 1);
        slot.retire();
        assert_eq!(queue.drain(&mut consumer), 0, "retired");
        shard.join().unwrap();
        assert_eq!(replied.load(Ordering::Acquire), 1);
        assert_eq!(queue.drain(&mut consumer), 0, "retired");
        let terms = Terms { control: Control::ENABLED, filters: Filters::READ, ..Terms::default() };
        slot.begin(2, terms, &session.cell);
        assert_eq!(queue.drain(&mut consumer), 0, "an entry of the deleted note");
        assert!(slot.try_queue(), "the new note begins idle");
    });
}
