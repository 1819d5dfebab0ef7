//! Memory that ends, drivers and servers that die.

use std::time::Duration;

use libkq::{Error, KEvent};

use crate::setting::setting;
use crate::world::{ENODEV, ENOENT};

#[test]
fn r55_more_notes_than_the_first_memory_holds() {
    let s = setting();
    for ident in 0..3000 {
        s.change(&[KEvent::user(ident).add().trigger()]);
    }
    assert_eq!(s.take(5000).len(), 3000);
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.readable("a", 1);
    assert_eq!(s.take(5000).len(), 3001);
}

#[test]
fn r55_a_note_that_the_server_refuses_leaves_nothing() {
    let s = setting();
    s.world.fail_next(abi::error::ENOMEM);
    s.refused(KEvent::read(s.fd).add(), abi::error::ENOMEM);
    s.refused(KEvent::read(s.fd).delete(), ENOENT);
    s.world.fail_next(abi::error::ENOMEM);
    s.refused(KEvent::timer(1).every(Duration::from_secs(1)), abi::error::ENOMEM);
    assert_eq!((s.world.notes(), s.world.files()), (0, 1));
    s.world.readable("a", 1);
    s.change(&[KEvent::read(s.fd).add()]);
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r57_a_dead_driver_is_told_once_and_nothing_can_be_added() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add(), KEvent::write(s.fd).add().oneshot()]);
    s.change(&[KEvent::timer(1).every(Duration::from_secs(1))]);
    s.world.driver_dies("a");
    s.world.driver_dies("timer");
    let events = s.take(8);
    assert_eq!(events.len(), 3);
    for event in events {
        assert!(event.is_eof(), "{event:?}");
        assert_eq!(event.fflags, ENODEV as u32);
    }
    s.nothing();
    s.refused(KEvent::read(s.fd).add(), ENODEV);
    s.refused(KEvent::write(s.fd).add(), ENODEV);
    s.change(&[KEvent::read(s.fd).enable()]);
    s.nothing();
    s.change(&[KEvent::read(s.fd).delete(), KEvent::timer(1).delete()]);
    s.process.close(s.fd).unwrap();
    assert_eq!((s.world.notes(), s.world.files()), (0, 0));
}

#[test]
fn a_dead_server_is_an_error_and_not_a_hang() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.server_dies();
    s.refused(KEvent::write(s.fd).add(), abi::error::ENOTCONN);
    let result = s.process.kevent(s.kq, &[], &mut [KEvent::default(); 1], None);
    assert_eq!(result, Err(Error::new(abi::error::ENOTCONN)));
}
