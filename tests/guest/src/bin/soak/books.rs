//! The books of the event server and the kernel.

use alloc::format;
use alloc::vec::Vec;

use abi::error::Result;
use abi::error::{EBADMSG, Error};
use event_protocol::control::{SERVICE, label, lobby};
use guest_tests::{Failure, Outcome, a_moment, soon};
use rt::clock;
use rt::ipc::call_postcard;
use rt::sys::counters;

/// Sets that libkq keeps for threads that may poll again, though they have no notes.
const KEPT: u64 = 32;

/// What lives in all shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Living {
    pub clients: u64,
    pub sources: u64,
    pub knotes: u64,
    pub notes: u64,
    pub queues: u64,
    pub lies: u64,
}

/// What lives now.
pub fn living() -> Result<Living> {
    let lobby = rt::init::connect(SERVICE)?;
    let ask = |request| call_postcard(&lobby, label::LOBBY, &request, Vec::new(), soon());
    let (lobby::Reply::Shard { shards }, _) = ask(lobby::Request::Shard { shard: 0 })? else {
        return Err(Error::new(EBADMSG));
    };
    let mut sum = Living::default();
    for shard in 0..shards {
        let (_, mut handles) = ask(lobby::Request::Shard { shard })?;
        let own = handles.object(0)?;
        let reply = call_postcard(&own, label::LOBBY, &lobby::Request::Stats, Vec::new(), soon())?;
        let (lobby::Reply::Stats(stats), _) = reply else { return Err(Error::new(EBADMSG)) };
        sum.clients += stats.clients;
        sum.sources += stats.sources;
        sum.knotes += stats.knotes;
        sum.notes += stats.notes;
        sum.queues += stats.queues;
        sum.lies += stats.lies;
    }
    Ok(sum)
}

/// The program itself has closed everything, and lives: no note, no source, no set but those that poll keeps.
pub fn are_balanced(before: Living) -> Outcome {
    settled(
        |now| {
            let sets = now.queues - before.queues;
            (now.sources, now.knotes, now.notes, now.lies)
                == (before.sources, before.knotes, before.notes, before.lies)
                && sets <= KEPT * shards(now, before).max(1)
        },
        before,
    )
}

/// A session is counted by each shard that knows it.
fn shards(now: Living, before: Living) -> u64 {
    now.clients.saturating_sub(before.clients)
}

/// Everything is as it was.
pub fn are_equal(before: Living) -> Outcome {
    settled(|now| now == before, before)
}

/// The server hears of ends when it comes to it.
fn settled(so: impl Fn(Living) -> bool, before: Living) -> Outcome {
    let deadline = soon();
    loop {
        let now = living()?;
        if so(now) {
            return Ok(());
        }
        if clock::now_ns() > deadline {
            return Err(Failure::new(format!("the server keeps {now:?}, before it was {before:?}")));
        }
        a_moment();
    }
}

/// Objects of the kernel that programs made. Not memory: heaps keep what they grew to.
pub fn objects() -> Result<[u64; 7]> {
    let now = counters()?;
    Ok([now.handles, now.processes, now.threads, now.endpoints, now.badges, now.notifications, now.watches])
}

/// There are no more than before. The kernel may clean up behind a death for a while.
pub fn nothing_more(before: [u64; 7]) -> Outcome {
    let deadline = soon();
    loop {
        let now = objects()?;
        if now.iter().zip(&before).all(|(now, before)| now <= before) {
            return Ok(());
        }
        if clock::now_ns() > deadline {
            let what = "handles, processes, threads, endpoints, badges, notifications, watches";
            return Err(Failure::new(format!("{what}: {before:?} before, {now:?} now")));
        }
        a_moment();
    }
}
