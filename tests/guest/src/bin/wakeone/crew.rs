//! The processes that sleep, as their parent sees them.

use alloc::vec;

use abi::Rights;
use guest_tests::child::{self, Role};
use guest_tests::failure::ensure;
use guest_tests::{Failure, Outcome, soon};
use init_protocol::status::ExitStatus;
use libkq::Descriptor;
use rt::clock;
use rt::init::{self, Child};
use rt::ipc::Transfer;
use rt::sys::Notification;

use crate::PROGRAM;
use crate::ledger::Ledger;
use crate::worker::{PIPE, command};

/// The status of one that was killed.
const KILLED: i64 = 137;

/// How a process sleeps.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of its first thread.
    pub first: usize,
    /// Its threads.
    pub threads: usize,
    /// Index of [`Sharing::ALL`](crate::worker::Sharing::ALL).
    pub sharing: usize,
}

/// A process.
pub struct Sleepers {
    plan: Plan,
    child: Child,
    told: Notification,
    /// It was killed.
    dead: bool,
}

impl Sleepers {
    /// Starts it, below the caller in priority.
    pub fn start(plan: Plan, reader: &Descriptor, ledger: &Ledger, seed: u64) -> Outcome<Sleepers> {
        let told = Notification::create()?;
        let (name, file) = libkq::inheritance::give(reader.number(), PIPE)?;
        let handles = vec![
            ("ledger", Transfer::copy(ledger.memory())),
            ("told", Transfer::copy_with(&told, Rights::all())),
            (name.as_str(), file),
        ];
        let below = rt::block::current().priority() - 1;
        let role = Role::new(PROGRAM, "worker").priority(below).quota(8 << 20);
        let role = role.argument(plan.first).argument(plan.threads).argument(plan.sharing);
        let child = role.argument(seed >> 1).spawn(handles)?;
        Ok(Sleepers { plan, child, told, dead: false })
    }

    /// Kills it.
    pub fn kill(&mut self) -> Outcome {
        self.dead = true;
        Ok(init::kill(self.child.pid, KILLED)?)
    }

    /// Has it kill one of its threads.
    pub fn kill_one(&self) -> Outcome {
        Ok(self.told.signal(command::KILL)?)
    }

    /// Everything is as before the kills. How many records the dead may have taken with them.
    pub fn restore(&mut self, reader: &Descriptor, ledger: &Ledger, seed: u64) -> Outcome<u64> {
        if !self.dead {
            self.told.signal(command::RESTORE)?;
            return Ok(0);
        }
        let ended = init::wait_until(self.child.pid, soon())?;
        ensure(ended == ExitStatus::Exited(KILLED), "it was killed, and has not failed")?;
        let slots = self.plan.first..self.plan.first + self.plan.threads;
        let gone = slots.filter(|&slot| ledger.bury(slot)).count();
        *self = Sleepers::start(self.plan, reader, ledger, seed)?;
        Ok(gone as u64)
    }

    /// The pipe has ended, and so does it.
    pub fn end(self) -> Outcome {
        self.told.signal(command::END)?;
        child::ends_well(&self.child)
    }
}

/// Waits until something is so, which others have to bring about.
pub fn until(what: &'static str, mut so: impl FnMut() -> Outcome<bool>) -> Outcome {
    let deadline = soon();
    while !so()? {
        if clock::now_ns() > deadline {
            return Err(Failure::new(what));
        }
        rt::thread::sleep(30_000);
    }
    Ok(())
}
