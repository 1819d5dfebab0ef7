//! Sets that are watched by sets (R37, R38).

mod world;

use std::thread;
use std::time::{Duration, Instant};

use abi::error::{EINVAL, ELOOP};
use libkq::conditions::Conditions;
use libkq::epoll::{EpollEvent, EpollFlags, EpollOp};
use libkq::nesting::Inner;
use libkq::poll::{FdSet, PollFd};
use libkq::process::Process;
use libkq::{Error, KEvent};
use world::World;

const NOW: Option<Duration> = Some(Duration::ZERO);
const IN: EpollFlags = EpollFlags::IN;

struct Setting {
    world: World,
    process: Process<World>,
}

fn setting() -> Setting {
    let world = World::new();
    let process = world.process();
    Setting { world, process }
}

impl Setting {
    fn kqueue(&self) -> i32 {
        self.process.kqueue().unwrap()
    }

    fn epoll(&self) -> i32 {
        self.process.epoll_create(0).unwrap()
    }

    fn change(&self, kq: i32, change: KEvent) -> Result<(), Error> {
        self.process.kevent(kq, &[change], &mut [], NOW).map(drop)
    }

    fn add(&self, ep: i32, fd: i32, events: EpollFlags) -> Result<(), Error> {
        self.process.epoll_ctl(ep, EpollOp::Add, fd, EpollEvent::new(events, fd as u64))
    }

    fn take(&self, kq: i32) -> Vec<KEvent> {
        let mut events = [KEvent::default(); 8];
        let count = self.process.kevent(kq, &[], &mut events, NOW).unwrap();
        events[..count].to_vec()
    }

    fn told(&self, ep: i32) -> Vec<i32> {
        let mut events = [EpollEvent::default(); 8];
        let count = self.process.epoll_wait(ep, &mut events, NOW).unwrap();
        events[..count].iter().map(|event| event.data() as i32).collect()
    }

    /// A queue with a note on a file.
    fn watching(&self, name: &str) -> i32 {
        let kq = self.kqueue();
        let fd = self.process.open(name, 0).unwrap();
        self.change(kq, KEvent::read(fd).add()).unwrap();
        kq
    }
}

#[test]
fn r37_a_queue_can_be_read_when_it_has_something_to_tell_and_data_is_how_much() {
    let s = setting();
    let (outer, inner) = (s.kqueue(), s.watching("a"));
    s.change(outer, KEvent::read(inner).add().udata(3)).unwrap();
    assert_eq!(s.take(outer), []);
    s.world.readable("a", 9);
    s.change(inner, KEvent::user(1).add().trigger()).unwrap();
    let events = s.take(outer);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].ident, events[0].data, events[0].udata), (inner as usize, 2, 3));
    // Looking from outside takes nothing.
    assert_eq!(s.take(inner).len(), 2);
    s.world.drained_to("a", 0);
    s.change(inner, KEvent::user(1).delete()).unwrap();
    assert_eq!(s.take(outer), []);
    s.world.readable("a", 1);
    assert_eq!(s.take(outer)[0].data, 1);
}

#[test]
fn r37_five_sets_in_a_chain_and_no_more() {
    let s = setting();
    let sets = [s.kqueue(), s.epoll(), s.kqueue(), s.epoll(), s.watching("a"), s.kqueue()];
    let put = |outer: usize, inner: usize| match outer {
        1 | 3 => s.add(sets[outer], sets[inner], IN),
        _ => s.change(sets[outer], KEvent::read(sets[inner]).add()),
    };
    // Built from both ends, so that heights and depths count.
    put(0, 1).unwrap();
    put(3, 4).unwrap();
    put(2, 3).unwrap();
    put(1, 2).unwrap();
    assert_eq!(s.change(sets[5], KEvent::read(sets[0]).add()), Err(Error::new(ELOOP)));
    assert_eq!(put(4, 5), Err(Error::new(ELOOP)));
    s.world.readable("a", 1);
    assert_eq!(s.take(sets[0])[0].ident, sets[1] as usize);
    // What is taken out counts no more.
    s.process.epoll_ctl(sets[1], EpollOp::Delete, sets[2], EpollEvent::default()).unwrap();
    assert_eq!(s.take(sets[0]), []);
    s.change(sets[5], KEvent::read(sets[0]).add()).unwrap();
    put(4, 5).unwrap_err();
}

