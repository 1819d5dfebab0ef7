//! What READ, WRITE and USER say.

use event_protocol::cell::Direction;
use event_protocol::level::{Level, LevelFlags};
use libkq::event::note;
use libkq::{EventFlags, KEvent};

use crate::setting::{NOW, setting};

#[test]
fn r18_end_of_file_with_bytes_unread() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.set_error("a", 104);
    s.world.publish("a", Direction::Read, Level::new(5).with(LevelFlags::EOF), true);
    let event = s.take_one();
    assert!(event.is_eof() && !event.flags.contains(EventFlags::NODATA));
    assert_eq!((event.data, event.fflags), (5, 104));
    s.world.publish("a", Direction::Read, Level::new(0).with(LevelFlags::EOF), false);
    let event = s.take_one();
    assert!(event.is_eof() && event.flags.contains(EventFlags::NODATA));
    assert_eq!(event.data, 0);
}

#[test]
fn r19_end_of_file_clears_when_a_writer_comes() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.publish("a", Direction::Read, Level::new(0).with(LevelFlags::EOF), true);
    assert!(s.take_one().is_eof());
    s.world.drained_to("a", 0);
    s.nothing();
    s.world.readable("a", 2);
    assert!(!s.take_one().is_eof());
}

#[test]
fn r24_low_water_is_the_notes() {
    let s = setting();
    let other = s.process.kqueue().unwrap();
    s.change(&[KEvent::read(s.fd).add().low_water(8)]);
    assert_eq!(s.process.kevent(other, &[KEvent::read(s.fd).add().low_water(2)], &mut [], NOW), Ok(0));
    s.world.readable("a", 4);
    s.nothing();
    let mut events = [KEvent::default(); 2];
    assert_eq!(s.process.kevent(other, &[], &mut events, NOW), Ok(1));
    s.world.readable("a", 8);
    assert_eq!(s.take_one().data, 8);
}

#[test]
fn r27_triggers_merge_and_each_queue_has_its_own() {
    let s = setting();
    let other = s.process.kqueue().unwrap();
    assert_eq!(s.process.kevent(other, &[KEvent::user(1).add()], &mut [], NOW), Ok(0));
    s.change(&[KEvent::user(1).add().clear()]);
    let trigger = |bits| KEvent { fflags: note::TRIGGER | note::FFOR | bits, ..KEvent::user(1) };
    s.change(&[trigger(1), trigger(4), trigger(0x0300_0000)]);
    let event = s.take_one();
    assert_eq!(event.fflags, 5);
    let mut events = [KEvent::default(); 1];
    assert_eq!(s.process.kevent(other, &[], &mut events, NOW), Ok(0));
}
