//! Processes: made, looked at, killed.

use abi::error::{ENOMEM, EPERM, ESRCH};
use abi::limits::{FOREVER, PRIORITIES};
use abi::number::{SYS_PROCESS_CREATE, SYS_PROCESS_KILL};
use abi::status::State;
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::ledger::Ledger;
use guest_tests::mini::{self, Plan};
use guest_tests::{Outcome, a_moment, raw, soon};
use rt::sys::{Endpoint, Notification, Object, Process, Quota};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("an_exit_status_is_told_as_it_is", an_exit_status_is_told_as_it_is),
    ("a_living_process_says_so", a_living_process_says_so),
    ("a_kill_ends_every_kind_of_wait", a_kill_ends_every_kind_of_wait),
    ("the_first_end_counts", the_first_end_counts),
    ("a_dead_process_takes_nothing", a_dead_process_takes_nothing),
    ("a_process_without_threads_can_be_killed", a_process_without_threads_can_be_killed),
    ("a_process_without_handles_goes_on", a_process_without_handles_goes_on),
    ("a_priority_or_quota_beyond_ones_own_is_refused", a_priority_or_quota_beyond_ones_own),
    ("a_process_leaves_nothing_behind", a_process_leaves_nothing_behind),
];

fn an_exit_status_is_told_as_it_is() -> Outcome {
    for code in [0, 1, -1, 255, 256, i64::MAX, i64::MIN] {
        let child = Plan::new(mini::exits()).words(&[code as u64]).start()?;
        let status = child.ended()?;
        equal((status.state, status.code), (State::Exited as u32, code))?;
    }
    Ok(())
}

fn a_living_process_says_so() -> Outcome {
    let child = Plan::new(mini::spins()).create()?;
    let status = child.process.status()?;
    equal((status.state, status.threads, status.quota_limit), (State::Alive as u32, 1, 256 << 10))?;
    ensure(status.quota_used > 0 && status.quota_used <= status.quota_limit, "it uses some of its quota")
}

fn a_kill_ends_every_kind_of_wait() -> Outcome {
    let word = Notification::create()?;
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    let futex = guest_tests::instructions!(
        "xor esi, esi",
        "xor edx, edx",
        "mov r10, {forever}",
        "mov eax, {futex}",
        "syscall",
        "ud2";
        futex = const abi::number::SYS_FUTEX,
        forever = const FOREVER as i64,
    );
    let receive = guest_tests::instructions!(
        "mov eax, {create}",
        "syscall",
        "mov rdi, rax",
        "mov r12, {forever}",
        "mov eax, {recv}",
        "syscall",
        "ud2";
        create = const abi::number::SYS_ENDPOINT_CREATE,
        recv = const abi::number::SYS_RECV,
        forever = const FOREVER as i64,
    );
    let waits = [word.handle()];
    let calls = [client.handle()];
    let plans = [
        Plan::new(mini::waits()).handles(&waits),
        Plan::new(mini::calls()).handles(&calls),
        Plan::new(futex),
        Plan::new(receive),
        Plan::new(mini::spins()),
    ];
    for plan in &plans {
        let child = plan.start()?;
        a_moment();
        equal(child.process.status()?.state, State::Alive as u32)?;
        child.process.kill(17)?;
        let status = child.ended()?;
        equal((status.state, status.code, status.threads), (State::Exited as u32, 17, 0))?;
        // Not even started.
        let child = plan.create()?;
        child.process.kill(18)?;
        equal(child.ended()?.code, 18)?;
    }
    // The dead waiter takes nothing: the bits are still there.
    word.signal(2)?;
    equal(word.poll()?, 2)
}

fn the_first_end_counts() -> Outcome {
    let child = Plan::new(mini::spins()).start()?;
    child.process.kill(1)?;
    let again = child.process.kill(2);
    ensure(again.is_ok() || again == Err(abi::error::Error::new(ESRCH)), "killing it again is no harm")?;
    equal(child.ended()?.code, 1)?;
    refused(child.process.kill(3), ESRCH)?;
    equal(child.process.status()?.code, 1)
}

fn a_dead_process_takes_nothing() -> Outcome {
    let child = Plan::new(mini::exits()).start()?;
    child.ended()?;
    let memory = rt::sys::Memory::create(4096)?;
    let mapped = raw(
        abi::number::SYS_MEMORY_MAP,
        [child.process.handle().0, memory.handle().0, 0x50_0000, 0, 4096, 0x4_0000],
    );
    refused(mapped, ESRCH)?;
    let thread = guest_tests::thread_in(&child.process, mini::IPC as u64, abi::thread::ThreadOptions::new(1));
    refused(thread, ESRCH)
}

fn a_process_without_threads_can_be_killed() -> Outcome {
    let process = Process::create(Quota { bytes: 64 << 10, priority: 1 })?;
    let gone = Notification::create()?;
    gone.watch_exit(&process, 1)?;
    process.kill(5)?;
    gone.wait(soon())?;
    equal(process.status()?.code, 5)
}

fn a_process_without_handles_goes_on() -> Outcome {
    let word = Notification::create()?;
    let handles = [word.handle()];
    let code = guest_tests::instructions!(
        "mov rbx, rdi",
        "2: pause",
        "cmp qword ptr [rbx + 8], 0",
        "je 2b",
        "mov rdi, [rbx]",
        "mov esi, 1",
        "mov eax, {signal}",
        "syscall",
        "xor edi, edi",
        "xor esi, esi",
        "mov eax, {kill}",
        "syscall";
        signal = const abi::number::SYS_NOTIFICATION_SIGNAL,
        kill = const SYS_PROCESS_KILL,
    );
    let child = Plan::new(code).handles(&handles).start()?;
    let mini::Mini { process, thread, data } = child;
    drop((process, thread));
    mini::set_word(&data, 1, 1);
    equal(word.wait(soon())?, 1)
}

fn a_priority_or_quota_beyond_ones_own() -> Outcome {
    let own = rt::block::current().priority();
    for priority in [PRIORITIES as u64, u64::MAX] {
        let made = raw(SYS_PROCESS_CREATE, [64 << 10, priority, 0, 0, 0, 0]);
        refused_with(made, &[abi::error::EINVAL, EPERM])?;
    }
    if usize::from(own) + 1 < PRIORITIES {
        let made = Process::create(Quota { bytes: 64 << 10, priority: own + 1 });
        refused_with(made, &[EPERM, abi::error::EINVAL])?;
    }
    for bytes in [1 << 50, u64::MAX] {
        refused(Process::create(Quota { bytes, priority: 1 }), ENOMEM)?;
    }
    Ok(())
}

fn a_process_leaves_nothing_behind() -> Outcome {
    let word = Notification::create()?;
    let handles = [word.handle()];
    let plan = Plan::new(mini::waits()).handles(&handles);
    let round = || -> Outcome {
        let child = plan.start()?;
        child.process.kill(0)?;
        child.ended()?;
        Ok(())
    };
    round()?;
    let ledger = Ledger::open()?;
    for _ in 0..20 {
        round()?;
    }
    ledger.balance()
}
