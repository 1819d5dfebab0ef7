//! The rules that need several threads: who is woken, and that nothing is lost.

mod world;

use abi::error::ENOENT;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use libkq::event::note;
use libkq::process::Process;
use libkq::{Error, Filter, KEvent};
use world::{EBADF, World};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn setting() -> (World, Process<World>, i32) {
    let world = World::new();
    world.stop_clock();
    let process = world.process();
    let kq = process.kqueue().unwrap();
    (world, process, kq)
}

fn wait_one(process: &Process<World>, kq: i32) -> Result<KEvent, Error> {
    let mut events = [KEvent::default(); 1];
    process.kevent(kq, &[], &mut events, None).map(|count| {
        assert_eq!(count, 1);
        events[0]
    })
}

#[test]
fn r10_oneshot_is_delivered_to_exactly_one_of_many_waiters() {
    let (world, process, kq) = setting();
    let fd = process.open("a", 0).unwrap();
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while wait_one(&process, kq).unwrap().ident != 999 {
                    taken.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for round in 1..=200 {
            world.readable("a", round);
            process.kevent(kq, &[KEvent::read(fd).add().oneshot()], &mut [], NOW).unwrap();
            while taken.load(Ordering::SeqCst) < round as usize {
                thread::yield_now();
            }
        }
        // A level that everybody sees: all end.
        process.kevent(kq, &[KEvent::user(999).add().trigger()], &mut [], NOW).unwrap();
    });
    assert_eq!(taken.load(Ordering::SeqCst), 200);
}

/// One thread takes the event while another deletes the note: one of the two has it, and the other hears so.
#[test]
fn r10_a_oneshot_that_is_told_during_its_delete_was_not_there_to_delete() {
    let (world, process, kq) = setting();
    let process = Arc::new(process);
    let [told, deleted] = ["a", "b"].map(|name| process.open(name, 0).unwrap());
    let change = |change| process.kevent(kq, &[change], &mut [], NOW);
    for fd in [told, deleted] {
        change(KEvent::read(fd).add().oneshot()).unwrap();
    }
    world.readable("a", 1);
    assert_eq!(wait_one(&process, kq).unwrap().ident, told as usize);
    world.readable("b", 1);
    // The delete finds its note, and begins by freeing the one that was told before.
    let other = process.clone();
    world.before_next_change(move || {
        let mut events = [KEvent::default(); 1];
        assert_eq!(other.kevent(kq, &[], &mut events, NOW), Ok(1));
    });
    assert_eq!(change(KEvent::read(deleted).delete()).map_err(|error| error.errno), Err(ENOENT));
    change(KEvent::read(deleted).add()).unwrap();
    assert_eq!(wait_one(&process, kq).unwrap().ident, deleted as usize);
}

#[test]
fn r13_a_level_wakes_one_waiter_after_the_other() {
    let (world, process, kq) = setting();
    let fd = process.open("a", 0).unwrap();
    process.kevent(kq, &[KEvent::read(fd).add()], &mut [], NOW).unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..5).map(|_| scope.spawn(|| wait_one(&process, kq))).collect();
        world.until_parked(5);
        world.readable("a", 7);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap().data, 7);
        }
    });
}

#[test]
fn r14_what_one_waiter_has_no_room_for_wakes_another() {
    let (_world, process, kq) = setting();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| wait_one(&process, kq))).collect();
        _world.until_parked(3);
        let changes: Vec<_> = (0..3).map(|ident| KEvent::user(ident).add().oneshot().trigger()).collect();
        process.kevent(kq, &changes, &mut [], NOW).unwrap();
        let mut idents: Vec<_> = waiters.into_iter().map(|w| w.join().unwrap().unwrap().ident).collect();
        idents.sort_unstable();
        assert_eq!(idents, [0, 1, 2]);
    });
}

#[test]
fn r34_closing_the_queue_wakes_its_waiters_with_an_error() {
    let (world, process, kq) = setting();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| wait_one(&process, kq))).collect();
        world.until_parked(3);
        process.close(kq).unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(Error::new(EBADF)));
        }
    });
    assert_eq!(world.queues(), 0);
}

