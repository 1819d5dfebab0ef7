//! The rules of epoll, each by its number.

mod world;

use std::thread;
use std::time::Duration;

use abi::error::{EBADF, EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM, ENOSPC, EPERM};
use event_protocol::cell::Direction;
use event_protocol::level::{Level, LevelFlags};
use libkq::epoll::{EpollEvent, EpollFlags, EpollOp};
use libkq::process::Process;
use libkq::{Error, KEvent};
use world::World;

const NOW: Option<Duration> = Some(Duration::ZERO);
const IN: EpollFlags = EpollFlags::IN;
const OUT: EpollFlags = EpollFlags::OUT;

struct Setting {
    world: World,
    process: Process<World>,
    ep: i32,
    fd: i32,
}

fn setting() -> Setting {
    let world = World::new();
    let process = world.process();
    let ep = process.epoll_create(0).unwrap();
    let fd = process.open("a", 0).unwrap();
    Setting { world, process, ep, fd }
}

impl Setting {
    fn control(&self, op: EpollOp, fd: i32, events: EpollFlags) -> Result<(), Error> {
        self.process.epoll_ctl(self.ep, op, fd, EpollEvent::new(events, fd as u64))
    }

    fn add(&self, events: EpollFlags) {
        self.control(EpollOp::Add, self.fd, events).unwrap();
    }

    fn modify(&self, events: EpollFlags) {
        self.control(EpollOp::Modify, self.fd, events).unwrap();
    }

    fn take(&self, room: usize) -> Vec<(i32, EpollFlags)> {
        let mut events = vec![EpollEvent::default(); room];
        let count = self.process.epoll_wait(self.ep, &mut events, NOW).unwrap();
        events[..count].iter().map(|event| (event.data() as i32, event.events())).collect()
    }

    fn told(&self) -> EpollFlags {
        match self.take(8)[..] {
            [] => EpollFlags::empty(),
            [(fd, events)] if fd == self.fd => events,
            ref others => panic!("{others:?}"),
        }
    }
}

fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> i32 {
    result.unwrap_err().errno
}

#[test]
fn errors_are_the_manuals_and_change_nothing() {
    let s = setting();
    let event = EpollEvent::new(IN, 0);
    let kq = s.process.kqueue().unwrap();
    let file = s.process.open("/file/x", 0).unwrap();
    let ctl = |ep, op, fd| errno(s.process.epoll_ctl(ep, op, fd, event));
    assert_eq!(ctl(99, EpollOp::Add, s.fd), EBADF);
    assert_eq!(ctl(s.ep, EpollOp::Add, 99), EBADF);
    assert_eq!(ctl(s.ep, EpollOp::Add, -1), EBADF);
    assert_eq!(ctl(s.ep, EpollOp::Add, file), EPERM);
    assert_eq!(ctl(s.ep, EpollOp::Add, s.ep), EINVAL);
    assert_eq!(ctl(kq, EpollOp::Add, s.fd), EINVAL);
    assert_eq!(ctl(s.fd, EpollOp::Add, s.fd), EINVAL);
    assert_eq!(ctl(s.ep, EpollOp::Modify, s.fd), ENOENT);
    assert_eq!(ctl(s.ep, EpollOp::Delete, s.fd), ENOENT);
    assert_eq!(errno(EpollOp::try_from(0)), EINVAL);
    assert_eq!(errno(s.process.epoll_create(1)), EINVAL);
    assert_eq!(errno(s.process.epoll_wait(s.ep, &mut [], NOW)), EINVAL);
    assert_eq!(errno(s.process.epoll_wait(s.fd, &mut [event], NOW)), EINVAL);
    assert_eq!(errno(s.process.epoll_wait(99, &mut [event], NOW)), EBADF);
    assert_eq!(s.world.notes(), 0);
    s.add(IN);
    assert_eq!(ctl(s.ep, EpollOp::Add, s.fd), EEXIST);
    let other = s.process.open("b", 0).unwrap();
    s.world.fail_next(ENOMEM);
    assert_eq!(ctl(s.ep, EpollOp::Add, other), ENOSPC);
    assert_eq!(ctl(s.ep, EpollOp::Delete, other), ENOENT);
    assert_eq!(s.world.notes(), 1);
}

#[test]
fn r43_exclusive_is_only_for_adding_and_goes_with_few() {
    let s = setting();
    let bad = [EpollFlags::PRI, EpollFlags::RDHUP, EpollFlags::ONESHOT];
    for flags in bad {
        let add = s.control(EpollOp::Add, s.fd, IN | EpollFlags::EXCLUSIVE | flags);
        assert_eq!(errno(add), EINVAL, "{flags:?}");
    }
    let good = IN | OUT | EpollFlags::ERR | EpollFlags::HUP | EpollFlags::WAKEUP | EpollFlags::ET;
    s.add(good | EpollFlags::EXCLUSIVE);
    assert_eq!(errno(s.control(EpollOp::Modify, s.fd, IN)), EINVAL);
    let other = s.process.open("b", 0).unwrap();
    s.control(EpollOp::Add, other, IN).unwrap();
    assert_eq!(errno(s.control(EpollOp::Modify, other, IN | EpollFlags::EXCLUSIVE)), EINVAL);
    // It is seen like any other.
    s.world.readable("a", 1);
    assert_eq!(s.take(8), [(s.fd, IN)]);
}

