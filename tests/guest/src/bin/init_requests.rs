//! What init promises: names that wait for their provider and outlive it, restarts, ends of whole families, files, and
//! patience with those who talk nonsense. Runs with the manifest `supervised`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::error::{
    E2BIG, EBADMSG, EDEADLK, EDQUOT, EINVAL, ENODEV, ENOENT, ENOEXEC, EPERM, EPIPE, ESRCH, Result,
};
use abi::flag::MapFlags;
use abi::limits::FOREVER;
use abi::message::{MAX_BYTES, MAX_HANDLES};
use abi::{Message, Rights, Tag};
use guest_tests::child::{self, Role};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome, Suite, a_moment, soon};
use init_protocol::request::{LABEL, Process};
use init_protocol::status::ExitStatus;
use rt::init::{self, Spawn};
use rt::ipc::{self, Transfer};
use rt::sys::{Endpoint, Notification, Object};

const PROGRAM: &str = env!("CARGO_BIN_NAME");

const TELL_PID: u32 = 1;
const FAULT: u32 = 2;
const EXIT: u32 = 3;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    match child::role(start) {
        Some("echo") => return echo(start).err().map_or(0, |error| error.errno),
        Some("ends") => return 3,
        Some("parent") => {
            let child = Role::new(PROGRAM, "sleeps").spawn(Vec::new());
            rt::thread::sleep(u64::MAX);
            return i32::from(child.is_err());
        }
        Some("talks") => return talk(start),
        Some("pries") => return i32::from(pry(start).is_err()),
        Some(_) => {
            rt::thread::sleep(u64::MAX);
            return 1;
        }
        None => {}
    }
    let mut suite = Suite::new(start);
    suite.table(&[
        ("connect_waits_for_the_provider", connect_waits_for_the_provider),
        ("an_entry_waits_for_its_services", an_entry_waits_for_its_services),
        ("a_faulting_provider_is_restarted", a_faulting_provider_is_restarted),
        ("a_killed_provider_is_restarted", a_killed_provider_is_restarted),
        ("a_provider_that_is_not_restarted_is_enodev", a_provider_that_is_not_restarted_is_enodev),
        ("nobody_provides_this", nobody_provides_this),
        ("clients_cannot_mint_badges_of_a_service", clients_cannot_mint_badges_of_a_service),
        ("spawn_says_what_is_wrong", spawn_says_what_is_wrong),
        ("a_family_ends_together", a_family_ends_together),
        ("a_file_is_read_only", a_file_is_read_only),
        ("an_identity_cannot_be_passed_on", || identity(rt::start::start())),
        ("a_child_knows_only_its_own", a_child_knows_only_its_own),
        ("nonsense_is_answered", || nonsense(rt::start::start())),
        ("random_requests_leave_nothing", random_requests_leave_nothing),
    ]);
    suite.finish()
}

