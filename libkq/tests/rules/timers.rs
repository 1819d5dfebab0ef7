//! Timers and timeouts.

use std::time::Duration;

use libkq::KEvent;
use libkq::event::note;

use crate::setting::{SECOND, setting};
use crate::world::EINVAL;

#[test]
fn r25_a_timer_counts_since_the_last_harvest() {
    let s = setting();
    s.change(&[KEvent::timer(9).every(Duration::from_secs(1)).udata(3)]);
    s.world.advance(3 * SECOND + 1);
    let event = s.take_one();
    assert_eq!((event.ident, event.data, event.udata), (9, 3, 3));
    s.nothing();
    // No drift: the fourth is one second after the third, not after the harvest.
    s.world.advance(SECOND - 1);
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r25_adding_a_timer_again_restarts_it_and_drops_what_was_counted() {
    let s = setting();
    s.change(&[KEvent::timer(9).every(Duration::from_secs(1))]);
    s.world.advance(5 * SECOND);
    s.change(&[KEvent::timer(9).every(Duration::from_secs(2))]);
    s.nothing();
    s.world.advance(2 * SECOND - 1);
    s.nothing();
    s.world.advance(1);
    assert_eq!(s.take_one().data, 1);
    assert_eq!(s.world.files(), 2, "the same timer is used again");
}

#[test]
fn what_comes_between_the_first_look_and_the_sleep_is_seen() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    // Nobody is parked yet, so nobody is signalled: only the look after the announcement can find it.
    s.world.readable_at_parking("a", 4);
    let mut events = [KEvent::default(); 1];
    assert_eq!(s.process.kevent(s.kq, &[], &mut events, None), Ok(1));
    assert_eq!(events[0].data, 4);
}

#[test]
fn r25_the_old_schedule_does_not_run_on_into_the_new_one() {
    let s = setting();
    s.change(&[KEvent::timer(9).every(Duration::from_secs(1))]);
    s.world.arm_late(3 * SECOND);
    s.change(&[KEvent::timer(9).every(Duration::from_secs(10))]);
    s.nothing();
    s.world.advance(10 * SECOND);
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r25_a_waiter_is_woken_by_a_timer() {
    let s = setting();
    let mut events = [KEvent::default(); 4];
    let change = [KEvent::timer(1).every(Duration::from_secs(1))];
    assert_eq!(s.process.kevent(s.kq, &change, &mut events, None), Ok(1));
    assert_eq!(events[0].data, 1);
}

#[test]
fn r26_periods_out_of_the_ordinary() {
    let s = setting();
    let timer = |data, fflags| KEvent { data, fflags, ..KEvent::timer(1).add() };
    s.refused(timer(-1, 0), EINVAL);
    s.refused(timer(1, note::SECONDS | note::USECONDS), EINVAL);
    s.change(&[timer(i64::MAX, note::SECONDS)]);
    s.world.advance(1 << 40);
    s.nothing();
    // Zero is one unit.
    s.change(&[timer(0, note::SECONDS).oneshot()]);
    s.world.advance(SECOND - 1);
    s.nothing();
    s.world.advance(1);
    s.take_one();
    // An absolute time in the past fires now.
    s.change(&[timer(0, note::ABSTIME | note::NSECONDS)]);
    assert_eq!(s.take_one().data, 1);
    s.world.advance(SECOND);
    s.nothing();
}

#[test]
fn r48_a_timeout_is_never_early_and_huge_ones_do_not_overflow() {
    let s = setting();
    let before = libkq::platform::Platform::now(&s.world);
    let mut events = [KEvent::default(); 1];
    assert_eq!(s.process.kevent(s.kq, &[], &mut events, Some(Duration::from_nanos(1500))), Ok(0));
    assert!(libkq::platform::Platform::now(&s.world) >= before + 1500);
    s.change(&[KEvent::timer(1).after(Duration::from_secs(1))]);
    assert_eq!(s.process.kevent(s.kq, &[], &mut events, Some(Duration::MAX)), Ok(1));
}
