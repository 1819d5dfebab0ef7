//! Events that are read in place and committed.

mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use abi::error::{ECANCELED, ENOBUFS};
use libkq::process::Process;
use libkq::user_ring::UserRing;
use libkq::{Error, KEvent};
use world::{World, thread_number};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn setting(events: usize) -> (World, Process<World>, i32, UserRing<World>) {
    let world = World::new();
    world.stop_clock();
    let process = world.process();
    let kq = process.kqueue().unwrap();
    let ring = UserRing::new(process.queue(kq).unwrap(), events).unwrap();
    (world, process, kq, ring)
}

fn change(process: &Process<World>, kq: i32, change: KEvent) {
    process.kevent(kq, &[change], &mut [], NOW).unwrap();
}

#[test]
fn an_event_is_read_in_place_and_committed_once() {
    let (world, process, kq, ring) = setting(4);
    let fd = process.open("a", 0).unwrap();
    change(&process, kq, KEvent::read(fd).add().clear().udata(7));
    assert!(ring.take(&process, NOW).unwrap().is_none());
    world.readable("a", 5);
    let taken = ring.take(&process, NOW).unwrap().unwrap();
    assert_eq!((taken.event().ident, taken.event().data, taken.event().udata), (fd as usize, 5, 7));
    assert!(ring.take(&process, NOW).unwrap().is_none());
    assert_eq!(taken.commit(), Ok(()));
    assert!(ring.take(&process, NOW).unwrap().is_none());
}

#[test]
fn what_is_dropped_without_a_commit_reaches_another_thread_that_waits() {
    let (world, process, kq, ring) = setting(4);
    change(&process, kq, KEvent::user(3).add().oneshot().trigger());
    let taken = ring.take(&process, NOW).unwrap().unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let taken = ring.take(&process, None).unwrap().unwrap();
            (taken.event().ident, taken.commit())
        });
        world.until_parked(1);
        drop(taken);
        assert_eq!(other.join().unwrap(), (3, Ok(())));
    });
}

#[test]
fn what_a_dead_thread_did_not_commit_reaches_another_and_its_late_commit_fails() {
    let (world, process, kq, ring) = setting(4);
    change(&process, kq, KEvent::user(3).add().oneshot().trigger());
    let late = ring.take(&process, NOW).unwrap().unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| ring.take(&process, None).unwrap().unwrap().commit());
        world.until_parked(1);
        assert_eq!(ring.recover(thread_number()), 1);
        assert_eq!(other.join().unwrap(), Ok(()));
    });
    assert_eq!(late.commit(), Err(Error::new(ECANCELED)));
    assert_eq!(ring.recover(thread_number()), 0);
}

#[test]
fn r58_what_a_thread_that_ends_did_not_commit_reaches_another_that_waits_by_itself() {
    let (world, process, kq, ring) = setting(4);
    for round in 0..3 {
        change(&process, kq, KEvent::user(3).add().oneshot().trigger());
        thread::scope(|scope| {
            let dying = scope.spawn(|| {
                let taken = ring.take(&process, NOW).unwrap().unwrap();
                assert_eq!(taken.event().ident, 3);
                std::mem::forget(taken);
                thread_number()
            });
            let dead = dying.join().unwrap();
            let other = scope.spawn(|| ring.take(&process, None).unwrap().unwrap().commit());
            world.until_parked(1);
            world.thread_ends(dead);
            assert_eq!(other.join().unwrap(), Ok(()), "round {round}");
        });
    }
}

