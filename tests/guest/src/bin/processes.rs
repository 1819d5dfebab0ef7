//! Processes on the machine: starting, waiting, watching. Runs with the manifest `processes`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use abi::error::{ECHILD, EINVAL, ENOENT, EPERM, ESRCH};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{PATIENTLY, next, ready};
use guest_tests::{Failure, Outcome, Suite, a_moment, child};
use libkq::event::note::{CHILD, EXEC, EXIT, FORK, TRACK};
use libkq::process_calls::{Child, Command, WaitFlags, WaitStatus, exit, getpid, getppid, kill, waitpid};
use libkq::signal::{Action, How, SIGTERM, SIGUSR1, SignalMask, sigaction, sigmask};
use libkq::{EventFlags, KEvent, Queue};

const PROGRAM: &str = concat!("bin/", env!("CARGO_BIN_NAME"));

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(role) = child::role(start) {
        return play(role, start.arg(3)).map_or(99, |()| 0);
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(&[
        ("a_child_knows_who_it_is", a_child_knows_who_it_is),
        ("every_end_is_told_once", every_end_is_told_once),
        ("families_are_apart", families_are_apart),
        ("r29_an_end_is_told_with_its_status", an_end_is_told_with_its_status),
        ("r29_ended_and_not_waited_for_still_fires", ended_still_fires),
        ("r29_who_cannot_be_watched", who_cannot_be_watched),
        ("r30_children_are_followed_from_their_birth", children_are_followed),
        ("r30_short_lives_are_not_missed", short_lives_are_not_missed),
        ("r14_no_end_is_lost_when_slots_run_out", no_end_is_lost),
        ("r50_a_blocked_call_hears_of_an_end", a_blocked_call_hears_of_an_end),
        ("r35_a_deleted_note_is_silent", a_deleted_note_is_silent),
        ("r8_a_disabled_note_collects", a_disabled_note_collects),
        ("r10_oneshot_is_told_once", oneshot_is_told_once),
        ("r28_attempts_count_though_ignored_blocked_or_caught", attempts_count),
    ]);
    suite.finish()
}

fn play(role: &str, argument: &str) -> Outcome {
    match role {
        "sleeps" => rt::thread::sleep(u64::MAX),
        "ends" => exit(argument.parse().unwrap_or(98)),
        "starts" => {
            // A family: children that start children that end.
            let depth: i32 = argument.parse().unwrap_or(0);
            if depth > 0 {
                for _ in 0..2 {
                    start("starts", &format!("{}", depth - 1))?;
                }
                while waitpid(-1, WaitFlags::empty()).is_ok() {}
            }
            exit(depth);
        }
        "knows" => exit(i32::from(getppid()? == argument.parse().unwrap_or(0))),
        _ => exit(97),
    }
    Ok(())
}

fn start(role: &str, argument: &str) -> Outcome<Child> {
    let command = Command::new(PROGRAM).argument(child::ROLE).argument(role).argument(argument);
    Ok(command.quota(4 << 20).spawn()?)
}

fn a_child_knows_who_it_is() -> Outcome {
    let child = start("knows", &alloc::format!("{}", getpid()))?;
    equal(child.wait()?, WaitStatus(0x100))?;
    equal(getppid()?, 1)
}

fn every_end_is_told_once() -> Outcome {
    refused(waitpid(-1, WaitFlags::NOHANG), ECHILD)?;
    for code in 1..=20 {
        start("ends", &alloc::format!("{code}"))?;
    }
    let mut codes = alloc::collections::BTreeSet::new();
    for _ in 0..20 {
        let (_, status) = waitpid(-1, WaitFlags::empty())?.ok_or(Failure::new("nobody has ended"))?;
        codes.extend(status.code());
    }
    equal(codes.into_iter().collect::<alloc::vec::Vec<u8>>(), (1..=20).collect())?;
    refused(waitpid(-1, WaitFlags::empty()), ECHILD)
}

fn families_are_apart() -> Outcome {
    let lines = rt::init::list(0)?;
    let stranger = lines.iter().find(|line| line.name == "stranger").ok_or(Failure::new("no stranger"))?;
    for signal in [0, 9] {
        refused(kill(stranger.pid as i32, signal), EPERM)?;
        refused(kill(1, signal), EPERM)?;
    }
    refused(kill(1_000_000, 0), ESRCH)
}

fn what(event: &KEvent) -> (i32, u32, i64) {
    (event.ident as i32, event.fflags, event.data)
}

