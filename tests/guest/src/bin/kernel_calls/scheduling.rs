//! Who has a CPU, and for how long: what must hold whatever wakes, changes, calls or buries whom.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use abi::limits::SLICE_NS;
use abi::{Message, Tag};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use guest_tests::failure::ensure;
use guest_tests::measure::instructions_are_counted;
use guest_tests::mini::{self, Plan};
use guest_tests::{Outcome, a_moment, soon};
use rt::clock;
use rt::sys::{self, Endpoint, Notification, Object};
use rt::thread::{self, Builder};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("a_thread_woken_by_a_call_has_its_share", a_thread_woken_by_a_call_has_its_share),
    ("threads_that_call_each_other_leave_a_third_its_share", callers_leave_a_third_its_share),
    ("short_sleeps_beside_a_busy_thread_stay_short", short_sleeps_beside_a_busy_thread_stay_short),
    ("an_idle_cpu_takes_a_thread_that_was_outranked", an_idle_cpu_takes_a_thread_that_was_outranked),
    ("a_running_thread_can_be_changed_at_any_moment", a_running_thread_can_be_changed_at_any_moment),
    ("a_funeral_is_not_held_up_by_a_lesser_one", a_funeral_is_not_held_up_by_a_lesser_one),
    ("a_funeral_goes_on_when_a_lesser_one_follows_from_it", a_funeral_outranks_what_follows_from_it),
];

/// Longer than everybody's slice, many times.
const MANY_SLICES: u64 = 200 * SLICE_NS;
/// Looks, or calls, that take a CPU many slices. Time alone does not tell that the CPU had them: a host may have stood still.
const MANY_LOOKS: u64 = 10_000_000;
const MANY_CALLS: u64 = 20_000;

/// Runs on one CPU, at the program's own priority, of which all others in the test are neighbours.
fn on_a_cpu(body: fn(u64, u8) -> Outcome) -> Outcome {
    let own = rt::block::current().priority();
    let cpu = 1 << clock::cpu();
    ensure(own >= 4, "the program has priorities below its own")?;
    Builder::new().cpus(cpu).spawn(move || body(cpu, own))?.join()?
}

/// Waits, without entering the kernel, until it holds.
fn watch(holds: impl Fn() -> bool) -> bool {
    let (mut looks, deadline) = (0, clock::after(MANY_SLICES));
    while !holds() && (looks < MANY_LOOKS || clock::now_ns() < deadline) {
        looks += 1;
        core::hint::spin_loop();
    }
    holds()
}

fn a_thread_woken_by_a_call_has_its_share() -> Outcome {
    on_a_cpu(|cpu, own| {
        let word = Arc::new(Notification::create()?);
        let ran = Arc::new(AtomicBool::new(false));
        let (waited, mark) = (word.clone(), ran.clone());
        let equal = Builder::new().cpus(cpu).priority(own).spawn(move || {
            let bits = waited.wait(soon());
            mark.store(true, Ordering::Relaxed);
            bits
        })?;
        a_moment();
        word.signal(1)?;
        // Nothing interrupts this CPU but the end of the slice.
        let seen = watch(|| ran.load(Ordering::Relaxed));
        equal.join()??;
        ensure(seen, "it ran beside a thread that never enters the kernel")
    })
}

fn callers_leave_a_third_its_share() -> Outcome {
    on_a_cpu(|cpu, own| {
        let endpoint = Endpoint::create()?;
        let client = endpoint.duplicate()?;
        let server = Builder::new().cpus(cpu).priority(own).spawn(move || {
            let mut received = endpoint.recv(soon())?;
            while received.words[0] == 0 {
                received = endpoint.reply_recv(received.token, received.message(), soon())?;
            }
            Endpoint::reply(received.token, received.message())
        })?;
        let (turns, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, end) = (turns.clone(), over.clone());
        let third = Builder::new().cpus(cpu).priority(own).spawn(move || {
            while !end.load(Ordering::Relaxed) {
                counted.fetch_add(1, Ordering::Relaxed);
                core::hint::spin_loop();
            }
        })?;
        let message = |last: u64| Message { tag: Tag::words(1), words: [last; 4] };
        let mut shared = true;
        for _ in 0..3 {
            // Each time from the beginning of a turn of ours.
            thread::yield_now();
            let (before, deadline) = (turns.load(Ordering::Relaxed), clock::after(8 * SLICE_NS));
            let mut calls = 0;
            while calls < MANY_CALLS || clock::now_ns() < deadline {
                client.call(message(0), soon())?;
                calls += 1;
            }
            shared &= turns.load(Ordering::Relaxed) != before;
        }
        over.store(true, Ordering::Relaxed);
        client.call(message(1), soon())?;
        server.join()??;
        third.join()?;
        ensure(shared, "a third thread ran while two called each other")
    })
}

fn short_sleeps_beside_a_busy_thread_stay_short() -> Outcome {
    const SLEEPS: u64 = 200;
    on_a_cpu(|cpu, own| {
        let (turns, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, end) = (turns.clone(), over.clone());
        let busy = Builder::new().cpus(cpu).priority(own).spawn(move || {
            while !end.load(Ordering::Relaxed) {
                counted.fetch_add(1, Ordering::Relaxed);
                core::hint::spin_loop();
            }
        })?;
        let ran = || turns.load(Ordering::Relaxed);
        while ran() == 0 {
            thread::yield_now();
        }
        let (mut took, mut slept) = (0, 0);
        while slept < SLEEPS {
            let (before, begin) = (ran(), clock::now_ns());
            thread::sleep(1000);
            // On a slow host a sleep may be over before it has begun: only one in which the other ran is one.
            if ran() != before {
                took += clock::now_ns() - begin;
                slept += 1;
            }
        }
        over.store(true, Ordering::Relaxed);
        busy.join()?;
        let long = instructions_are_counted() && took >= SLEEPS * SLICE_NS / 4;
        ensure(!long, "a sleep does not cost a round of the others")
    })
}

