//! poll.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use guest_tests::failure::equal;
use guest_tests::{Failure, Outcome};
use libkq::{Conditions, PollFd};
use rt::sync::Mutex;

use super::{Interface, Trigger, Wish};
use crate::source::Condition;
use crate::told::Told;

struct Poll(Mutex<Vec<PollFd>>);

pub fn make() -> Outcome<Arc<dyn Interface>> {
    Ok(Arc::new(Poll(Mutex::new(Vec::new()))))
}

/// The entry of a wish.
pub fn entry(wish: Wish) -> PollFd {
    let events = match wish.condition {
        Condition::Read => Conditions::IN,
        Condition::Write => Conditions::OUT,
        Condition::Urgent => Conditions::PRI,
    };
    PollFd::new(wish.number, events)
}

impl Interface for Poll {
    fn watch(&self, wish: Wish, _: Trigger) -> Outcome {
        self.0.lock().push(entry(wish));
        Ok(())
    }

    fn rearm(&self, _: Wish, _: Trigger) -> Outcome {
        Err(Failure::new("poll has levels only"))
    }

    fn remove(&self, wish: Wish) -> Outcome {
        self.0.lock().retain(|entry| entry.fd != wish.number);
        Ok(())
    }

    fn look(&self, timeout: Option<Duration>) -> Outcome<Vec<Told>> {
        let mut list = self.0.lock().clone();
        let asked = list.clone();
        // R46: whatever was in it goes.
        list.iter_mut().for_each(|entry| entry.revents = Conditions::all());
        let count = libkq::poll(&mut list, timeout, None)?;
        for (entry, asked) in list.iter().zip(asked) {
            equal((entry.fd, entry.events), (asked.fd, asked.events))?;
        }
        let told: Vec<Told> =
            list.iter().filter(|entry| !entry.revents.is_empty()).map(Told::of_poll).collect();
        equal(count, told.len())?;
        Ok(told)
    }
}
