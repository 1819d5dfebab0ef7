//! Programs that use up all they can get of everything; the others do not feel it, and all of it comes back.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EAGAIN, EDQUOT, EMFILE, ENOMEM, Error};
use abi::limits::FOREVER;
use guest_tests::child::{self, Role};
use guest_tests::failure::ensure;
use guest_tests::ledger::Ledger;
use guest_tests::shared::Shared;
use guest_tests::witness::Witnesses;
use guest_tests::{Outcome, Suite, soon};
use init_protocol::status::ExitStatus;
use rt::ipc::Transfer;
use rt::sys::{Endpoint, Memory, Notification, Object};
use rt::{clock, init, thread};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Exit status of a program whose heap is at its end.
const OUT_OF_HEAP: i64 = rt::PANIC_STATUS;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(role) = child::role(start) {
        return glutton(role, start);
    }
    let mut suite = Suite::new(start);
    suite.table(&[
        ("each_kind_of_glutton_is_stopped", each_kind_of_glutton_is_stopped),
        ("gluttons_side_by_side_do_no_harm", gluttons_side_by_side_do_no_harm),
        ("a_heap_that_is_used_up_is_a_clear_end", a_heap_that_is_used_up_is_a_clear_end),
        ("a_process_bomb_is_stopped", a_process_bomb_is_stopped),
    ]);
    suite.finish()
}

const KINDS: [&str; 7] = ["memory", "endpoints", "notifications", "badges", "handles", "threads", "mappings"];

