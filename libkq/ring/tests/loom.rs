//! The hand-offs of the ring, in every interleaving.
#![cfg(loom)]

use claim_ring::Ring;
use event_protocol::park::{Waiter, choose};
use event_protocol::parked::Parked;
use loom::sync::Arc;
use loom::sync::atomic::{Ordering, fence};
use loom::thread;

#[test]
fn of_two_threads_one_gets_the_event() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(1));
        assert!(ring.put([7, 8, 9, 10]));
        let claim = |owner| {
            let ring = ring.clone();
            move || {
                ring.claim(owner).is_some_and(|claim| {
                    assert_eq!(ring.event(&claim), [7, 8, 9, 10]);
                    ring.commit(claim)
                })
            }
        };
        let other = thread::spawn(claim(1));
        let own = claim(2)();
        assert!(own ^ other.join().unwrap());
        assert_eq!(ring.room(), 1);
    });
}

#[test]
fn what_a_dead_thread_did_not_commit_is_done_once() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(1));
        assert!(ring.put([7, 0, 0, 0]));
        let claim = ring.claim(1).unwrap();
        let late = {
            let ring = ring.clone();
            // Believed dead: it commits all the same.
            thread::spawn(move || ring.commit(claim))
        };
        let recovered = ring.recover(1);
        let again = ring.claim(2).is_some_and(|claim| ring.commit(claim));
        assert!(late.join().unwrap() ^ again);
        assert_eq!(recovered == 1, again);
    });
}

#[test]
fn after_forget_nobody_gets_the_event_not_even_from_a_dead_thread() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(1));
        assert!(ring.put([7, 0, 0, 0]));
        let taker = {
            let ring = ring.clone();
            thread::spawn(move || ring.claim(1).is_some())
        };
        ring.forget(|event| event[0] == 7);
        assert!(ring.claim(2).is_none());
        taker.join().unwrap();
        assert_eq!(ring.recover(1), 0);
        assert!(ring.claim(2).is_none());
        assert_eq!(ring.room(), 1);
    });
}

#[test]
fn a_place_that_is_used_again_is_another_event() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(1));
        assert!(ring.put([1, 1, 0, 0]));
        let taker = {
            let ring = ring.clone();
            thread::spawn(move || {
                ring.claim(1).map(|claim| {
                    let event = ring.event(&claim);
                    assert_eq!(event[0], event[1], "half an event");
                    ring.commit(claim);
                })
            })
        };
        ring.forget(|event| event[0] == 1);
        let _ = ring.put([2, 2, 0, 0]);
        ring.forget(|event| event[0] == 1);
        taker.join().unwrap();
    });
}

#[test]
fn what_is_given_back_is_seen_by_who_waits_or_wakes_it() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(1));
        let (waiters, parked) = (Arc::new([Waiter::default()]), Arc::new(Parked::default()));
        assert!(ring.put([7, 0, 0, 0]));
        let claim = ring.claim(1).unwrap();
        let giver = {
            let (ring, waiters, parked) = (ring.clone(), waiters.clone(), parked.clone());
            thread::spawn(move || {
                assert!(ring.give_back(claim));
                fence(Ordering::SeqCst);
                !parked.looks_empty() && choose(&parked, &*waiters, 0).is_some()
            })
        };
        // On the ring and on its queue.
        let queue = Parked::default();
        parked.add(0);
        waiters[0].announce(&queue, 0, 0);
        let seen = ring.has_ready();
        let woken = giver.join().unwrap();
        assert!(seen || woken, "sleeps beside an event");
        assert_eq!(woken, waiters[0].is_chosen());
    });
}