#[test]
fn r44_what_a_thread_was_woken_for_that_is_killed_in_its_wait_wakes_another() {
    let (world, process, kq, ring) = setting(4);
    let (process, ring) = (&*Box::leak(Box::new(process)), &*Box::leak(Box::new(ring)));
    let other = thread::spawn(|| ring.take(process, None).unwrap().unwrap().commit());
    world.until_parked(1);
    let number = std::sync::mpsc::channel();
    // It never comes back.
    thread::spawn(move || {
        number.0.send(thread_number()).unwrap();
        let _ = ring.take(process, None);
    });
    let dead = number.1.recv().unwrap();
    world.until_parked(2);
    world.kill(dead);
    // The second is chosen, and does not wake.
    change(process, kq, KEvent::user(3).add().oneshot().trigger());
    assert_eq!(world.parked(), 2);
    world.thread_ends(dead);
    assert_eq!(other.join().unwrap(), Ok(()));
    assert_eq!(world.parked(), 0);
}

#[test]
fn a_sleeper_that_finds_the_ring_full_says_so_and_does_not_spin() {
    for _ in 0..30 {
        let (world, process, kq, ring) = setting(1);
        thread::scope(|scope| {
            let other = scope.spawn(|| ring.take(&process, None));
            world.until_parked(1);
            let both = [1, 2].map(|ident| KEvent::user(ident).add().oneshot().trigger());
            process.kevent(kq, &both, &mut [], NOW).unwrap();
            let own = ring.take(&process, NOW);
            let other = other.join().unwrap();
            // One of the two has the place; the other is told that there is none.
            match (&own, &other) {
                (Ok(Some(_)), Err(error)) => assert_eq!(error.errno, ENOBUFS),
                (Err(error), Ok(Some(_))) => assert_eq!(error.errno, ENOBUFS),
                (Ok(None), Ok(Some(_))) => {}
                _ => panic!("{:?} {:?}", own.is_ok(), other.is_ok()),
            }
        });
    }
}

#[test]
fn r35_after_a_delete_nobody_is_handed_the_event_not_even_a_dead_threads() {
    let (world, process, kq, ring) = setting(4);
    let fd = process.open("a", 0).unwrap();
    world.readable("a", 1);
    change(&process, kq, KEvent::read(fd).add().clear());
    let taken = ring.take(&process, NOW).unwrap().unwrap();
    change(&process, kq, KEvent::read(fd).delete());
    drop(taken);
    assert!(ring.take(&process, NOW).unwrap().is_none());
    // R31: the same for a descriptor that is closed.
    change(&process, kq, KEvent::read(fd).add().clear());
    let taken = ring.take(&process, NOW).unwrap().unwrap();
    process.close(fd).unwrap();
    drop(taken);
    assert!(ring.take(&process, NOW).unwrap().is_none());
}

#[test]
fn r14_what_there_is_no_room_for_is_told_later() {
    let (_world, process, kq, ring) = setting(2);
    for ident in 0..3 {
        change(&process, kq, KEvent::user(ident).add().oneshot().trigger());
    }
    let first = ring.take(&process, NOW).unwrap().unwrap();
    let second = ring.take(&process, NOW).unwrap().unwrap();
    assert_eq!(ring.take(&process, NOW).err(), Some(Error::new(ENOBUFS)));
    let mut idents = vec![first.event().ident, second.event().ident];
    first.commit().unwrap();
    idents.push(ring.take(&process, NOW).unwrap().unwrap().event().ident);
    idents.sort_unstable();
    assert_eq!(idents, [0, 1, 2]);
}

#[test]
fn r10_each_event_is_committed_once_by_many_threads_that_give_some_back() {
    let (_world, process, kq, ring) = setting(8);
    let done = AtomicUsize::new(0);
    const EVENTS: usize = 300;
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut round = 0;
                while done.load(Ordering::SeqCst) < EVENTS {
                    let taken = ring.take(&process, Some(Duration::ZERO));
                    if let Ok(Some(taken)) = taken {
                        round += 1;
                        if round % 3 != 0 {
                            taken.commit().unwrap();
                            done.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
        for ident in 0..EVENTS {
            change(&process, kq, KEvent::user(ident).add().oneshot().trigger());
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), EVENTS);
    assert!(ring.take(&process, NOW).unwrap().is_none());
}
