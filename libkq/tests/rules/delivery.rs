//! What of a note is told, how often, and what becomes of it.

use std::time::Duration;

use libkq::event::note;
use libkq::{EventFlags, KEvent};

use crate::setting::{NOW, SECOND, setting};
use crate::world::ENOENT;

#[test]
fn r10_oneshot_is_deleted_after_delivery_and_not_after_evaluation() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().oneshot()]);
    // Activated, but no longer true when it is looked at: it must live on.
    s.world.drained_to("a", 0);
    s.nothing();
    s.world.readable("a", 2);
    assert_eq!(s.take_one().data, 2);
    s.world.readable("a", 3);
    s.nothing();
    s.refused(KEvent::read(s.fd).delete(), ENOENT);
    s.refused(KEvent::read(s.fd).enable(), ENOENT);
}

#[test]
fn r10_oneshot_of_every_filter_is_gone_after_delivery() {
    let s = setting();
    s.world.writable("a", 9);
    s.change(&[
        KEvent::write(s.fd).add().oneshot(),
        KEvent::user(1).add().oneshot().trigger(),
        KEvent::timer(2).after(Duration::from_secs(1)),
    ]);
    s.world.advance(SECOND);
    assert_eq!(s.take(8).len(), 3);
    s.world.writable("a", 10);
    s.world.advance(SECOND);
    s.nothing();
    for change in [KEvent::write(s.fd), KEvent::user(1), KEvent::timer(2)] {
        s.refused(change.delete(), ENOENT);
    }
}

#[test]
fn r10_oneshot_can_be_added_again_and_again() {
    let s = setting();
    for round in 1..100 {
        s.world.readable("a", round);
        let change = [KEvent::read(s.fd).add().oneshot().udata(round as usize)];
        let mut events = [KEvent::default(); 2];
        assert_eq!(s.process.kevent(s.kq, &change, &mut events, NOW), Ok(1));
        assert_eq!((events[0].data, events[0].udata), (round, round as usize));
        s.nothing();
    }
    assert!(s.world.notes() <= 1);
}

#[test]
fn r11_what_is_no_longer_true_is_dropped() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.drained_to("a", 0);
    s.nothing();
    s.world.readable("a", 1);
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r12_a_level_note_is_there_for_every_call() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add()]);
    for _ in 0..10 {
        assert_eq!(s.take_one().data, 4);
    }
}

#[test]
fn r12_level_notes_take_turns() {
    let s = setting();
    let fds: Vec<i32> = ["b", "c", "d"].iter().map(|path| s.process.open(path, 0).unwrap()).collect();
    for (fd, name) in fds.iter().zip(["b", "c", "d"]) {
        s.world.readable(name, 1);
        s.change(&[KEvent::read(*fd).add()]);
    }
    let seen: Vec<usize> = (0..6).map(|_| s.take(1)[0].ident).collect();
    assert_eq!(seen[..3], seen[3..]);
    let mut first: Vec<i32> = seen[..3].iter().map(|&ident| ident as i32).collect();
    first.sort_unstable();
    assert_eq!(first, fds);
}

#[test]
fn a_note_is_told_once_in_a_call() {
    let s = setting();
    s.world.readable("a", 1);
    s.world.writable("a", 1);
    s.change(&[KEvent::read(s.fd).add(), KEvent::write(s.fd).add(), KEvent::user(1).add().trigger()]);
    assert_eq!(s.take(100).len(), 3);
}

#[test]
fn r14_no_event_lost_when_slots_run_out() {
    let s = setting();
    s.world.readable("a", 1);
    s.world.writable("a", 2);
    s.change(&[KEvent::read(s.fd).add().clear(), KEvent::write(s.fd).add().clear()]);
    let (first, second) = (s.take(1)[0], s.take(1)[0]);
    assert_ne!(first.filter, second.filter);
    s.nothing();
}

#[test]
fn r15_an_edge_is_reported_once_and_the_next_one_again() {
    let s = setting();
    s.world.readable("a", 3);
    s.change(&[KEvent::read(s.fd).add().clear()]);
    assert_eq!(s.take_one().data, 3);
    s.nothing();
    // The same amount, but something came.
    s.world.readable("a", 3);
    assert_eq!(s.take_one().data, 3);
    // Less than before is no arrival.
    s.world.drained_to("a", 2);
    s.nothing();
}

#[test]
fn r15_clear_forgets_bits_and_data_of_a_user_event() {
    let s = setting();
    s.change(&[KEvent::user(1).add().clear()]);
    let trigger = KEvent { fflags: note::TRIGGER | note::FFOR | 1, data: 5, ..KEvent::user(1) };
    s.change(&[trigger]);
    let event = s.take_one();
    assert_eq!((event.fflags, event.data), (1, 5));
    s.change(&[KEvent { fflags: note::TRIGGER | note::FFOR | 2, data: 0, ..trigger }]);
    let event = s.take_one();
    assert_eq!((event.fflags, event.data), (2, 0));
}

#[test]
fn r16_dispatch_disables_and_enable_rearms() {
    let s = setting();
    s.world.readable("a", 3);
    s.change(&[KEvent::read(s.fd).add().dispatch()]);
    assert_eq!(s.take_one().data, 3);
    s.nothing();
    s.world.readable("a", 4);
    s.nothing();
    for _ in 0..3 {
        s.change(&[KEvent::read(s.fd).enable()]);
        assert_eq!(s.take_one().data, 4);
        s.nothing();
    }
}

#[test]
fn r16_dispatch_survives_trigger_and_enable() {
    let s = setting();
    s.change(&[KEvent::user(1).add().dispatch()]);
    for _ in 0..3 {
        s.change(&[KEvent::user(1).enable().trigger()]);
        let event = s.take_one();
        assert!(event.flags.contains(EventFlags::DISPATCH));
        s.nothing();
        s.change(&[KEvent::user(1).trigger()]);
        s.nothing();
    }
}

#[test]
fn r17_clear_does_not_override_dispatch() {
    let s = setting();
    s.world.readable("a", 3);
    s.change(&[KEvent::read(s.fd).add().clear().dispatch()]);
    s.take_one();
    s.world.readable("a", 4);
    s.nothing();
    s.change(&[KEvent::read(s.fd).enable()]);
    assert_eq!(s.take_one().data, 4);
    s.change(&[KEvent::read(s.fd).enable()]);
    s.nothing();
}

#[test]
fn r59_a_million_arrivals_are_one_note() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add().clear()]);
    for bytes in 0..1_000_000 {
        s.world.readable("a", bytes + 1);
    }
    assert_eq!(s.take_one().data, 1_000_000);
    s.nothing();
}

#[test]
fn looking_sends_no_message() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add(), KEvent::user(1).add().clear()]);
    let before = s.world.messages();
    s.nothing();
    s.world.readable("a", 1);
    s.change(&[KEvent::user(1).trigger(), KEvent::read(s.fd).disable(), KEvent::read(s.fd).enable()]);
    assert_eq!(s.take(8).len(), 2);
    assert_eq!(s.world.messages(), before);
}