#[test]
fn r36_a_cleared_event_wakes_one_waiter() {
    let (world, process, kq) = setting();
    process.kevent(kq, &[KEvent::user(1).add().clear()], &mut [], NOW).unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| wait_one(&process, kq))).collect();
        world.until_parked(4);
        let before = world.wakes();
        for round in 1..=4 {
            process.kevent(kq, &[KEvent::user(1).trigger()], &mut [], NOW).unwrap();
            while waiters.iter().filter(|waiter| waiter.is_finished()).count() < round {
                thread::yield_now();
            }
        }
        assert_eq!(world.wakes() - before, 4);
        for waiter in waiters {
            waiter.join().unwrap().unwrap();
        }
    });
}

#[test]
fn r50_a_blocked_call_sees_what_another_thread_adds() {
    let (world, process, kq) = setting();
    let fd = process.open("a", 0).unwrap();
    world.readable("a", 3);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_one(&process, kq));
        world.until_parked(1);
        process.kevent(kq, &[KEvent::read(fd).add()], &mut [], NOW).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap().data, 3);
    });
}

#[test]
fn r48_a_waiter_that_times_out_gives_its_record_back() {
    let (world, process, kq) = setting();
    for _ in 0..200 {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut events = [KEvent::default(); 1];
                process.kevent(kq, &[], &mut events, Some(Duration::from_micros(5)))
            });
            world.until_parked(1);
            world.advance(5_000);
            assert_eq!(waiter.join().unwrap(), Ok(0));
        });
        assert_eq!(world.parked(), 0);
    }
}

/// Triggers and timeouts at the same moment: each trigger's bit arrives, once, with whoever takes it.
#[test]
fn no_trigger_is_lost_or_doubled_under_contention() {
    let (world, process, kq) = setting();
    const TRIGGERS: u64 = 3_000;
    process.kevent(kq, &[KEvent::user(1).add().clear()], &mut [], NOW).unwrap();
    let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut events = [KEvent::default(); 1];
                loop {
                    match process.kevent(kq, &[], &mut events, Some(Duration::from_nanos(50))) {
                        Ok(0) => {}
                        Ok(_) if events[0].ident == 2 => return,
                        Ok(_) => drop(received.fetch_add(u64::from(events[0].fflags), Ordering::SeqCst)),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        scope.spawn(|| {
            while sent.load(Ordering::SeqCst) < TRIGGERS {
                world.advance(20);
            }
            // Nobody's wait may depend on the clock now.
            loop {
                if received.load(Ordering::SeqCst) == TRIGGERS {
                    return;
                }
                world.advance(1);
            }
        });
        scope.spawn(|| {
            for number in 1..=TRIGGERS {
                let trigger = KEvent { fflags: note::TRIGGER | note::FFCOPY | 1, ..KEvent::user(1) };
                process.kevent(kq, &[trigger], &mut [], NOW).unwrap();
                sent.store(number, Ordering::SeqCst);
                while received.load(Ordering::SeqCst) < number {
                    thread::yield_now();
                }
            }
            process.kevent(kq, &[KEvent::user(2).add().trigger()], &mut [], NOW).unwrap();
        });
    });
    assert_eq!(received.load(Ordering::SeqCst), TRIGGERS);
}

/// Levels that a driver raises while clients park: the last arrival is always seen, with no clock to help.
#[test]
fn no_arrival_is_lost_between_harvest_and_sleep() {
    let (world, process, kq) = setting();
    let fd = process.open("a", 0).unwrap();
    process.kevent(kq, &[KEvent::read(fd).add().clear()], &mut [], NOW).unwrap();
    const ARRIVALS: i64 = 5_000;
    thread::scope(|scope| {
        scope.spawn(|| while wait_one(&process, kq).unwrap().data < ARRIVALS {});
        for bytes in 1..=ARRIVALS {
            world.readable("a", bytes);
        }
    });
}