#[test]
fn r37_sets_with_too_many_chains_between_them_are_refused_and_looks_are_short() {
    let s = setting();
    let layers = [(); 4].map(|()| [(); 12].map(|()| s.epoll()));
    let refused = layers.windows(2).map(|pair| {
        let edges = pair[0].iter().flat_map(|&outer| pair[1].map(|inner| (outer, inner)));
        edges.filter(|&(outer, inner)| {
            let added = s.add(outer, inner, IN);
            assert!(added.is_ok() || added == Err(Error::new(EINVAL)));
            added.is_err()
        })
    });
    let refused: Vec<usize> = refused.map(Iterator::count).collect();
    // 12 x 12 chains are few, 12 x 12 x 12 are too many.
    assert_eq!(refused[..2], [0, 0]);
    assert!(refused[2] > 0 && refused[2] < 144, "{refused:?}");
    let inner = s.watching("a");
    s.add(layers[1][0], inner, IN).unwrap();
    s.world.readable("a", 1);
    assert_eq!(s.told(layers[0][0]), [layers[1][0]]);
}

#[test]
fn r37_as_many_sets_in_one_as_a_process_has() {
    let s = setting();
    let outer = s.kqueue();
    for _ in 0..libkq::nesting::WAYS - 1 {
        s.change(outer, KEvent::read(s.epoll()).add()).unwrap();
    }
    assert_eq!(s.change(outer, KEvent::read(s.epoll()).add()), Err(Error::new(EINVAL)));
}

#[test]
fn r37_rings_are_refused_and_r38_a_set_in_itself() {
    let s = setting();
    let (a, b, c) = (s.kqueue(), s.epoll(), s.kqueue());
    assert_eq!(s.change(a, KEvent::read(a).add()), Err(Error::new(EINVAL)));
    let copy = s.process.dup(a).unwrap();
    assert_eq!(s.change(a, KEvent::read(copy).add()), Err(Error::new(EINVAL)));
    assert_eq!(s.add(b, b, IN), Err(Error::new(EINVAL)));
    s.change(a, KEvent::read(b).add()).unwrap();
    s.add(b, c, IN).unwrap();
    assert_eq!(s.change(c, KEvent::read(a).add()), Err(Error::new(ELOOP)));
    assert_eq!(s.change(c, KEvent::read(b).add()), Err(Error::new(ELOOP)));
    assert_eq!(s.add(b, a, IN), Err(Error::new(ELOOP)));
    // Only reading is something that a set knows.
    let refused = s.change(c, KEvent::write(a).add());
    assert_eq!(refused, Err(Error::new(EINVAL)));
}

#[test]
fn r37_an_edge_of_an_inner_set_is_told_once_for_each_change() {
    let s = setting();
    let (outer, edge, inner) = (s.epoll(), s.kqueue(), s.watching("a"));
    s.add(outer, inner, IN | EpollFlags::ET).unwrap();
    s.change(edge, KEvent::read(inner).add().clear()).unwrap();
    for round in 1..4 {
        s.world.readable("a", round);
        assert_eq!((s.told(outer), s.take(edge).len()), (vec![inner], 1));
        assert_eq!((s.told(outer), s.take(edge).len()), (vec![], 0));
        s.world.drained_to("a", 0);
        assert_eq!((s.told(outer), s.take(edge).len()), (vec![], 0));
    }
}

