//! The rules of /dev/poll.

mod world;

use std::thread;
use std::time::Duration;

use abi::error::{EBADF, EINVAL, ELOOP, ENOMEM};
use event_protocol::level::Level;
use libkq::conditions::Conditions;
use libkq::poll::PollFd;
use libkq::process::Process;
use libkq::{Error, KEvent};
use world::World;

const NOW: Option<Duration> = Some(Duration::ZERO);
const IN: Conditions = Conditions::IN;
const OUT: Conditions = Conditions::OUT;
const NVAL: Conditions = Conditions::NVAL;

struct Setting {
    world: World,
    process: Process<World>,
    dp: i32,
    fd: i32,
}

fn setting() -> Setting {
    let world = World::new();
    let process = world.process();
    let dp = process.open("/dev/poll", 0).unwrap();
    let fd = process.open("a", 0).unwrap();
    Setting { world, process, dp, fd }
}

impl Setting {
    fn write(&self, fd: i32, events: Conditions) {
        self.process.devpoll_write(self.dp, &[PollFd::new(fd, events)]).unwrap();
    }

    fn take(&self, room: usize) -> Vec<(i32, Conditions)> {
        let mut list = vec![PollFd::default(); room];
        let count = self.process.devpoll_poll(self.dp, &mut list, NOW, None).unwrap();
        list[..count].iter().map(|entry| (entry.fd, entry.revents)).collect()
    }

    fn is_polled(&self, fd: i32) -> Option<Conditions> {
        self.process.devpoll_is_polled(self.dp, fd).unwrap()
    }
}

#[test]
fn the_same_number_again_ors_its_conditions() {
    let s = setting();
    s.write(s.fd, IN);
    s.write(s.fd, OUT);
    assert_eq!(s.is_polled(s.fd), Some(IN | OUT));
    assert_eq!(s.world.notes(), 1);
    s.world.level("a", Level::new(1), Level::new(1));
    assert_eq!(s.take(4), [(s.fd, IN | OUT)]);
    // To narrow, it is removed first.
    s.process.devpoll_write(s.dp, &[PollFd::new(s.fd, Conditions::REMOVE), PollFd::new(s.fd, OUT)]).unwrap();
    assert_eq!(s.take(4), [(s.fd, OUT)]);
}

#[test]
fn a_write_that_is_refused_changes_nothing() {
    let s = setting();
    s.write(s.fd, IN);
    // The number stands for a set by now that this one lies in.
    let around = s.process.kqueue().unwrap();
    s.process.kevent(around, &[KEvent::read(s.dp).add()], &mut [], NOW).unwrap();
    s.process.dup2(around, s.fd).unwrap();
    let refused = s.process.devpoll_write(s.dp, &[PollFd::new(s.fd, OUT)]);
    assert_eq!(refused, Err(Error::new(ELOOP)));
    assert_eq!(s.is_polled(s.fd), Some(IN));
    // It cannot be adopted either, and the others are told all the same.
    let other = s.process.open("b", 0).unwrap();
    s.write(other, IN);
    s.world.readable("b", 1);
    let mut told = s.take(4);
    told.sort_unstable_by_key(|&(fd, _)| fd);
    assert_eq!(told, [(s.fd, NVAL), (other, IN)]);
    // Over quota, when the number is opened and when it is asked for.
    s.write(77, IN);
    s.world.fail_next(ENOMEM);
    s.process.dup2(other, 77).unwrap();
    s.world.fail_next(ENOMEM);
    let refused = s.process.devpoll_write(s.dp, &[PollFd::new(77, OUT)]);
    assert_eq!((refused, s.is_polled(77)), (Err(Error::new(ENOMEM)), Some(IN)));
    s.write(77, OUT);
    assert_eq!((s.is_polled(77), s.world.notes()), (Some(IN | OUT), 2));
    s.process.close(77).unwrap();
    assert_eq!(s.world.notes(), 1);
}

#[test]
fn remove_stands_alone() {
    let s = setting();
    s.write(s.fd, IN);
    let wrong = [PollFd::new(s.fd, Conditions::REMOVE | IN)];
    assert_eq!(s.process.devpoll_write(s.dp, &wrong), Err(Error::new(EINVAL)));
    assert_eq!(s.is_polled(s.fd), Some(IN));
    s.write(s.fd, Conditions::REMOVE);
    assert_eq!((s.is_polled(s.fd), s.world.notes()), (None, 0));
    s.write(s.fd, Conditions::REMOVE);
}

#[test]
fn a_bad_number_is_no_error_and_invalid_when_polled() {
    let s = setting();
    s.write(77, IN);
    s.write(-5, IN);
    assert_eq!(s.is_polled(77), Some(IN));
    for _ in 0..3 {
        assert_eq!(s.take(4), [(77, NVAL)]);
    }
    s.write(77, Conditions::REMOVE);
    assert_eq!(s.take(4), []);
}

