//! Everything a process can make the kernel allocate is charged, has an end, and comes back.

use abi::Rights;
use abi::error::{EMFILE, ENOMEM, Result};
use abi::flag::MapFlags;
use abi::number::SYS_THREAD_CREATE;
use abi::thread::ThreadOptions;
use alloc::vec::Vec;
use guest_tests::failure::{ensure, equal, refused_with};
use guest_tests::ledger::Ledger;
use guest_tests::mini::{self, CODE, DATA, IPC, Plan, STACK};
use guest_tests::{Outcome, raw};
use rt::clock;
use rt::sys::{Endpoint, Memory, Notification, Object, Process, Quota, Thread};
use rt::thread;

use crate::Test;

pub const TESTS: &[Test] = &[
    ("memory_ends_and_comes_back", memory_ends_and_comes_back),
    ("a_childs_quota_ends_and_comes_back", a_childs_quota_ends_and_comes_back),
    ("small_objects_end_with_the_quota", small_objects_end_with_the_quota),
    ("a_grant_is_charged_to_the_receiver", a_grant_is_charged_to_the_receiver),
    ("what_is_made_and_closed_costs_nothing", what_is_made_and_closed_costs_nothing),
    ("unmapped_pages_can_be_had_again_at_once", unmapped_pages_can_be_had_again_at_once),
    ("a_dead_process_owes_its_parent_nothing", a_dead_process_owes_its_parent_nothing),
];

/// Fills what is left of the quota with `make`, and lets all of it go.
fn exhaust<T: core::fmt::Debug>(limit: usize, mut make: impl FnMut() -> Result<T>) -> Outcome<usize> {
    let mut made = Vec::with_capacity(limit);
    let refusal = loop {
        match make() {
            Ok(one) if made.len() < limit => made.push(one),
            Ok(_) => return Ok(made.len()),
            Err(error) => break error,
        }
    };
    refused_with(Err::<(), _>(refusal), &[ENOMEM, EMFILE])?;
    Ok(made.len())
}

fn memory_ends_and_comes_back() -> Outcome {
    let first = exhaust(4096, || Memory::create(1 << 20))?;
    ensure(first > 0, "there is memory at all")?;
    let ledger = Ledger::open()?;
    let second = exhaust(4096, || Memory::create(1 << 20))?;
    equal(second, first)?;
    ledger.balance()
}

fn a_childs_quota_ends_and_comes_back() -> Outcome {
    let own = || -> Outcome<u64> {
        let mut bytes = 1 << 40;
        // The largest that can be had, to a page.
        let mut step = bytes;
        while step >= 4096 {
            match Process::create(Quota { bytes, priority: 0 }) {
                Ok(_) => bytes += step,
                Err(_) => bytes -= step.min(bytes),
            }
            step /= 2;
        }
        Ok(bytes & !0xfff)
    };
    let first = own()?;
    let ledger = Ledger::open()?;
    equal(own()?, first)?;
    ledger.balance()
}

/// Instructions that make the call in word 0 until it fails, count in word 1, and put the error into word 2.
fn repeats() -> &'static [u8] {
    guest_tests::instructions!(
        "mov rbx, rdi",
        "2:",
        "mov rax, [rbx]",
        "mov rdi, [rbx + 24]",
        "mov rsi, [rbx + 32]",
        "mov rdx, [rbx + 40]",
        "mov r10, [rbx + 48]",
        "mov r8, [rbx + 56]",
        "mov r9, [rbx + 64]",
        "syscall",
        "cmp rax, -4095",
        "jae 3f",
        "inc qword ptr [rbx + 8]",
        "jmp 2b",
        "3: mov [rbx + 16], rax",
        "4: pause",
        "jmp 4b",
    )
}

fn repeat_until_refused(call: u64, arguments: [u64; 6]) -> Outcome<(mini::Mini, u64)> {
    let mut words = [0; 9];
    words[0] = call;
    words[3..].copy_from_slice(&arguments);
    let child = Plan::new(repeats()).words(&words).start()?;
    let error = child.wait_word(2)?;
    refused_with(abi::demux(error), &[ENOMEM, EMFILE])?;
    let made = child.get(1);
    Ok((child, made))
}

