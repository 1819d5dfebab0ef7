//! The timer service: open, arm, and be told through the event server.

use crate::queue::{Queue, Schedule};
use abi::error::{EINVAL, ENOENT, Error, Result};
use abi::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use driver_sdk::{Arm, Context, Control, ControlReply, Driver, FileId, Filters, Kind, Opening};

/// All timers of all clients.
#[derive(Default)]
pub struct Timers {
    queue: Queue<FileId>,
}

impl Timers {
    /// No timers.
    pub const fn new() -> Timers {
        Timers { queue: Queue::new() }
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
        Ok(Opening { kind: Kind::Timer, filters: Filters::TIMER, shared: false, low_water: (1, 1) })
    }

    fn opened(&mut self, _: &mut Context<'_>, _: FileId) {}

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

    fn deadline(&self) -> u64 {
        self.queue.deadline()
    }

    fn expired(&mut self, context: &mut Context<'_>) {
        while let Some((file, count)) = self.queue.expire(context.now()) {
            context.post(file, count);
        }
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
