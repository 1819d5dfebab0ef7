//! The rules of single filters of kevent, each by its number.

mod world;

use std::time::Duration;

use abi::error::{EINVAL, ENOENT, EPIPE};
use event_protocol::cell::Direction;
use event_protocol::level::{Level, LevelFlags};
use libkq::event::note;
use libkq::process::Process;
use libkq::{Error, EventFlags, Filter, KEvent};
use world::World;

const NOW: Option<Duration> = Some(Duration::ZERO);

struct Setting {
    world: World,
    process: Process<World>,
    kq: i32,
}

fn setting() -> Setting {
    let world = World::new();
    let process = world.process();
    let kq = process.kqueue().unwrap();
    Setting { world, process, kq }
}

impl Setting {
    fn change(&self, change: KEvent) {
        assert_eq!(self.process.kevent(self.kq, &[change], &mut [], NOW), Ok(0));
    }

    fn refused(&self, change: KEvent, errno: i32) {
        assert_eq!(self.process.kevent(self.kq, &[change], &mut [], NOW), Err(Error::new(errno)));
    }

    fn take(&self) -> Vec<KEvent> {
        let mut events = [KEvent::default(); 8];
        let count = self.process.kevent(self.kq, &[], &mut events, NOW).unwrap();
        events[..count].to_vec()
    }

    fn take_one(&self) -> KEvent {
        let events = self.take();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]
    }
}

fn vnode(fd: i32, bits: u32) -> KEvent {
    KEvent { fflags: bits, ..KEvent::new(fd as usize, Filter::VNODE).add() }
}

#[test]
fn vnode_tells_the_bits_that_were_asked_for_and_folds_them() {
    let s = setting();
    let fd = s.process.open("/file/x", 0).unwrap();
    s.change(vnode(fd, note::WRITE | note::EXTEND | note::DELETE).clear());
    s.world.note("/file/x", note::ATTRIB);
    assert_eq!(s.take(), []);
    s.world.note("/file/x", note::WRITE);
    s.world.note("/file/x", note::EXTEND | note::ATTRIB);
    let event = s.take_one();
    assert_eq!(
        (event.ident, event.filter, event.fflags),
        (fd as usize, Filter::VNODE, note::WRITE | note::EXTEND)
    );
    // R15: forgotten at delivery.
    assert_eq!(s.take(), []);
    s.world.note("/file/x", note::DELETE);
    assert_eq!(s.take_one().fflags, note::DELETE);
}

#[test]
fn r15_vnode_without_clear_keeps_what_it_told() {
    let s = setting();
    let fd = s.process.open("/file/x", 0).unwrap();
    s.change(vnode(fd, note::WRITE | note::LINK));
    s.world.note("/file/x", note::WRITE);
    assert_eq!(s.take_one().fflags, note::WRITE);
    s.world.note("/file/x", note::LINK);
    assert_eq!(s.take_one().fflags, note::WRITE | note::LINK);
    // R8: waits while it is disabled.
    s.change(KEvent::new(fd as usize, Filter::VNODE).disable());
    assert_eq!(s.take(), []);
    s.change(KEvent::new(fd as usize, Filter::VNODE).enable());
    assert_eq!(s.take_one().fflags, note::WRITE | note::LINK);
}

#[test]
fn r53_each_queue_has_its_own_bits() {
    let s = setting();
    let fd = s.process.open("/file/x", 0).unwrap();
    let other = s.process.kqueue().unwrap();
    s.change(vnode(fd, note::WRITE).clear());
    s.process.kevent(other, &[vnode(fd, note::WRITE | note::ATTRIB).clear()], &mut [], NOW).unwrap();
    s.world.note("/file/x", note::WRITE | note::ATTRIB);
    assert_eq!(s.take_one().fflags, note::WRITE);
    let mut events = [KEvent::default(); 2];
    assert_eq!(s.process.kevent(other, &[], &mut events, NOW), Ok(1));
    assert_eq!(events[0].fflags, note::WRITE | note::ATTRIB);
}

#[test]
fn r6_a_vnode_note_is_replaced_and_r31_it_goes_with_its_number() {
    let s = setting();
    let fd = s.process.open("/file/x", 0).unwrap();
    s.change(vnode(fd, note::WRITE).clear());
    s.change(vnode(fd, note::ATTRIB).clear());
    s.world.note("/file/x", note::WRITE);
    assert_eq!(s.take(), []);
    s.world.note("/file/x", note::ATTRIB);
    assert_eq!(s.take_one().fflags, note::ATTRIB);
    s.process.close(fd).unwrap();
    assert_eq!(s.world.notes(), 0);
}

#[test]
fn vnode_bits_that_there_are_not_are_refused() {
    let s = setting();
    let fd = s.process.open("/file/x", 0).unwrap();
    let device = s.process.open("a", 0).unwrap();
    s.refused(vnode(fd, 0), EINVAL);
    s.refused(vnode(fd, 0x1000), EINVAL);
    s.refused(vnode(device, note::WRITE), EINVAL);
    assert_eq!(s.world.notes(), 0);
}

