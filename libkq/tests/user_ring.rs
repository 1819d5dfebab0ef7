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
fn r58_what_a_thread_claims_after_it_was_recovered_in_its_wait_is_recovered_when_it_ends() {
    let (world, process, kq, ring) = setting(4);
    let number = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let dying = scope.spawn(|| {
            number.0.send(thread_number()).unwrap();
            let taken = ring.take(&process, None).unwrap().unwrap();
            std::mem::forget(taken);
        });
        let dead = number.1.recv().unwrap();
        world.until_parked(1);
        // Somebody believes it dead: it has taken nothing yet.
        assert_eq!(ring.recover(dead), 0);
        change(&process, kq, KEvent::user(3).add().oneshot().trigger());
        dying.join().unwrap();
        world.thread_ends(dead);
    });
    let taken = ring.take(&process, NOW).unwrap().expect("the event is another's");
    assert_eq!((taken.event().ident, taken.commit()), (3, Ok(())));
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

#[test]
fn r13_each_who_was_woken_gets_an_event_though_the_first_put_all_into_the_ring() {
    for _ in 0..30 {
        let (world, process, kq, ring) = setting(8);
        // Each stays with its event until all have one.
        let together = std::sync::Barrier::new(3);
        thread::scope(|scope| {
            let take = || {
                let taken = ring.take(&process, None).unwrap().unwrap();
                together.wait();
                taken.commit()
            };
            let waiters = [scope.spawn(take), scope.spawn(take), scope.spawn(take)];
            world.until_parked(3);
            let all = [1, 2, 3].map(|ident| KEvent::user(ident).add().oneshot().trigger());
            process.kevent(kq, &all, &mut [], NOW).unwrap();
            waiters.into_iter().for_each(|waiter| assert_eq!(waiter.join().unwrap(), Ok(())));
        });
    }
}

#[test]
fn r13_all_that_is_recovered_at_once_reaches_as_many_who_wait() {
    let (world, process, kq, ring) = setting(8);
    let all = [1, 2, 3].map(|ident| KEvent::user(ident).add().oneshot().trigger());
    process.kevent(kq, &all, &mut [], NOW).unwrap();
    let together = std::sync::Barrier::new(3);
    thread::scope(|scope| {
        let dead = scope.spawn(|| {
            (0..3).for_each(|_| std::mem::forget(ring.take(&process, NOW).unwrap().unwrap()));
            thread_number()
        });
        let dead = dead.join().unwrap();
        let take = || {
            let taken = ring.take(&process, None).unwrap().unwrap();
            together.wait();
            taken.commit()
        };
        let waiters = [scope.spawn(take), scope.spawn(take), scope.spawn(take)];
        world.until_parked(3);
        assert_eq!(ring.recover(dead), 3);
        waiters.into_iter().for_each(|waiter| assert_eq!(waiter.join().unwrap(), Ok(())));
    });
}

#[test]
fn what_is_given_back_wakes_who_waits_for_that_ring_and_nobody_else() {
    let (world, process, kq, ring) = setting(4);
    let other = UserRing::new(process.queue(kq).unwrap(), 4).unwrap();
    change(&process, kq, KEvent::user(3).add().oneshot().trigger());
    let taken = ring.take(&process, NOW).unwrap().unwrap();
    thread::scope(|scope| {
        let elsewhere = scope.spawn(|| other.take(&process, None).unwrap().unwrap().commit());
        world.until_parked(1);
        let in_kevent = scope.spawn(|| process.kevent(kq, &[], &mut [KEvent::default()], None));
        world.until_parked(2);
        let own = scope.spawn(|| ring.take(&process, None).unwrap().unwrap().commit());
        world.until_parked(3);
        let before = world.wakes();
        drop(taken);
        assert_eq!(own.join().unwrap(), Ok(()));
        assert_eq!(world.wakes() - before, 1);
        let rest = [4, 5].map(|ident| KEvent::user(ident).add().oneshot().trigger());
        for event in rest {
            let parked = world.parked();
            change(&process, kq, event);
            while world.parked() == parked {
                thread::yield_now();
            }
        }
        assert_eq!((elsewhere.join().unwrap(), in_kevent.join().unwrap()), (Ok(()), Ok(1)));
    });
}

#[test]
fn r37_a_ring_is_no_note_of_its_queue() {
    let (_world, process, kq, ring) = setting(4);
    let outer = process.kqueue().unwrap();
    change(&process, outer, KEvent::read(kq).add());
    change(&process, kq, KEvent::user(3).add().oneshot().trigger());
    drop(ring.take(&process, NOW).unwrap().unwrap());
    let mut told = [KEvent::default(); 4];
    assert_eq!(process.kevent(outer, &[], &mut told, NOW), Ok(0), "{told:?}");
    assert_eq!(process.kevent(kq, &[], &mut told, NOW), Ok(0), "{told:?}");
}

#[test]
fn r35_a_delete_drops_no_event_of_the_next_note_of_the_name() {
    let (_world, process, kq, ring) = setting(4);
    let (added, deleted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    const ROUNDS: usize = 20_000;
    thread::scope(|scope| {
        let deleter = scope.spawn(|| {
            while added.load(Ordering::SeqCst) < ROUNDS {
                let done = process.kevent(kq, &[KEvent::user(3).delete()], &mut [], NOW);
                deleted.fetch_add(usize::from(done.is_ok()), Ordering::SeqCst);
            }
        });
        let mut taken = 0;
        for _ in 0..ROUNDS {
            change(&process, kq, KEvent::user(3).add().oneshot().trigger());
            if let Some(event) = ring.take(&process, NOW).unwrap() {
                taken += usize::from(event.commit().is_ok());
            }
            added.fetch_add(1, Ordering::SeqCst);
        }
        deleter.join().unwrap();
        assert_eq!(taken + deleted.load(Ordering::SeqCst), ROUNDS);
    });
}

#[test]
fn r58_a_thread_is_watched_once_and_for_rings_that_are_there() {
    let (world, process, kq, ring) = setting(4);
    let take = |ring: &UserRing<World>| assert!(ring.take(&process, NOW).unwrap().is_none());
    take(&ring);
    for _ in 0..20 {
        take(&UserRing::new(process.queue(kq).unwrap(), 4).unwrap());
        take(&ring);
    }
    // The last of those that are gone is forgotten when another comes.
    assert_eq!(world.watched(), (1, 2));
}
