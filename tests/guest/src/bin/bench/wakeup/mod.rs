//! What it costs that one event wakes one of many, or all of them.
//!
//! A row is a *crew* of W sleepers, on one CPU after the other, and a policy: `processes` have a thread and a queue each,
//! `threads` are those of one process with a queue each, and `queue` threads that share one. Their notes have `EV_CLEAR`,
//! and, but in the rows `plain`, `EV_WAKEONE`. The publisher (`publisher.rs`), below them in priority and on the first CPU,
//! lets one event after another arrive, each when all sleep. Who is woken tries to take what came, as from a listening
//! socket: one does.
//!
//! For each row, figures `wakeup_CREW_POLICY_W`: instructions from the event until all sleep again, on one CPU; on more of
//! them until the event is taken. `.wakes` is the event server's count, `.switches`, `.entries` and `.ipis` the kernel's
//! for all CPUs, each for one event; `.top` is the share of the sleeper that took most.

mod publisher;
mod row;
mod sleepers;

use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::message::{Message, Tag};
use guest_tests::child::{self, Role};
use guest_tests::shared::Shared;
use guest_tests::{Outcome, soon};
use rt::init::Child;
use rt::ipc::Transfer;
use rt::sys::{Endpoint, Notification, Object};

use crate::PROGRAM;
use crate::kernel::meet;
pub use publisher::{Counts, publisher};
use row::Row;
pub use row::{Crew, Policy, WIDEST};
pub use sleepers::sleepers;

/// Numbers of sleepers.
const WIDTHS: [u64; 6] = [1, 2, 4, 8, 16, WIDEST as u64];

/// Measures the rows whose name contains the filter.
pub fn all(filter: &str) -> Outcome {
    let mut stand = None;
    for crew in Crew::ALL {
        for width in WIDTHS {
            let rows: Vec<Row> = Policy::of(crew)
                .map(|policy| Row { crew, policy, width })
                .filter(|row| row.name().contains(filter))
                .collect();
            if !rows.is_empty() {
                let stand = match &stand {
                    Some(stand) => stand,
                    None => stand.insert(Stand::build()?),
                };
                stand.measure(crew, width, &rows)?;
            }
        }
    }
    stand.map_or(Ok(()), Stand::end)
}

/// The publisher's process, and what all share.
struct Stand {
    child: Child,
    publisher: Endpoint,
    shared: Shared,
}

impl Stand {
    fn build() -> Outcome<Stand> {
        let (meeting, shared) = (Endpoint::create()?, Shared::create()?);
        let handles = vec![
            ("meeting", Transfer::moved(meeting.with_badge(Rights::all(), 1)?)),
            ("shared", Transfer::copy(shared.memory())),
        ];
        let below = rt::block::current().priority() - 1;
        let child = Role::new(PROGRAM, "publisher").on(1).priority(below).spawn(handles)?;
        Ok(Stand { child, publisher: meet(&meeting)?, shared })
    }

    /// Rows of one crew of one size.
    fn measure(&self, crew: Crew, width: u64, rows: &[Row]) -> Outcome {
        let cpus = rt::clock::cpu_count() as u64;
        // Of each sleeper that is a process one, and of all that are threads one.
        let processes = match crew {
            Crew::Processes => width,
            Crew::Threads | Crew::Queue => 1,
        };
        let members: Vec<(Child, Notification, Notification)> = (0..processes)
            .map(|me| {
                let (go, done) = (Notification::create()?, Notification::create()?);
                let handles = vec![
                    ("publisher", Transfer::copy(&self.publisher)),
                    ("shared", Transfer::copy(self.shared.memory())),
                    ("go", Transfer::copy(&go)),
                    ("done", Transfer::copy(&done)),
                ];
                let (role, quota) = match crew {
                    Crew::Processes => (Role::new(PROGRAM, "sleepers").on(1 << (me % cpus)), 2 << 20),
                    Crew::Threads | Crew::Queue => (Role::new(PROGRAM, "sleepers"), 24 << 20),
                };
                let child = role.quota(quota).argument(me).spawn(handles)?;
                // It has opened the file.
                done.wait(soon())?;
                Ok((child, go, done))
            })
            .collect::<Outcome<_>>()?;
        for row in rows {
            row.store(&self.shared);
            for (_, go, _) in &members {
                go.signal(1)?;
            }
            self.call(publisher::ROW)?;
            for (_, _, done) in &members {
                done.wait(soon())?;
            }
            self.call(publisher::LOWER)?;
        }
        Row::none(&self.shared);
        for (child, go, _) in &members {
            go.signal(1)?;
            child::ends_well(child)?;
        }
        Ok(())
    }

    fn call(&self, label: u32) -> Outcome {
        let message = Message { tag: Tag::words(label), words: [0; 4] };
        self.publisher.call(message, soon())?;
        Ok(())
    }

    fn end(self) -> Outcome {
        self.call(publisher::END)?;
        child::ends_well(&self.child)
    }
}