#[test]
fn r52_both_directions_are_one_item_and_one_entry() {
    let s = setting();
    s.add(IN | OUT);
    assert_eq!(s.world.notes(), 1);
    s.world.readable("a", 3);
    assert_eq!(s.told(), IN);
    s.world.writable("a", 3);
    assert_eq!(s.told(), IN | OUT);
    s.world.drained_to("a", 0);
    assert_eq!(s.told(), OUT);
}

#[test]
fn r41_hang_up_and_error_are_told_unasked() {
    let s = setting();
    s.add(EpollFlags::empty());
    s.world.readable("a", 3);
    assert_eq!(s.told(), EpollFlags::empty());
    s.world.publish("a", Direction::Read, Level::new(0).with(LevelFlags::ERROR), true);
    assert_eq!(s.told(), EpollFlags::ERR);
    let ended = LevelFlags::EOF | LevelFlags::HANGUP;
    s.world.level("a", Level::new(0).with(ended), Level::new(0).with(ended));
    assert_eq!(s.told(), EpollFlags::HUP);
    s.modify(IN | OUT);
    assert_eq!(s.told(), EpollFlags::HUP | IN);
}

#[test]
fn r40_an_edge_is_told_once_and_a_partial_read_is_none() {
    let s = setting();
    s.world.readable("a", 1);
    s.add(IN | EpollFlags::ET);
    assert_eq!(s.told(), IN, "what is there when it is added");
    assert_eq!(s.told(), EpollFlags::empty());
    s.world.readable("a", 10);
    assert_eq!(s.told(), IN);
    s.world.drained_to("a", 4);
    assert_eq!(s.told(), EpollFlags::empty());
    s.world.readable("a", 5);
    assert_eq!(s.told(), IN);
    s.world.readable("a", 6);
    s.world.drained_to("a", 0);
    assert_eq!(s.told(), EpollFlags::empty(), "R11");
}

#[test]
fn r40_an_edge_of_one_direction_tells_all_that_is_true_and_not_the_others_news() {
    let s = setting();
    s.add(IN | OUT | EpollFlags::ET);
    s.world.writable("a", 9);
    assert_eq!(s.told(), OUT);
    s.world.readable("a", 1);
    assert_eq!(s.told(), IN | OUT);
    assert_eq!(s.told(), EpollFlags::empty());
    s.modify(IN | EpollFlags::ET);
    assert_eq!(s.told(), IN);
    s.world.writable("a", 10);
    assert_eq!(s.told(), EpollFlags::empty());
}

#[test]
fn r39_modify_arms_a_one_shot_and_looks_at_once() {
    let s = setting();
    s.add(IN | EpollFlags::ONESHOT);
    s.world.readable("a", 1);
    assert_eq!(s.told(), IN);
    s.world.readable("a", 2);
    let ended = Level::new(2).with(LevelFlags::EOF | LevelFlags::HANGUP | LevelFlags::ERROR);
    s.world.level("a", ended, ended);
    assert_eq!(s.told(), EpollFlags::empty(), "hang-ups too");
    assert_eq!(s.world.notes(), 1);
    s.world.level("a", Level::new(2), Level::new(2));
    s.modify(IN | EpollFlags::ONESHOT);
    assert_eq!(s.told(), IN);
    assert_eq!(s.told(), EpollFlags::empty());
    s.modify(OUT);
    assert_eq!(s.told(), OUT);
    assert_eq!(s.told(), OUT);
}

#[test]
fn r40_modify_makes_news_of_what_is_there_with_et_and_oneshot() {
    let s = setting();
    let flags = IN | EpollFlags::ET | EpollFlags::ONESHOT;
    s.add(flags);
    s.world.readable("a", 1);
    assert_eq!(s.told(), IN);
    s.world.readable("a", 2);
    assert_eq!(s.told(), EpollFlags::empty());
    s.modify(flags);
    assert_eq!(s.told(), IN);
    s.modify(IN | EpollFlags::ET);
    assert_eq!(s.told(), IN);
    assert_eq!(s.told(), EpollFlags::empty());
}

#[test]
fn r39_modify_wakes_who_waits() {
    let s = setting();
    s.world.stop_clock();
    s.world.writable("a", 5);
    s.add(IN);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut events = [EpollEvent::default(); 2];
            s.process.epoll_wait(s.ep, &mut events, None).map(|count| (count, events[0].events()))
        });
        s.world.until_parked(1);
        s.modify(OUT);
        assert_eq!(waiter.join().unwrap(), Ok((1, OUT)));
    });
}