#[test]
fn r57_a_dead_file_service_ends_a_vnode_note() {
    let s = setting();
    let fd = s.process.open("/file/x", 0).unwrap();
    s.change(vnode(fd, note::WRITE).clear());
    s.world.driver_dies("/file/x");
    assert!(s.take_one().flags.contains(EventFlags::EOF));
    assert_eq!(s.take(), []);
}

#[test]
fn r23_a_file_is_ready_by_its_distance_and_always_with_file_poll() {
    let s = setting();
    let fd = s.process.open("/file/x", 0).unwrap();
    s.change(KEvent::read(fd).add());
    let distance = |bytes| Level::new(bytes).with(LevelFlags::SIGNED);
    s.world.publish("/file/x", Direction::Read, distance(0), false);
    assert_eq!(s.take(), []);
    s.world.publish("/file/x", Direction::Read, distance(5), true);
    assert_eq!(s.take_one().data, 5);
    s.world.publish("/file/x", Direction::Read, distance(-3), true);
    assert_eq!(s.take_one().data, -3);
    s.world.publish("/file/x", Direction::Read, distance(0), false);
    assert_eq!(s.take(), []);
    s.change(KEvent { fflags: note::FILE_POLL, ..KEvent::read(fd).add() });
    assert_eq!((s.take_one().data, s.take_one().data), (0, 0));
}

#[test]
fn r24_the_mark_is_the_notes() {
    let s = setting();
    let fd = s.process.open("a", 0).unwrap();
    let other = s.process.kqueue().unwrap();
    s.change(KEvent::read(fd).add().low_water(8));
    s.process.kevent(other, &[KEvent::read(fd).add().low_water(3)], &mut [], NOW).unwrap();
    s.world.readable("a", 5);
    assert_eq!(s.take(), []);
    let mut events = [KEvent::default(); 2];
    assert_eq!(s.process.kevent(other, &[], &mut events, NOW), Ok(1));
    s.world.readable("a", 8);
    assert_eq!(s.take_one().data, 8);
}

#[test]
fn r21_a_pipe_that_nobody_reads_ends_its_notes_and_refuses_new_ones() {
    let s = setting();
    let fd = s.process.open("/pipe/w", 0).unwrap();
    s.change(KEvent::write(fd).add());
    s.world.writable("/pipe/w", 4096);
    assert_eq!(s.take_one().data, 4096);
    let ended = LevelFlags::EOF | LevelFlags::ERROR;
    s.world.publish("/pipe/w", Direction::Write, Level::new(4096).with(ended), true);
    assert!(s.take_one().is_eof());
    s.change(KEvent::write(fd).delete());
    s.refused(KEvent::write(fd).add(), EPIPE);
    s.change(KEvent::read(fd).add());
}

#[test]
fn except_tells_urgent_data() {
    let s = setting();
    let fd = s.process.open("/urgent/x", 0).unwrap();
    let change = KEvent { fflags: note::OOB, ..KEvent::new(fd as usize, Filter::EXCEPT).add() };
    s.change(change);
    s.world.readable("/urgent/x", 9);
    assert_eq!(s.take(), []);
    s.world.publish("/urgent/x", Direction::Read, Level::new(9).with(LevelFlags::EXCEPT), true);
    let event = s.take_one();
    assert_eq!((event.filter, event.fflags), (Filter::EXCEPT, note::OOB));
    s.world.drained_to("/urgent/x", 9);
    assert_eq!(s.take(), []);
    s.refused(KEvent { fflags: 0x10, ..change }, EINVAL);
    let plain = s.process.open("a", 0).unwrap();
    s.refused(KEvent { ident: plain as usize, ..change }, EINVAL);
}

#[test]
fn r28_a_signal_note_counts_attempts_since_the_last_harvest() {
    let s = setting();
    let change = KEvent::new(5, Filter::SIGNAL).add().udata(9);
    s.change(change);
    assert_eq!(s.take(), []);
    s.world.count("/dev/process/signal/5");
    s.world.count("/dev/process/signal/5");
    let event = s.take_one();
    assert_eq!((event.ident, event.filter, event.data, event.udata), (5, Filter::SIGNAL, 2, 9));
    assert_eq!(s.take(), []);
    // R6: it is the same note, and what is pending stays.
    s.world.count("/dev/process/signal/5");
    s.change(change.udata(10));
    assert_eq!((s.take_one().udata, s.world.notes()), (10, 1));
    s.change(KEvent::new(5, Filter::SIGNAL).delete());
    assert_eq!((s.world.notes(), s.world.files()), (0, 0));
    s.refused(KEvent::new(5, Filter::SIGNAL).delete(), ENOENT);
    for number in [0, 65, usize::MAX] {
        s.refused(KEvent::new(number, Filter::SIGNAL).add(), EINVAL);
    }
}
