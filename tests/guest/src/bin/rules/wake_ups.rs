//! Several epoll sets on one file (R43, R44).

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use abi::error::{EBADF, EINVAL, ENOENT};
use guest_tests::failure::{equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment, soon};
use libkq::{Descriptor, EpollEvent, EpollFlags, EpollSet, EventFlags, Filter, KEvent, Queue, WakePolicy};
use rt::init;

use guest_tests::crew::{Crew, until};
use guest_tests::looks::{NOW, PATIENTLY, drain, pair, pipe, told};

pub const TESTS: &[Test] = &[
    ("r43_every_set_that_is_not_exclusive_is_told", every_set_is_told),
    ("r43_of_exclusive_sets_one_at_least_is_told", one_at_least),
    ("r43_exclusive_is_only_for_adding_and_goes_with_few", exclusive_goes_with_few),
    ("r43_policies_are_for_what_is_exclusive", policies),
    ("r44_a_set_without_sleepers_takes_no_wake_up_away", no_sleeper),
    ("r44_a_sleeper_that_times_out_takes_no_wake_up_away", a_sleeper_times_out),
    ("r44_in_one_queue_the_hasty_and_the_patient_are_told_each_edge_once", hasty_and_patient_in_a_queue),
    ("r44_in_one_set_the_hasty_and_the_patient_are_told_each_edge_once", hasty_and_patient_in_a_set),
    ("r44_a_sleeper_that_dies_takes_no_wake_up_away", a_sleeper_dies),
];

const EXCLUSIVE: EpollFlags = EpollFlags::IN.union(EpollFlags::EXCLUSIVE);

/// Waits for the one event of a set.
fn told_of(set: &EpollSet) -> Outcome {
    equal(set.wait(&mut [EpollEvent::default()], PATIENTLY)?.len(), 1)
}

fn every_set_is_told() -> Outcome {
    for flags in [EpollFlags::IN, EpollFlags::IN | EpollFlags::ET] {
        for round in 0..5 {
            let (reader, writer) = pipe()?;
            let sets: Vec<_> = (0..6).map(|_| EpollSet::new().map(Arc::new)).collect::<Result<_, _>>()?;
            for set in &sets {
                set.add(reader.number(), flags, 1)?;
            }
            // One that is exclusive is told of what it asks itself, and takes nothing from the others.
            let exclusive = EpollSet::new()?;
            exclusive.add(reader.number(), EXCLUSIVE, 1)?;
            let crew = Crew::start(sets.len() as u64, |me| {
                let set = sets[me as usize].clone();
                move || told_of(&set)
            })?;
            if round % 2 == 0 {
                a_moment();
            }
            writer.write_all(b"x")?;
            crew.join()?;
            equal(told(&exclusive)?.len(), 1)?;
        }
    }
    Ok(())
}

fn one_at_least() -> Outcome {
    const ROUNDS: u64 = 30;
    let ((reader, writer), (end, ender)) = (pipe()?, pipe()?);
    let done = Arc::new(AtomicU64::new(0));
    let number = reader.number();
    let mut sets = Vec::new();
    for _ in 0..4 {
        let set = Arc::new(EpollSet::new()?);
        set.add(number, EXCLUSIVE, 1)?;
        set.add(end.number(), EpollFlags::IN, 2)?;
        sets.push(set);
    }
    let crew = Crew::start(sets.len() as u64, |me| {
        let (set, done) = (sets[me as usize].clone(), done.clone());
        move || loop {
            let mut events = [EpollEvent::default(); 2];
            match set.wait(&mut events, PATIENTLY)? {
                [] => return Err(Failure::new("nothing came")),
                events if events.iter().any(|event| event.data() == 2) => return Ok(()),
                _ => {}
            }
            // Others may have been quicker.
            if libkq::read(number, &mut [0]).is_ok() {
                done.fetch_add(1, Ordering::SeqCst);
            }
        }
    })?;
    for round in 1..=ROUNDS {
        // Whoever is preferred, and whether the sets agree on it or not.
        for (at, set) in sets.iter().enumerate() {
            let policy = WakePolicy::from_number((round + at as u64 % (round % 3 + 1)) as u8 % 6);
            set.wake_policy(number, policy)?;
        }
        writer.write_all(b"x")?;
        until(|| done.load(Ordering::SeqCst) >= round)?;
    }
    ender.write_all(b"x")?;
    crew.join()?;
    // Whoever looks sees it: only wake-ups are exclusive.
    writer.write_all(b"x")?;
    sets.iter().try_for_each(|set| equal(told(set)?.iter().filter(|event| event.data() == 1).count(), 1))
}

