//! Who sleeps on sets with sets in them.

use std::thread;
use std::time::{Duration, Instant};

use libkq::KEvent;
use libkq::conditions::Conditions;
use libkq::epoll::{EpollEvent, EpollOp};
use libkq::nesting::Inner;
use libkq::poll::PollFd;

use crate::setting::{IN, NOW, setting};

#[test]
fn r37_who_waits_on_the_outer_set_is_woken_for_the_inner_one() {
    let s = setting();
    s.world.stop_clock();
    for round in 0..30 {
        let (outer, middle, inner) = (s.kqueue(), s.epoll(), s.watching("a"));
        s.add(middle, inner, IN).unwrap();
        s.change(outer, KEvent::read(middle).add()).unwrap();
        thread::scope(|scope| {
            let wait = |kq: i32| {
                let process = &s.process;
                move || process.kevent(kq, &[], &mut [KEvent::default()], None)
            };
            let in_poll = || s.process.poll(&mut [PollFd::new(middle, Conditions::IN)], None, None);
            let waiters = [scope.spawn(wait(outer)), scope.spawn(wait(inner)), scope.spawn(in_poll)];
            // Two threads are parked on three sets each.
            while s.world.parked() < 7 {
                thread::yield_now();
            }
            if round % 2 == 0 {
                s.world.readable("a", 5);
            } else {
                s.change(inner, KEvent::user(1).add().trigger()).unwrap();
            }
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Ok(1));
            }
        });
        assert_eq!(s.world.parked(), 0);
        for number in [outer, middle, inner, inner + 1] {
            s.process.close(number).unwrap();
        }
    }
}

#[test]
fn r37_sets_taken_apart_under_a_sleeper_are_free_of_it() {
    let s = setting();
    s.world.stop_clock();
    let (outer, middle, inner) = (s.kqueue(), s.epoll(), s.watching("a"));
    s.add(middle, inner, IN).unwrap();
    s.change(outer, KEvent::read(middle).add()).unwrap();
    s.change(outer, KEvent::user(1).add().clear()).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| s.process.kevent(outer, &[], &mut [KEvent::default()], None));
        s.world.until_parked(3);
        s.process.epoll_ctl(middle, EpollOp::Delete, inner, EpollEvent::default()).unwrap();
        s.change(outer, KEvent::user(1).trigger()).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(1));
    });
    assert_eq!(s.world.parked(), 0, "its bit would swallow the wake-ups of others");
}

#[test]
fn r50_a_set_that_is_added_under_sleepers_reaches_all_of_them() {
    let s = setting();
    s.world.stop_clock();
    let (outer, inner) = (s.kqueue(), s.watching("a"));
    thread::scope(|scope| {
        let wait = || s.process.kevent(outer, &[], &mut [KEvent::default()], None);
        let waiters = [scope.spawn(wait), scope.spawn(wait)];
        s.world.until_parked(2);
        s.change(outer, KEvent::read(inner).add()).unwrap();
        // Each is parked on both.
        let patience = Instant::now() + Duration::from_secs(120);
        while s.world.parked() < 4 && Instant::now() < patience {
            thread::yield_now();
        }
        let parked = s.world.parked();
        s.world.readable("a", 5);
        // Whatever is right, the test must end.
        s.change(outer, KEvent::user(1).add().trigger()).unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Ok(1));
        }
        assert_eq!(parked, 4);
    });
}

#[test]
fn r13_two_who_wait_on_a_set_with_a_silent_set_in_it_do_not_wake_each_other() {
    let s = setting();
    s.world.stop_clock();
    let (outer, inner) = (s.kqueue(), s.watching("a"));
    s.change(outer, KEvent::read(inner).add()).unwrap();
    s.change(outer, KEvent::user(1).add().clear()).unwrap();
    thread::scope(|scope| {
        let wait = || s.process.kevent(outer, &[], &mut [KEvent::default()], None);
        let waiters = [scope.spawn(wait), scope.spawn(wait), scope.spawn(wait)];
        while s.world.parked() < 6 {
            thread::yield_now();
        }
        let before = s.world.wakes();
        for done in 1..=3 {
            s.change(outer, KEvent::user(1).trigger()).unwrap();
            while waiters.iter().filter(|waiter| waiter.is_finished()).count() < done {
                thread::yield_now();
            }
        }
        let wakes = s.world.wakes() - before;
        assert!(wakes <= 9, "{wakes}");
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Ok(1));
        }
    });
}

