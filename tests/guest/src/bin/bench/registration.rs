//! What it costs to ask for a descriptor and no longer, and that it does not matter for how many others one asks.

use guest_tests::Outcome;
use guest_tests::measure::{Clock, measure, tell};
use libkq::EpollFlags;

use crate::interface::{Epoll, Interface};
use crate::kernel::Figure;
use crate::pipes;

pub const FIGURES: &[Figure] = &[("epoll_add_del", add_del::<1>), ("epoll_add_del_10000", add_del::<10_000>)];

/// `EPOLL_CTL_ADD` and `EPOLL_CTL_DEL` of a descriptor, beside so many others.
fn add_del<const OTHERS: usize>(name: &str) -> Outcome {
    let clock = Clock::here();
    let fds = pipes::readers(OTHERS + 1)?;
    let set = Epoll::create()?;
    set.add(&fds[..OTHERS])?;
    let set = set.0;
    let cost = measure(|| {
        let begin = clock.begin();
        let added = set.add(fds[OTHERS], EpollFlags::IN, 0);
        let removed = set.remove(fds[OTHERS]);
        let end = clock.end();
        added?;
        removed?;
        Ok(end.since(begin))
    })?;
    tell(name, cost);
    Ok(())
}
