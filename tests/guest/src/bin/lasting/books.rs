//! What server, init and kernel keep, before and after.

use alloc::format;

use abi::error::Result;
use guest_tests::books::sum;
use guest_tests::failure::ensure;
use guest_tests::{Failure, Outcome, a_moment, soon};
use rt::sys::counters;

/// Everything that must be as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Books {
    /// Sources, orphans, pages of cells, notes, knotes, driver sessions, and sessions ended for lying.
    server: [u64; 7],
    /// Processes that there are and requests that wait.
    init: [u64; 2],
    /// Handles, processes, threads, endpoints, badges, notifications, watches. Not memory: heaps keep what they grew to.
    kernel: [u64; 7],
}

/// As they are when nobody has a source any more.
pub fn open() -> Outcome<Books> {
    let deadline = soon();
    while sum(|stats| stats.sources)? > 0 {
        ensure(rt::clock::now_ns() < deadline, "all sources go")?;
        a_moment();
    }
    Ok(now()?)
}

fn now() -> Result<Books> {
    let server = [
        sum(|stats| stats.sources)?,
        sum(|stats| stats.orphans)?,
        sum(|stats| stats.pages)?,
        sum(|stats| stats.notes)?,
        sum(|stats| stats.knotes)?,
        sum(|stats| stats.drivers)?,
        sum(|stats| stats.lies)?,
    ];
    let init = rt::init::counters()?;
    let kernel = counters()?;
    Ok(Books {
        server,
        init: [init.processes, init.waiting],
        kernel: [
            kernel.handles,
            kernel.processes,
            kernel.threads,
            kernel.endpoints,
            kernel.badges,
            kernel.notifications,
            kernel.watches,
        ],
    })
}

impl Books {
    /// Nothing more is kept than was, once those who ended are buried and the driver is back.
    pub fn are_balanced(&self) -> Outcome {
        let deadline = soon();
        loop {
            let now = now()?;
            let no_more = now.kernel.iter().zip(&self.kernel).all(|(now, before)| now <= before);
            if now.server == self.server && now.init == self.init && no_more {
                return Ok(());
            }
            if rt::clock::now_ns() > deadline {
                return Err(Failure::new(format!("before {self:?}, now {now:?}")));
            }
            a_moment();
        }
    }
}
