//! An event's way from a driver through the event server to a client that waits.
//!
//! All on one CPU; the server above the client above the driver in priority, so that each hands over to the next at once
//! and the driver runs when the client waits.

use alloc::vec::Vec;

use guest_tests::measure::{Clock, measure, tell};
use guest_tests::{Failure, Outcome};
use libkq::{Conditions, KEvent, PollFd, Queue};

use crate::driver::Partner;
use crate::kernel::Figure;
use crate::pipes;
use crate::scan::MANY;

pub const FIGURES: &[Figure] = &[
    ("event_to_blocked_client", event_to_blocked_client),
    ("event_to_blocked_poll_1000", event_to_blocked_poll),
];

/// From before the driver's publish to the return of the client's `kevent`.
fn event_to_blocked_client(name: &str) -> Outcome {
    let clock = Clock::here();
    let partner = Partner::start()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(partner.file.number()).add().clear()])?;
    partner.go()?;
    let mut events = [KEvent::default(); 8];
    let cost = measure(|| {
        let count = libkq::kevent(queue.number(), &[], &mut events, None);
        let end = clock.end();
        if count? != 1 {
            return Err(Failure::new("another number of events"));
        }
        Ok(end.since(partner.began()))
    })?;
    tell(name, cost);
    partner.end()
}

/// The same to the return of the client's `poll` of many descriptors.
fn event_to_blocked_poll(name: &str) -> Outcome {
    let clock = Clock::here();
    let partner = Partner::start()?;
    let mut list = pipes::readers(MANY - 1)?;
    list.push(partner.file.number());
    let mut list: Vec<PollFd> = list.into_iter().map(|fd| PollFd::new(fd, Conditions::IN)).collect();
    partner.go()?;
    let cost = measure(|| {
        let count = libkq::poll(&mut list, None, None);
        let end = clock.end();
        if count? != 1 {
            return Err(Failure::new("another number of descriptors"));
        }
        partner.lower()?;
        Ok(end.since(partner.began()))
    })?;
    tell(name, cost);
    partner.end()
}