#[test]
fn r42_rotation_reaches_every_descriptor() {
    let s = setting();
    let mut all: Vec<i32> = (0..5).map(|n| s.process.open(&format!("f{n}"), 0).unwrap()).collect();
    for (n, &fd) in all.iter().enumerate() {
        s.control(EpollOp::Add, fd, IN).unwrap();
        s.world.readable(&format!("f{n}"), 1);
    }
    let mut seen: Vec<i32> = (0..3).flat_map(|_| s.take(2)).map(|(fd, _)| fd).collect();
    assert_eq!(seen.len(), 6);
    seen.sort_unstable();
    seen.dedup();
    all.sort_unstable();
    assert_eq!(seen, all);
}

#[test]
fn r32_a_duplicate_keeps_the_item_alive_and_it_reports_for_the_closed_number() {
    let s = setting();
    let fd = s.fd;
    s.add(IN);
    let copy = s.process.dup(fd).unwrap();
    s.process.close(fd).unwrap();
    s.world.readable("a", 1);
    assert_eq!(s.take(8), [(fd, IN)]);
    assert_eq!(errno(s.control(EpollOp::Delete, fd, IN)), EBADF);
    // The duplicate's number is another key.
    assert_eq!(errno(s.control(EpollOp::Modify, copy, IN)), ENOENT);
    s.control(EpollOp::Add, copy, IN).unwrap();
    assert_eq!(s.take(8).len(), 2);
    // The number used again is another key, too.
    let again = s.process.open("b", 0).unwrap();
    assert_eq!(again, fd);
    assert_eq!(errno(s.control(EpollOp::Delete, again, IN)), ENOENT);
    s.control(EpollOp::Add, again, IN).unwrap();
    assert_eq!(s.world.notes(), 3);
    s.process.close(copy).unwrap();
    assert_eq!(s.world.notes(), 1);
    assert_eq!(s.take(8), []);
    assert_eq!(s.world.files(), 1);
}

#[test]
fn r32_dup2_over_the_last_number_removes_the_item() {
    let s = setting();
    s.add(IN);
    let other = s.process.open("b", 0).unwrap();
    s.process.dup2(other, s.fd).unwrap();
    assert_eq!(s.world.notes(), 0);
    assert_eq!(errno(s.control(EpollOp::Delete, s.fd, IN)), ENOENT);
}

#[test]
fn r34_closing_the_set_wakes_its_waiters_with_an_error() {
    let s = setting();
    s.world.stop_clock();
    s.add(IN);
    thread::scope(|scope| {
        let wait = || s.process.epoll_wait(s.ep, &mut [EpollEvent::default()], None);
        let waiters = [scope.spawn(wait), scope.spawn(wait)];
        s.world.until_parked(2);
        s.process.close(s.ep).unwrap();
        for waiter in waiters {
            assert_eq!(errno(waiter.join().unwrap()), EBADF);
        }
    });
    assert_eq!((s.world.queues(), s.world.notes()), (0, 0));
}

#[test]
fn r53_epoll_and_kevent_on_one_descriptor_are_independent() {
    let s = setting();
    let kq = s.process.kqueue().unwrap();
    s.add(IN | EpollFlags::ONESHOT);
    s.process.kevent(kq, &[KEvent::read(s.fd).add().clear()], &mut [], NOW).unwrap();
    s.world.readable("a", 7);
    assert_eq!(s.told(), IN);
    let mut events = [KEvent::default(); 2];
    assert_eq!(s.process.kevent(kq, &[], &mut events, NOW), Ok(1));
    assert_eq!(events[0].data, 7);
    s.control(EpollOp::Delete, s.fd, IN).unwrap();
    s.world.readable("a", 8);
    assert_eq!(s.process.kevent(kq, &[], &mut events, NOW), Ok(1));
}

#[test]
fn r57_a_dead_driver_hangs_up_and_cannot_be_added() {
    let s = setting();
    s.add(IN);
    s.world.driver_dies("a");
    assert!(s.told().contains(EpollFlags::HUP));
    s.control(EpollOp::Delete, s.fd, IN).unwrap();
    assert_eq!(errno(s.control(EpollOp::Add, s.fd, IN)), ENODEV);
}

#[test]
fn r48_never_early() {
    let s = setting();
    s.add(IN);
    let mut events = [EpollEvent::default()];
    let (before, wait) = (s.world.time(), Duration::from_nanos(700));
    assert_eq!(s.process.epoll_wait(s.ep, &mut events, Some(wait)), Ok(0));
    assert!(s.world.time() - before >= 700);
}

#[test]
fn r35_after_a_delete_nobody_is_told() {
    let s = setting();
    s.add(IN);
    s.world.readable("a", 7);
    s.control(EpollOp::Delete, s.fd, IN).unwrap();
    assert_eq!(s.told(), EpollFlags::empty());
}
