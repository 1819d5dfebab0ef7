//! Programs that hang are found and ended, so that they are started again.
//!
//! A program that is watched has a bell. When it does not listen at a look it is asked by the bell, and answers from its loop. Who
//! has been asked and neither answers nor listens at [`LOOKS`] further looks, hangs.
//!
//! A look at which better threads had its CPU is none: it is not late who has had no turn. A look counts as one whatever time has
//! passed since the one before, so that a machine that stood still has not used up a program's time.

use alloc::collections::BTreeMap;
use core::fmt;

use crate::System;

/// Status of a program that was ended because it hangs: as `timeout` has it.
pub const HUNG: i64 = 124;
/// Looks in the time that a program has.
pub const LOOKS: u32 = 8;

/// What a program is found at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// It waits for a message: its loop has come round.
    Listens,
    /// It runs, or nobody keeps it from running.
    Runs,
    /// It would run, and better threads have its CPU.
    Starves,
    /// It waits for an answer to a call of its own.
    Calls,
    /// It waits for something else.
    Waits,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doing::Listens => "it listens",
            Doing::Runs => "it runs and runs",
            Doing::Starves => "it has no turn",
            Doing::Calls => "it waits for an answer to a call",
            Doing::Waits => "it waits for something that does not come",
        })
    }
}

#[derive(Debug)]
struct Watch<H> {
    bell: H,
    /// Nanoseconds between two looks.
    period: u64,
    /// When to look next.
    due: u64,
    /// When it was asked, and looks since; none while there is nothing to worry about.
    asked: Option<(u64, u32)>,
}

/// The programs that are watched.
#[derive(Debug)]
pub struct Watchdog<H>(BTreeMap<u32, Watch<H>>);

/// A program that hangs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hung {
    /// Its process.
    pub pid: u32,
    /// For how long it has not answered, in milliseconds.
    pub silent_ms: u64,
    /// What it does instead.
    pub doing: Doing,
}

impl<H> Default for Watchdog<H> {
    fn default() -> Watchdog<H> {
        Watchdog::new()
    }
}

impl<H> Watchdog<H> {
    /// Nobody is watched.
    pub const fn new() -> Watchdog<H> {
        Watchdog(BTreeMap::new())
    }

    /// Process `pid` is watched from here on: it has so many milliseconds to answer when its bell rings.
    pub fn watch(&mut self, pid: u32, bell: H, patience_ms: u32, now: u64) {
        let period = (u64::from(patience_ms) * 1_000_000 / u64::from(LOOKS)).max(1);
        self.0.insert(pid, Watch { bell, period, due: now.saturating_add(period), asked: None });
    }

    /// Process `pid` has come round. Whether it is watched.
    pub fn answered(&mut self, pid: u32) -> bool {
        self.0.get_mut(&pid).map(|watch| watch.asked = None).is_some()
    }

    /// Process `pid` has ended.
    pub fn forget(&mut self, pid: u32) {
        self.0.remove(&pid);
    }

    /// When to [look](Watchdog::look) next.
    pub fn deadline(&self) -> Option<u64> {
        self.0.values().map(|watch| watch.due).min()
    }

    /// Looks at those whose time it is: `doing` says what a process does. One that hangs, which is watched no longer; to be called
    /// until there is none.
    pub fn look<S: System<Handle = H>>(
        &mut self,
        system: &mut S,
        mut doing: impl FnMut(&mut S, u32) -> Option<Doing>,
    ) -> Option<Hung> {
        let now = system.now();
        let mut hung = None;
        for (&pid, watch) in self.0.iter_mut().filter(|(_, watch)| watch.due <= now) {
            watch.due = now.saturating_add(watch.period);
            let Some(doing) = doing(system, pid) else { continue };
            watch.asked = match (doing, watch.asked) {
                (Doing::Listens, _) => None,
                (Doing::Starves, asked) => asked,
                (_, None) => {
                    system.signal(&watch.bell);
                    Some((now, 0))
                }
                (_, Some((since, looks))) if looks + 1 < LOOKS => Some((since, looks + 1)),
                (_, Some((since, _))) => {
                    hung = Some(Hung { pid, silent_ms: now.saturating_sub(since) / 1_000_000, doing });
                    break;
                }
            };
        }
        if let Some(Hung { pid, .. }) = hung {
            self.forget(pid);
        }
        hung
    }
}