#[test]
fn r31_and_r35_notes_come_and_go_while_others_wait() {
    let (world, process, kq) = setting();
    let stop = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| while wait_one(&process, kq).unwrap().ident != 777 {});
        }
        let churn = |name: &'static str| {
            let (world, process, stop) = (&world, &process, &stop);
            move || {
                for _ in 0..300 {
                    let fd = process.open(name, 0).unwrap();
                    world.readable(name, 1);
                    let changes = [KEvent::read(fd).add(), KEvent::write(fd).add().clear()];
                    process.kevent(kq, &changes, &mut [], NOW).unwrap();
                    process.kevent(kq, &[KEvent::write(fd).delete()], &mut [], NOW).unwrap();
                    process.close(fd).unwrap();
                }
                stop.fetch_add(1, Ordering::SeqCst);
            }
        };
        scope.spawn(churn("a"));
        scope.spawn(churn("b"));
        while stop.load(Ordering::SeqCst) < 2 {
            thread::yield_now();
        }
        process.kevent(kq, &[KEvent::user(777).add().trigger()], &mut [], NOW).unwrap();
    });
    assert_eq!((world.notes(), world.files()), (0, 0));
}

/// Signals of one thread: pending or not.
struct Pending(std::sync::atomic::AtomicBool);

impl libkq::interruption::Interruption for Pending {
    fn enter(&self, mask: Option<libkq::interruption::SignalMask>) -> libkq::interruption::SignalMask {
        mask.unwrap_or_default()
    }

    fn is_due(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn leave(&self, _before: libkq::interruption::SignalMask) {}
}

#[test]
fn r49_a_signal_interrupts_the_wait_of_its_thread_and_of_no_other() {
    let (world, process, kq) = setting();
    let interrupted = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let other = scope.spawn(|| wait_one(&process, kq));
        let waiter = scope.spawn(|| {
            interrupted.0.send(world::thread_number()).unwrap();
            wait_one(&process, kq)
        });
        world.until_parked(2);
        process.interrupt(interrupted.1.recv().unwrap());
        assert_eq!(waiter.join().unwrap(), Err(Error::new(abi::error::EINTR)));
        assert!(!other.is_finished());
        // R1: what the other waits for is still told.
        process.kevent(kq, &[KEvent::user(3).add().oneshot().trigger()], &mut [], NOW).unwrap();
        assert_eq!(other.join().unwrap().unwrap().ident, 3);
    });
}

#[test]
fn r49_a_signal_that_is_pending_interrupts_at_once_and_is_not_slept_through() {
    let (_world, process, kq) = setting();
    let pending = std::sync::Arc::new(Pending(std::sync::atomic::AtomicBool::new(true)));
    process.set_interruption(pending.clone());
    assert_eq!(wait_one(&process, kq), Err(Error::new(abi::error::EINTR)));
    // R1: what is ready comes first.
    process.kevent(kq, &[KEvent::user(3).add().oneshot().trigger()], &mut [], NOW).unwrap();
    assert_eq!(wait_one(&process, kq).unwrap().ident, 3);
    pending.0.store(false, Ordering::SeqCst);
    let number = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            number.0.send(world::thread_number()).unwrap();
            wait_one(&process, kq)
        });
        let thread = number.1.recv().unwrap();
        // Whether it parks before or after.
        pending.0.store(true, Ordering::SeqCst);
        process.interrupt(thread);
        assert_eq!(waiter.join().unwrap(), Err(Error::new(abi::error::EINTR)));
    });
}

/// Counts how often handlers may run.
#[derive(Default)]
struct Handlers(std::sync::atomic::AtomicUsize);

impl libkq::interruption::Interruption for Handlers {
    fn enter(&self, mask: Option<libkq::interruption::SignalMask>) -> libkq::interruption::SignalMask {
        mask.unwrap_or_default()
    }

    fn is_due(&self) -> bool {
        false
    }

    fn run_handlers(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self, _before: libkq::interruption::SignalMask) {}
}