#[test]
fn r37_an_edge_tells_each_arrival_at_an_inner_note_that_is_still_true() {
    let s = setting();
    let (outer, edge, inner) = (s.epoll(), s.kqueue(), s.watching("a"));
    let (middle, around) = (s.epoll(), s.kqueue());
    s.add(outer, inner, IN | EpollFlags::ET).unwrap();
    s.change(edge, KEvent::read(inner).add().clear()).unwrap();
    s.add(middle, inner, IN).unwrap();
    s.change(around, KEvent::read(middle).add().clear()).unwrap();
    let look = || (s.told(outer).len(), s.take(edge).len(), s.take(around).len());
    // Bytes that can be read, a timer, an event of the program's own: none is ever taken.
    s.change(inner, KEvent::timer(1).every(Duration::from_millis(5)).add()).unwrap();
    s.change(inner, KEvent::user(1).add()).unwrap();
    assert_eq!(look(), (0, 0, 0));
    for _ in 0..3 {
        s.world.readable("a", 7);
        assert_eq!((look(), look()), ((1, 1, 1), (0, 0, 0)));
        s.world.advance(5_000_000);
        assert_eq!((look(), look()), ((1, 1, 1), (0, 0, 0)));
        s.change(inner, KEvent::user(1).trigger()).unwrap();
        assert_eq!((look(), look()), ((1, 1, 1), (0, 0, 0)));
        // Less is no arrival.
        s.world.drained_to("a", 3);
        assert_eq!(look(), (0, 0, 0));
    }
    // One who takes from the inner set has told the outer ones nothing.
    s.world.readable("a", 8);
    assert_eq!(s.take(inner).len(), 3);
    assert_eq!((look(), look()), ((1, 1, 1), (0, 0, 0)));
    // What arrives elsewhere, or at a note that is off, is none of theirs.
    s.change(inner, KEvent::user(2).add().trigger().disable()).unwrap();
    s.process.open("b", 0).unwrap();
    s.world.readable("b", 1);
    assert_eq!(look(), (0, 0, 0));
    s.process.epoll_ctl(middle, EpollOp::Delete, inner, EpollEvent::default()).unwrap();
    s.world.readable("a", 9);
    assert_eq!((look(), look()), ((1, 1, 0), (0, 0, 0)));
}

#[test]
fn r37_who_waits_for_edges_is_woken_for_an_arrival_at_a_note_that_is_still_true() {
    let s = setting();
    s.world.stop_clock();
    let (outer, edge, inner) = (s.epoll(), s.kqueue(), s.watching("a"));
    s.add(outer, inner, IN | EpollFlags::ET).unwrap();
    s.change(edge, KEvent::read(inner).add().clear()).unwrap();
    s.world.readable("a", 1);
    assert_eq!((s.told(outer).len(), s.take(edge).len()), (1, 1));
    for round in 0..20 {
        thread::scope(|scope| {
            let told = || s.process.epoll_wait(outer, &mut [EpollEvent::default()], None);
            let taken = || s.process.kevent(edge, &[], &mut [KEvent::default()], None);
            let waiters = [scope.spawn(told), scope.spawn(taken)];
            s.world.until_parked(4);
            let before = s.world.wakes();
            s.world.readable("a", 1);
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Ok(1), "round {round}");
            }
            assert!(s.world.wakes() - before <= 4);
        });
        assert_eq!((s.told(outer).len(), s.take(edge).len()), (0, 0));
    }
}

