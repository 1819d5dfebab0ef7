//! Closed numbers, deleted notes, and queues apart from each other.

use std::time::Duration;

use libkq::{Error, KEvent};

use crate::setting::{NOW, setting};
use crate::world::{EBADF, EINVAL, ENOENT};

#[test]
fn r31_close_removes_notes_before_the_number_is_used_again() {
    let s = setting();
    s.world.readable("a", 1);
    s.change(&[KEvent::read(s.fd).add(), KEvent::write(s.fd).add()]);
    s.process.close(s.fd).unwrap();
    assert_eq!((s.world.notes(), s.world.files()), (0, 0));
    s.nothing();
    let again = s.process.open("b", 0).unwrap();
    assert_eq!(again, s.fd);
    s.world.readable("b", 1);
    s.nothing();
    s.refused(KEvent::read(again).delete(), ENOENT);
}

#[test]
fn r31_dup2_over_a_number_removes_its_notes_and_keeps_those_of_others() {
    let s = setting();
    let twin = s.process.dup(s.fd).unwrap();
    s.change(&[KEvent::read(s.fd).add(), KEvent::read(twin).add()]);
    let other = s.process.open("b", 0).unwrap();
    assert_eq!(s.process.dup2(other, s.fd), Ok(s.fd));
    s.world.readable("a", 1);
    s.world.readable("b", 1);
    assert_eq!(s.take_one().ident, twin as usize);
    assert_eq!(s.world.files(), 2, "the duplicate keeps the file open");
    s.process.close(twin).unwrap();
    assert_eq!(s.world.files(), 1);
    // Over itself nothing happens.
    s.change(&[KEvent::read(other).add()]);
    assert_eq!(s.process.dup2(other, other), Ok(other));
    assert_eq!(s.take_one().ident, other as usize);
    assert_eq!(s.process.dup2(77, other), Err(Error::new(EBADF)));
}

#[test]
fn r31_in_every_queue() {
    let s = setting();
    let queues: Vec<i32> = (0..3).map(|_| s.process.kqueue().unwrap()).collect();
    for &kq in &queues {
        s.process.kevent(kq, &[KEvent::read(s.fd).add()], &mut [], NOW).unwrap();
    }
    s.world.readable("a", 1);
    s.process.close(s.fd).unwrap();
    for &kq in &queues {
        assert_eq!(s.process.kevent(kq, &[], &mut [KEvent::default(); 1], NOW), Ok(0));
    }
    assert_eq!(s.world.notes(), 0);
}

#[test]
fn r34_a_closed_queue_is_no_queue() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add(), KEvent::timer(1).every(Duration::from_secs(1))]);
    let twin = s.process.dup(s.kq).unwrap();
    s.process.close(s.kq).unwrap();
    assert_eq!(s.process.kevent(twin, &[], &mut [KEvent::default(); 1], NOW), Ok(0), "a duplicate keeps it");
    s.process.close(twin).unwrap();
    for kq in [s.kq, twin] {
        let result = s.process.kevent(kq, &[], &mut [KEvent::default(); 1], NOW);
        assert_eq!(result, Err(Error::new(EBADF)));
    }
    assert_eq!((s.world.queues(), s.world.notes(), s.world.files()), (0, 0, 1));
}

#[test]
fn r35_after_delete_nothing_is_delivered() {
    let s = setting();
    s.world.readable("a", 1);
    s.change(&[KEvent::read(s.fd).add().udata(1), KEvent::user(1).add().trigger()]);
    s.change(&[KEvent::read(s.fd).delete(), KEvent::user(1).delete()]);
    s.nothing();
    // What the ring held of the old note is not taken for the new one.
    s.change(&[KEvent::read(s.fd).add().clear().udata(2)]);
    assert_eq!(s.take_one().udata, 2);
    s.nothing();
}

#[test]
fn r38_a_queue_cannot_watch_itself() {
    let s = setting();
    s.refused(KEvent::read(s.kq).add(), EINVAL);
}

#[test]
fn r53_two_queues_are_independent() {
    let s = setting();
    let other = s.process.kqueue().unwrap();
    s.change(&[KEvent::read(s.fd).add().clear().udata(1)]);
    s.process.kevent(other, &[KEvent::read(s.fd).add().oneshot().udata(2)], &mut [], NOW).unwrap();
    s.world.readable("a", 1);
    assert_eq!(s.take_one().udata, 1);
    let mut events = [KEvent::default(); 2];
    assert_eq!(s.process.kevent(other, &[], &mut events, NOW), Ok(1));
    assert_eq!(events[0].udata, 2);
}
