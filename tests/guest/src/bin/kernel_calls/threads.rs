//! Threads: start, suspend, priority, CPUs, end.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::error::{EINVAL, EPERM, EPIPE, ESRCH};
use abi::limits::PRIORITIES;
use abi::number::{SYS_THREAD_CREATE, SYS_THREAD_POINTER};
use abi::status::{State, Waits};
use abi::thread::ThreadOptions;
use alloc::sync::Arc;
use alloc::vec::Vec;
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::mini::{self, CODE, DATA, IPC, Plan, STACK};
use guest_tests::{A_MOMENT, Outcome, a_moment, raw, soon, until_it_waits};
use rt::clock;
use rt::sys::{self, Notification, Object};
use rt::thread::{self, Builder};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("a_suspended_thread_stands_still", a_suspended_thread_stands_still),
    ("a_new_thread_waits_for_its_start", a_new_thread_waits_for_its_start),
    ("what_a_suspended_thread_waits_for_is_not_lost", what_a_suspended_thread_waits_for_is_not_lost),
    ("what_a_thread_waits_for_is_told", what_a_thread_waits_for_is_told),
    ("a_killed_thread_is_gone", a_killed_thread_is_gone),
    ("a_dead_thread_is_esrch", a_dead_thread_is_esrch),
    ("the_last_thread_ends_its_process_with_status_0", the_last_thread_ends_its_process),
    ("a_thread_runs_where_it_may", a_thread_runs_where_it_may),
    ("a_thread_can_be_moved", a_thread_can_be_moved),
    ("no_cpu_is_einval", no_cpu_is_einval),
    ("a_priority_beyond_the_highest_is_refused", a_priority_beyond_the_highest_is_refused),
    ("the_higher_priority_runs_first", the_higher_priority_runs_first),
    ("equals_share_a_cpu", equals_share_a_cpu),
    ("bad_options_are_einval", bad_options_are_einval),
    ("a_bad_thread_pointer_is_einval", a_bad_thread_pointer_is_einval),
    ("every_thread_has_its_own_block", every_thread_has_its_own_block),
    ("stacks_are_given_back", stacks_are_given_back),
];

fn here() -> u64 {
    1 << clock::cpu()
}

fn a_suspended_thread_stands_still() -> Outcome {
    let child = Plan::new(mini::spins()).start()?;
    child.wait_word(0)?;
    child.thread.suspend()?;
    // Its CPU hears of it sooner or later; then it stands still.
    let deadline = soon();
    let (mut before, mut still) = (child.get(0), 0);
    while still < 5 {
        ensure(clock::now_ns() < deadline, "a suspended thread stands still")?;
        a_moment();
        let now = child.get(0);
        still = if now == before { still + 1 } else { 0 };
        before = now;
    }
    child.thread.start()?;
    let deadline = soon();
    while child.get(0) == before {
        ensure(clock::now_ns() < deadline, "a resumed thread goes on")?;
        a_moment();
    }
    child.process.kill(0)?;
    child.ended()?;
    Ok(())
}

fn a_new_thread_waits_for_its_start() -> Outcome {
    let ran = Arc::new(AtomicBool::new(false));
    let mark = ran.clone();
    let thread = Builder::new().spawn_suspended(move || mark.store(true, Ordering::SeqCst))?;
    a_moment();
    ensure(!ran.load(Ordering::SeqCst), "it does not run yet")?;
    equal(thread.thread().status()?.state, State::Alive as u32)?;
    thread.start()?;
    thread.join()?;
    ensure(ran.load(Ordering::SeqCst), "it has run")
}

fn what_a_suspended_thread_waits_for_is_not_lost() -> Outcome {
    let word = Arc::new(Notification::create()?);
    let waited = word.clone();
    let waiter = thread::spawn(move || waited.wait(soon()))?;
    a_moment();
    waiter.thread().suspend()?;
    word.signal(0x40)?;
    a_moment();
    ensure(!waiter.is_finished(), "a suspended thread does not run, though its wait is over")?;
    waiter.start()?;
    equal(waiter.join()??, 0x40)
}

