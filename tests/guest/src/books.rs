//! What server, init and kernel keep, by their own count.

use alloc::format;
use alloc::vec::Vec;

use crate::failure::ensure;
use crate::{Failure, Outcome, a_moment, soon};
use abi::error::{EAGAIN, EBADMSG, Error, Result};
use event_protocol::control::{SERVICE, label, lobby};
use rt::ipc::{Arrivals, call_postcard};
use rt::sys::{Endpoint, counters};

fn ask(lobby: &Endpoint, request: &lobby::Request) -> Result<(lobby::Reply, Arrivals)> {
    let patience = soon();
    loop {
        match call_postcard(lobby, label::LOBBY, request, Vec::new(), patience) {
            // Audits have a part of a shard's time only.
            Err(error) if error.errno == EAGAIN && rt::clock::now_ns() < patience => a_moment(),
            answer => return answer,
        }
    }
}

/// Has each shard answer a request. Each has heard by then of what its drivers rang for before.
fn ask_each(request: &lobby::Request, mut told: impl FnMut(lobby::Reply) -> Result<()>) -> Result<()> {
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

/// Shows the figures of each shard.
pub fn each(mut look: impl FnMut(&lobby::Stats)) -> Result<()> {
    ask_each(&lobby::Request::Stats, |reply| {
        let lobby::Reply::Stats(stats) = reply else { return Err(Error::new(EBADMSG)) };
        look(&stats);
        Ok(())
    })
}

/// One figure of all shards together.
pub fn sum(figure: fn(&lobby::Stats) -> u64) -> Result<u64> {
    let mut total = 0;
    each(|stats| total += figure(stats)).map(|()| total)
}

/// Fails unless every shard's books are right. What is adrift may be in the middle of something: it must not be so always.
pub fn audited() -> Outcome {
    let patience = soon();
    loop {
        let mut adrift = 0;
        let mut fault = None;
        ask_each(&lobby::Request::Audit, |reply| {
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

/// Everything that must be as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Books {
    /// Sources, orphans, pages of cells, notes, knotes, queues, sessions of clients and of drivers.
    server: [u64; 8],
    /// Sessions ended for lying.
    lies: u64,
    /// Processes that there are and requests that wait.
    init: [u64; 2],
    /// Handles, processes, threads, endpoints, badges, notifications, watches. Not memory: heaps keep what they grew to.
    kernel: [u64; 7],
}

/// As they are when nobody has a source any more.
pub fn open() -> Outcome<Books> {
    open_beside(0)
}

/// As they are when there are no sources but so many, which stay.
pub fn open_beside(sources: u64) -> Outcome<Books> {
    let deadline = soon();
    while sum(|stats| stats.sources)? > sources {
        ensure(rt::clock::now_ns() < deadline, "all sources go")?;
        a_moment();
    }
    Ok(now()?)
}

/// As they are.
fn now() -> Result<Books> {
    let (mut server, mut lies) = ([0; 8], 0);
    each(|stats| {
        let figures = [
            stats.sources,
            stats.orphans,
            stats.pages,
            stats.notes,
            stats.knotes,
            stats.queues,
            stats.clients,
            stats.drivers,
        ];
        server.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
        lies += stats.lies;
    })?;
    let init = rt::init::counters()?;
    let kernel = counters()?;
    Ok(Books {
        server,
        lies,
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
    /// Nothing more is kept than was, once those who ended are buried and the driver is back, and nobody lied.
    pub fn are_balanced(&self) -> Outcome {
        self.balance_but_for(|_| ())
    }

    /// The same where liars were about.
    pub fn are_balanced_after_lies(&self) -> Outcome {
        self.balance_but_for(|now| now.lies = self.lies)
    }

    fn balance_but_for(&self, forgive: impl Fn(&mut Books)) -> Outcome {
        let deadline = soon();
        loop {
            let mut now = now()?;
            forgive(&mut now);
            let no_more = now.kernel.iter().zip(&self.kernel).all(|(now, before)| now <= before);
            if (now.server, now.lies, now.init) == (self.server, self.lies, self.init) && no_more {
                return Ok(());
            }
            if rt::clock::now_ns() > deadline {
                return Err(Failure::new(format!("before {self:?}, now {now:?}")));
            }
            a_moment();
        }
    }
}