fn exclusive_goes_with_few() -> Outcome {
    let (set, (one, _other)) = (EpollSet::new()?, pair()?);
    let number = one.number();
    for flag in [
        EpollFlags::ONESHOT,
        EpollFlags::PRI,
        EpollFlags::RDHUP,
        EpollFlags::RDNORM,
        EpollFlags::from_bits_retain(1 << 20),
    ] {
        refused(set.add(number, EXCLUSIVE | flag, 1), EINVAL)?;
    }
    set.add(number, EpollFlags::IN, 1)?;
    refused(set.modify(number, EXCLUSIVE, 1), EINVAL)?;
    set.remove(number)?;
    let all =
        EXCLUSIVE | EpollFlags::OUT | EpollFlags::ERR | EpollFlags::HUP | EpollFlags::WAKEUP | EpollFlags::ET;
    set.add(number, all, 2)?;
    for flags in [EXCLUSIVE, EpollFlags::IN, all] {
        refused(set.modify(number, flags, 3), EINVAL)?;
    }
    let events = told(&set)?;
    equal(events.iter().map(|event| (event.events(), event.data())).collect(), vec![(EpollFlags::OUT, 2)])?;
    // Not for a set in a set.
    let (queue, inner) = (Queue::new()?, EpollSet::new()?);
    for number in [queue.number(), inner.number()] {
        refused(set.add(number, EXCLUSIVE, 1), EINVAL)?;
    }
    Ok(())
}

fn policies() -> Outcome {
    let (reader, writer) = pipe()?;
    let number = reader.number();
    let (set, queue) = (EpollSet::new()?, Queue::new()?);
    let policy = Some(WakePolicy::RoundRobin);
    let of_queue = |policy| queue.wake_policy(number, Filter::READ, policy);
    refused(set.wake_policy(number, policy), ENOENT)?;
    refused(of_queue(policy), ENOENT)?;
    refused(set.wake_policy(99, policy), EBADF)?;
    set.add(number, EpollFlags::IN, 1)?;
    queue.apply(&[KEvent::read(number).add()])?;
    refused(set.wake_policy(number, policy), EINVAL)?;
    refused(of_queue(policy), EINVAL)?;
    set.remove(number)?;
    set.add(number, EXCLUSIVE, 1)?;
    queue.apply(&[KEvent::read(number).add().with(EventFlags::WAKEONE)])?;
    for policy in WakePolicy::ALL.map(Some).into_iter().chain([None]) {
        set.wake_policy(number, policy)?;
        of_queue(policy)?;
        set.file_wake_policy(number, policy)?;
        queue.file_wake_policy(number, Filter::READ, policy)?;
    }
    refused(set.file_wake_policy(99, policy), EBADF)?;
    refused(queue.file_wake_policy(number, Filter::WRITE, policy), ENOENT)?;
    writer.write_all(b"x")?;
    // Whoever looks sees it, in whatever way the note is changed.
    let looks = || Ok::<_, Failure>((told(&set)?.len(), queue.wait(&mut [KEvent::default(); 2], NOW)?.len()));
    equal(looks()?, (1, 1))?;
    queue.apply(&[KEvent::read(number).add()])?;
    refused(of_queue(policy), EINVAL)?;
    equal(looks()?, (1, 1))?;
    queue.apply(&[KEvent::read(number).add().with(EventFlags::WAKEONE)])?;
    equal(looks()?, (1, 1))?;
    drain(&reader, 1)?;
    equal(looks()?, (0, 0))
}