/// Takes until it is refused, says so in the shared page, and keeps what it has.
fn glutton(role: &str, start: &rt::Start) -> i32 {
    if role == "heap" {
        let mut blocks = Vec::new();
        loop {
            blocks.push(vec![1u8; 10_000]);
        }
    }
    let told = start.object::<Memory>("told").and_then(|memory| Shared::open(memory).ok());
    let (Some(told), Ok(word), Ok(endpoint), Ok(memory)) =
        (told, Notification::create(), Endpoint::create(), Memory::create(4096))
    else {
        return 3;
    };
    if role == "bomb" {
        return bomb(&told);
    }
    let mut taken = 0;
    let refusal = loop {
        // What is made is never closed: only its number counts.
        let made = match role {
            "memory" => Memory::create(16 << 10).map(core::mem::forget),
            "endpoints" => Endpoint::create().map(core::mem::forget),
            "notifications" => Notification::create().map(core::mem::forget),
            "badges" => endpoint.with_badge(Rights::all(), taken + 1).map(core::mem::forget),
            "handles" => word.duplicate().map(core::mem::forget),
            "threads" => thread::spawn(|| thread::sleep(u64::MAX)).map(core::mem::forget),
            _ => memory.map_all(abi::flag::MapFlags::PROT_READ).map(core::mem::forget),
        };
        match made {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    told.set(0, taken);
    told.set(1, refusal.errno as u64);
    let _ = word.wait(FOREVER);
    4
}

/// Starts two more of its kind, each of which does the same, until that is refused.
fn bomb(told: &Shared) -> i32 {
    for _ in 0..2 {
        // The dead make room: without this, it would be filled again for ever.
        if told.get(1) != 0 {
            return 0;
        }
        let role = Role::new(PROGRAM, "bomb").quota(1 << 20);
        match role.spawn(vec![("told", Transfer::copy(told.memory()))]) {
            Ok(child) => drop(child),
            Err(error) => {
                told.set(1, error.errno as u64);
                return 0;
            }
        }
    }
    // Its descendants live, so that they add up.
    while told.get(1) == 0 {
        thread::sleep(1_000_000);
    }
    0
}

struct Glutton {
    told: Shared,
    child: init::Child,
}

fn start(kind: &'static str, cpu: usize) -> Outcome<Glutton> {
    let told = Shared::create()?;
    let own = rt::block::current().priority();
    let role = Role::new(PROGRAM, kind).quota(3 << 20).priority(own - 1).on(1 << (cpu % clock::cpu_count()));
    let child = role.spawn(vec![("told", Transfer::copy(told.memory()))])?;
    Ok(Glutton { told, child })
}

impl Glutton {
    fn stopped(self) -> Outcome {
        let deadline = soon();
        while self.told.get(1) == 0 {
            ensure(clock::now_ns() < deadline, "it is refused at last")?;
            thread::sleep(500_000);
        }
        ensure(self.told.get(0) > 0, "it got something")?;
        let errno = self.told.get(1) as i32;
        ensure([ENOMEM, EMFILE, EAGAIN].contains(&errno), "it is refused for want of quota")?;
        let status = self.child.process.status()?;
        ensure(status.quota_used <= status.quota_limit, "the quota holds")?;
        init::kill(self.child.pid, 6)?;
        child::ends_as(&self.child, ExitStatus::Exited(6))
    }
}

fn each_kind_of_glutton_is_stopped() -> Outcome {
    let each = || {
        KINDS.into_iter().try_for_each(|kind| {
            let stopped = start(kind, 0).and_then(Glutton::stopped);
            stopped.map_err(|failure| guest_tests::Failure::new(alloc::format!("{kind}: {failure}")))
        })
    };
    each()?;
    let ledger = Ledger::open()?;
    each()?;
    ledger.balance()
}

fn gluttons_side_by_side_do_no_harm() -> Outcome {
    let round = || -> Outcome {
        let gluttons =
            KINDS.iter().enumerate().map(|(cpu, kind)| start(kind, cpu)).collect::<Outcome<Vec<_>>>()?;
        gluttons.into_iter().try_for_each(Glutton::stopped)
    };
    round()?;
    let ledger = Ledger::open()?;
    let witnesses = Witnesses::start()?;
    let result = (0..3).try_for_each(|_| round());
    let rounds = witnesses.finish()?;
    result?;
    ensure(rounds > 0, "the witnesses went on")?;
    ledger.balance()
}

fn a_heap_that_is_used_up_is_a_clear_end() -> Outcome {
    let child = Role::new(PROGRAM, "heap").quota(2 << 20).spawn(Vec::new())?;
    child::ends_as(&child, ExitStatus::Exited(OUT_OF_HEAP))
}

fn a_process_bomb_is_stopped() -> Outcome {
    let explode = || -> Outcome {
        let told = Shared::create()?;
        let role = Role::new(PROGRAM, "bomb").quota(1 << 20);
        let first = role.spawn(vec![("told", Transfer::copy(told.memory()))])?;
        let deadline = soon();
        while told.get(1) == 0 {
            ensure(clock::now_ns() < deadline, "init says no at last")?;
            thread::sleep(1_000_000);
        }
        let errno = told.get(1) as i32;
        ensure([EDQUOT, ENOMEM, EAGAIN].contains(&errno), "it is refused for want of quota")?;
        // init still answers.
        rt::init::version()?;
        child::ends_well(&first)?;
        while bombs_alive()? {
            ensure(clock::now_ns() < deadline, "all of them end")?;
            thread::sleep(1_000_000);
        }
        Ok(())
    };
    explode()?;
    let ledger = Ledger::open()?;
    let witnesses = Witnesses::start()?;
    let result = explode();
    witnesses.finish()?;
    result?;
    let gone = Role::new(PROGRAM, "bomb").quota(u64::MAX >> 1).spawn(Vec::new());
    ensure(
        gone.is_err_and(|error| [Error::new(EDQUOT), Error::new(ENOMEM)].contains(&error)),
        "a quota beyond all bounds is refused",
    )?;
    ledger.balance()
}

/// Whether the process table has a living bomb.
fn bombs_alive() -> Outcome<bool> {
    let mut after = 0;
    loop {
        let processes = init::list(after)?;
        let Some(last) = processes.last() else { return Ok(false) };
        if processes.iter().any(|process| process.ended.is_none() && process.name.contains("bomb")) {
            return Ok(true);
        }
        after = last.pid;
    }
}