#[test]
fn r50_a_set_that_is_added_while_a_thread_parks_reaches_it() {
    for within in [false, true] {
        let s = setting();
        s.world.stop_clock();
        let process = std::sync::Arc::new(s.process);
        let (outer, middle) = (process.kqueue().unwrap(), process.kqueue().unwrap());
        let (inner, fd) = (process.kqueue().unwrap(), process.open("a", 0).unwrap());
        let change = |kq, change| process.kevent(kq, &[change], &mut [], NOW).map(drop).unwrap();
        change(inner, KEvent::read(fd).add());
        if within {
            change(outer, KEvent::read(middle).add());
        }
        let own = process.clone();
        s.world.at_parking(move || {
            // Into the set for which the thread waits, or into one within.
            let around = if within { middle } else { outer };
            own.kevent(around, &[KEvent::read(inner).add()], &mut [], NOW).unwrap();
        });
        thread::scope(|scope| {
            let waiter = scope.spawn(|| process.kevent(outer, &[], &mut [KEvent::default()], None));
            let (all, patience) = (2 + u32::from(within), Instant::now() + Duration::from_secs(60));
            while s.world.parked() < all && Instant::now() < patience {
                thread::yield_now();
            }
            let parked = s.world.parked();
            s.world.readable("a", 5);
            // Whatever is right, the test must end.
            change(outer, KEvent::user(1).add().trigger());
            assert_eq!((waiter.join().unwrap(), parked), (Ok(1), all));
        });
    }
}

#[test]
fn r50_who_was_chosen_for_what_came_before_it_parked_wakes_those_who_have_a_use_for_it() {
    let s = setting();
    s.world.stop_clock();
    // Both watch the inner set; the note of the first is off.
    let (off, on, inner) = (s.kqueue(), s.kqueue(), s.watching("a"));
    s.change(off, KEvent::read(inner).add().disable()).unwrap();
    s.change(on, KEvent::read(inner).add()).unwrap();
    thread::scope(|scope| {
        let wait = |kq| {
            let process = &s.process;
            move || process.kevent(kq, &[], &mut [KEvent::default()], None)
        };
        let useful = scope.spawn(wait(on));
        s.world.until_parked(2);
        let useless = scope.spawn(wait(off));
        s.world.until_parked(4);
        // Who comes first in the rotation is chosen: each is, once.
        for round in 0..2 {
            s.world.readable("a", 5 + round);
        }
        assert_eq!(useful.join().unwrap(), Ok(1));
        s.change(off, KEvent::user(1).add().trigger()).unwrap();
        assert_eq!(useless.join().unwrap(), Ok(1));
    });
}

#[test]
fn r50_what_came_is_news_once_also_when_who_is_chosen_for_it_had_looked_before() {
    let s = setting();
    let inner = s.watching("a");
    let set = s.process.queue(inner).unwrap();
    assert!(!set.has_news());
    for round in 1..4 {
        s.world.readable("a", round);
        // As who parks does.
        assert_eq!(set.look().0, 1);
        assert_eq!((set.has_news(), set.has_news()), (true, false));
        s.world.drained_to("a", 0);
        assert!(!set.has_news());
    }
    s.world.readable("a", 1);
    s.world.drained_to("a", 0);
    assert!(!set.has_news(), "nothing to tell");
}

#[test]
fn r13_a_look_at_a_set_that_nobody_waits_for_hands_nothing_on() {
    let s = setting();
    let inner = s.watching("a");
    let set = s.process.queue(inner).unwrap();
    // From here on it is not seen at once that nobody is parked.
    set.parked().add(64);
    set.parked().remove(64);
    s.world.readable("a", 1);
    assert!(set.has_news());
    assert_eq!((s.take(inner).len(), set.has_news()), (1, false));
}
