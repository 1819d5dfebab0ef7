//! Threads that are killed in their waits: what they were woken for is another's, and nothing of them stays.

mod world;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libkq::KEvent;
use libkq::conditions::Conditions;
use libkq::epoll::{EpollEvent, EpollFlags, EpollOp};
use libkq::poll::PollFd;
use libkq::process::Process;
use world::{World, thread_number};

const NOW: Option<Duration> = Some(Duration::ZERO);

/// Waits on a set, and gives how many events it was told.
type Wait = fn(&Process<World>, i32) -> usize;

fn kevent(process: &Process<World>, kq: i32) -> usize {
    process.kevent(kq, &[], &mut [KEvent::default()], None).unwrap()
}

fn epoll(process: &Process<World>, ep: i32) -> usize {
    process.epoll_wait(ep, &mut [EpollEvent::default()], None).unwrap()
}

fn devpoll(process: &Process<World>, dp: i32) -> usize {
    process.devpoll_poll(dp, &mut [PollFd::default()], None, None).unwrap()
}

fn poll(process: &Process<World>, fd: i32) -> usize {
    process.poll(&mut [PollFd::new(fd, Conditions::IN)], None, None).unwrap()
}

/// A set of each interface that can be shared, that watches `fd`, and how to wait on it.
fn sets(process: &Process<World>, fd: i32) -> [(i32, Wait); 3] {
    let kq = process.kqueue().unwrap();
    process.kevent(kq, &[KEvent::read(fd).add()], &mut [], NOW).unwrap();
    let ep = process.epoll_create(0).unwrap();
    process.epoll_ctl(ep, EpollOp::Add, fd, EpollEvent::new(EpollFlags::IN, 0)).unwrap();
    let dp = process.open("/dev/poll", 0).unwrap();
    process.devpoll_write(dp, &[PollFd::new(fd, Conditions::IN)]).unwrap();
    [(kq, kevent as Wait), (ep, epoll), (dp, devpoll)]
}

/// One waits so and lives, another so and is killed after it was chosen.
fn dies_chosen(at: usize, living: Option<Wait>, dying: Option<Wait>) {
    let world = World::new();
    world.stop_clock();
    // The killed thread never comes back to let go of it.
    let process: &'static Process<World> = Box::leak(Box::new(world.process()));
    let (set, wait) = sets(process, process.open("a", 0).unwrap())[at];
    let (living, dying) = (living.unwrap_or(wait), dying.unwrap_or(wait));
    let other = thread::spawn(move || living(process, set));
    world.until_announced(1);
    let (says, number) = mpsc::channel();
    thread::spawn(move || {
        says.send(thread_number()).unwrap();
        dying(process, set);
    });
    let dead = number.recv().unwrap();
    world.until_announced(2);
    world.kill(dead);
    // The second is chosen, and does not wake.
    world.readable("a", 1);
    assert!(!other.is_finished());
    world.thread_ends(dead);
    assert_eq!(other.join().unwrap(), 1);
    assert_eq!(world.parked(), 0);
    assert_eq!(world.watched().0, 1, "the one that lives");
}

#[test]
fn r44_what_a_thread_was_woken_for_that_is_killed_in_its_wait_wakes_another_of_its_set() {
    (0..3).for_each(|at| dies_chosen(at, None, None));
}

#[test]
fn r44_and_another_that_waits_for_the_set_from_outside() {
    (0..3).for_each(|at| dies_chosen(at, Some(poll), None));
}

#[test]
fn r44_who_is_killed_waiting_for_the_set_from_outside_leaves_it_to_who_waits_within() {
    (0..3).for_each(|at| dies_chosen(at, None, Some(poll)));
}

#[test]
fn the_notes_of_a_thread_that_is_killed_in_poll_go_with_it() {
    let world = World::new();
    world.stop_clock();
    let process: &'static Process<World> = Box::leak(Box::new(world.process()));
    let fd = process.open("a", 0).unwrap();
    let (says, number) = mpsc::channel();
    thread::spawn(move || {
        says.send(thread_number()).unwrap();
        poll(process, fd);
    });
    let dead = number.recv().unwrap();
    world.until_announced(1);
    assert_eq!((world.notes(), world.queues()), (1, 1));
    world.kill(dead);
    world.thread_ends(dead);
    assert_eq!((world.notes(), world.queues(), world.parked()), (0, 0, 0));
    assert_eq!(world.watched(), (0, 0));
}
