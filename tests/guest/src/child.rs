//! Programs started through init.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::error::Result;
use init_protocol::status::ExitStatus;
use rt::Start;
use rt::init::{self, Child, Spawn};
use rt::ipc::Transfer;

use crate::{Failure, Outcome, PATIENCE};

/// First argument of a program that shall play a part for another one of the same file.
pub const ROLE: &str = "role";

/// The part that this process shall play, if it is not the one that was started at boot.
pub fn role(start: &Start) -> Option<&str> {
    (start.arg(1) == ROLE).then(|| start.arg(2))
}

/// Plays the part, if there is one: the status with which the process ends.
pub fn played(start: &Start, play: impl FnOnce(&str) -> Outcome) -> Option<i32> {
    let role = role(start)?;
    Some(status(role, play(role)))
}

/// The status of a part that has been played: 0, or 1 when it failed, which the log is told.
pub fn status(part: &str, played: Outcome) -> i32 {
    match played {
        Ok(()) => 0,
        Err(failure) => {
            rt::log!("{part}: {failure}");
            1
        }
    }
}

/// How to start the program's own file again.
#[derive(Clone, Debug)]
pub struct Role {
    program: &'static str,
    /// The part.
    pub name: &'static str,
    /// More arguments.
    pub arguments: Vec<String>,
    /// Bytes.
    pub quota: u64,
    /// Highest priority.
    pub priority: u8,
    /// CPUs of its first thread, 0 for all.
    pub cpus: u64,
}

impl Role {
    /// A part in a program (`env!("CARGO_BIN_NAME")`) with a quota of 4 MiB and the caller's priority.
    pub fn new(program: &'static str, name: &'static str) -> Role {
        Role {
            program,
            name,
            arguments: Vec::new(),
            quota: 4 << 20,
            priority: rt::block::current().priority(),
            cpus: 0,
        }
    }

    /// One more argument.
    pub fn argument(mut self, value: impl ToString) -> Role {
        self.arguments.push(value.to_string());
        self
    }

    /// Another quota.
    pub fn quota(mut self, bytes: u64) -> Role {
        self.quota = bytes;
        self
    }

    /// Another priority.
    pub fn priority(mut self, priority: u8) -> Role {
        self.priority = priority;
        self
    }

    /// These CPUs only.
    pub fn on(mut self, cpus: u64) -> Role {
        self.cpus = cpus;
        self
    }

    /// Starts it with handles that it finds under their names.
    pub fn spawn(&self, handles: Vec<(&str, Transfer)>) -> Result<Child> {
        let mut args = Vec::from([String::from(ROLE), String::from(self.name)]);
        args.extend(self.arguments.iter().cloned());
        let names = handles.iter().map(|(name, _)| String::from(*name)).collect();
        let spawn = Spawn {
            name: format!("{}-{}", self.program, self.name),
            file: format!("bin/{}", self.program),
            args,
            env: Vec::new(),
            quota: self.quota,
            priority: self.priority,
            cpus: self.cpus,
            handles: names,
        };
        init::spawn(spawn, handles.into_iter().map(|(_, transfer)| transfer).collect())
    }
}

/// Fails unless the child ends with status 0 in time.
#[track_caller]
pub fn ends_well(child: &Child) -> Outcome {
    ends_as(child, ExitStatus::Exited(0))
}

/// Fails unless the child ends like this in time. It may do a lot before.
#[track_caller]
pub fn ends_as(child: &Child, expected: ExitStatus) -> Outcome {
    let caller = core::panic::Location::caller();
    match init::wait_until(child.pid, rt::clock::after(5 * PATIENCE)) {
        Ok(status) if status == expected => Ok(()),
        Ok(status) => {
            Err(Failure::new(format!("line {}: a child {status}, expected: {expected}", caller.line())))
        }
        Err(error) => Err(Failure::new(format!("line {}: waiting for a child: {error}", caller.line()))),
    }
}
