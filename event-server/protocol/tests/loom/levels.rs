//! A level is looked at, by the shard or by who has just become interested.

use crate::session::{NOTE, Queue, SOURCE, Session, check};
use event_protocol::changed::{Drain, Publisher};
use event_protocol::filter::Filters;
use event_protocol::ring::{Consumer, Producer};
use event_protocol::slot::Control;
use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;

#[test]
fn a_published_level_is_always_looked_at() {
    check(5, || {
        let session = Arc::new(Session::new(Filters::READ));
        let driver = {
            let session = session.clone();
            thread::spawn(move || {
                let mut publisher = Publisher::new();
                session.publish(&mut publisher, 1, true);
                session.publish(&mut publisher, 2, true);
            })
        };
        let (mut drain, mut seen) = (Drain::new(), 0);
        let mut run = |seen: &mut i64| {
            loop {
                while let Some(source) = drain.pop(session.changed()).unwrap() {
                    assert_eq!(source, SOURCE);
                    session.cell.begin_look();
                    *seen = session.read_level();
                }
                if drain.arm(session.changed()) {
                    break;
                }
            }
        };
        // The shard sleeps from the beginning: only the doorbell may wake it.
        for _ in 0..2 {
            if session.doorbell.swap(0, Ordering::AcqRel) == 1 {
                run(&mut seen);
            }
        }
        driver.join().unwrap();
        if session.doorbell.swap(0, Ordering::AcqRel) == 1 {
            run(&mut seen);
        }
        assert_eq!(seen, 2);
    });
}

#[test]
fn a_new_interest_sees_the_level_or_is_told() {
    check(4, || {
        let session = Arc::new(Session::new(Filters::empty()));
        let driver = {
            let session = session.clone();
            thread::spawn(move || session.publish(&mut Publisher::new(), 1, true))
        };
        session.cell.set_interest(Filters::READ);
        let seen = session.read_level() == 1;
        driver.join().unwrap();
        let told = Drain::new().pop(session.changed()).unwrap().is_some();
        assert!(seen || told);
        assert_eq!(told, session.doorbell.load(Ordering::Acquire) == 1);
    });
}

#[test]
fn r8_enabling_finds_the_level_or_the_shard_finds_it_enabled() {
    check(3, || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, Control::empty()));
        let shard = {
            let (session, queue) = (session.clone(), queue.clone());
            thread::spawn(move || {
                session.publish(&mut Publisher::new(), 1, true);
                let mut drain = Drain::new();
                assert!(drain.pop(session.changed()).unwrap().is_some());
                session.cell.begin_look();
                queue.look(&mut Producer::new(), &session.cell, NOTE)
            })
        };
        queue.slots[0].set_enabled(true);
        let own = queue.slots[0].requeue_if_active(&session.cell);
        let pushed = shard.join().unwrap();
        assert!(own ^ pushed, "exactly one queues it");
        assert_eq!(queue.drain(&mut Consumer::new()), usize::from(pushed));
    });
}