fn an_end_is_told_with_its_status() -> Outcome {
    let queue = Queue::new()?;
    for (role, argument, signal, status) in [("ends", "5", 0, 0x500), ("sleeps", "", SIGTERM, 15)] {
        let child = start(role, argument)?;
        queue.apply(&[KEvent::process(child.pid(), EXIT).add().udata(7)])?;
        if signal != 0 {
            equal(ready(&queue)?, vec![])?;
            child.kill(i32::from(signal))?;
        }
        let event = next(&queue)?;
        equal((what(&event), event.udata), ((child.pid(), EXIT, status), 7))?;
        ensure(event.is_eof() && event.flags.contains(EventFlags::CLEAR), "EOF and CLEAR are set")?;
        equal(ready(&queue)?, vec![])?;
        // The note went with it; the status is still there to be waited for.
        refused(queue.apply(&[KEvent::process(child.pid(), EXIT).delete()]), ENOENT)?;
        equal(child.wait()?, WaitStatus(status as i32))?;
    }
    Ok(())
}

fn ended_still_fires() -> Outcome {
    let queue = Queue::new()?;
    let (first, second) = (start("ends", "1")?, start("ends", "2")?);
    first.wait()?;
    // The service knows of the second one's end when it knows of that of a third one, which came later.
    start("ends", "3")?.wait()?;
    a_moment();
    queue.apply(&[KEvent::process(second.pid(), EXIT).add()])?;
    equal(what(&next(&queue)?), (second.pid(), EXIT, 0x200))?;
    refused(queue.apply(&[KEvent::process(first.pid(), EXIT).add()]), ESRCH)?;
    second.wait().map(drop).map_err(Failure::from)
}

fn who_cannot_be_watched() -> Outcome {
    let queue = Queue::new()?;
    let lines = rt::init::list(0)?;
    let stranger = lines.iter().find(|line| line.name == "stranger").ok_or(Failure::new("no stranger"))?;
    for (pid, errno) in
        [(stranger.pid as i32, EPERM), (1, EPERM), (1_000_000, ESRCH), (0, ESRCH), (-1, ESRCH)]
    {
        refused(queue.apply(&[KEvent::process(pid, EXIT).add()]), errno)?;
    }
    refused(queue.apply(&[KEvent::process(getpid(), CHILD).add()]), EINVAL)?;
    refused(queue.apply(&[KEvent::process(getpid(), EXIT).delete()]), ENOENT)?;
    queue.apply(&[KEvent::process(getpid(), EXIT).add()])?;
    equal(ready(&queue)?, vec![])
}

/// Takes events until the family of `root` is gone: what was told of each process.
fn follow(queue: &Queue, root: i32, slots: usize) -> Outcome<BTreeMap<i32, Vec<KEvent>>> {
    let mut told: BTreeMap<i32, Vec<KEvent>> = BTreeMap::new();
    let mut alive = 0;
    while alive > 0 || !told.contains_key(&root) {
        let mut events = [KEvent::default(); 16];
        let events = queue.wait(&mut events[..slots], PATIENTLY)?;
        ensure(!events.is_empty(), "the family comes to its end")?;
        for event in events {
            alive += i32::from(event.fflags & CHILD != 0) - i32::from(event.fflags & EXIT != 0);
            told.entry(event.ident as i32).or_default().push(*event);
        }
    }
    Ok(told)
}

fn children_are_followed() -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::process(getpid(), TRACK | EXIT | FORK | EXEC).add().udata(42)])?;
    let root = start("starts", "2")?;
    let fork = next(&queue)?;
    equal(what(&fork), (getpid(), FORK, 0))?;
    let told = follow(&queue, root.pid(), 3)?;
    equal(told.len(), 7)?;
    for (pid, events) in &told {
        let birth = events.first().ok_or(Failure::new("no events"))?;
        let end = events.last().ok_or(Failure::new("no events"))?;
        equal((birth.fflags, end.fflags & EXIT), (CHILD, EXIT))?;
        equal((birth.udata, end.udata), (42, 42))?;
        let parent = birth.data as i32;
        ensure(parent == getpid() || told.contains_key(&parent), "its parent is one of the family")?;
        equal(parent == getpid(), *pid == root.pid())?;
        let all = events.iter().fold(0, |all, event| all | event.fflags);
        ensure(all & EXEC != 0, "a child began to be a program")?;
        equal(all & FORK != 0, end.data != 0)?;
    }
    equal(root.wait()?, WaitStatus(0x200))?;
    equal(ready(&queue)?, vec![])
}

/// Nobody looks while whole families live and die.
fn short_lives_are_not_missed() -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::process(getpid(), TRACK | EXIT).add()])?;
    for _ in 0..3 {
        let root = start("starts", "2")?;
        root.wait()?;
        let told = follow(&queue, root.pid(), 1)?;
        equal(told.len(), 7)?;
        equal(told.values().map(Vec::len).sum::<usize>(), 14)?;
    }
    equal(ready(&queue)?, vec![])
}