#[test]
fn r37_two_who_wait_for_the_same_edges_do_not_wake_each_other_for_ever() {
    let s = setting();
    s.world.stop_clock();
    let (outer, inner) = (s.epoll(), s.watching("a"));
    s.add(outer, inner, IN | EpollFlags::ET).unwrap();
    s.world.readable("a", 1);
    assert_eq!(s.told(outer).len(), 1);
    const EVENTS: usize = 40;
    let told = std::sync::atomic::AtomicUsize::new(0);
    let before = s.world.wakes();
    thread::scope(|scope| {
        let wait = || {
            // The inner note stays true all the while.
            while s.process.epoll_wait(outer, &mut [EpollEvent::default()], None).is_ok() {
                told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        };
        let waiters = [scope.spawn(wait), scope.spawn(wait)];
        for event in 0..EVENTS {
            s.world.until_parked(4);
            s.world.readable("a", 1);
            while told.load(std::sync::atomic::Ordering::SeqCst) <= event {
                thread::yield_now();
            }
        }
        s.world.until_parked(4);
        let wakes = s.world.wakes() - before;
        assert!(wakes <= 4 * EVENTS, "{wakes}");
        s.process.close(outer).unwrap();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
    assert_eq!(told.load(std::sync::atomic::Ordering::SeqCst), EVENTS);
}

#[test]
fn r37_one_shots_and_switches_work_for_sets_too() {
    let s = setting();
    let (outer, inner) = (s.kqueue(), s.watching("a"));
    s.world.readable("a", 1);
    s.change(outer, KEvent::read(inner).add().dispatch()).unwrap();
    assert_eq!((s.take(outer).len(), s.take(outer).len()), (1, 0));
    s.change(outer, KEvent::read(inner).enable()).unwrap();
    assert_eq!((s.take(outer).len(), s.take(outer).len()), (1, 0));
    s.change(outer, KEvent::read(inner).delete()).unwrap();
    s.change(outer, KEvent::read(inner).add().oneshot()).unwrap();
    assert_eq!((s.take(outer).len(), s.take(outer).len()), (1, 0));
    let ep = s.epoll();
    s.add(ep, inner, IN | EpollFlags::ONESHOT).unwrap();
    assert_eq!((s.told(ep), s.told(ep)), (vec![inner], vec![]));
    s.process.epoll_ctl(ep, EpollOp::Modify, inner, EpollEvent::new(IN, 4)).unwrap();
    assert_eq!((s.told(ep), s.told(ep)), (vec![4], vec![4]));
}

#[test]
fn r37_poll_select_and_dev_poll_see_sets() {
    let s = setting();
    let inner = s.watching("a");
    let dp = s.process.open("/dev/poll", 0).unwrap();
    s.process.devpoll_write(dp, &[PollFd::new(inner, Conditions::IN)]).unwrap();
    let poll = || {
        let mut list = [PollFd::new(inner, Conditions::IN | Conditions::OUT)];
        (s.process.poll(&mut list, NOW, None).unwrap(), list[0].revents)
    };
    let select = || {
        let mut set: FdSet = [inner].into_iter().collect();
        s.process.select(inner + 1, [Some(&mut set), None, None], NOW, None).unwrap()
    };
    let devpoll = || s.process.devpoll_poll(dp, &mut [PollFd::default(); 2], NOW, None).unwrap();
    for round in 1..4 {
        assert_eq!((poll(), select(), devpoll()), ((0, Conditions::empty()), 0, 0));
        s.world.readable("a", round);
        assert_eq!((poll(), select(), devpoll()), ((1, Conditions::IN), 1, 1));
        s.world.drained_to("a", 0);
    }
    s.process.close(inner).unwrap();
    assert_eq!(poll(), (1, Conditions::NVAL));
    assert_eq!(devpoll(), 1);
}

#[test]
fn r31_a_set_that_is_closed_is_in_no_set_any_more() {
    let s = setting();
    let (outer, ep, inner) = (s.kqueue(), s.epoll(), s.watching("a"));
    s.change(outer, KEvent::read(inner).add()).unwrap();
    s.add(ep, inner, IN).unwrap();
    s.world.readable("a", 1);
    s.process.close(inner).unwrap();
    assert_eq!((s.take(outer), s.told(ep)), (vec![], vec![]));
    assert_eq!(s.process.kqueue(), Ok(inner));
    assert_eq!((s.take(outer), s.told(ep)), (vec![], vec![]));
}

#[test]
fn r37_who_waits_on_the_outer_set_is_woken_for_the_inner_one() {
    let s = setting();
    s.world.stop_clock();
    for round in 0..30 {
        let (outer, middle, inner) = (s.kqueue(), s.epoll(), s.watching("a"));
        s.add(middle, inner, IN).unwrap();
        s.change(outer, KEvent::read(middle).add()).unwrap();
        thread::scope(|scope| {
            let wait = |kq: i32| {
                let process = &s.process;
                move || process.kevent(kq, &[], &mut [KEvent::default()], None)
            };
            let in_poll = || s.process.poll(&mut [PollFd::new(middle, Conditions::IN)], None, None);
            let waiters = [scope.spawn(wait(outer)), scope.spawn(wait(inner)), scope.spawn(in_poll)];
            // Two threads are parked on three sets each.
            while s.world.parked() < 7 {
                thread::yield_now();
            }
            if round % 2 == 0 {
                s.world.readable("a", 5);
            } else {
                s.change(inner, KEvent::user(1).add().trigger()).unwrap();
            }
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Ok(1));
            }
        });
        assert_eq!(s.world.parked(), 0);
        for number in [outer, middle, inner, inner + 1] {
            s.process.close(number).unwrap();
        }
    }
}

#[test]
fn r37_sets_taken_apart_under_a_sleeper_are_free_of_it() {
    let s = setting();
    s.world.stop_clock();
    let (outer, middle, inner) = (s.kqueue(), s.epoll(), s.watching("a"));
    s.add(middle, inner, IN).unwrap();
    s.change(outer, KEvent::read(middle).add()).unwrap();
    s.change(outer, KEvent::user(1).add().clear()).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| s.process.kevent(outer, &[], &mut [KEvent::default()], None));
        s.world.until_parked(3);
        s.process.epoll_ctl(middle, EpollOp::Delete, inner, EpollEvent::default()).unwrap();
        s.change(outer, KEvent::user(1).trigger()).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(1));
    });
    assert_eq!(s.world.parked(), 0, "its bit would swallow the wake-ups of others");
}

