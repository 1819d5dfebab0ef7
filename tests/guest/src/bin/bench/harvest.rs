//! What it costs to find what is ready, and that it does not matter how much is not.

use guest_tests::measure::{Clock, Cost, measure, tell};
use guest_tests::{Failure, Outcome};

use crate::interface::{DevPoll, Epoll, Interface, Kevent};
use crate::kernel::Figure;
use crate::pipes;

pub const FIGURES: &[Figure] = &[
    ("kevent_none_ready", looks::<Kevent, 1, 0>),
    ("kevent_one_ready", looks::<Kevent, 1, 1>),
    ("kevent_one_ready_100", looks::<Kevent, 100, 1>),
    ("kevent_one_ready_10000", looks::<Kevent, 10_000, 1>),
    ("kevent_each_further", each_further::<Kevent>),
    ("epoll_none_ready", looks::<Epoll, 1, 0>),
    ("epoll_one_ready", looks::<Epoll, 1, 1>),
    ("epoll_one_ready_100", looks::<Epoll, 100, 1>),
    ("epoll_one_ready_10000", looks::<Epoll, 10_000, 1>),
    ("epoll_each_further", each_further::<Epoll>),
    ("devpoll_none_ready", looks::<DevPoll, 1, 0>),
    ("devpoll_one_ready", looks::<DevPoll, 1, 1>),
    ("devpoll_one_ready_100", looks::<DevPoll, 100, 1>),
    ("devpoll_one_ready_10000", looks::<DevPoll, 10_000, 1>),
    ("devpoll_each_further", each_further::<DevPoll>),
];

/// Further descriptors that are ready.
const FURTHER: usize = 100;

/// A look at a set of so many descriptors of which so many are ready.
fn looks<I: Interface, const REGISTERED: usize, const READY: usize>(name: &str) -> Outcome {
    tell(name, look::<I>(REGISTERED, READY)?);
    Ok(())
}

/// What one more that is ready adds.
fn each_further<I: Interface>(name: &str) -> Outcome {
    let (one, many) = (look::<I>(1 + FURTHER, 1)?, look::<I>(1 + FURTHER, 1 + FURTHER)?);
    let each = |one: u64, many: u64| (many.saturating_sub(one) + FURTHER as u64 / 2) / FURTHER as u64;
    tell(
        name,
        Cost {
            typical: each(one.typical, many.typical),
            least: each(one.least, many.least),
            switches: each(one.switches, many.switches),
            entries: each(one.entries, many.entries),
        },
    );
    Ok(())
}

fn look<I: Interface>(registered: usize, ready: usize) -> Outcome<Cost> {
    let clock = Clock::here();
    let fds = pipes::readers(registered)?;
    // Not only the first ones.
    let filled = || (0..ready).map(|at| (registered / 2 + at) % registered);
    pipes::fill(filled())?;
    let mut set = I::create()?;
    set.add(&fds)?;
    let cost = measure(|| {
        let begin = clock.begin();
        let count = set.look();
        let end = clock.end();
        if count? != ready {
            return Err(Failure::new("another number of events"));
        }
        Ok(end.since(begin))
    });
    pipes::drain(filled())?;
    cost
}
