//! The event server's own count of what it keeps.

use alloc::vec::Vec;

use crate::{a_moment, soon};
use abi::error::{EBADMSG, Error, Result};
use event_protocol::control::{SERVICE, label, lobby};
use rt::ipc::{Arrivals, call_postcard};
use rt::sys::Endpoint;

fn ask(lobby: &Endpoint, request: &lobby::Request) -> Result<(lobby::Reply, Arrivals)> {
    call_postcard(lobby, label::LOBBY, request, Vec::new(), soon())
}

/// One figure of all shards together.
pub fn sum(figure: fn(&lobby::Stats) -> u64) -> Result<u64> {
    let any = rt::init::connect(SERVICE)?;
    let (mut total, mut shard, mut shards) = (0, 0, 1);
    while shard < shards {
        let (lobby::Reply::Shard { shards: all }, mut handles) = ask(&any, &lobby::Request::Shard { shard })?
        else {
            return Err(Error::new(EBADMSG));
        };
        let lobby::Reply::Stats(stats) = ask(&handles.object(0)?, &lobby::Request::Stats)?.0 else {
            return Err(Error::new(EBADMSG));
        };
        total += figure(&stats);
        (shard, shards) = (shard + 1, all);
    }
    Ok(total)
}

/// Notes that it keeps.
pub fn notes() -> Result<u64> {
    sum(|stats| stats.notes)
}

/// The same when those of processes that have ended are gone.
pub fn settled() -> Result<u64> {
    let (mut before, mut now) = (u64::MAX, notes()?);
    while now != before {
        a_moment();
        (before, now) = (now, notes()?);
    }
    Ok(now)
}
