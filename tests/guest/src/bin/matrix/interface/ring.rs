//! kevent through a ring of the program's own.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use guest_tests::Outcome;
use libkq::machine::Machine;
use libkq::user_ring::UserRing;
use libkq::{KEvent, Queue, process};

use super::kevent::{about, added, armed};
use super::{Interface, Trigger, Wish};
use crate::told::Told;

struct Ring {
    queue: Queue,
    ring: UserRing<Machine>,
}

pub fn make() -> Outcome<Arc<dyn Interface>> {
    let queue = Queue::new()?;
    let ring = UserRing::new(process().queue(queue.number())?, 8)?;
    Ok(Arc::new(Ring { queue, ring }))
}

impl Ring {
    fn change(&self, change: KEvent) -> Outcome {
        Ok(self.queue.apply(&[change])?)
    }
}

impl Interface for Ring {
    fn watch(&self, wish: Wish, trigger: Trigger) -> Outcome {
        self.change(added(wish, trigger))
    }

    fn rearm(&self, wish: Wish, trigger: Trigger) -> Outcome {
        self.change(armed(wish, trigger))
    }

    fn remove(&self, wish: Wish) -> Outcome {
        self.change(about(wish).delete())
    }

    fn look(&self, timeout: Option<Duration>) -> Outcome<Vec<Told>> {
        let mut told = Vec::new();
        if let Some(taken) = self.ring.take(process(), timeout)? {
            told.push(Told::of_kevent(&taken.event()));
            taken.commit()?;
        }
        Ok(told)
    }
}