/// A provider that is slow to come, and that goes when it is told to.
fn echo(start: &rt::Start) -> Result<()> {
    rt::thread::sleep(20_000_000);
    let endpoint = Endpoint::create()?;
    init::register("echo", &endpoint)?;
    loop {
        let received = endpoint.recv(FOREVER)?;
        match received.tag.label() {
            TELL_PID => {
                let words = [0, start.pid().into(), 0, 0];
                let _ = Endpoint::reply(received.token, Message { tag: Tag::words(TELL_PID), words });
            }
            FAULT => drop(overflow(1)),
            EXIT => return Ok(()),
            _ => {}
        }
    }
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn overflow(depth: u64) -> u64 {
    let room = core::hint::black_box([depth; 64]);
    overflow(depth + 1) + room[7]
}

fn ask(endpoint: &Endpoint, label: u32) -> Result<u64> {
    endpoint.call(Message { tag: Tag::words(label), words: [0; 4] }, soon()).map(|reply| reply.words[1])
}

/// The provider's pid. init may not have heard yet that the one before has ended.
fn provider() -> Outcome<(Endpoint, u32)> {
    loop {
        let endpoint = init::connect_until("echo", soon())?;
        match ask(&endpoint, TELL_PID) {
            Ok(pid) => return Ok((endpoint, pid as u32)),
            Err(error) if error.errno == EPIPE => a_moment(),
            Err(error) => return Err(error.into()),
        }
    }
}

fn processes() -> Outcome<Vec<Process>> {
    let mut all = Vec::new();
    loop {
        let part = init::list(all.last().map_or(0, |process: &Process| process.pid))?;
        if part.is_empty() {
            return Ok(all);
        }
        all.extend(part);
    }
}

fn find(name: &str) -> Outcome<Option<Process>> {
    Ok(processes()?.into_iter().find(|process| process.name == name && process.ended.is_none()))
}

/// Waits until there is a process of this name, or none.
fn until(name: &str, there: bool) -> Outcome<u32> {
    let deadline = soon();
    loop {
        let found = find(name)?;
        if found.is_some() == there {
            return Ok(found.map_or(0, |process| process.pid));
        }
        if rt::clock::now_ns() > deadline {
            return Err(Failure::new(alloc::format!("{name} is there: {}", !there)));
        }
        a_moment();
    }
}

fn connect_waits_for_the_provider() -> Outcome {
    let (_, pid) = provider()?;
    let process = find("echo")?.ok_or(Failure::new("no echo in the list"))?;
    equal((process.pid, process.parent), (pid, 1))
}

fn an_entry_waits_for_its_services() -> Outcome {
    let late = until("late", true)?;
    let (_, echo) = provider()?;
    ensure(late > echo, "it was started after the provider")
}

fn a_faulting_provider_is_restarted() -> Outcome {
    let (endpoint, first) = provider()?;
    refused(ask(&endpoint, FAULT), EPIPE)?;
    refused(ask(&endpoint, TELL_PID), EPIPE)?;
    let (_, second) = provider()?;
    ensure(second != first, "a new process")?;
    refused(ask(&endpoint, TELL_PID), EPIPE)
}

fn a_killed_provider_is_restarted() -> Outcome {
    let (_, first) = provider()?;
    let process = init::open_process(first)?;
    let gone = Notification::create()?;
    gone.watch_exit(&process, 4)?;
    init::kill(first, 9)?;
    equal(gone.wait(soon())?, 4)?;
    equal(process.status()?.code, 9)?;
    refused(process.kill(1), EPERM)?;
    let (_, second) = provider()?;
    ensure(second != first, "a new process")
}

fn a_provider_that_is_not_restarted_is_enodev() -> Outcome {
    refused(init::connect_until("mortal", soon()), ENODEV)
}

fn nobody_provides_this() -> Outcome {
    refused(init::connect_until("nobody", soon()), ENOENT)?;
    let endpoint = Endpoint::create()?;
    refused(init::register("nobody", &endpoint), EPERM)?;
    refused(init::register("echo", &endpoint), EPERM)
}

fn clients_cannot_mint_badges_of_a_service() -> Outcome {
    let (endpoint, _) = provider()?;
    refused(endpoint.with_badge(Rights::all(), 7), EPERM)
}

fn spawn_says_what_is_wrong() -> Outcome {
    let spawn = |change: &dyn Fn(&mut Spawn)| {
        let mut spawn = Spawn {
            name: String::from("child"),
            file: alloc::format!("bin/{PROGRAM}"),
            args: vec![],
            env: vec![],
            quota: 4 << 20,
            priority: 10,
            cpus: 0,
            handles: vec![],
        };
        change(&mut spawn);
        init::spawn(spawn, vec![])
    };
    let ledger = Ledger::open()?;
    refused(spawn(&|s| s.file = "bin/nothing".into()), ENOENT)?;
    refused(spawn(&|s| s.file = "manifest".into()), ENOEXEC)?;
    refused(spawn(&|s| s.quota = 1 << 40), EDQUOT)?;
    refused(spawn(&|s| s.quota = 1), EINVAL)?;
    refused(spawn(&|s| s.priority = 63), EPERM)?;
    refused(spawn(&|s| s.handles = vec!["nothing".into()]), EINVAL)?;
    refused(spawn(&|s| s.args = vec![String::new(); 65]), E2BIG)?;
    refused(spawn(&|s| s.args = vec!["x".repeat(4000)]), E2BIG)?;
    ledger.balance()
}

fn a_family_ends_together() -> Outcome {
    let family = || -> Outcome {
        let parent = Role::new(PROGRAM, "parent").spawn(Vec::new())?;
        let grandchild = until("init_requests-sleeps", true)?;
        init::kill(parent.pid, 5)?;
        child::ends_as(&parent, ExitStatus::Exited(5))?;
        until("init_requests-sleeps", false)?;
        refused(init::wait_until(grandchild, soon()), ESRCH)
    };
    family()?;
    let ledger = Ledger::open()?;
    family()?;
    ledger.balance()
}

fn a_file_is_read_only() -> Outcome {
    let (memory, length) = init::open_file(&alloc::format!("bin/{PROGRAM}"))?;
    ensure(length > 4096, "a program is longer than a page")?;
    equal(memory.size()? as u64, length.next_multiple_of(4096))?;
    memory.map_all(MapFlags::PROT_READ)?;
    refused(memory.map_all(MapFlags::PROT_READ | MapFlags::PROT_WRITE), EPERM)?;
    refused(memory.map_all(MapFlags::PROT_READ | MapFlags::PROT_EXEC), EPERM)?;
    refused(init::open_file("bin/nothing"), ENOENT)?;
    refused(init::open_file("../bin"), ENOENT)
}

fn identity(start: &rt::Start) -> Outcome {
    let init = start.init().ok_or(Failure::new("no handle of init"))?;
    ensure(init.duplicate().is_err(), "it is not duplicated")?;
    let (echo, _) = provider()?;
    let moved = Transfer::Copy(init.handle(), Rights::all());
    let sent = ipc::call(&echo, TELL_PID, [0; 4], 0, vec![moved], soon());
    ensure(sent.is_err(), "it does not travel")?;
    refused(init::wait_until(start.pid(), soon()), EDEADLK)
}

fn a_child_knows_only_its_own() -> Outcome {
    let (_, echo) = provider()?;
    let child =
        Role::new(PROGRAM, "pries").argument(echo).argument(rt::start::start().pid()).spawn(vec![])?;
    child::ends_well(&child)
}

/// A process that asks for what is not its affair.
fn pry(start: &rt::Start) -> Outcome {
    for argument in 3..5 {
        let pid = start.arg(argument).parse().map_err(|_| Failure::new("no pid"))?;
        refused(init::kill(pid, 1), EPERM)?;
        refused(init::open_process(pid), EPERM)?;
        refused(init::wait_until(pid, soon()), EPERM)?;
    }
    equal(init::power_off(77).errno, EPERM)
}

fn nonsense(start: &rt::Start) -> Outcome {
    let init = start.init().ok_or(Failure::new("no handle of init"))?;
    let ledger = Ledger::open()?;
    ipc::with_bytes_mut(MAX_BYTES, |bytes| bytes.fill(0xff));
    for length in [0, 1, 100, MAX_BYTES] {
        refused(ipc::call(init, LABEL, [0; 4], length, vec![], soon()).map(drop), EBADMSG)?;
        ipc::with_bytes_mut(MAX_BYTES, |bytes| bytes.fill(0xff));
    }
    refused(ipc::call(init, LABEL + 1, [0; 4], 0, vec![], soon()).map(drop), EINVAL)?;
    let endpoint = Endpoint::create()?;
    let handles = || (0..MAX_HANDLES).map(|_| Transfer::copy_with(&endpoint, Rights::all())).collect();
    refused(ipc::call(init, LABEL, [0; 4], 0, handles(), soon()).map(drop), EBADMSG)?;
    drop(endpoint);
    ledger.balance()?;
    equal(init::version()?, init_protocol::VERSION)
}

fn random_requests_leave_nothing() -> Outcome {
    let round = |seed: u64| {
        let child = Role::new(PROGRAM, "talks").argument(seed).spawn(vec![])?;
        child::ends_well(&child)
    };
    round(1)?;
    let ledger = Ledger::open()?;
    (2..6).try_for_each(round)?;
    equal(init::version()?, init_protocol::VERSION)?;
    ledger.balance()
}

/// A process that means nothing by what it says.
fn talk(start: &rt::Start) -> i32 {
    let Some(init) = start.init() else { return 2 };
    let mut random = Random::new(start.arg(3).parse().unwrap_or(1));
    for _ in 0..500 {
        let length = (random.draw() % 40) as usize;
        ipc::with_bytes_mut(length, |bytes| {
            for byte in &mut *bytes {
                *byte = random.draw() as u8;
            }
            // Mostly one of the requests that there are.
            if let Some(first) = bytes.first_mut() {
                *first %= 15;
            }
        });
        let Ok(notification) = Notification::create() else { return 3 };
        let handles = (0..random.draw() % 5).map(|_| Transfer::copy(&notification)).collect();
        // A short while: some of what can be asked is answered late or never.
        let _ = ipc::call(init, LABEL, [random.draw(); 4], length, handles, rt::clock::after(200_000));
    }
    0
}
