//! epoll.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use guest_tests::{Failure, Outcome};
use libkq::{EpollEvent, EpollFlags, EpollSet};

use super::{Interface, Numbered, Trigger, Wish};
use crate::source::Condition;
use crate::told::Told;

struct Epoll(EpollSet);

pub fn make() -> Outcome<Arc<dyn Interface>> {
    Ok(Arc::new(Epoll(EpollSet::new()?)))
}

/// The same with its number.
pub fn make_numbered() -> Outcome<Numbered> {
    let set = EpollSet::new()?;
    let number = set.number();
    Ok((Arc::new(Epoll(set)), number))
}

fn flags(condition: Condition, trigger: Trigger) -> Outcome<EpollFlags> {
    let flags = match condition {
        Condition::Read => EpollFlags::IN,
        Condition::Write => EpollFlags::OUT,
        Condition::Urgent => EpollFlags::PRI,
    };
    Ok(match trigger {
        Trigger::Level => flags,
        Trigger::Edge => flags | EpollFlags::ET,
        Trigger::OneShot => flags | EpollFlags::ONESHOT,
        Trigger::Dispatch => return Err(Failure::new("epoll has no such trigger")),
    })
}

impl Interface for Epoll {
    fn watch(&self, wish: Wish, trigger: Trigger) -> Outcome {
        Ok(self.0.add(wish.number, flags(wish.condition, trigger)?, wish.number as u64)?)
    }

    fn rearm(&self, wish: Wish, trigger: Trigger) -> Outcome {
        Ok(self.0.modify(wish.number, flags(wish.condition, trigger)?, wish.number as u64)?)
    }

    fn remove(&self, wish: Wish) -> Outcome {
        Ok(self.0.remove(wish.number)?)
    }

    fn look(&self, timeout: Option<Duration>) -> Outcome<Vec<Told>> {
        let mut events = [EpollEvent::default(); 4];
        let told: Vec<Told> = self.0.wait(&mut events, timeout)?.iter().map(Told::of_epoll).collect();
        if told.len() == events.len() { Err(Failure::new("more events than wishes")) } else { Ok(told) }
    }
}
