//! The event server's own count of what it keeps.

use alloc::vec::Vec;

use crate::failure::ensure;
use crate::{Failure, Outcome, a_moment, soon};
use abi::error::{EBADMSG, Error, Result};
use event_protocol::control::{SERVICE, label, lobby};
use rt::ipc::{Arrivals, call_postcard};
use rt::sys::Endpoint;

fn ask(lobby: &Endpoint, request: &lobby::Request) -> Result<(lobby::Reply, Arrivals)> {
    call_postcard(lobby, label::LOBBY, request, Vec::new(), soon())
}

/// Has each shard answer a request.
fn each(request: &lobby::Request, mut told: impl FnMut(lobby::Reply) -> Result<()>) -> Result<()> {
    let any = rt::init::connect(SERVICE)?;
    let (mut shard, mut shards) = (0, 1);
    while shard < shards {
        let (lobby::Reply::Shard { shards: all }, mut handles) = ask(&any, &lobby::Request::Shard { shard })?
        else {
            return Err(Error::new(EBADMSG));
        };
        told(ask(&handles.object(0)?, request)?.0)?;
        (shard, shards) = (shard + 1, all);
    }
    Ok(())
}

/// One figure of all shards together.
pub fn sum(figure: fn(&lobby::Stats) -> u64) -> Result<u64> {
    let mut total = 0;
    each(&lobby::Request::Stats, |reply| {
        let lobby::Reply::Stats(stats) = reply else { return Err(Error::new(EBADMSG)) };
        total += figure(&stats);
        Ok(())
    })?;
    Ok(total)
}

/// Fails unless every shard's books are right. What is adrift may be in the middle of something: it must not be so always.
pub fn audited() -> Outcome {
    let patience = soon();
    loop {
        let mut adrift = 0;
        let mut fault = None;
        each(&lobby::Request::Audit, |reply| {
            let lobby::Reply::Audit(audit) = reply else { return Err(Error::new(EBADMSG)) };
            adrift += audit.adrift;
            fault = fault.take().or(audit.fault);
            Ok(())
        })?;
        if let Some(fault) = fault {
            return Err(Failure::new(fault));
        }
        if adrift == 0 {
            return Ok(());
        }
        ensure(rt::clock::now_ns() < patience, "nothing is adrift for good")?;
        a_moment();
    }
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