fn small_objects_end_with_the_quota() -> Outcome {
    use abi::number::*;
    let calls = [
        (SYS_ENDPOINT_CREATE, [0; 6]),
        (SYS_NOTIFICATION_CREATE, [0; 6]),
        (SYS_MEMORY_CREATE, [4096, 0, 0, 0, 0, 0]),
        (SYS_PROCESS_CREATE, [16384, 0, 0, 0, 0, 0]),
        (SYS_THREAD_CREATE, [0, CODE as u64, STACK as u64 + 4088, DATA as u64, IPC as u64, 0]),
    ];
    let round = || -> Outcome {
        for (call, arguments) in calls {
            let (child, made) = repeat_until_refused(call, arguments)?;
            ensure(made > 0, "some could be made")?;
            ensure(made <= (256 << 10) / 64, "not more than the quota pays for")?;
            let status = child.process.status()?;
            ensure(status.quota_used <= status.quota_limit, "the quota holds")?;
            // Others are not affected by a process that has used up its quota.
            drop((Endpoint::create()?, Notification::create()?, Memory::create(4096)?));
            child.process.kill(0)?;
            child.ended()?;
        }
        Ok(())
    };
    round()?;
    let ledger = Ledger::open()?;
    round()?;
    ledger.balance()
}

fn a_grant_is_charged_to_the_receiver() -> Outcome {
    let child = Plan { quota: 128 << 10, ..Plan::new(mini::spins()) }.create()?;
    let word = Notification::create()?;
    let mut granted = 0u64;
    let refusal = loop {
        match child.process.grant(word.handle(), Rights::all()) {
            Ok(_) => granted += 1,
            Err(error) => break error,
        }
        ensure(granted < 1 << 16, "the child's quota ends the grants")?;
    };
    refused_with(Err::<(), _>(refusal), &[ENOMEM, EMFILE])?;
    let thread = raw(
        SYS_THREAD_CREATE,
        [child.process.handle().0, CODE as u64, STACK as u64, 0, IPC as u64, ThreadOptions::new(0).0],
    );
    ensure(granted > 0, "some arrived")?;
    refused_with(thread, &[ENOMEM])
}

fn what_is_made_and_closed_costs_nothing() -> Outcome {
    let round = || -> Outcome {
        let endpoint = Endpoint::create()?;
        for badge in 1..=20 {
            drop(endpoint.with_badge(Rights::all(), badge)?);
        }
        drop((endpoint, Notification::create()?, Memory::create(1 << 16)?));
        let memory = Memory::create(1 << 14)?;
        drop(memory.map_all(abi::flag::MapFlags::PROT_READ)?);
        Ok(())
    };
    round()?;
    let ledger = Ledger::open()?;
    for _ in 0..100 {
        round()?;
    }
    ledger.balance()
}

const TICKET: usize = 0;
const SIZE: usize = 1;
const ROUNDS: usize = 2;
const DONE: usize = 3;
const ERROR: usize = 4;
const READY: usize = 5;
const GO: usize = 6;
const OVER: usize = 7;