#[test]
fn r49_a_look_that_does_not_wait_runs_handlers_when_something_is_pending() {
    let (world, process, kq) = setting();
    let handlers = std::sync::Arc::new(Handlers::default());
    process.set_interruption(handlers.clone());
    let (ep, dp) = (process.epoll_create(0).unwrap(), process.open("/dev/poll", 0).unwrap());
    let fd = process.open("a", 0).unwrap();
    process.kevent(kq, &[KEvent::read(fd).add()], &mut [], NOW).unwrap();
    let event = libkq::EpollEvent::new(libkq::EpollFlags::IN, 0);
    process.epoll_ctl(ep, libkq::EpollOp::Add, fd, event).unwrap();
    process.devpoll_write(dp, &[libkq::PollFd::new(fd, libkq::Conditions::IN)]).unwrap();
    let looks = || {
        process.kevent(kq, &[], &mut [KEvent::default()], NOW).unwrap();
        process.epoll_wait(ep, &mut [libkq::EpollEvent::default()], NOW).unwrap();
        let before = handlers.0.load(Ordering::SeqCst);
        process.devpoll_poll(dp, &mut [libkq::PollFd::default()], NOW, None).unwrap();
        before
    };
    looks();
    world.readable("a", 1);
    assert_eq!((looks(), handlers.0.load(Ordering::SeqCst)), (0, 0));
    process.set_due(true);
    assert_eq!((looks(), handlers.0.load(Ordering::SeqCst)), (2, 3));
    world.drained_to("a", 0);
    assert_eq!(looks(), 5);
    process.set_due(false);
    assert_eq!(looks(), handlers.0.load(Ordering::SeqCst));
}

#[test]
fn r49_a_read_that_waits_is_interrupted_and_one_that_gets_something_is_not() {
    let (world, process, _kq) = setting();
    let fd = process.open("a", 0).unwrap();
    let pending = std::sync::Arc::new(Pending(std::sync::atomic::AtomicBool::new(false)));
    process.set_interruption(pending.clone());
    let number = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            number.0.send(world::thread_number()).unwrap();
            let mut buffer = [0; 4];
            let first = process.read(fd, &mut buffer).map(|read| read.count);
            (first, process.read(fd, &mut buffer).map(|read| read.count))
        });
        world.until_parked(1);
        world.readable("a", 3);
        while !reader.is_finished() {
            // It has read, and waits again.
            if world.parked() == 1 && world.left("a") == 0 {
                let thread = number.1.recv().unwrap();
                // One that was for an earlier wait, or that another thread has taken, interrupts nobody.
                process.interrupt(thread);
                pending.0.store(true, Ordering::SeqCst);
                process.interrupt(thread);
                break;
            }
            thread::yield_now();
        }
        assert_eq!(reader.join().unwrap(), (Ok(3), Err(Error::new(abi::error::EINTR))));
    });
}

#[test]
fn r56_a_process_service_that_does_not_answer_holds_up_no_close() {
    let (world, process, kq) = setting();
    let process = Arc::new(process);
    let fd = process.open("a", 0).unwrap();
    process.kevent(kq, &[KEvent::read(fd).add()], &mut [], NOW).unwrap();
    let closer = process.clone();
    world.before_next_answer(move || {
        let (done, closed) = std::sync::mpsc::channel();
        thread::spawn(move || done.send(closer.close(fd)));
        assert_eq!(closed.recv_timeout(Duration::from_secs(60)), Ok(Ok(())));
    });
    let exit = KEvent { fflags: note::EXIT, ..KEvent::new(5, Filter::PROC).add() };
    process.kevent(kq, &[exit], &mut [], NOW).unwrap();
    assert_eq!(world.notes(), 1, "the stream's is left");
    let gone = KEvent { fflags: note::EXIT, ..KEvent::new(5, Filter::PROC).delete() };
    process.kevent(kq, &[gone], &mut [], NOW).unwrap();
    assert_eq!(process.kevent(kq, &[gone], &mut [], NOW), Err(Error::new(ENOENT)));
}
