//! poll and select of many descriptors, which they look at one by one.

use alloc::vec::Vec;

use guest_tests::measure::{Clock, measure, tell};
use guest_tests::{Failure, Outcome};
use libkq::{Conditions, FdSet, PollFd};

use crate::interface::NOW;
use crate::kernel::Figure;
use crate::pipes;

pub const FIGURES: &[Figure] = &[("poll_1000", poll), ("select_1000", select)];

/// Descriptors that they are asked about.
pub const MANY: usize = 1000;

/// None is ready, and the question is the last call's.
fn poll(name: &str) -> Outcome {
    let clock = Clock::here();
    let fds = pipes::readers(MANY)?;
    let mut list: Vec<PollFd> = fds.into_iter().map(|fd| PollFd::new(fd, Conditions::IN)).collect();
    let cost = measure(|| {
        let begin = clock.begin();
        let count = libkq::poll(&mut list, NOW, None);
        let end = clock.end();
        if count? != 0 {
            return Err(Failure::new("another number of descriptors"));
        }
        Ok(end.since(begin))
    })?;
    tell(name, cost);
    Ok(())
}

/// The same of select.
fn select(name: &str) -> Outcome {
    let clock = Clock::here();
    let asked: FdSet = pipes::readers(MANY)?.into_iter().collect();
    let limit = asked.iter().max().map_or(0, |fd| fd + 1);
    let cost = measure(|| {
        let mut read = asked.clone();
        let begin = clock.begin();
        let count = libkq::select(limit, [Some(&mut read), None, None], NOW, None);
        let end = clock.end();
        if count? != 0 {
            return Err(Failure::new("another number of descriptors"));
        }
        Ok(end.since(begin))
    })?;
    tell(name, cost);
    Ok(())
}
