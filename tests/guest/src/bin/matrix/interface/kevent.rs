//! kevent.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::ENOENT;
use guest_tests::failure::refused;
use guest_tests::{Failure, Outcome};
use libkq::event::note;
use libkq::{Filter, KEvent, Queue};

use super::{Interface, Numbered, Trigger, Wish};
use crate::source::Condition;
use crate::told::Told;

pub struct Kevent(Queue);

pub fn make() -> Outcome<Arc<dyn Interface>> {
    Ok(Arc::new(Kevent(Queue::new()?)))
}

/// The same with its number.
pub fn make_numbered() -> Outcome<Numbered> {
    let queue = Queue::new()?;
    let number = queue.number();
    Ok((Arc::new(Kevent(queue)), number))
}

/// The change that is about a wish; its udata is the number too.
pub fn about(wish: Wish) -> KEvent {
    let ident = wish.number as usize;
    let change = match wish.condition {
        Condition::Read => KEvent::new(ident, Filter::READ),
        Condition::Write => KEvent::new(ident, Filter::WRITE),
        Condition::Urgent => KEvent { fflags: note::OOB, ..KEvent::new(ident, Filter::EXCEPT) },
    };
    change.udata(ident)
}

/// The change that adds a wish.
pub fn added(wish: Wish, trigger: Trigger) -> KEvent {
    let change = about(wish).add();
    match trigger {
        Trigger::Level => change,
        Trigger::Edge => change.clear(),
        Trigger::OneShot => change.oneshot(),
        Trigger::Dispatch => change.dispatch(),
    }
}

/// The change that asks for it again. `EV_ONESHOT` has removed it.
pub fn armed(wish: Wish, trigger: Trigger) -> KEvent {
    match trigger {
        Trigger::Dispatch => about(wish).enable(),
        _ => added(wish, trigger),
    }
}

impl Interface for Kevent {
    fn watch(&self, wish: Wish, trigger: Trigger) -> Outcome {
        Ok(self.0.apply(&[added(wish, trigger)])?)
    }

    fn rearm(&self, wish: Wish, trigger: Trigger) -> Outcome {
        if trigger == Trigger::OneShot {
            refused(self.0.apply(&[about(wish).enable()]), ENOENT)?;
        }
        Ok(self.0.apply(&[armed(wish, trigger)])?)
    }

    fn remove(&self, wish: Wish) -> Outcome {
        Ok(self.0.apply(&[about(wish).delete()])?)
    }

    fn look(&self, timeout: Option<Duration>) -> Outcome<Vec<Told>> {
        let mut events = [KEvent::default(); 4];
        let told: Vec<Told> = self.0.wait(&mut events, timeout)?.iter().map(Told::of_kevent).collect();
        if told.len() == events.len() { Err(Failure::new("more events than wishes")) } else { Ok(told) }
    }
}
