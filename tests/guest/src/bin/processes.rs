//! Processes on the machine: starting, waiting, watching. Runs with the manifest `processes`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::error::{ECHILD, EPERM, ESRCH};
use guest_tests::failure::{equal, refused};
use guest_tests::{Failure, Outcome, Suite, child};
use libkq::process_calls::{Child, Command, WaitFlags, WaitStatus, exit, getpid, getppid, kill, waitpid};

const PROGRAM: &str = concat!("bin/", env!("CARGO_BIN_NAME"));

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(role) = child::role(start) {
        return play(role, start.arg(3)).map_or(99, |()| 0);
    }
    let mut suite = Suite::new(start);
    suite.table(&[
        ("a_child_knows_who_it_is", a_child_knows_who_it_is),
        ("every_end_is_told_once", every_end_is_told_once),
        ("families_are_apart", families_are_apart),
    ]);
    suite.finish()
}

fn play(role: &str, argument: &str) -> Outcome {
    match role {
        "sleeps" => rt::thread::sleep(u64::MAX),
        "ends" => exit(argument.parse().unwrap_or(98)),
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
