//! Change lists: what a change does to a note, and how a call answers.

use std::time::Duration;

use libkq::{Error, EventFlags, Filter, KEvent};

use crate::setting::{NOW, SECOND, setting};
use crate::world::{EBADF, EINVAL, ENOENT};

#[test]
fn r1_changes_are_applied_before_events_are_read() {
    let s = setting();
    s.world.readable("a", 3);
    let mut events = [KEvent::default(); 2];
    let changes = [KEvent::read(s.fd).add().udata(5), KEvent::user(1).add().trigger()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, NOW), Ok(2));
    let read = events.iter().find(|event| event.filter == Filter::READ).unwrap();
    assert_eq!((read.ident, read.data, read.udata), (s.fd as usize, 3, 5));
}

#[test]
fn r2_a_failed_change_is_an_error_event_and_the_rest_goes_on() {
    let s = setting();
    s.world.readable("a", 1);
    let mut events = [KEvent::default(); 4];
    let changes = [KEvent::read(99).add().udata(7), KEvent::read(s.fd).add(), KEvent::user(3).delete()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, None), Ok(2));
    assert_eq!(events[0].flags, EventFlags::ERROR);
    assert_eq!((events[0].ident, events[0].data, events[0].udata), (99, i64::from(EBADF), 7));
    assert_eq!(events[0].error(), Some(Error::new(EBADF)));
    assert_eq!((events[1].ident, events[1].data), (3, i64::from(ENOENT)));
    // The good one was made, and nothing was drained by that call.
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r2_without_room_the_call_fails_and_later_changes_are_not_made() {
    let s = setting();
    let mut events = [KEvent::default(); 1];
    let changes = [KEvent::read(98).add(), KEvent::read(99).add(), KEvent::user(1).add().trigger()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, NOW), Err(Error::new(EBADF)));
    s.nothing();
    let changes = [KEvent::user(1).add().trigger(), KEvent::read(99).add(), KEvent::user(2).add().trigger()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut [], NOW), Err(Error::new(EBADF)));
    assert_eq!(s.take_one().ident, 1);
}

#[test]
fn r3_receipt_answers_and_drains_nothing() {
    let s = setting();
    s.change(&[KEvent::user(1).add().clear().trigger()]);
    let mut events = [KEvent::default(); 4];
    let changes = [KEvent::user(2).add().receipt(), KEvent::user(3).add()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, None), Ok(1));
    assert_eq!((events[0].ident, events[0].flags, events[0].data), (2, EventFlags::ERROR, 0));
    assert_eq!(events[0].error(), None);
    assert_eq!(s.take_one().ident, 1);
}

#[test]
fn r4_no_room_for_events_returns_at_once() {
    let s = setting();
    s.change(&[KEvent::user(1).add().trigger()]);
    assert_eq!(s.process.kevent(s.kq, &[], &mut [], None), Ok(0));
    assert_eq!(s.take_one().ident, 1);
    let mut list = [KEvent::default(); 1];
    assert_eq!(s.process.kevent_in_place(s.kq, &mut list, 2, 1, NOW), Err(Error::new(EINVAL)));
    assert_eq!(s.process.kevent_in_place(s.kq, &mut list, 0, 2, NOW), Err(Error::new(EINVAL)));
}

#[test]
fn r5_one_array_for_both_lists() {
    let s = setting();
    let mut list = [
        KEvent::user(1).add().trigger(),
        KEvent::read(99).add(),
        KEvent::user(2).add().trigger(),
        KEvent::user(77).delete(),
    ];
    assert_eq!(s.process.kevent_in_place(s.kq, &mut list, 4, 4, NOW), Ok(2));
    assert_eq!((list[0].ident, list[0].data), (99, i64::from(EBADF)));
    assert_eq!((list[1].ident, list[1].data), (77, i64::from(ENOENT)));
    assert_eq!(s.take(8).len(), 2, "the change after the answers was read intact");
}

#[test]
fn r6_add_again_modifies_and_keeps_the_activation() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().clear().udata(1)]);
    s.change(&[KEvent::read(s.fd).add().clear().udata(2)]);
    assert_eq!(s.world.notes(), 1);
    let event = s.take_one();
    assert_eq!((event.udata, event.data), (2, 4));
    s.nothing();
}

#[test]
fn r6_fflags_are_replaced_and_not_ored() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().low_water(10)]);
    s.nothing();
    s.change(&[KEvent::read(s.fd).add()]);
    assert_eq!(s.take_one().data, 4);
}

#[test]
fn r7_add_again_leaves_a_disabled_note_disabled() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().disable()]);
    s.change(&[KEvent::read(s.fd).add()]);
    s.nothing();
    s.change(&[KEvent::read(s.fd).add().enable()]);
    assert_eq!(s.take_one().data, 4);
}

