//! A parked waiter is chosen, or sees what it would have been chosen for.

use crate::session::{NOTE, Queue, Session, check};
use event_protocol::changed::{Drain, Publisher};
use event_protocol::filter::Filters;
use event_protocol::park::{End, Waiter, choose};
use event_protocol::parked::Parked;
use event_protocol::ring::{Consumer, Producer};
use event_protocol::slot::Control;
use loom::sync::Arc;
use loom::thread;

#[test]
fn a_parked_waiter_is_chosen_or_sees_the_activation() {
    check(4, || {
        let cell = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&cell.cell, Control::ENABLED));
        cell.publish(&mut Publisher::new(), 1, true);
        let shard = {
            let (cell, queue) = (cell.clone(), queue.clone());
            thread::spawn(move || {
                assert!(queue.look(&mut Producer::new(), &cell.cell, NOTE));
                choose(queue.header.parked(), &queue.waiters, 0)
            })
        };
        queue.waiters[1].announce(queue.header.parked(), 1, 0);
        let seen = queue.header.looks_pending();
        let chosen = shard.join().unwrap();
        assert!(seen || chosen == Some(1), "lost wake-up");
        assert_eq!(queue.waiters[1].is_chosen(), chosen == Some(1));
        let end = queue.waiters[1].withdraw(queue.header.parked(), 1);
        assert_eq!(end == End::Chosen, chosen == Some(1));
        assert!(queue.header.parked().looks_empty());
    });
}

/// More waiters than the first word has bits: one comes while another goes.
#[test]
fn a_waiter_of_a_further_word_is_chosen_or_sees_the_activation() {
    const NUMBER: u32 = 64;
    check(3, || {
        let cell = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&cell.cell, Control::ENABLED));
        cell.publish(&mut Publisher::new(), 1, true);
        queue.header.parked().add(NUMBER + 1);
        let leaver = {
            let queue = queue.clone();
            thread::spawn(move || queue.header.parked().remove(NUMBER + 1))
        };
        let shard = {
            let (cell, queue) = (cell.clone(), queue.clone());
            thread::spawn(move || {
                assert!(queue.look(&mut Producer::new(), &cell.cell, NOTE));
                queue.header.parked().find(0, |number| number == NUMBER && queue.waiters[1].try_choose())
            })
        };
        queue.waiters[1].announce(queue.header.parked(), NUMBER, 0);
        let seen = queue.header.looks_pending();
        let chosen = shard.join().unwrap();
        assert!(seen || chosen == Some(NUMBER), "lost wake-up");
        let end = queue.waiters[1].withdraw(queue.header.parked(), NUMBER);
        assert_eq!(end == End::Chosen, chosen == Some(NUMBER));
        leaver.join().unwrap();
        assert_eq!(queue.header.parked().count(), 0);
    });
}

/// Who sleeps on a set with a set in it puts its bit into both words, the inner ones first.
#[test]
fn r37_a_waiter_of_two_queues_is_chosen_by_the_inner_one_or_sees_its_activation() {
    check(4, || {
        let cell = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&cell.cell, Control::ENABLED));
        let outer = Parked::default();
        cell.publish(&mut Publisher::new(), 1, true);
        let shard = {
            let (cell, queue) = (cell.clone(), queue.clone());
            thread::spawn(move || {
                assert!(queue.look(&mut Producer::new(), &cell.cell, NOTE));
                choose(queue.header.parked(), &queue.waiters, 0)
            })
        };
        queue.header.parked().add(1);
        queue.waiters[1].announce(&outer, 1, 0);
        let seen = queue.header.looks_pending();
        let chosen = shard.join().unwrap();
        assert!(seen || chosen == Some(1), "lost wake-up");
        let end = queue.waiters[1].withdraw(&outer, 1);
        queue.header.parked().remove(1);
        assert_eq!(end == End::Chosen, chosen == Some(1));
        assert!(outer.looks_empty() && queue.header.parked().looks_empty());
    });
}

/// A note that is true and queued already says nothing new to the ring: who waits for arrivals is chosen all the same.
#[test]
fn r37_an_arrival_at_a_queued_note_chooses_who_waits_for_it_or_is_seen() {
    check(4, || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, Control::ENABLED));
        let (mut publisher, mut drain, mut producer) = (Publisher::new(), Drain::new(), Producer::new());
        session.publish(&mut publisher, 1, true);
        assert!(drain.pop(session.changed()).unwrap().is_some());
        session.cell.begin_look();
        assert!(queue.look(&mut producer, &session.cell, NOTE));
        assert_eq!(queue.drain(&mut Consumer::new()), 1);
        queue.header.tell_every_arrival();
        let before = queue.slots[0].arrivals(&session.cell);
        let shard = {
            let (session, queue) = (session.clone(), queue.clone());
            thread::spawn(move || {
                session.publish(&mut publisher, 1, true);
                assert!(drain.pop(session.changed()).unwrap().is_some());
                session.cell.begin_look();
                assert!(queue.look(&mut producer, &session.cell, NOTE));
                choose(queue.header.parked(), &queue.waiters, 0)
            })
        };
        queue.waiters[1].announce(queue.header.parked(), 1, 0);
        let seen = queue.slots[0].arrivals(&session.cell) != before;
        let chosen = shard.join().unwrap();
        assert!(seen || chosen == Some(1), "an edge without a wake-up");
        let end = queue.waiters[1].withdraw(queue.header.parked(), 1);
        assert_eq!(end == End::Chosen, chosen == Some(1));
        assert_eq!(queue.drain(&mut Consumer::new()), 0, "queued once");
    });
}

#[test]
fn r44_a_waiter_that_times_out_is_won_exactly_once_and_hands_the_wake_on() {
    check(3, || {
        let shared = Arc::new((Parked::default(), [Waiter::default(), Waiter::default()]));
        for number in 0..2 {
            shared.1[number as usize].announce(&shared.0, number, 0);
        }
        let chooser = {
            let shared = shared.clone();
            thread::spawn(move || choose(&shared.0, &shared.1, 63))
        };
        // Waiter 0 times out at that moment.
        let end = shared.1[0].withdraw(&shared.0, 0);
        let handed = match end {
            End::Chosen => choose(&shared.0, &shared.1, 0),
            End::Withdrawn => None,
        };
        let chosen = chooser.join().unwrap();
        match end {
            End::Chosen => assert_eq!((chosen, handed), (Some(0), Some(1))),
            End::Withdrawn => assert_eq!(chosen, Some(1)),
        }
        assert!(shared.1[1].is_chosen() && !shared.1[0].is_chosen());
    });
}

#[test]
fn two_choosers_never_choose_one_waiter() {
    check(4, || {
        let shared = Arc::new((Parked::default(), [Waiter::default(), Waiter::default()]));
        for number in 0..2 {
            shared.1[number as usize].announce(&shared.0, number, 0);
        }
        let other = {
            let shared = shared.clone();
            thread::spawn(move || choose(&shared.0, &shared.1, 0))
        };
        let own = choose(&shared.0, &shared.1, 0);
        let other = other.join().unwrap();
        assert!(own.is_some() && other.is_some() && own != other);
    });
}