fn no_end_is_lost() -> Outcome {
    let queue = Queue::new()?;
    let mut codes = BTreeMap::new();
    for code in 1..=20 {
        let child = start("ends", &format!("{code}"))?;
        queue.apply(&[KEvent::process(child.pid(), EXIT).add()])?;
        codes.insert(child.pid(), code << 8);
    }
    while !codes.is_empty() {
        let event = next(&queue)?;
        equal(codes.remove(&(event.ident as i32)), Some(event.data))?;
    }
    for _ in 0..20 {
        waitpid(-1, WaitFlags::empty())?;
    }
    equal(ready(&queue)?, vec![])
}

fn a_blocked_call_hears_of_an_end() -> Outcome {
    let queue = Queue::new()?;
    for _ in 0..10 {
        let child = start("sleeps", "")?;
        queue.apply(&[KEvent::process(child.pid(), EXIT).add()])?;
        let pid = child.pid();
        let killer = rt::thread::spawn(move || {
            a_moment();
            kill(pid, i32::from(SIGTERM))
        })?;
        equal(what(&next(&queue)?), (pid, EXIT, 15))?;
        killer.join()??;
        child.wait()?;
    }
    Ok(())
}

fn a_deleted_note_is_silent() -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::process(getpid(), TRACK | EXIT | FORK).add()])?;
    let child = start("sleeps", "")?;
    // Not looked at yet, and deleted: the child's note is its own.
    queue.apply(&[KEvent::process(getpid(), 0).delete()])?;
    child.kill(i32::from(SIGTERM))?;
    child.wait()?;
    equal(what(&next(&queue)?), (child.pid(), CHILD, i64::from(getpid())))?;
    equal(what(&next(&queue)?), (child.pid(), EXIT, 15))?;
    // Nobody is followed any more.
    start("ends", "1")?.wait()?;
    let child = start("sleeps", "")?;
    queue.apply(&[KEvent::process(child.pid(), EXIT).add()])?;
    queue.apply(&[KEvent::process(child.pid(), 0).delete()])?;
    child.kill(i32::from(SIGTERM))?;
    child.wait()?;
    a_moment();
    equal(ready(&queue)?, vec![])
}

fn a_disabled_note_collects() -> Outcome {
    let queue = Queue::new()?;
    let child = start("sleeps", "")?;
    queue.apply(&[KEvent::process(child.pid(), EXIT).add().disable()])?;
    child.kill(i32::from(SIGTERM))?;
    child.wait()?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    queue.apply(&[KEvent::process(child.pid(), 0).enable()])?;
    equal(what(&next(&queue)?), (child.pid(), EXIT, 15))
}

fn oneshot_is_told_once() -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::process(getpid(), FORK).add().oneshot()])?;
    for _ in 0..3 {
        start("ends", "0")?.wait()?;
    }
    equal(what(&next(&queue)?), (getpid(), FORK, 0))?;
    start("ends", "0")?.wait()?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    refused(queue.apply(&[KEvent::process(getpid(), 0).delete()]), ENOENT)
}

fn nothing(_: i32) {}

fn attempts_count() -> Outcome {
    let queue = Queue::new()?;
    let note = KEvent::new(SIGUSR1.into(), libkq::Filter::SIGNAL);
    let signal = i32::from(SIGUSR1);
    sigaction(signal, Some(Action::ignore()))?;
    queue.apply(&[note.add().udata(3)])?;
    for _ in 0..5 {
        kill(getpid(), signal)?;
    }
    let event = next(&queue)?;
    equal((event.data, event.udata), (5, 3))?;
    equal(ready(&queue)?, vec![])?;
    sigaction(signal, Some(Action::handler(nothing)))?;
    kill(getpid(), signal)?;
    equal(next(&queue)?.data, 1)?;
    sigmask(Some((How::Block, SignalMask::empty().with(SIGUSR1.into()))))?;
    kill(getpid(), signal)?;
    kill(getpid(), signal)?;
    equal(next(&queue)?.data, 2)?;
    sigmask(Some((How::Set, SignalMask::empty())))?;
    equal(ready(&queue)?, vec![])?;
    // It is for this process: a child's are its own.
    let child = start("sleeps", "")?;
    child.kill(signal)?;
    child.wait()?;
    equal(ready(&queue)?, vec![])?;
    for number in [0, 65] {
        refused(queue.apply(&[KEvent::new(number, libkq::Filter::SIGNAL).add()]), EINVAL)?;
    }
    sigaction(signal, Some(Action::by_default())).map(drop).map_err(Failure::from)
}