#[test]
fn r8_an_activation_waits_while_disabled() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add().clear(), KEvent::user(1).add().clear()]);
    s.change(&[KEvent::read(s.fd).disable(), KEvent::user(1).disable()]);
    s.world.readable("a", 4);
    s.change(&[KEvent::user(1).trigger()]);
    s.nothing();
    s.change(&[KEvent::read(s.fd).enable(), KEvent::user(1).enable()]);
    assert_eq!(s.take(8).len(), 2);
}

#[test]
fn r8_nothing_is_delivered_on_enable_that_is_no_longer_true() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).disable()]);
    s.world.drained_to("a", 0);
    s.change(&[KEvent::read(s.fd).enable()]);
    s.nothing();
}

#[test]
fn r9_added_disabled_never_fires() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().disable(), KEvent::user(1).add().disable().trigger()]);
    s.change(&[KEvent::timer(1).every(Duration::from_millis(1)).disable()]);
    s.world.advance(SECOND);
    s.nothing();
    s.world.readable("a", 5);
    s.nothing();
}

#[test]
fn r54_events_carry_the_sticky_flags_and_not_the_actions() {
    let s = setting();
    s.world.readable("a", 1);
    let sticky = EventFlags::CLEAR | EventFlags::DISPATCH | EventFlags::WAKEONE;
    s.change(&[KEvent::read(s.fd).add().enable().with(sticky)]);
    assert_eq!(s.take_one().flags, sticky);
    s.change(&[KEvent::user(1).add().oneshot().trigger()]);
    assert_eq!(s.take_one().flags, EventFlags::ONESHOT);
}

#[test]
fn contradictions_and_unknown_filters_are_refused() {
    let s = setting();
    s.refused(KEvent::user(1).add().delete(), EINVAL);
    s.refused(KEvent::user(1).add().enable().disable(), EINVAL);
    s.refused(KEvent::user(1).add().with(EventFlags::KEEPUDATA), EINVAL);
    s.refused(KEvent::new(0, Filter(-100)).add(), EINVAL);
    s.refused(KEvent::new(0, Filter(1)).add(), EINVAL);
    s.refused(KEvent::new(s.fd as usize, Filter::EXCEPT).add(), EINVAL);
    s.refused(KEvent::new(usize::MAX, Filter::READ).add(), EBADF);
    assert_eq!(s.process.kevent(s.fd, &[], &mut [], NOW), Err(Error::new(EBADF)));
}

#[test]
fn udata_is_kept_where_asked() {
    let s = setting();
    s.change(&[KEvent::user(1).add().udata(5)]);
    s.change(&[KEvent::user(1).trigger().with(EventFlags::KEEPUDATA)]);
    assert_eq!(s.take_one().udata, 5);
    s.change(&[KEvent::user(1).trigger().udata(6)]);
    assert_eq!(s.take_one().udata, 6);
}

#[test]
fn a_change_list_is_one_message() {
    let s = setting();
    let files: Vec<i32> = (0..40).map(|n| s.process.open(&format!("f{n}"), 0).unwrap()).collect();
    // Files are made known to the session when they are first watched.
    let change: Vec<KEvent> = files.iter().map(|&fd| KEvent::read(fd).add()).collect();
    s.change(&change);
    for read in &files {
        s.change(&[KEvent::read(*read).delete()]);
    }
    let before = s.world.messages();
    s.change(&change);
    assert_eq!(s.world.messages() - before, 1);
    assert_eq!(s.world.notes(), 40);
    s.world.readable("f7", 3);
    assert_eq!(s.take_one().ident, files[7] as usize);
}

#[test]
fn r2_a_failure_in_the_middle_of_a_list_stops_it_when_there_is_no_room() {
    let s = setting();
    let other = s.process.open("b", 0).unwrap();
    s.world.fail_next(abi::error::ENOMEM);
    let changes = [KEvent::read(s.fd).add(), KEvent::read(other).add()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut [], NOW), Err(Error::new(abi::error::ENOMEM)));
    assert_eq!(s.world.notes(), 0);
    s.refused(KEvent::read(other).delete(), ENOENT);
    // The same with room: the second is made.
    s.world.fail_next(abi::error::ENOMEM);
    let mut events = [KEvent::default(); 2];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, NOW), Ok(1));
    assert_eq!((events[0].ident, events[0].data), (s.fd as usize, i64::from(abi::error::ENOMEM)));
    s.change(&[KEvent::read(other).delete()]);
    assert_eq!(s.world.notes(), 0);
}

#[test]
fn r2_answers_come_in_the_order_of_the_changes() {
    let s = setting();
    let mut events = [KEvent::default(); 8];
    let changes = [
        KEvent::read(s.fd).add().receipt().udata(1),
        KEvent::write(s.fd).add().udata(2),
        KEvent::read(99).add().udata(3),
        KEvent::read(s.fd).add().receipt().udata(4),
        KEvent::user(1).delete().udata(5),
    ];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, NOW), Ok(4));
    let answers: Vec<_> = events[..4].iter().map(|event| (event.udata, event.data as i32)).collect();
    assert_eq!(answers, [(1, 0), (3, EBADF), (4, 0), (5, ENOENT)]);
}
