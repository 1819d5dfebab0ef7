//! Edges of inner sets.

use std::thread;
use std::time::Duration;

use libkq::KEvent;
use libkq::epoll::{EpollEvent, EpollFlags, EpollOp};

use crate::setting::{IN, setting};

#[test]
fn r37_an_edge_of_an_inner_set_is_told_once_for_each_change() {
    let s = setting();
    let (outer, edge, inner) = (s.epoll(), s.kqueue(), s.watching("a"));
    s.add(outer, inner, IN | EpollFlags::ET).unwrap();
    s.change(edge, KEvent::read(inner).add().clear()).unwrap();
    for round in 1..4 {
        s.world.readable("a", round);
        assert_eq!((s.told(outer), s.take(edge).len()), (vec![inner], 1));
        assert_eq!((s.told(outer), s.take(edge).len()), (vec![], 0));
        s.world.drained_to("a", 0);
        assert_eq!((s.told(outer), s.take(edge).len()), (vec![], 0));
    }
}

#[test]
fn r37_an_edge_tells_each_arrival_at_an_inner_note_that_is_still_true() {
    let s = setting();
    let (outer, edge, inner) = (s.epoll(), s.kqueue(), s.watching("a"));
    let (middle, around) = (s.epoll(), s.kqueue());
    s.add(outer, inner, IN | EpollFlags::ET).unwrap();
    s.change(edge, KEvent::read(inner).add().clear()).unwrap();
    s.add(middle, inner, IN).unwrap();
    s.change(around, KEvent::read(middle).add().clear()).unwrap();
    let look = || (s.told(outer).len(), s.take(edge).len(), s.take(around).len());
    // Bytes that can be read, a timer, an event of the program's own: none is ever taken.
    s.change(inner, KEvent::timer(1).every(Duration::from_millis(5)).add()).unwrap();
    s.change(inner, KEvent::user(1).add()).unwrap();
    assert_eq!(look(), (0, 0, 0));
    for _ in 0..3 {
        s.world.readable("a", 7);
        assert_eq!((look(), look()), ((1, 1, 1), (0, 0, 0)));
        s.world.advance(5_000_000);
        assert_eq!((look(), look()), ((1, 1, 1), (0, 0, 0)));
        s.change(inner, KEvent::user(1).trigger()).unwrap();
        assert_eq!((look(), look()), ((1, 1, 1), (0, 0, 0)));
        // Less is no arrival.
        s.world.drained_to("a", 3);
        assert_eq!(look(), (0, 0, 0));
    }
    // One who takes from the inner set has told the outer ones nothing.
    s.world.readable("a", 8);
    assert_eq!(s.take(inner).len(), 3);
    assert_eq!((look(), look()), ((1, 1, 1), (0, 0, 0)));
    // What arrives elsewhere, or at a note that is off, is none of theirs.
    s.change(inner, KEvent::user(2).add().trigger().disable()).unwrap();
    s.process.open("b", 0).unwrap();
    s.world.readable("b", 1);
    assert_eq!(look(), (0, 0, 0));
    s.process.epoll_ctl(middle, EpollOp::Delete, inner, EpollEvent::default()).unwrap();
    s.world.readable("a", 9);
    assert_eq!((look(), look()), ((1, 1, 0), (0, 0, 0)));
}

#[test]
fn r37_who_waits_for_edges_is_woken_for_an_arrival_at_a_note_that_is_still_true() {
    let s = setting();
    s.world.stop_clock();
    let (outer, edge, inner) = (s.epoll(), s.kqueue(), s.watching("a"));
    s.add(outer, inner, IN | EpollFlags::ET).unwrap();
    s.change(edge, KEvent::read(inner).add().clear()).unwrap();
    s.world.readable("a", 1);
    assert_eq!((s.told(outer).len(), s.take(edge).len()), (1, 1));
    for round in 0..20 {
        thread::scope(|scope| {
            let told = || s.process.epoll_wait(outer, &mut [EpollEvent::default()], None);
            let taken = || s.process.kevent(edge, &[], &mut [KEvent::default()], None);
            let waiters = [scope.spawn(told), scope.spawn(taken)];
            s.world.until_parked(4);
            let before = s.world.wakes();
            s.world.readable("a", 1);
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Ok(1), "round {round}");
            }
            assert!(s.world.wakes() - before <= 4);
        });
        assert_eq!((s.told(outer).len(), s.take(edge).len()), (0, 0));
    }
}

#[test]
fn r37_two_who_wait_for_the_same_edges_do_not_wake_each_other_for_ever() {
    let s = setting();
    s.world.stop_clock();
    let (outer, inner) = (s.epoll(), s.watching("a"));
    s.add(outer, inner, IN | EpollFlags::ET).unwrap();
    s.world.readable("a", 1);
    assert_eq!(s.told(outer).len(), 1);
    const EVENTS: usize = 40;
    let told = std::sync::atomic::AtomicUsize::new(0);
    let before = s.world.wakes();
    thread::scope(|scope| {
        let wait = || {
            // The inner note stays true all the while.
            while s.process.epoll_wait(outer, &mut [EpollEvent::default()], None).is_ok() {
                told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        };
        let waiters = [scope.spawn(wait), scope.spawn(wait)];
        for event in 0..EVENTS {
            s.world.until_parked(4);
            s.world.readable("a", 1);
            while told.load(std::sync::atomic::Ordering::SeqCst) <= event {
                thread::yield_now();
            }
        }
        s.world.until_parked(4);
        let wakes = s.world.wakes() - before;
        assert!(wakes <= 4 * EVENTS, "{wakes}");
        s.process.close(outer).unwrap();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
    assert_eq!(told.load(std::sync::atomic::Ordering::SeqCst), EVENTS);
}