fn what_a_thread_waits_for_is_told() -> Outcome {
    let (bell, endpoint) = (Arc::new(Notification::create()?), Arc::new(sys::Endpoint::create()?));
    let (rung, nobodys) = (bell.clone(), Arc::new(sys::Endpoint::create()?));
    let listens = thread::spawn(move || rung.wait(soon()).is_ok())?;
    let sleeps = thread::spawn(|| thread::sleep(u64::MAX))?;
    let receives = {
        let endpoint = endpoint.clone();
        thread::spawn(move || endpoint.recv(soon()).is_ok())?
    };
    let calls = {
        let nobodys = nobodys.clone();
        thread::spawn(move || nobodys.call(abi::message::Message::default(), soon()).is_ok())?
    };
    let spins = Builder::new().priority(0).spawn(|| {
        loop {
            core::hint::spin_loop();
        }
    })?;
    let told = [
        (listens.thread(), Waits::Notification),
        (sleeps.thread(), Waits::Futex),
        (receives.thread(), Waits::Message),
        (calls.thread(), Waits::Answer),
        (spins.thread(), Waits::Not),
    ];
    for (thread, waits) in told {
        until_it_waits(thread, waits)?;
    }
    bell.signal(1)?;
    equal(listens.join()?, true)?;
    for thread in [sleeps.thread(), receives.thread(), calls.thread(), spins.thread()] {
        thread.kill()?;
        until_it_waits(thread, Waits::Not)?;
    }
    Ok(())
}

fn a_killed_thread_is_gone() -> Outcome {
    let word = Arc::new(Notification::create()?);
    let waited = word.clone();
    let waiter = thread::spawn(move || waited.wait(soon()).is_ok())?;
    a_moment();
    waiter.thread().kill()?;
    refused(waiter.join(), EPIPE)?;
    // It waits no longer: the bits stay.
    word.signal(1)?;
    equal(word.poll()?, 1)
}

fn a_dead_thread_is_esrch() -> Outcome {
    let child = Plan::new(mini::exits()).start()?;
    child.ended()?;
    refused(child.thread.start(), ESRCH)?;
    refused(child.thread.suspend(), ESRCH)?;
    refused(child.thread.set_priority(0), ESRCH)?;
    refused(child.thread.set_affinity(1), ESRCH)?;
    equal(child.thread.status()?.state, State::Exited as u32)
}

fn the_last_thread_ends_its_process() -> Outcome {
    let code = guest_tests::instructions!(
        "xor edi, edi",
        "mov eax, {kill}",
        "syscall",
        "ud2";
        kill = const abi::number::SYS_THREAD_KILL
    );
    let child = Plan::new(code).start()?;
    let status = child.ended()?;
    equal((status.state, status.code, status.threads), (State::Exited as u32, 0, 0))
}

fn a_thread_runs_where_it_may() -> Outcome {
    for cpu in 0..clock::cpu_count() {
        let seen = Builder::new()
            .cpus(1 << cpu)
            .spawn(move || {
                (0..50).all(|round| {
                    if round % 10 == 0 {
                        thread::sleep(200_000);
                    }
                    thread::yield_now();
                    clock::cpu() == cpu
                })
            })?
            .join()?;
        ensure(seen, "it ran on its CPU only")?;
    }
    Ok(())
}

fn a_thread_can_be_moved() -> Outcome {
    thread::spawn(|| {
        for round in 0..20 {
            let cpu = round % clock::cpu_count();
            sys::set_affinity(1 << cpu)?;
            equal(clock::cpu(), cpu)?;
        }
        Ok::<(), guest_tests::Failure>(())
    })?
    .join()??;
    // From outside, while it runs.
    let child = Plan::new(mini::spins()).start()?;
    for round in 0..20 {
        child.wait_word(0)?;
        child.thread.set_affinity(1 << (round % clock::cpu_count()))?;
        let before = child.get(0);
        let deadline = soon();
        while child.get(0) == before {
            ensure(clock::now_ns() < deadline, "it goes on elsewhere")?;
            thread::sleep(100_000);
        }
    }
    child.process.kill(0)?;
    child.ended()?;
    Ok(())
}

fn no_cpu_is_einval() -> Outcome {
    let beyond = !0u64 << clock::cpu_count();
    for mask in [0, 1 << 63, beyond] {
        refused(sys::set_affinity(mask), EINVAL)?;
    }
    Ok(())
}

