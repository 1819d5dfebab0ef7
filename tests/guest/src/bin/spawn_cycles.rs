//! Processes come and go a thousand times and leave nothing behind.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::ESRCH;
use guest_tests::child::{self, Role};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::{Outcome, Suite, soon};
use init_protocol::status::ExitStatus;
use rt::init;
use rt::ipc::Transfer;
use rt::sys::{Endpoint, Object};

const PROGRAM: &str = env!("CARGO_BIN_NAME");

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    match child::role(start) {
        Some("exits") => return start.arg(3).parse().unwrap_or(-1),
        Some("threads") => {
            let threads: Vec<_> = (0..5).map(|i| rt::thread::spawn(move || i)).collect();
            let sum: i32 = threads.into_iter().flatten().filter_map(|thread| thread.join().ok()).sum();
            return sum - 10;
        }
        Some("sleeps") => {
            rt::thread::sleep(u64::MAX);
            return 1;
        }
        Some("panics") => {
            let nothing: Option<i32> = start.arg(99).parse().ok();
            return nothing.expect("this panic is wanted");
        }
        Some("faults") => {
            overflow(start.pid().into());
            return 1;
        }
        Some(_) => return 2,
        None => {}
    }
    let mut suite = Suite::new(start);
    suite.table(&[
        ("an_exit_status_arrives", an_exit_status_arrives),
        ("a_panic_is_status_101", a_panic_is_status_101),
        ("a_stack_overflow_is_a_fault", a_stack_overflow_is_a_fault),
        ("a_killed_child_has_the_killers_status", a_killed_child_has_the_killers_status),
        ("a_status_is_told_once", a_status_is_told_once),
        ("a_childs_handles_close_with_it", a_childs_handles_close_with_it),
        ("a_thousand_children_leave_nothing", a_thousand_children_leave_nothing),
        ("children_side_by_side_leave_nothing", children_side_by_side_leave_nothing),
    ]);
    suite.finish()
}

/// Uses up the stack.
#[inline(never)]
#[allow(unconditional_recursion)]
fn overflow(depth: u64) -> u64 {
    let room = core::hint::black_box([depth; 64]);
    overflow(depth + 1) + room[7]
}

fn an_exit_status_arrives() -> Outcome {
    for status in [0, 1, 7, 255, -1] {
        let child = Role::new(PROGRAM, "exits").argument(status).spawn(Vec::new())?;
        child::ends_as(&child, ExitStatus::Exited(status))?;
    }
    Ok(())
}

fn a_panic_is_status_101() -> Outcome {
    let child = Role::new(PROGRAM, "panics").spawn(Vec::new())?;
    child::ends_as(&child, ExitStatus::Exited(rt::PANIC_STATUS))
}

fn a_stack_overflow_is_a_fault() -> Outcome {
    let child = Role::new(PROGRAM, "faults").spawn(Vec::new())?;
    let status = init::wait_until(child.pid, soon())?;
    ensure(matches!(status, ExitStatus::Faulted { vector: 14, .. }), "a page fault")
}

fn a_killed_child_has_the_killers_status() -> Outcome {
    let child = Role::new(PROGRAM, "sleeps").spawn(Vec::new())?;
    init::kill(child.pid, 33)?;
    child::ends_as(&child, ExitStatus::Exited(33))
}

fn a_status_is_told_once() -> Outcome {
    let child = Role::new(PROGRAM, "exits").argument(3).spawn(Vec::new())?;
    child::ends_as(&child, ExitStatus::Exited(3))?;
    refused(init::wait_until(child.pid, soon()), ESRCH)?;
    refused(init::kill(child.pid, 1), ESRCH)
}

fn a_childs_handles_close_with_it() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 61)?;
    let child = Role::new(PROGRAM, "exits").argument(0).spawn(vec![("it", Transfer::moved(client))])?;
    child::ends_well(&child)?;
    equal(endpoint.recv(soon())?.closed(), Some(61))
}

fn one(round: u64) -> Outcome {
    let (role, expected) = match round % 4 {
        0 => (Role::new(PROGRAM, "exits").argument(round), round as i64),
        1 => (Role::new(PROGRAM, "threads"), 0),
        2 => (Role::new(PROGRAM, "sleeps"), 44),
        _ => (Role::new(PROGRAM, "exits").argument(0), 0),
    };
    let child = role.spawn(Vec::new())?;
    if round % 4 == 2 {
        init::kill(child.pid, 44)?;
    }
    child::ends_as(&child, ExitStatus::Exited(expected))
}

fn a_thousand_children_leave_nothing() -> Outcome {
    // Tables and heaps, init's among them, grow to their size.
    (0..40).try_for_each(one)?;
    let ledger = Ledger::open()?;
    (0..1000).try_for_each(one)?;
    ledger.balance()
}

fn children_side_by_side_leave_nothing() -> Outcome {
    let round = || -> Outcome {
        let children = (0..10)
            .map(|i| Role::new(PROGRAM, "exits").argument(i).spawn(Vec::new()))
            .collect::<abi::error::Result<Vec<_>>>()?;
        for (child, status) in children.iter().zip(0..) {
            child::ends_as(child, ExitStatus::Exited(status))?;
        }
        Ok(())
    };
    (0..3).try_for_each(|_| round())?;
    let ledger = Ledger::open()?;
    (0..10).try_for_each(|_| round())?;
    ledger.balance()
}
