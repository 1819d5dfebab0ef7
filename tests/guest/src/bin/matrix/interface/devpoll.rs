//! /dev/poll.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use guest_tests::failure::equal;
use guest_tests::{Failure, Outcome};
use libkq::flag::O_RDWR;
use libkq::{Conditions, Descriptor, PollFd, process};

use super::poll::entry;
use super::{Interface, Numbered, Trigger, Wish};
use crate::told::Told;

struct DevPoll(Descriptor);

pub fn make() -> Outcome<Arc<dyn Interface>> {
    Ok(make_numbered()?.0)
}

/// The same with its number.
pub fn make_numbered() -> Outcome<Numbered> {
    let set = Descriptor::open("/dev/poll", O_RDWR)?;
    let number = set.number();
    Ok((Arc::new(DevPoll(set)), number))
}

impl Interface for DevPoll {
    fn watch(&self, wish: Wish, _: Trigger) -> Outcome {
        let wish = entry(wish);
        process().devpoll_write(self.0.number(), &[wish])?;
        equal(process().devpoll_is_polled(self.0.number(), wish.fd)?, Some(wish.events))
    }

    fn rearm(&self, _: Wish, _: Trigger) -> Outcome {
        Err(Failure::new("/dev/poll has levels only"))
    }

    fn remove(&self, wish: Wish) -> Outcome {
        process().devpoll_write(self.0.number(), &[PollFd::new(wish.number, Conditions::REMOVE)])?;
        equal(process().devpoll_is_polled(self.0.number(), wish.number)?, None)
    }

    fn look(&self, timeout: Option<Duration>) -> Outcome<Vec<Told>> {
        let mut list = [PollFd::default(); 4];
        let count = process().devpoll_poll(self.0.number(), &mut list, timeout, None)?;
        if count == list.len() {
            return Err(Failure::new("more entries than wishes"));
        }
        Ok(list[..count].iter().map(Told::of_poll).collect())
    }
}