fn no_sleeper() -> Outcome {
    for round in 0..10 {
        let (reader, writer) = pipe()?;
        // Asleep in one of them, wherever it stands in line.
        let sets: Vec<_> = (0..4).map(|_| EpollSet::new().map(Arc::new)).collect::<Result<_, _>>()?;
        for set in &sets {
            set.add(reader.number(), EXCLUSIVE, 1)?;
        }
        let crew = Crew::start(1, |_| {
            let set = sets[round % sets.len()].clone();
            move || told_of(&set)
        })?;
        a_moment();
        writer.write_all(b"x")?;
        crew.join()?;
    }
    Ok(())
}

fn a_sleeper_times_out() -> Outcome {
    const ROUNDS: u64 = 40;
    let (reader, writer) = pipe()?;
    let number = reader.number();
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let patient = Arc::new(EpollSet::new()?);
    let hasty = Arc::new(EpollSet::new()?);
    for set in [&hasty, &patient] {
        set.add(number, EXCLUSIVE, 1)?;
    }
    let (end, ender) = pipe()?;
    patient.add(end.number(), EpollFlags::IN, 2)?;
    // They come and go all the time, and only look: what wakes them just as they leave is the patient one's.
    let crew = Crew::on_each_cpu(1, |me| {
        let (hasty, stop) = (hasty.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::SeqCst) {
                hasty.wait(&mut [EpollEvent::default()], Some(Duration::from_micros(30 + 17 * me)))?;
                rt::thread::sleep(10_000);
            }
            Ok(())
        }
    })?;
    let reads = Crew::start(1, |_| {
        let (patient, done) = (patient.clone(), done.clone());
        move || loop {
            let mut events = [EpollEvent::default(); 2];
            match patient.wait(&mut events, PATIENTLY)? {
                [] => return Err(Failure::new("nothing came")),
                events if events.iter().any(|event| event.data() == 2) => return Ok(()),
                _ => _ = libkq::read(number, &mut [0])?,
            }
            done.fetch_add(1, Ordering::SeqCst);
        }
    })?;
    for round in 1..=ROUNDS {
        writer.write_all(b"x")?;
        until(|| done.load(Ordering::SeqCst) >= round)?;
    }
    stop.store(true, Ordering::SeqCst);
    ender.write_all(b"x")?;
    reads.join()?;
    crew.join()
}

/// Waits for one event; what it is of.
type Wait = dyn Fn(Option<Duration>) -> libkq::Result<Option<u64>> + Send + Sync;

/// The events of [`hasty_and_patient`]: an edge, and the end of the test.
const EDGE: u64 = 1;
const END: u64 = 2;

fn hasty_and_patient_in_a_queue() -> Outcome {
    let (edges, ends) = (pipe()?, pipe()?);
    let queue = Queue::new()?;
    queue.apply(&[
        KEvent::read(edges.0.number()).add().clear().udata(EDGE as usize),
        KEvent::read(ends.0.number()).add().udata(END as usize),
    ])?;
    let wait = move |timeout| {
        let mut events = [KEvent::default()];
        Ok(queue.wait(&mut events, timeout)?.first().map(|event| event.udata as u64))
    };
    hasty_and_patient(&edges, &ends.1, Arc::new(wait))
}

fn hasty_and_patient_in_a_set() -> Outcome {
    let (edges, ends) = (pipe()?, pipe()?);
    let set = EpollSet::new()?;
    set.add(edges.0.number(), EpollFlags::IN | EpollFlags::ET, EDGE)?;
    set.add(ends.0.number(), EpollFlags::IN, END)?;
    let wait = move |timeout| {
        let mut events = [EpollEvent::default()];
        Ok(set.wait(&mut events, timeout)?.first().map(EpollEvent::data))
    };
    hasty_and_patient(&edges, &ends.1, Arc::new(wait))
}

