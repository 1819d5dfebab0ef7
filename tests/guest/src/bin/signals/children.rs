//! Children that play a part, and their parent's ways to them.

use core::sync::atomic::Ordering;
use core::time::Duration;

use abi::error::EINTR;
use guest_tests::failure::{equal, refused};
use guest_tests::{Outcome, PATIENCE, a_moment, child};
use libkq::process_calls::{Child, Command, WaitStatus, exit, getppid, kill};
use libkq::signal::{Action, ActionFlags, How, SIGPIPE, raise, sigaction, sigmask, sigpending, sleep};

use crate::handler::{CAUGHT, catch, caught, only};
use crate::{PROGRAM, TERM, USR1, USR2};

/// An operator that ends the process service when a process called `bomb` is there.
pub fn sabotage() -> Outcome {
    loop {
        let (mut bomb, mut service, mut after) = (false, None, 0);
        loop {
            let lines = rt::init::list(after)?;
            let Some(last) = lines.last() else { break };
            after = last.pid;
            bomb |= lines.iter().any(|line| line.name == "bomb");
            service = lines.iter().find(|line| line.name == "process").map(|line| line.pid).or(service);
        }
        if bomb && let Some(service) = service {
            return Ok(rt::init::kill(service, 3)?);
        }
        rt::thread::sleep(5_000_000);
    }
}

/// Children that play a part.
pub fn play(role: &str, argument: &str) -> Outcome {
    let parent = getppid()?;
    match role {
        "sleeps" => rt::thread::sleep(u64::MAX),
        "ends" => exit(argument.parse().unwrap_or(98)),
        "signals" => {
            // One signal, or so many, to its parent.
            for _ in 0..argument.parse().unwrap_or(1_u32) {
                kill(parent, USR1)?;
            }
        }
        "signals-later" => {
            a_moment();
            kill(parent, USR1)?;
        }
        "catches" => {
            sigaction(TERM, Some(Action::handler(catch)))?;
            kill(parent, USR1)?;
            while CAUGHT.load(Ordering::SeqCst) == 0 {
                refused(sleep(Duration::from_nanos(PATIENCE)), EINTR)?;
            }
            exit(7);
        }
        "blocks" => {
            sigmask(Some((How::Block, only(TERM))))?;
            kill(parent, USR1)?;
            while !sigpending().contains(TERM as u32) {
                rt::thread::sleep(1_000_000);
            }
            sigaction(USR2, Some(Action::handler(catch)))?;
            kill(parent, USR1)?;
            // Until its parent has seen that it lives on.
            said(1)?;
            sigmask(Some((How::Unblock, only(TERM))))?;
            exit(8);
        }
        "ignores" => {
            sigaction(TERM, Some(Action::ignore()))?;
            kill(parent, USR1)?;
            rt::thread::sleep(u64::MAX);
        }
        "breaks" => {
            if argument == "caught" {
                sigaction(i32::from(SIGPIPE), Some(Action::handler(catch)))?;
            }
            libkq::signal::broken_pipe();
            exit(CAUGHT.load(Ordering::SeqCst) as i32);
        }
        "resets" => {
            sigaction(USR2, Some(Action::handler(catch).with(ActionFlags::RESETHAND)))?;
            raise(USR2)?;
            equal(caught(), 1)?;
            raise(USR2)?;
            exit(1);
        }
        _ => exit(97),
    }
    Ok(())
}

pub fn start(role: &str, argument: &str) -> Outcome<Child> {
    let command = Command::new(PROGRAM).argument(child::ROLE).argument(role).argument(argument);
    Ok(command.quota(4 << 20).spawn()?)
}

/// Waits for the end of a child, whatever interrupts.
pub fn wait(child: &Child) -> Outcome<WaitStatus> {
    loop {
        match child.wait() {
            Err(error) if error.errno == EINTR => {}
            ended => return Ok(ended?),
        }
    }
}

/// Waits until the other side has said that it is ready, by a signal.
pub fn said(times: u32) -> Outcome {
    while CAUGHT.load(Ordering::SeqCst) < times {
        refused(sleep(Duration::from_nanos(PATIENCE)), EINTR)?;
    }
    Ok(())
}
