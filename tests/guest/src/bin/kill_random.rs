//! Processes and threads are killed at random moments in whatever they do; the others go on, and nothing is left.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::Rights;
use abi::error::{EPIPE, ESRCH, Result};
use abi::limits::FOREVER;
use guest_tests::child::{self, Role};
use guest_tests::failure::ensure;
use guest_tests::ledger::Ledger;
use guest_tests::mini::{self, Plan};
use guest_tests::random::Random;
use guest_tests::witness::Witnesses;
use guest_tests::{Outcome, Suite, echo, soon};
use init_protocol::status::ExitStatus;
use rt::clock;
use rt::init;
use rt::ipc::Transfer;
use rt::sys::{Endpoint, Memory, Notification, Object};
use rt::thread::{self, Builder};

const PROGRAM: &str = env!("CARGO_BIN_NAME");

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    match child::role(start) {
        Some("busy") => return busy(start),
        Some(_) => return 2,
        None => {}
    }
    let mut suite = Suite::new(start);
    let seed = Random::seed(start.arg(2));
    let times = start.arg(3).parse().unwrap_or(1);
    suite.test("small_processes_die_anywhere", || small_processes_die_anywhere(seed, times));
    suite.test("threads_die_anywhere", || threads_die_anywhere(seed, times));
    suite.test("programs_die_anywhere", || programs_die_anywhere(seed, times));
    suite.test("servers_die_under_their_callers", || servers_die_under_their_callers(seed, times));
    suite.finish()
}

/// Instructions that make a process full of calls: it signals word 0, waits for it, calls the endpoint in word 1, makes and
/// closes endpoints and memory, yields, and begins again. (Where one host thread emulates all CPUs, `pause`, here and below, is
/// what lets the others have their turn.)
fn restless() -> &'static [u8] {
    guest_tests::instructions!(
        "mov rbx, rdi",
        "2:",
        "mov rdi, [rbx]",
        "mov esi, 1",
        "mov eax, {signal}",
        "syscall",
        "mov rdi, [rbx]",
        "xor r12d, r12d",
        "mov eax, {wait}",
        "syscall",
        "mov rdi, [rbx + 8]",
        "mov esi, 0x10000",
        "mov r12, {forever}",
        "mov eax, {call}",
        "syscall",
        "mov eax, {endpoint}",
        "syscall",
        "mov rdi, rax",
        "mov eax, {close}",
        "syscall",
        "mov edi, 8192",
        "xor esi, esi",
        "mov eax, {memory}",
        "syscall",
        "mov r14, rax",
        "xor edi, edi",
        "mov rsi, rax",
        "xor edx, edx",
        "xor r10d, r10d",
        "mov r8d, 8192",
        "mov r9d, 0x40000",
        "mov eax, {map}",
        "syscall",
        "mov rdi, r14",
        "mov eax, {close}",
        "syscall",
        "mov eax, {yields}",
        "syscall",
        "pause",
        "jmp 2b";
        yields = const abi::number::SYS_YIELD,
        signal = const abi::number::SYS_NOTIFICATION_SIGNAL,
        wait = const abi::number::SYS_NOTIFICATION_WAIT,
        call = const abi::number::SYS_CALL,
        endpoint = const abi::number::SYS_ENDPOINT_CREATE,
        memory = const abi::number::SYS_MEMORY_CREATE,
        map = const abi::number::SYS_MEMORY_MAP,
        close = const abi::number::SYS_CLOSE,
        forever = const FOREVER as i64,
    )
}

fn pause(random: &mut Random) {
    match random.below(4) {
        0 => {}
        1 => thread::yield_now(),
        _ => thread::sleep(random.below(400_000)),
    }
}