#[test]
fn r50_a_set_that_is_added_under_sleepers_reaches_all_of_them() {
    let s = setting();
    s.world.stop_clock();
    let (outer, inner) = (s.kqueue(), s.watching("a"));
    thread::scope(|scope| {
        let wait = || s.process.kevent(outer, &[], &mut [KEvent::default()], None);
        let waiters = [scope.spawn(wait), scope.spawn(wait)];
        s.world.until_parked(2);
        s.change(outer, KEvent::read(inner).add()).unwrap();
        // Each is parked on both.
        let patience = Instant::now() + Duration::from_secs(120);
        while s.world.parked() < 4 && Instant::now() < patience {
            thread::yield_now();
        }
        let parked = s.world.parked();
        s.world.readable("a", 5);
        // Whatever is right, the test must end.
        s.change(outer, KEvent::user(1).add().trigger()).unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Ok(1));
        }
        assert_eq!(parked, 4);
    });
}

#[test]
fn r13_two_who_wait_on_a_set_with_a_silent_set_in_it_do_not_wake_each_other() {
    let s = setting();
    s.world.stop_clock();
    let (outer, inner) = (s.kqueue(), s.watching("a"));
    s.change(outer, KEvent::read(inner).add()).unwrap();
    s.change(outer, KEvent::user(1).add().clear()).unwrap();
    thread::scope(|scope| {
        let wait = || s.process.kevent(outer, &[], &mut [KEvent::default()], None);
        let waiters = [scope.spawn(wait), scope.spawn(wait), scope.spawn(wait)];
        while s.world.parked() < 6 {
            thread::yield_now();
        }
        let before = s.world.wakes();
        for done in 1..=3 {
            s.change(outer, KEvent::user(1).trigger()).unwrap();
            while waiters.iter().filter(|waiter| waiter.is_finished()).count() < done {
                thread::yield_now();
            }
        }
        let wakes = s.world.wakes() - before;
        assert!(wakes <= 9, "{wakes}");
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Ok(1));
        }
    });
}