/// Threads that wait for microseconds only, and threads that wait as long as it takes, for the same edges: each is told
/// to one of them, though the one that it woke may be just leaving.
fn hasty_and_patient(edges: &(Descriptor, Descriptor), ender: &Descriptor, wait: Arc<Wait>) -> Outcome {
    const ROUNDS: u64 = 150;
    let (told, now) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    // Each looks once a round: what it leaves behind no later look of its kind finds.
    let hasty = Crew::on_each_cpu(2, |me| {
        let (wait, told, now) = (wait.clone(), told.clone(), now.clone());
        move || {
            let mut round = 0;
            while round < ROUNDS {
                if now.load(Ordering::SeqCst) == round {
                    rt::thread::sleep(3_000);
                    continue;
                }
                round += 1;
                if wait(Some(Duration::from_micros(20 + 13 * me)))? == Some(EDGE) {
                    told.fetch_add(1, Ordering::SeqCst);
                }
            }
            Ok(())
        }
    })?;
    let patient = Crew::on_each_cpu(1, |_| {
        let (wait, told) = (wait.clone(), told.clone());
        move || loop {
            match wait(PATIENTLY)? {
                None => return Err(Failure::new("nothing came")),
                Some(END) => return Ok(()),
                Some(_) => _ = told.fetch_add(1, Ordering::SeqCst),
            }
        }
    })?;
    for round in 1..=ROUNDS {
        now.store(round, Ordering::SeqCst);
        // Before, while and after they leave.
        rt::thread::sleep(round % 50 * 2_500);
        edges.1.write_all(b"x")?;
        until(|| told.load(Ordering::SeqCst) >= round)?;
        // Now and then what is told twice has the time to be.
        if round % 10 == 0 {
            a_moment();
        }
        equal(told.load(Ordering::SeqCst), round)?;
        drain(&edges.0, 1)?;
    }
    hasty.join()?;
    ender.write_all(b"x")?;
    patient.join()?;
    equal(told.load(Ordering::SeqCst), ROUNDS)
}

/// The part of the child in [`a_sleeper_dies`]: descriptor 5 is a pipe, 6 is written to when it is asleep.
fn sleep_exclusively() -> Outcome {
    let set = EpollSet::new()?;
    set.add(5, EXCLUSIVE, 1)?;
    libkq::write(6, b"r")?;
    set.wait(&mut [EpollEvent::default()], PATIENTLY)?;
    rt::thread::sleep(u64::MAX);
    Ok(())
}

fn a_sleeper_dies() -> Outcome {
    for round in 0..4 {
        let ((reader, writer), (here, there)) = (pipe()?, pipe()?);
        let child = crate::with("sleeps-exclusively", &[(&reader, 5), (&there, 6)])?;
        drop(there);
        libkq::poll(&mut [libkq::PollFd::new(here.number(), libkq::Conditions::IN)], PATIENTLY, None)?;
        drain(&here, 1)?;
        let set = Arc::new(EpollSet::new()?);
        set.add(reader.number(), EXCLUSIVE, 1)?;
        let crew = Crew::start(1, |_| {
            let set = set.clone();
            move || told_of(&set)
        })?;
        a_moment();
        // Killed when it has been told, or just before, or at that moment.
        let killer = rt::thread::spawn(move || {
            rt::thread::sleep(round * 20_000);
            init::kill(child.pid, 9)
        })?;
        writer.write_all(b"x")?;
        crew.join()?;
        killer.join()??;
        init::wait_until(child.pid, soon())?;
        equal(set.wait(&mut [EpollEvent::default()], NOW)?.len(), 1)?;
    }
    Ok(())
}

/// Plays the part, if it is one of this family.
pub fn play(role: &str) -> Option<Outcome> {
    (role == "sleeps-exclusively").then(sleep_exclusively)
}