fn small_round(random: &mut Random) -> Outcome {
    let word = Notification::create()?;
    let (server, client) = echo::start(1, 0)?;
    let handles = [word.handle(), client.handle()];
    let waits = [word.handle()];
    let calls = [client.handle()];
    let cpus = clock::cpu_count() as u64;
    let busy = [Plan::new(restless()).handles(&handles), Plan::new(mini::spins())];
    let quiet = [Plan::new(mini::waits()).handles(&waits), Plan::new(mini::calls()).handles(&calls)];
    // The kernel clears up behind a process at that process's priority, and equals wait for the end of a slice: one busy
    // process, below all others, leaves time to everybody.
    let own = rt::block::current().priority();
    let mut children = Vec::new();
    for index in 0..5 {
        let (plan, priority) =
            if index == 0 { (random.pick(&busy), own - 2) } else { (random.pick(&quiet), own - 1) };
        children.push(Plan { cpus: 1 << random.below(cpus), priority, ..*plan }.start()?);
    }
    let mut left = Vec::new();
    while !children.is_empty() {
        pause(random);
        let child = children.swap_remove(random.below(children.len() as u64) as usize);
        match child.process.kill(1) {
            Ok(()) => {}
            // It had ended by itself.
            Err(error) => ensure(error.errno == ESRCH, "a kill works unless it is too late")?,
        }
        if random.below(2) == 0 {
            child.ended()?;
        } else {
            left.push(child);
        }
    }
    drop(client);
    server.join()??;
    // The next round finds the books as this one found them.
    left.iter().try_for_each(|child| child.ended().map(drop))
}

fn small_processes_die_anywhere(seed: u64, times: u32) -> Outcome {
    let mut random = Random::new(seed);
    small_round(&mut random)?;
    let ledger = Ledger::open()?;
    let witnesses = Witnesses::start()?;
    let result = (0..40 * times).try_for_each(|_| small_round(&mut random));
    witnesses.finish()?;
    result?;
    ledger.balance()
}

fn thread_round(random: &mut Random) -> Outcome {
    let word = Arc::new(Notification::create()?);
    let (server, client) = echo::start(2, 0)?;
    let client = Arc::new(client);
    let futex = Arc::new(AtomicU32::new(0));
    let cpus = clock::cpu_count() as u64;
    let mut threads = Vec::new();
    for kind in 0..8 {
        let (word, client, futex) = (word.clone(), client.clone(), futex.clone());
        // What a killed thread holds is lost: these allocate nothing and take no lock.
        let thread = Builder::new().cpus(1 << random.below(cpus)).spawn(move || {
            let (word, client, futex) = (&*word, &*client, &*futex);
            let message = abi::Message { tag: abi::Tag::words(echo::WORDS), words: [kind; 4] };
            match kind % 4 {
                0 => while word.wait(FOREVER).is_ok() {},
                1 => {
                    while client.call(message, FOREVER).is_ok() {
                        thread::yield_now();
                        core::hint::spin_loop();
                    }
                }
                2 => while rt::sys::futex_wait(futex, 0, FOREVER).is_ok() {},
                _ => {
                    while word.signal(1).is_ok() {
                        thread::yield_now();
                        core::hint::spin_loop();
                    }
                }
            }
        })?;
        threads.push(thread);
    }
    while !threads.is_empty() {
        pause(random);
        futex.fetch_add(0, Ordering::Relaxed);
        let thread = threads.swap_remove(random.below(threads.len() as u64) as usize);
        thread.thread().kill()?;
        let ended = thread.join();
        ensure(ended.is_err_and(|error| error.errno == EPIPE), "a killed thread has no result")?;
    }
    // The killed ones never dropped theirs: these references are leaked with them, so close what they share by hand.
    let handle = client.handle();
    core::mem::forget(client);
    rt::sys::close(handle)?;
    rt::sys::close(word.handle())?;
    core::mem::forget(word);
    server.join()??;
    Ok(())
}