/// Instructions of several threads on several CPUs. The first finds the largest memory (of at most [`SIZE`] bytes) that its
/// quota lets it make and map, says that it is [`READY`], and on [`GO`] makes, maps, closes and unmaps that much
/// [`ROUNDS`] times; an [`ERROR`] ends that. The others do nothing, each on a CPU that has to forget what is unmapped.
fn churns() -> &'static [u8] {
    guest_tests::instructions!(
        "mov rbx, rdi",
        "mov eax, 1",
        "lock xadd [rbx + {ticket}], rax",
        "test rax, rax",
        "jnz 9f",
        "mov r13, [rbx + {size}]",
        "2: mov rdi, r13",
        "xor esi, esi",
        "mov eax, {create}",
        "syscall",
        "cmp rax, -4095",
        "jae 4f",
        "mov r14, rax",
        "xor edi, edi",
        "mov rsi, r14",
        "xor edx, edx",
        "xor r10d, r10d",
        "mov r8, r13",
        "mov r9d, {read_write}",
        "mov eax, {map}",
        "syscall",
        "mov r15, rax",
        "mov rdi, r14",
        "mov eax, {close}",
        "syscall",
        "mov rax, r15",
        "cmp rax, -4095",
        "jae 4f",
        "mov [r15], r13",
        "xor edi, edi",
        "mov rsi, r15",
        "mov rdx, r13",
        "mov eax, {unmap}",
        "syscall",
        "test rax, rax",
        "jnz 5f",
        "inc qword ptr [rbx + {done}]",
        "mov qword ptr [rbx + {ready}], 1",
        "3: pause",
        "cmp qword ptr [rbx + {go}], 0",
        "je 3b",
        "mov rax, [rbx + {done}]",
        "cmp rax, [rbx + {rounds}]",
        "jb 2b",
        "jmp 6f",
        "4: sub r13, 4096",
        "cmp qword ptr [rbx + {ready}], 0",
        "je 2b",
        "5: mov [rbx + {error}], rax",
        "6: mov qword ptr [rbx + {over}], 1",
        "9: pause",
        "jmp 9b";
        ticket = const TICKET * 8,
        size = const SIZE * 8,
        rounds = const ROUNDS * 8,
        done = const DONE * 8,
        error = const ERROR * 8,
        ready = const READY * 8,
        go = const GO * 8,
        over = const OVER * 8,
        read_write = const MapFlags::PROT_READ.union(MapFlags::PROT_WRITE).bits(),
        create = const abi::number::SYS_MEMORY_CREATE,
        map = const abi::number::SYS_MEMORY_MAP,
        unmap = const abi::number::SYS_MEMORY_UNMAP,
        close = const abi::number::SYS_CLOSE,
    )
}

/// A process that has begun to churn on the first CPU, and sits on all others.
fn churning(rounds: u64) -> Outcome<(mini::Mini, Vec<Thread>)> {
    let priority = rt::block::current().priority() - 1;
    let plan = Plan { cpus: 1, priority, ..Plan::new(churns()) };
    let child = plan.words(&[0, plan.quota, rounds]).create()?;
    let others = (1..clock::cpu_count())
        .map(|cpu| {
            let options = ThreadOptions::new(priority).on(1 << cpu);
            guest_tests::thread_in(&child.process, IPC as u64, options)
        })
        .collect::<Result<Vec<_>>>()?;
    child.thread.start()?;
    child.wait_word(READY)?;
    others.iter().try_for_each(Thread::start)?;
    while child.get(TICKET) < clock::cpu_count() as u64 {
        thread::sleep(100_000);
    }
    child.set(GO, 1);
    Ok((child, others))
}

fn unmapped_pages_can_be_had_again_at_once() -> Outcome {
    let rounds = 200;
    let (child, _others) = churning(rounds)?;
    child.wait_word(OVER)?;
    let (done, error) = (child.get(DONE), child.get(ERROR));
    child.process.kill(0)?;
    child.ended()?;
    equal((abi::demux(error)?, done), (0, rounds))
}

fn a_dead_process_owes_its_parent_nothing() -> Outcome {
    let own = Process::from_handle(rt::start::start().process());
    let mut result = Ok(());
    for round in 0..50 {
        let before = own.status()?.quota_used;
        let (child, others) = churning(u64::MAX)?;
        thread::sleep(100_000 + round * 7_000);
        child.process.kill(0)?;
        child.ended()?;
        drop((child, others));
        let after = own.status()?.quota_used;
        // In the first round the program's own heap may grow.
        let is_back = round == 0 || after <= before;
        result = result.and(ensure(is_back, "the quota is back when the process has ended"));
    }
    core::mem::forget(own);
    result
}
