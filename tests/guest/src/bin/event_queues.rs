//! kevent on the machine: real driver, real event server, threads on all CPUs. Runs with the manifest `queues`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use abi::error::{EAGAIN, EBADF, EINVAL, ENODEV, ENOENT, ENOTCONN, Error, Result};
use driver_sdk::{Context, Direction, Driver, FileId, Filters, Kind, Level, Opening, Setup, Taken};
use guest_tests::books;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::{Failure, Outcome, PATIENCE, Suite, a_moment, child, soon};
use libkq::event::note;
use libkq::flag::{O_NONBLOCK, O_RDWR};
use libkq::machine::Machine;
use libkq::user_ring::UserRing;
use libkq::{Descriptor, Filter, KEvent, Queue};
use rt::clock;
use rt::thread::Builder;

rt::entry!(main);

const NOW: Option<Duration> = Some(Duration::ZERO);
const PATIENTLY: Option<Duration> = Some(Duration::from_nanos(PATIENCE));
const LOOP: &str = "/dev/loop";

fn main(start: &rt::Start) -> i32 {
    if child::role(start) == Some("loop") {
        let filters = Filters::READ | Filters::WRITE;
        let setup = Setup { service: "loop", filters, sources: 256, interrupt: None };
        return driver_sdk::run(start, setup, Ok(Loop::default()));
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(&[
        ("r11_readiness_follows_the_level", readiness_follows_the_level),
        ("r15_an_edge_is_told_once", an_edge_is_told_once),
        ("r50_a_blocked_call_sees_what_comes", a_blocked_call_sees_what_comes),
        ("r25_timers_count_and_are_never_early", timers_count_and_are_never_early),
        ("r25_a_timer_does_not_drift", a_timer_does_not_drift),
        ("r25_adding_again_begins_anew", adding_again_begins_anew),
        ("r26_zero_is_one_unit", zero_is_one_unit),
        ("r26_huge_and_negative_periods_and_times", huge_and_negative_periods),
        ("r48_a_timeout_is_never_early", a_timeout_is_never_early),
        ("r59_a_timer_that_nobody_reads_is_one_note", a_timer_that_nobody_reads),
        ("r10_oneshot_goes_to_one_of_many", oneshot_goes_to_one_of_many),
        ("r10_oneshot_is_gone_with_its_delivery", oneshot_is_gone_with_its_delivery),
        ("r27_triggers_between_two_looks_are_one_event", triggers_are_one_event),
        ("r27_each_queue_has_its_own_state", each_queue_has_its_own_state),
        ("r27_triggers_from_all_cpus_arrive", triggers_from_all_cpus_arrive),
        ("r60_no_byte_is_lost_or_read_twice", no_byte_is_lost_or_read_twice),
        ("r31_closed_numbers_are_silent", closed_numbers_are_silent),
        ("r34_a_closed_queue_wakes_its_waiters", a_closed_queue_wakes_its_waiters),
        ("r55_a_thousand_notes", a_thousand_notes),
        ("nothing_is_left_over", nothing_is_left_over),
        ("a_look_enters_no_kernel", a_look_enters_no_kernel),
        ("r58_what_a_dead_thread_did_not_commit_reaches_another", a_dead_threads_event_reaches_another),
        ("r58_who_is_killed_in_its_wait_swallows_nothing", who_is_killed_in_its_wait_swallows_nothing),
        ("r57_a_dead_driver_is_told_once", a_dead_driver_is_told_once),
        // Last: nothing can wait after it.
        ("a_dead_server_is_an_error", a_dead_server_is_an_error),
    ]);
    suite.finish()
}

/// A ring over a queue in which event 3 is when it is triggered.
fn ring() -> Outcome<(i32, Arc<UserRing<Machine>>)> {
    let kq = libkq::kqueue()?;
    Ok((kq, Arc::new(UserRing::new(libkq::process().queue(kq)?, 4)?)))
}

fn trigger(kq: i32) -> Outcome {
    Ok(libkq::kevent(kq, &[KEvent::user(3).add().oneshot().trigger()], &mut [], NOW).map(drop)?)
}

/// A thread that takes an event from the ring, waiting for it, and commits it.
fn taker(ring: &Arc<UserRing<Machine>>) -> Outcome<rt::thread::JoinHandle<Outcome>> {
    let ring = ring.clone();
    Ok(Builder::new().spawn(move || {
        let taken = ring.take(libkq::process(), PATIENTLY)?.ok_or(Failure::new("nothing came"))?;
        equal(taken.event().ident, 3)?;
        Ok(taken.commit()?)
    })?)
}

/// Killed between the claim and the commit, or at its end.
fn a_dead_threads_event_reaches_another() -> Outcome {
    for round in 0..8 {
        let (kq, ring) = ring()?;
        trigger(kq)?;
        let claimed = Arc::new(AtomicBool::new(false));
        let (says, takes, ends) = (claimed.clone(), ring.clone(), round % 4 == 3);
        let dying = Builder::new().spawn(move || {
            let taken = takes.take(libkq::process(), PATIENTLY);
            core::mem::forget(taken);
            says.store(true, Ordering::SeqCst);
            if !ends {
                rt::thread::sleep(u64::MAX);
            }
        })?;
        until(|| claimed.load(Ordering::SeqCst))?;
        let other = taker(&ring)?;
        if round % 2 == 0 {
            a_moment();
        }
        if !ends {
            dying.thread().kill()?;
        }
        other.join()??;
        libkq::close(kq)?;
    }
    Ok(())
}

fn who_is_killed_in_its_wait_swallows_nothing() -> Outcome {
    for round in 0..8 {
        let (kq, ring) = ring()?;
        let threads = [taker(&ring)?, taker(&ring)?, taker(&ring)?];
        a_moment();
        for (at, thread) in threads.iter().enumerate() {
            if at != round % 3 {
                thread.thread().kill()?;
            }
        }
        trigger(kq)?;
        threads.into_iter().nth(round % 3).ok_or(Failure::new("there are three"))?.join()??;
        libkq::close(kq)?;
    }
    Ok(())
}

/// The driver: what is written to a file is read from it.
#[derive(Default)]
struct Loop {
    files: Vec<(FileId, VecDeque<u8>)>,
}

/// Bytes that a file holds.
const CAPACITY: usize = 4096;

impl Loop {
    fn bytes(&mut self, file: FileId) -> Result<&mut VecDeque<u8>> {
        let found = self.files.iter_mut().find(|(known, _)| *known == file);
        found.map(|(_, bytes)| bytes).ok_or(Error::new(ENOENT))
    }

    fn publish(context: &mut Context<'_>, file: FileId, waiting: usize, read_news: bool, write_news: bool) {
        context.publish(file, Direction::Read, Level::new(waiting as i64), read_news);
        context.publish(file, Direction::Write, Level::new((CAPACITY - waiting) as i64), write_news);
        let queue = |news: bool, direction| news.then_some((direction, file.badge()));
        let wakes = [queue(read_news, Direction::Read), queue(write_news, Direction::Write)];
        for (direction, queue) in wakes.into_iter().flatten() {
            context.wake(direction, queue);
        }
    }
}

impl Driver for Loop {
    fn open(&mut self, _: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != LOOP {
            return Err(Error::new(ENOENT));
        }
        self.files.push((file, VecDeque::new()));
        let filters = Filters::READ | Filters::WRITE;
        Ok(Opening { kind: Kind::Device, filters, shared: false, low_water: (1, 1) })
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        Loop::publish(context, file, 0, false, true);
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.files.retain(|(known, _)| *known != file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        let bytes = self.bytes(file)?;
        if bytes.is_empty() {
            return Err(Error::new(EAGAIN));
        }
        let count = bytes.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(bytes.drain(..count)) {
            *place = byte;
        }
        let left = bytes.len();
        Loop::publish(context, file, left, false, true);
        Ok(Taken { count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, taken: &[u8]) {
        if let Ok(bytes) = self.bytes(file) {
            taken.iter().rev().for_each(|&byte| bytes.push_front(byte));
            let left = bytes.len();
            Loop::publish(context, file, left, true, false);
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        given: &[u8],
        _: Option<u64>,
    ) -> Result<usize> {
        let bytes = self.bytes(file)?;
        let count = given.len().min(CAPACITY - bytes.len());
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        bytes.extend(&given[..count]);
        let waiting = bytes.len();
        Loop::publish(context, file, waiting, true, false);
        Ok(count)
    }
}

fn open_loop() -> Result<Descriptor> {
    Descriptor::open(LOOP, O_RDWR | O_NONBLOCK)
}

/// What is ready now.
fn ready(queue: &Queue) -> Result<Vec<KEvent>> {
    let mut events = [KEvent::default(); 16];
    queue.wait(&mut events, NOW).map(<[KEvent]>::to_vec)
}

/// Waits for one event; a wait that takes too long is a failure.
fn next(queue: &Queue) -> Outcome<KEvent> {
    let mut events = [KEvent::default()];
    match queue.wait(&mut events, PATIENTLY)? {
        [event] => Ok(*event),
        _ => Err(Failure::new("nothing came")),
    }
}

fn readiness_follows_the_level() -> Outcome {
    let (queue, file) = (Queue::new()?, open_loop()?);
    queue.apply(&[KEvent::read(file.number()).add().udata(42)])?;
    equal(ready(&queue)?, vec![])?;
    file.write_all(b"hello")?;
    for _ in 0..3 {
        let events = ready(&queue)?;
        equal(events.len(), 1)?;
        equal((events[0].ident, events[0].data, events[0].udata), (file.number() as usize, 5, 42))?;
    }
    let mut buffer = [0; 16];
    equal(file.read(&mut buffer[..2])?, 2)?;
    equal(ready(&queue)?[0].data, 3)?;
    equal(file.read(&mut buffer)?, 3)?;
    // The level was published before the read was answered.
    equal(ready(&queue)?, vec![])?;
    refused(file.read(&mut buffer), EAGAIN)?;
    queue.apply(&[KEvent::write(file.number()).add()])?;
    equal(ready(&queue)?[0].data, CAPACITY as i64)?;
    file.write_all(&[7; CAPACITY])?;
    let events = ready(&queue)?;
    equal(events.len(), 1)?;
    equal((events[0].filter, events[0].data), (Filter::READ, CAPACITY as i64))
}

fn an_edge_is_told_once() -> Outcome {
    let (queue, file) = (Queue::new()?, open_loop()?);
    file.write_all(b"a")?;
    queue.apply(&[KEvent::read(file.number()).add().clear()])?;
    equal(next(&queue)?.data, 1)?;
    equal(ready(&queue)?, vec![])?;
    file.write_all(b"b")?;
    equal(next(&queue)?.data, 2)?;
    equal(file.read(&mut [0; 1])?, 1)?;
    equal(ready(&queue)?, vec![])
}

fn a_blocked_call_sees_what_comes() -> Outcome {
    for round in 0..50u64 {
        let (queue, file) = (Queue::new()?, Arc::new(open_loop()?));
        let (number, writer) = (queue.number(), file.clone());
        let late = round % 2 == 0;
        let thread = Builder::new().cpus(1 << (round % clock::cpu_count() as u64)).spawn(move || {
            if late {
                a_moment();
            }
            libkq::kevent(number, &[KEvent::read(writer.number()).add()], &mut [], NOW)?;
            writer.write_all(b"x")
        })?;
        equal(next(&queue)?.data, 1)?;
        thread.join()??;
    }
    Ok(())
}

fn timers_count_and_are_never_early() -> Outcome {
    let queue = Queue::new()?;
    const PERIOD: u64 = 2_000_000;
    let begin = clock::now_ns();
    queue.apply(&[KEvent::timer(5).every(Duration::from_nanos(PERIOD))])?;
    let mut count = 0;
    while count < 20 {
        let event = next(&queue)?;
        equal((event.ident, event.filter), (5, Filter::TIMER))?;
        count += event.data as u64;
        ensure(clock::now_ns() >= begin + count * PERIOD, "no expiration is early")?;
    }
    rt::thread::sleep(10 * PERIOD);
    // Expirations are counted while nobody looks.
    let due = (clock::now_ns() - begin) / PERIOD - 1;
    while count < due {
        count += next(&queue)?.data as u64;
        ensure(clock::now_ns() >= begin + count * PERIOD, "no expiration is early")?;
    }
    Ok(())
}

fn a_timer_does_not_drift() -> Outcome {
    const PERIOD: u64 = 200_000;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::timer(5).every(Duration::from_nanos(PERIOD))])?;
    // It began no later than this.
    let (begin, deadline) = (clock::now_ns(), soon());
    rt::thread::sleep(3000 * PERIOD);
    // One look tells of all that has expired, unless the driver is just at it. Who begins each period at the end of the one
    // before is behind by more with each, and never up to date again.
    let mut count = 0;
    loop {
        let due = (clock::now_ns() - begin) / PERIOD;
        count += ready(&queue)?.iter().map(|event| event.data as u64).sum::<u64>();
        if count >= due {
            return Ok(());
        }
        ensure(clock::now_ns() < deadline, "it is up to date at some time")?;
        rt::thread::sleep(20 * PERIOD + PERIOD / 2);
    }
}

fn adding_again_begins_anew() -> Outcome {
    const PERIOD: u64 = 3_000_000;
    let period = Duration::from_nanos(PERIOD);
    let queue = Queue::new()?;
    let expired = || -> Outcome {
        queue.apply(&[KEvent::timer(5).every(period)])?;
        equal(next(&queue)?.ident, 5)?;
        rt::thread::sleep(5 * PERIOD);
        Ok(())
    };
    // What was counted is dropped.
    expired()?;
    queue.apply(&[KEvent::timer(5).every(Duration::from_secs(3600))])?;
    equal(ready(&queue)?, vec![])?;
    rt::thread::sleep(2 * PERIOD);
    equal(ready(&queue)?, vec![])?;
    // The first period begins with the call, not with one before it.
    expired()?;
    rt::thread::sleep(PERIOD / 2);
    let begin = clock::now_ns();
    queue.apply(&[KEvent::timer(5).every(period)])?;
    let event = next(&queue)?;
    ensure(clock::now_ns() >= begin + event.data as u64 * PERIOD, "all of it has passed")?;
    // The same of one that runs once, and then is no more.
    expired()?;
    let begin = clock::now_ns();
    queue.apply(&[KEvent::timer(5).after(period)])?;
    equal(next(&queue)?.data, 1)?;
    ensure(clock::now_ns() >= begin + PERIOD, "all of it has passed")?;
    rt::thread::sleep(3 * PERIOD);
    equal(ready(&queue)?, vec![])?;
    refused(queue.apply(&[KEvent::timer(5).delete()]), ENOENT)
}

/// A timer of so many units, which `fflags` names.
fn timer(ident: usize, data: i64, fflags: u32) -> KEvent {
    KEvent { data, fflags, ..KEvent::timer(ident).add() }
}

/// The units, by name and in nanoseconds.
const UNITS: [(u32, u64); 5] = [
    (note::NSECONDS, 1),
    (note::USECONDS, 1_000),
    (0, 1_000_000),
    (note::MSECONDS, 1_000_000),
    (note::SECONDS, 1_000_000_000),
];

fn zero_is_one_unit() -> Outcome {
    let queue = Queue::new()?;
    for (name, unit) in UNITS {
        let begin = clock::now_ns();
        queue.apply(&[timer(1, 0, name).oneshot()])?;
        let event = next(&queue)?;
        ensure(clock::now_ns() >= begin + unit, "a unit has passed")?;
        equal((event.ident, event.data), (1, 1))?;
        refused(queue.apply(&[KEvent::timer(1).delete()]), ENOENT)?;
    }
    let (begin, mut count) = (clock::now_ns(), 0);
    queue.apply(&[timer(2, 0, note::MSECONDS)])?;
    while count < 5 {
        count += next(&queue)?.data as u64;
        ensure(clock::now_ns() >= begin + count * 1_000_000, "so many units have passed")?;
    }
    Ok(())
}

fn huge_and_negative_periods() -> Outcome {
    let queue = Queue::new()?;
    for (name, _) in UNITS {
        for fflags in [name, name | note::ABSTIME] {
            for data in [-1, i64::MIN] {
                refused(queue.apply(&[timer(1, data, fflags)]), EINVAL)?;
            }
            refused(queue.apply(&[KEvent::timer(1).delete()]), ENOENT)?;
        }
    }
    let huge: Vec<KEvent> = UNITS
        .iter()
        .enumerate()
        .flat_map(|(at, (name, _))| {
            let ident = 10 * at;
            [
                timer(ident, i64::MAX, *name),
                timer(ident + 1, i64::MAX, *name).oneshot(),
                timer(ident + 2, i64::MAX, *name | note::ABSTIME),
                // The least that does not fit in nanoseconds, and would be early by what is left of it.
                timer(ident + 3, i64::MAX / 2 + 2, *name),
            ]
        })
        .collect();
    queue.apply(&huge)?;
    // A time that is past is told at once, and while it is, nothing else.
    for round in 0..3 {
        queue.apply(&[timer(5, round, note::NSECONDS | note::ABSTIME)])?;
        let event = next(&queue)?;
        equal((event.ident, event.data), (5, 1))?;
    }
    rt::thread::sleep(5_000_000);
    equal(ready(&queue)?, vec![])?;
    // All of them are there, and wait.
    let deletes: Vec<KEvent> = huge.iter().map(|change| KEvent::timer(change.ident).delete()).collect();
    Ok(queue.apply(&deletes)?)
}

fn a_timeout_is_never_early() -> Outcome {
    let queue = Queue::new()?;
    let mut events = [KEvent::default()];
    for micros in [1, 50, 400, 3000] {
        let timeout = Duration::from_micros(micros);
        let begin = clock::now_ns();
        equal(queue.wait(&mut events, Some(timeout))?.len(), 0)?;
        ensure(clock::now_ns() - begin >= timeout.as_nanos() as u64, "the timeout has passed")?;
    }
    Ok(())
}

fn a_timer_that_nobody_reads() -> Outcome {
    const TIMES: u64 = 5_000_000;
    let queue = Queue::new()?;
    let begin = clock::now_ns();
    queue.apply(&[timer(6, 1, note::NSECONDS)])?;
    let before = books::notes()?;
    rt::thread::sleep(TIMES + 2_000_000);
    equal(books::notes()?, before)?;
    let (mut told, deadline) = (0, soon());
    // One event for all of them; those of the last moments may be on their way.
    for look in 0.. {
        let events = ready(&queue)?;
        ensure(events.len() <= 1, "one event")?;
        told += events.iter().map(|event| event.data as u64).sum::<u64>();
        ensure(told <= clock::now_ns() - begin, "none is early")?;
        if look == 0 {
            ensure(told > 1_000_000, "a million in one event")?;
        }
        if told >= TIMES {
            break;
        }
        ensure(clock::now_ns() < deadline, "all are told")?;
    }
    queue.apply(&[KEvent::timer(6).delete()])?;
    equal(ready(&queue)?, vec![])
}

fn oneshot_goes_to_one_of_many() -> Outcome {
    const ROUNDS: u64 = 300;
    let (queue, file) = (Arc::new(Queue::new()?), open_loop()?);
    file.write_all(b"always ready")?;
    let taken = Arc::new(AtomicU64::new(0));
    let threads = on_all_cpus(2, |_| {
        let (queue, taken) = (queue.clone(), taken.clone());
        move || -> Outcome {
            while next(&queue)?.filter != Filter::USER {
                taken.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }
    })?;
    for round in 1..=ROUNDS {
        queue.apply(&[KEvent::read(file.number()).add().oneshot()])?;
        until(|| taken.load(Ordering::SeqCst) >= round)?;
    }
    queue.apply(&[KEvent::user(0).add().trigger()])?;
    join(threads)?;
    equal(taken.load(Ordering::SeqCst), ROUNDS)
}

fn oneshot_is_gone_with_its_delivery() -> Outcome {
    let (queue, file) = (Queue::new()?, open_loop()?);
    file.write_all(b"ready")?;
    let notes = [
        KEvent::read(file.number()).add().oneshot(),
        KEvent::user(7).add().oneshot().trigger(),
        KEvent::timer(8).after(Duration::from_millis(1)),
    ];
    for add in notes {
        let bare = KEvent::new(add.ident, add.filter);
        queue.apply(&[add])?;
        rt::thread::sleep(2_000_000);
        // True, and not told: still there.
        queue.apply(&[bare.disable(), bare.enable()])?;
        let event = next(&queue)?;
        equal((event.ident, event.filter), (add.ident, add.filter))?;
        refused(queue.apply(&[bare.delete()]), ENOENT)?;
        refused(queue.apply(&[bare.enable()]), ENOENT)?;
        equal(ready(&queue)?, vec![])?;
        // Deleted before it is told, it is not told.
        queue.apply(&[add])?;
        queue.apply(&[bare.delete()])?;
        rt::thread::sleep(2_000_000);
        equal(ready(&queue)?, vec![])?;
    }
    Ok(())
}

/// A change of the user event 9.
fn user(fflags: u32) -> KEvent {
    KEvent { fflags, ..KEvent::user(9) }
}

fn triggers_are_one_event() -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[user(0).add().clear()])?;
    for _ in 0..3 {
        for bits in [1, 4, 0x0300_0000] {
            queue.apply(&[user(note::FFOR | note::TRIGGER | bits)])?;
        }
        let events = ready(&queue)?;
        equal(events.len(), 1)?;
        equal((events[0].ident, events[0].filter, events[0].fflags), (9, Filter::USER, 5))?;
        equal(ready(&queue)?, vec![])?;
    }
    // What is done to the bits, and that nothing of it is a trigger.
    for change in [note::FFCOPY | 0b1100, note::FFAND | 0b0110, note::FFNOP | 0b1111] {
        queue.apply(&[user(change)])?;
        equal(ready(&queue)?, vec![])?;
    }
    queue.apply(&[user(note::TRIGGER | 0b1000_0000)])?;
    equal(ready(&queue)?.iter().map(|event| event.fflags).collect(), vec![0b0100])?;
    queue.apply(&[user(note::FFOR | 0b1), user(note::FFCOPY | note::TRIGGER | 0x00ff_fff0)])?;
    equal(ready(&queue)?.iter().map(|event| event.fflags).collect(), vec![0x00ff_fff0])
}

fn each_queue_has_its_own_state() -> Outcome {
    let (queue, other) = (Queue::new()?, Queue::new()?);
    for each in [&queue, &other] {
        each.apply(&[user(0).add().clear()])?;
    }
    queue.apply(&[user(note::FFOR | note::TRIGGER | 1)])?;
    equal(ready(&other)?, vec![])?;
    equal(ready(&queue)?.len(), 1)?;
    queue.apply(&[user(note::FFOR | 2)])?;
    other.apply(&[user(note::FFOR | note::TRIGGER | 4)])?;
    equal(ready(&other)?.iter().map(|event| event.fflags).collect(), vec![4])?;
    equal(ready(&queue)?, vec![])?;
    other.apply(&[user(0).delete()])?;
    queue.apply(&[user(note::TRIGGER)])?;
    equal(ready(&queue)?.iter().map(|event| event.fflags).collect(), vec![2])
}

fn triggers_from_all_cpus_arrive() -> Outcome {
    const TRIGGERS: u64 = 2_000;
    let queue = Arc::new(Queue::new()?);
    let senders = clock::cpu_count() as u64;
    let changes: Vec<KEvent> = (0..senders).map(|me| KEvent::user(me as usize).add().clear()).collect();
    queue.apply(&changes)?;
    let counts: Arc<Vec<AtomicU64>> = Arc::new((0..senders).map(|_| AtomicU64::new(0)).collect());
    let threads = on_all_cpus(1, |me| {
        let (queue, counts) = (queue.clone(), counts.clone());
        move || -> Outcome {
            for _ in 0..TRIGGERS {
                counts[me as usize].fetch_add(1, Ordering::SeqCst);
                queue.apply(&[KEvent::user(me as usize).trigger()])?;
            }
            Ok(())
        }
    })?;
    // Who is woken by the last trigger of each sees the last count of each.
    let mut seen = vec![0; senders as usize];
    while seen.iter().any(|&count| count < TRIGGERS) {
        let event = next(&queue)?;
        seen[event.ident] = counts[event.ident].load(Ordering::SeqCst);
    }
    join(threads)
}

fn no_byte_is_lost_or_read_twice() -> Outcome {
    const BYTES: u64 = 20_000;
    let queue = Arc::new(Queue::new()?);
    let files: Vec<Arc<Descriptor>> = (0..3).map(|_| open_loop().map(Arc::new)).collect::<Result<_>>()?;
    let changes: Vec<KEvent> =
        files.iter().map(|file| KEvent::read(file.number()).add().dispatch()).collect();
    queue.apply(&changes)?;
    let (sum, read) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let total = BYTES * files.len() as u64;
    let readers = on_all_cpus(1, |_| {
        let (queue, sum, read) = (queue.clone(), sum.clone(), read.clone());
        move || -> Outcome {
            let mut buffer = [0; 100];
            loop {
                let event = next(&queue)?;
                if event.filter == Filter::USER {
                    return Ok(());
                }
                // Only this thread was told; until it says so, nobody else is.
                let fd = event.ident as i32;
                match libkq::read(fd, &mut buffer) {
                    Ok(count) => {
                        let bytes = buffer[..count].iter().map(|&byte| u64::from(byte)).sum();
                        sum.fetch_add(bytes, Ordering::SeqCst);
                        read.fetch_add(count as u64, Ordering::SeqCst);
                    }
                    Err(error) => return Err(error.into()),
                }
                queue.apply(&[KEvent::read(fd).enable()])?;
            }
        }
    })?;
    let mut expected = 0;
    let room = Queue::new()?;
    for at in 0..BYTES / 50 {
        for file in &files {
            let byte = (at % 251) as u8;
            let mut left = 50;
            while left > 0 {
                match libkq::write(file.number(), &[byte; 50][..left]) {
                    Ok(count) => left -= count,
                    Err(Error { errno: EAGAIN }) => {
                        room.apply(&[KEvent::write(file.number()).add().oneshot()])?;
                        next(&room)?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            expected += 50 * u64::from(byte);
        }
    }
    until(|| read.load(Ordering::SeqCst) >= total)?;
    queue.apply(&[KEvent::user(0).add().trigger()])?;
    join(readers)?;
    equal((read.load(Ordering::SeqCst), sum.load(Ordering::SeqCst)), (total, expected))
}

fn closed_numbers_are_silent() -> Outcome {
    let queue = Arc::new(Queue::new()?);
    let stop = Arc::new(AtomicBool::new(false));
    let threads = on_all_cpus(1, |_| {
        let (queue, stop) = (queue.clone(), stop.clone());
        move || -> Outcome {
            let mut events = [KEvent::default(); 4];
            while !stop.load(Ordering::SeqCst) {
                queue.wait(&mut events, Some(Duration::from_millis(1)))?;
            }
            Ok(())
        }
    })?;
    for _ in 0..100 {
        let file = open_loop()?;
        let number = file.number();
        file.write_all(b"x")?;
        queue.apply(&[KEvent::read(number).add(), KEvent::write(number).add().clear()])?;
        drop(file);
        refused(queue.apply(&[KEvent::read(number).delete()]), ENOENT)?;
        refused(queue.apply(&[KEvent::read(number).add()]), EBADF)?;
        let again = open_loop()?;
        equal(again.number(), number)?;
        refused(queue.apply(&[KEvent::write(number).enable()]), ENOENT)?;
    }
    stop.store(true, Ordering::SeqCst);
    join(threads)?;
    equal(ready(&queue)?, vec![])
}

fn a_closed_queue_wakes_its_waiters() -> Outcome {
    for _ in 0..20 {
        let number = libkq::kqueue()?;
        let threads = on_all_cpus(2, |_| {
            move || -> Outcome {
                refused(libkq::kevent(number, &[], &mut [KEvent::default()], PATIENTLY), EBADF)
            }
        })?;
        a_moment();
        libkq::close(number)?;
        join(threads)?;
    }
    Ok(())
}

fn a_thousand_notes() -> Outcome {
    let (queue, file) = (Queue::new()?, open_loop()?);
    let copies: Vec<Descriptor> = (0..600).map(|_| file.duplicate()).collect::<Result<_>>()?;
    for copy in &copies {
        queue.apply(&[KEvent::read(copy.number()).add(), KEvent::write(copy.number()).add()])?;
    }
    file.write_all(b"x")?;
    let mut events = vec![KEvent::default(); 2000];
    // The server tells all within one turn; until then some are not there yet.
    let deadline = soon();
    loop {
        let count = queue.wait(&mut events, NOW)?.len();
        if count == 2 * copies.len() {
            return Ok(());
        }
        ensure(clock::now_ns() < deadline, "all notes are ready")?;
    }
}

fn nothing_is_left_over() -> Outcome {
    let round = || -> Outcome {
        let (queue, file) = (Queue::new()?, open_loop()?);
        let twin = file.duplicate()?;
        queue.apply(&[
            KEvent::read(file.number()).add(),
            KEvent::write(twin.number()).add().oneshot(),
            KEvent::timer(1).every(Duration::from_millis(1)),
            KEvent::user(1).add(),
        ])?;
        file.write_all(b"x")?;
        for _ in 0..5 {
            next(&queue)?;
        }
        Ok(())
    };
    // Heaps, tables, waiter records and pages of cells grow to what they need.
    for _ in 0..5 {
        round()?;
    }
    let ledger = Ledger::open()?;
    for _ in 0..100 {
        round()?;
    }
    ledger.balance()
}

fn a_look_enters_no_kernel() -> Outcome {
    rt::sys::set_affinity(1)?;
    let (queue, file) = (Queue::new()?, open_loop()?);
    queue.apply(&[KEvent::read(file.number()).add(), KEvent::write(file.number()).add()])?;
    ready(&queue)?;
    let entries = || clock::cpu_hint().entries.load(Ordering::Relaxed);
    // Others on this CPU enter the kernel too, at times: the quietest of many looks counts.
    let mut least = u64::MAX;
    for _ in 0..100 {
        let before = entries();
        let mut events = [KEvent::default(); 4];
        for _ in 0..10 {
            queue.wait(&mut events, NOW)?;
        }
        least = least.min(entries() - before);
    }
    rt::sys::set_affinity((1 << clock::cpu_count()) - 1)?;
    equal(least, 0)
}

fn kill(name: &str) -> Outcome {
    let mut after = 0;
    loop {
        let processes = rt::init::list(after)?;
        let Some(last) = processes.last() else { return Err(Failure::new("no such process")) };
        after = last.pid;
        if let Some(found) = processes.iter().find(|process| process.name == name && process.ended.is_none())
        {
            return Ok(rt::init::kill(found.pid, 9)?);
        }
    }
}

fn a_dead_driver_is_told_once() -> Outcome {
    let (queue, file) = (Arc::new(Queue::new()?), open_loop()?);
    queue.apply(&[KEvent::read(file.number()).add()])?;
    let waiter = {
        let queue = queue.clone();
        rt::thread::spawn(move || next(&queue))?
    };
    a_moment();
    kill("loop")?;
    let event = waiter.join()??;
    ensure(event.is_eof(), "end of file")?;
    equal(event.fflags, ENODEV as u32)?;
    equal(ready(&queue)?, vec![])?;
    refused(queue.apply(&[KEvent::read(file.number()).add()]), ENODEV)?;
    refused(queue.apply(&[KEvent::write(file.number()).add()]), ENODEV)?;
    refused(file.read(&mut [0; 1]), ENODEV)?;
    drop(file);
    // init starts it again, and the same queue serves its files.
    let deadline = soon();
    let file = loop {
        match open_loop() {
            Ok(file) => break file,
            Err(Error { errno: ENODEV }) => a_moment(),
            Err(error) => return Err(error.into()),
        }
        ensure(clock::now_ns() < deadline, "it is started again")?;
    };
    queue.apply(&[KEvent::read(file.number()).add()])?;
    file.write_all(b"again")?;
    equal(next(&queue)?.data, 5)
}

fn a_dead_server_is_an_error() -> Outcome {
    let (queue, file) = (Arc::new(Queue::new()?), open_loop()?);
    let waiters = on_all_cpus(2, |_| {
        let queue = queue.clone();
        move || -> Outcome { refused(queue.wait(&mut [KEvent::default()], PATIENTLY), ENOTCONN) }
    })?;
    a_moment();
    kill("event")?;
    join(waiters)?;
    refused(queue.apply(&[KEvent::read(file.number()).add()]), ENOTCONN)?;
    // What needs no server goes on.
    queue.apply(&[KEvent::user(1).add().trigger()])?;
    equal(ready(&queue)?.len(), 1)
}

type Threads = Vec<rt::thread::JoinHandle<Outcome>>;

/// Starts `each` threads on every CPU.
fn on_all_cpus<F>(each: u64, mut body: impl FnMut(u64) -> F) -> Outcome<Threads>
where
    F: FnOnce() -> Outcome + Send + 'static,
{
    let cpus = clock::cpu_count() as u64;
    let threads = (0..each * cpus).map(|me| Builder::new().cpus(1 << (me % cpus)).spawn(body(me)));
    Ok(threads.collect::<Result<_>>()?)
}

fn join(threads: Threads) -> Outcome {
    threads.into_iter().try_for_each(|thread| thread.join()?)
}

/// Waits until something is so.
fn until(mut so: impl FnMut() -> bool) -> Outcome {
    let deadline = soon();
    while !so() {
        ensure(clock::now_ns() < deadline, "it comes about")?;
        rt::thread::sleep(20_000);
    }
    Ok(())
}