fn threads_die_anywhere(seed: u64, times: u32) -> Outcome {
    let mut random = Random::new(seed ^ 1);
    let witnesses = Witnesses::start()?;
    let result = (0..15 * times).try_for_each(|_| thread_round(&mut random));
    let rounds = witnesses.finish()?;
    result?;
    ensure(rounds > 0, "the witnesses went on")
}

/// A program of many threads that do what programs do.
fn busy(start: &rt::Start) -> i32 {
    let Some(client) = start.object::<Endpoint>("server") else { return 3 };
    let client = Arc::new(client);
    for worker in 0..3u64 {
        let client = client.clone();
        let spawned = thread::spawn(move || {
            let mut random = Random::new(worker);
            loop {
                let value = random.draw();
                let done = match random.below(6) {
                    0 => echo::words(&client, 9, value),
                    1 => echo::bytes(&client, 9, value, (value % 3969) as usize),
                    2 => echo::handle(&client, 9, value),
                    3 => thread::spawn(move || value)
                        .and_then(|thread| thread.join())
                        .map(drop)
                        .map_err(Into::into),
                    4 => Memory::create(1 << 14)
                        .and_then(|memory| memory.map_all(abi::flag::MapFlags::PROT_READ))
                        .map(drop)
                        .map_err(Into::into),
                    _ => {
                        drop(vec![value; 5000]);
                        Ok(())
                    }
                };
                core::hint::spin_loop();
                if let Err(failure) = done {
                    rt::log!("{PROGRAM} worker {worker}: {failure}");
                    rt::sys::exit(4);
                }
            }
        });
        if spawned.is_err() {
            return 5;
        }
    }
    thread::sleep(u64::MAX);
    0
}

fn program_round(random: &mut Random) -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 9)?;
    let server = thread::spawn(move || echo::serve(&endpoint))?;
    let priority = rt::block::current().priority() - 1;
    let child =
        Role::new(PROGRAM, "busy").priority(priority).spawn(vec![("server", Transfer::moved(client))])?;
    thread::sleep(random.below(5_000_000));
    init::kill(child.pid, 55)?;
    child::ends_as(&child, ExitStatus::Exited(55))?;
    // The server may be in the middle of an answer to the dead one.
    match server.join()? {
        Err(failure) if !failure.is(ESRCH) => Err(failure),
        _ => Ok(()),
    }
}

fn programs_die_anywhere(seed: u64, times: u32) -> Outcome {
    let mut random = Random::new(seed ^ 2);
    (0..5).try_for_each(|_| program_round(&mut random))?;
    let ledger = Ledger::open()?;
    let witnesses = Witnesses::start()?;
    let result = (0..20 * times).try_for_each(|_| program_round(&mut random));
    witnesses.finish()?;
    result?;
    ledger.balance()
}

fn servers_die_under_their_callers(seed: u64, times: u32) -> Outcome {
    let mut random = Random::new(seed ^ 3);
    // The server of this test is a thread that closes its endpoint; that of a process is in `kernel_calls`.
    for _ in 0..50 * times {
        let endpoint = Endpoint::create()?;
        let callers = (0..4u64)
            .map(|badge| {
                let client = endpoint.with_badge(Rights::all(), badge + 1)?;
                thread::spawn(move || {
                    let mut calls = 0u64;
                    loop {
                        let message = abi::Message { tag: abi::Tag::words(echo::WORDS), words: [calls; 4] };
                        match client.call(message, soon()) {
                            Ok(_) => calls += 1,
                            Err(error) => break error,
                        }
                    }
                })
            })
            .collect::<Result<Vec<_>>>()?;
        for _ in 0..random.below(50) {
            let received = endpoint.recv(soon())?;
            Endpoint::reply(received.token, abi::Message { words: [1; 4], ..received.message() })?;
        }
        drop(endpoint);
        for caller in callers {
            let error = caller.join()?;
            ensure(error.errno == EPIPE, "a caller hears that the server is gone")?;
        }
    }
    Ok(())
}