#[test]
fn a_closed_number_is_invalid_for_ever_and_a_number_used_again_is_adopted() {
    let s = setting();
    let keep = s.process.open("k", 0).unwrap();
    s.write(s.fd, IN);
    s.write(keep, IN);
    s.process.close(s.fd).unwrap();
    assert_eq!((s.take(4), s.take(4)), (vec![(s.fd, NVAL)], vec![(s.fd, NVAL)]));
    assert_eq!(s.process.open("b", 0), Ok(s.fd));
    assert_eq!(s.take(4), []);
    s.world.readable("b", 1);
    s.world.readable("k", 1);
    assert_eq!(s.take(4).len(), 2);
    assert_eq!(s.is_polled(s.fd), Some(IN));
    assert_eq!(s.world.notes(), 2);
}

#[test]
fn r31_a_close_needs_no_room() {
    let s = setting();
    s.world.readable("a", 1);
    s.world.fail_growing(abi::error::ENOMEM);
    let mut written = 0;
    let full = loop {
        let fd = s.process.dup(s.fd).unwrap();
        match s.process.devpoll_write(s.dp, &[PollFd::new(fd, IN)]) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100_000);
    };
    assert_eq!((full, s.world.notes()), (Error::new(abi::error::ENOMEM), written));
    let closed = s.fd + 2;
    s.process.close(closed).unwrap();
    assert_eq!(s.world.notes(), written - 1);
    let told = s.take(written);
    assert_eq!(told.len(), written);
    for (fd, revents) in told {
        assert_eq!(revents, if fd == closed { NVAL } else { IN });
    }
    // Its place is a note's again.
    assert_eq!(s.process.dup(s.fd), Ok(closed));
    s.write(closed, Conditions::REMOVE);
    s.write(closed, IN);
    assert_eq!(s.world.notes(), written);
}

#[test]
fn a_number_that_is_closed_wakes_who_waits() {
    let s = setting();
    s.world.stop_clock();
    s.write(s.fd, IN);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut list = [PollFd::default(); 2];
            s.process.devpoll_poll(s.dp, &mut list, None, None).map(|count| (count, list[0].revents))
        });
        s.world.until_parked(1);
        s.process.close(s.fd).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok((1, NVAL)));
    });
}

#[test]
fn the_scan_goes_on_where_it_stopped() {
    let s = setting();
    let all: Vec<i32> = (0..6).map(|n| s.process.open(&format!("f{n}"), 0).unwrap()).collect();
    for (n, &fd) in all.iter().enumerate() {
        s.write(fd, IN);
        s.world.readable(&format!("f{n}"), 1);
    }
    let seen: Vec<i32> = (0..3).flat_map(|_| s.take(2)).map(|(fd, _)| fd).collect();
    assert_eq!(seen, all);
}

#[test]
fn no_room_is_a_sleep() {
    let s = setting();
    s.world.readable("a", 1);
    s.write(s.fd, IN);
    let before = s.world.time();
    let wait = Some(Duration::from_millis(2));
    assert_eq!(s.process.devpoll_poll(s.dp, &mut [], wait, None), Ok(0));
    assert!(s.world.time() - before >= 2_000_000);
    assert_eq!(s.world.queues(), 1);
}

#[test]
fn regular_files_are_always_ready() {
    let s = setting();
    let file = s.process.open("/file/x", 0).unwrap();
    s.write(file, IN);
    assert_eq!(s.take(4), [(file, IN)]);
    s.process.close(file).unwrap();
    assert_eq!(s.take(4), [(file, NVAL)]);
}

#[test]
fn r57_a_dead_driver_hangs_up() {
    let s = setting();
    s.write(s.fd, IN);
    s.world.driver_dies("a");
    for _ in 0..2 {
        assert!(s.take(4)[0].1.contains(Conditions::HUP));
    }
    s.write(s.fd, Conditions::REMOVE);
    s.write(s.fd, IN);
    assert!(s.take(4)[0].1.contains(Conditions::HUP));
}

#[test]
fn other_descriptors_are_no_sets() {
    let s = setting();
    let mut list = [PollFd::default()];
    assert_eq!(s.process.devpoll_poll(s.fd, &mut list, NOW, None), Err(Error::new(EINVAL)));
    assert_eq!(s.process.devpoll_poll(99, &mut list, NOW, None), Err(Error::new(EBADF)));
    s.process.close(s.dp).unwrap();
    assert_eq!(s.world.queues(), 0);
}

#[test]
fn looking_sends_no_message() {
    let s = setting();
    s.write(s.fd, IN);
    s.world.readable("a", 1);
    let before = s.world.messages();
    for _ in 0..5 {
        assert_eq!(s.take(4).len(), 1);
    }
    assert_eq!(s.world.messages(), before);
}
