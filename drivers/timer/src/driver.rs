//! The timer service: open, arm, and be told through the event server.

use crate::queue::{Queue, Schedule};
use abi::error::{EINVAL, ENOENT, Error, Result};
use abi::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use abi::limits::FOREVER;
use core::fmt;
use driver_sdk::{Arm, Context, Control, ControlReply, Driver, FileId, Filters, Kind, Opening};

/// Expirations told in one go.
const PASS: usize = 256;

/// All timers of all clients.
///
/// Thousands of timers with tiny periods are always due, and the driver stands above its clients in priority: after
/// each pass it rests for twice as long as that took, so that whatever is armed leaves them two thirds of the CPU.
#[derive(Default)]
pub struct Timers {
    queue: Queue<FileId>,
    rest_until: u64,
}

impl Timers {
    /// No timers.
    pub const fn new() -> Timers {
        Timers { queue: Queue::new(), rest_until: 0 }
    }

    /// Timers that run.
    pub fn running(&self) -> usize {
        self.queue.len()
    }
}

impl Driver for Timers {
    fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != "/dev/timer" {
            return Err(Error::new(ENOENT));
        }
        Ok(Opening::new(Kind::Timer, Filters::TIMER))
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.queue.disarm(file);
    }

    fn control(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        control: &Control,
    ) -> Result<ControlReply> {
        match control {
            Control::Arm(arm) => {
                let schedule = schedule(arm, context.now(), context.realtime_offset())?;
                self.queue.arm(file, schedule);
            }
            Control::Disarm => _ = self.queue.disarm(file),
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(ControlReply::Done)
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "running {}", self.running())
    }

    fn deadline(&self) -> u64 {
        match self.queue.deadline() {
            FOREVER => FOREVER,
            due => due.max(self.rest_until),
        }
    }

    fn expired(&mut self, context: &mut Context<'_>) {
        let mut told = 0;
        while told < PASS
            && let Some((file, count)) = self.queue.expire(context.now())
        {
            context.post(file, count);
            told += 1;
        }
        let end = context.clock();
        self.rest_until = end.saturating_add(2 * end.saturating_sub(context.now()));
    }
}

/// R26: negative times are EINVAL; those too far away never come; those in the past are now.
///
/// A realtime timer is bound to the monotonic clock when it is armed: the two run alike, no one sets the time.
pub fn schedule(arm: &Arm, now: u64, realtime_offset: u64) -> Result<Schedule> {
    let invalid = |_| Error::new(EINVAL);
    let first = u64::try_from(arm.first).map_err(invalid)?;
    let period = arm.period.map(u64::try_from).transpose().map_err(invalid)?;
    let realtime = match arm.clock {
        clock if clock == CLOCK_MONOTONIC as u32 => false,
        clock if clock == CLOCK_REALTIME as u32 => true,
        _ => return Err(Error::new(EINVAL)),
    };
    let first = match (arm.absolute, realtime) {
        (false, _) => now.saturating_add(first),
        (true, false) => first.max(now),
        (true, true) => first.saturating_sub(realtime_offset).max(now),
    };
    Ok(Schedule { first, period })
}