#[test]
fn r50_a_set_that_is_added_while_a_thread_parks_reaches_it() {
    for within in [false, true] {
        let s = setting();
        s.world.stop_clock();
        let process = std::sync::Arc::new(s.process);
        let (outer, middle) = (process.kqueue().unwrap(), process.kqueue().unwrap());
        let (inner, fd) = (process.kqueue().unwrap(), process.open("a", 0).unwrap());
        let change = |kq, change| process.kevent(kq, &[change], &mut [], NOW).map(drop).unwrap();
        change(inner, KEvent::read(fd).add());
        if within {
            change(outer, KEvent::read(middle).add());
        }
        let own = process.clone();
        s.world.at_parking(move || {
            // Into the set for which the thread waits, or into one within.
            let around = if within { middle } else { outer };
            own.kevent(around, &[KEvent::read(inner).add()], &mut [], NOW).unwrap();
        });
        thread::scope(|scope| {
            let waiter = scope.spawn(|| process.kevent(outer, &[], &mut [KEvent::default()], None));
            let (all, patience) = (2 + u32::from(within), Instant::now() + Duration::from_secs(60));
            while s.world.parked() < all && Instant::now() < patience {
                thread::yield_now();
            }
            let parked = s.world.parked();
            s.world.readable("a", 5);
            // Whatever is right, the test must end.
            change(outer, KEvent::user(1).add().trigger());
            assert_eq!((waiter.join().unwrap(), parked), (Ok(1), all));
        });
    }
}

#[test]
fn r50_who_was_chosen_for_what_came_before_it_parked_wakes_those_who_have_a_use_for_it() {
    let s = setting();
    s.world.stop_clock();
    // Both watch the inner set; the note of the first is off.
    let (off, on, inner) = (s.kqueue(), s.kqueue(), s.watching("a"));
    s.change(off, KEvent::read(inner).add().disable()).unwrap();
    s.change(on, KEvent::read(inner).add()).unwrap();
    thread::scope(|scope| {
        let wait = |kq| {
            let process = &s.process;
            move || process.kevent(kq, &[], &mut [KEvent::default()], None)
        };
        let useful = scope.spawn(wait(on));
        s.world.until_parked(2);
        let useless = scope.spawn(wait(off));
        s.world.until_parked(4);
        // Who comes first in the rotation is chosen: each is, once.
        for round in 0..2 {
            s.world.readable("a", 5 + round);
        }
        assert_eq!(useful.join().unwrap(), Ok(1));
        s.change(off, KEvent::user(1).add().trigger()).unwrap();
        assert_eq!(useless.join().unwrap(), Ok(1));
    });
}

#[test]
fn r50_what_came_is_news_once_also_when_who_is_chosen_for_it_had_looked_before() {
    let s = setting();
    let inner = s.watching("a");
    let set = s.process.queue(inner).unwrap();
    assert!(!set.has_news());
    for round in 1..4 {
        s.world.readable("a", round);
        // As who parks does.
        assert_eq!(set.look().0, 1);
        assert_eq!((set.has_news(), set.has_news()), (true, false));
        s.world.drained_to("a", 0);
        assert!(!set.has_news());
    }
    s.world.readable("a", 1);
    s.world.drained_to("a", 0);
    assert!(!set.has_news(), "nothing to tell");
}

#[test]
fn r13_a_look_at_a_set_that_nobody_waits_for_hands_nothing_on() {
    let s = setting();
    let inner = s.watching("a");
    let set = s.process.queue(inner).unwrap();
    // From here on it is not seen at once that nobody is parked.
    set.parked().add(64);
    set.parked().remove(64);
    s.world.readable("a", 1);
    assert!(set.has_news());
    assert_eq!((s.take(inner).len(), set.has_news()), (1, false));
}