fn an_idle_cpu_takes_a_thread_that_was_outranked() -> Outcome {
    if clock::cpu_count() < 2 {
        return Ok(());
    }
    on_a_cpu(|cpu, own| {
        let everywhere = (1 << clock::cpu_count()) - 1;
        let word = Arc::new(Notification::create()?);
        let (taken, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        // An idle CPU sleeps until it is interrupted, and then looks for work.
        let end = over.clone();
        let ticker = Builder::new().cpus(everywhere & !cpu).spawn(move || {
            while !end.load(Ordering::Relaxed) {
                thread::sleep(500_000);
            }
        })?;
        let (waited, seen) = (word.clone(), taken.clone());
        let higher = Builder::new().cpus(cpu).priority(own - 1).spawn(move || {
            waited.wait(soon())?;
            Ok::<bool, abi::error::Error>(watch(|| seen.load(Ordering::Relaxed)))
        })?;
        let mark = taken.clone();
        let lower = Builder::new().cpus(cpu).priority(own - 2).spawn(move || {
            sys::set_affinity(everywhere)?;
            // From here on it is ready and not running, unless another CPU takes it.
            word.signal(1)?;
            mark.store(true, Ordering::Relaxed);
            Ok::<(), abi::error::Error>(())
        })?;
        let seen = higher.join()??;
        lower.join()??;
        over.store(true, Ordering::Relaxed);
        ticker.join()?;
        ensure(seen, "another CPU took it while a better thread had this one")
    })
}

fn a_running_thread_can_be_changed_at_any_moment() -> Outcome {
    let own = rt::block::current().priority();
    // On the first CPU, while they are on the last.
    Builder::new().cpus(1).spawn(move || change_running_threads(own))?.join()?
}

fn change_running_threads(own: u8) -> Outcome {
    let last = 1 << (clock::cpu_count() - 1);
    let both = last | 1;
    let over = Arc::new(AtomicBool::new(false));
    let rounds = Arc::new([const { AtomicU32::new(0) }; 3]);
    // They give their CPU to each other all the time: queued at one moment, running at the next.
    let threads = (0..3)
        .map(|index| {
            let (over, rounds) = (over.clone(), rounds.clone());
            Builder::new().cpus(last).priority(own - 2).spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    rounds[index].fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                    core::hint::spin_loop();
                }
            })
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    for round in 1..=18_000_usize {
        let thread = threads[round % 3].thread();
        // One after the other goes up, then one after the other down: most of the time some are equals.
        thread.set_priority(own - 2 + (round.div_ceil(3) % 2) as u8)?;
        if round % 60 == 0 {
            thread.set_affinity(both)?;
            thread::sleep(50_000);
            thread.set_affinity(last)?;
        }
        if round % 300 == 0 {
            // All are equals now, and all of them go on.
            let before: Vec<u32> = rounds.iter().map(|round| round.load(Ordering::Relaxed)).collect();
            let deadline = soon();
            for (round, before) in rounds.iter().zip(before) {
                while round.load(Ordering::Relaxed) == before {
                    ensure(clock::now_ns() < deadline, "a thread goes on after its priority was changed")?;
                    thread::sleep(50_000);
                }
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    threads.into_iter().try_for_each(|thread| Ok(thread.join()?))
}

/// A process that keeps one CPU from all threads below its priority.
fn occupier(cpu: u64, priority: u8) -> Outcome<mini::Mini> {
    let spinner = Plan { cpus: cpu, priority, ..Plan::new(mini::spins()) }.start()?;
    spinner.wait_word(0)?;
    Ok(spinner)
}

fn funeral(process: &sys::Process) -> Outcome<bool> {
    let gone = Notification::create()?;
    gone.watch_exit(process, 1)?;
    process.kill(0)?;
    Ok(gone.wait(clock::after(10 * MANY_SLICES)).is_ok())
}

fn a_funeral_is_not_held_up_by_a_lesser_one() -> Outcome {
    on_a_cpu(|cpu, own| {
        let occupier = occupier(cpu, own - 2)?;
        let lesser = Plan { cpus: cpu, priority: own - 3, ..Plan::new(mini::spins()) }.create()?;
        let better = Plan { cpus: cpu, priority: own - 1, ..Plan::new(mini::spins()) }.create()?;
        // They are buried on the CPU of who ends them.
        lesser.process.kill(0)?;
        let buried = funeral(&better.process)?;
        occupier.process.kill(0)?;
        lesser.ended()?;
        occupier.ended()?;
        ensure(buried, "a process was taken apart although a lesser one had died before")
    })
}

fn a_funeral_outranks_what_follows_from_it() -> Outcome {
    on_a_cpu(|cpu, own| {
        let occupier = occupier(cpu, own - 2)?;
        let orphan = Plan { cpus: cpu, priority: own - 3, ..Plan::new(mini::spins()) }.create()?;
        // Closed in order, a few at a time: the orphan dies in the first step of many.
        let word = Notification::create()?;
        let mut handles = vec![orphan.process.handle()];
        handles.resize(200, word.handle());
        let plan = Plan { cpus: cpu, priority: own - 1, ..Plan::new(mini::spins()) };
        let better = plan.handles(&handles).create()?;
        let gone = Notification::create()?;
        gone.watch_exit(&orphan.process, 1)?;
        drop(orphan);
        let buried = funeral(&better.process)?;
        occupier.process.kill(0)?;
        occupier.ended()?;
        gone.wait(soon())?;
        ensure(buried, "a process was taken apart although a lesser one died of it")
    })
}