fn a_priority_beyond_the_highest_is_refused() -> Outcome {
    let child = Plan::new(mini::spins()).create()?;
    let highest = rt::block::current().priority();
    child.thread.set_priority(0)?;
    child.thread.set_priority(highest)?;
    for priority in [PRIORITIES as u64, PRIORITIES as u64 + 1, u64::MAX] {
        let set = raw(abi::number::SYS_THREAD_PRIORITY, [child.thread.handle().0, priority, 0, 0, 0, 0]);
        refused(set, EINVAL)?;
    }
    if usize::from(highest) + 1 < PRIORITIES {
        refused(child.thread.set_priority(highest + 1), EPERM)?;
        let made = guest_tests::thread_in(&child.process, IPC as u64, ThreadOptions::new(highest + 1));
        refused_with(made, &[EPERM, EINVAL])?;
    }
    Ok(())
}

fn the_higher_priority_runs_first() -> Outcome {
    let own = rt::block::current().priority();
    if own < 2 {
        return Ok(());
    }
    let cpu = here();
    // On one CPU: what a higher thread does between two waits, a lower one never sees half done.
    thread::Builder::new()
        .cpus(cpu)
        .spawn(move || {
            let half = Arc::new(AtomicU64::new(0));
            let word = Arc::new(Notification::create()?);
            let (half_there, word_there) = (half.clone(), word.clone());
            let higher = Builder::new().cpus(cpu).priority(own).spawn(move || {
                for _ in 0..50 {
                    let _ = word_there.wait(soon());
                    half_there.fetch_add(1, Ordering::Relaxed);
                    for _ in 0..1000 {
                        core::hint::black_box(0);
                    }
                    half_there.fetch_add(1, Ordering::Relaxed);
                }
            })?;
            sys::set_priority(own - 1)?;
            thread::sleep(A_MOMENT);
            for round in 1..=50 {
                word.signal(1)?;
                equal(half.load(Ordering::Relaxed), round * 2)?;
            }
            sys::set_priority(own)?;
            higher.join()?;
            Ok(())
        })?
        .join()?
}

fn equals_share_a_cpu() -> Outcome {
    let plan = Plan { cpus: 1, priority: 1, ..Plan::new(mini::spins()) };
    let children = (0..3).map(|_| plan.start()).collect::<abi::error::Result<Vec<_>>>()?;
    for child in &children {
        child.wait_word(0)?;
    }
    for child in &children {
        child.process.kill(0)?;
        child.ended()?;
    }
    Ok(())
}

fn bad_options_are_einval() -> Outcome {
    let child = Plan::new(mini::spins()).create()?;
    let process = child.process.handle().0;
    let (entry, stack, data, ipc) = (CODE as u64, STACK as u64 + 4088, DATA as u64, IPC as u64);
    for options in [PRIORITIES as u64, 0xffff, u64::MAX, 1 << (16 + abi::limits::MAX_CPUS)] {
        refused(raw(SYS_THREAD_CREATE, [process, entry, stack, data, ipc, options]), EINVAL)?;
    }
    // An entry or a stack that is not the program's: refused at once, or its first instruction faults.
    for bad in [0x8000_0000_0000, 0xffff_8000_0000_0000, u64::MAX] {
        refused(raw(SYS_THREAD_CREATE, [process, bad, stack, data, ipc, 1]), EINVAL)?;
        refused(raw(SYS_THREAD_CREATE, [process, entry, bad, data, ipc, 1]), EINVAL)?;
    }
    Ok(())
}

fn a_bad_thread_pointer_is_einval() -> Outcome {
    for address in [0x8000_0000_0000, 0xffff_8000_0000_0000, u64::MAX] {
        refused(raw(SYS_THREAD_POINTER, [address, 0, 0, 0, 0, 0]), EINVAL)?;
    }
    Ok(())
}

fn every_thread_has_its_own_block() -> Outcome {
    static LOCAL: rt::block::Local = rt::block::Local::new(None);
    LOCAL.set(core::ptr::without_provenance_mut(7));
    let threads = (0..4)
        .map(|i| {
            thread::spawn(move || {
                let fresh = LOCAL.get().is_null();
                LOCAL.set(core::ptr::without_provenance_mut(i + 100));
                a_moment();
                fresh && LOCAL.get().addr() == i + 100
            })
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    for thread in threads {
        ensure(thread.join()?, "its local word was fresh and stayed its own")?;
    }
    equal(LOCAL.get().addr(), 7)
}

fn stacks_are_given_back() -> Outcome {
    let round = || -> Outcome {
        for thread in (0..8).map(|_| thread::spawn(|| ())).collect::<Vec<_>>() {
            thread?.join()?;
        }
        Ok(())
    };
    round()?;
    let ledger = guest_tests::ledger::Ledger::open()?;
    for _ in 0..20 {
        round()?;
    }
    ledger.balance()
}
