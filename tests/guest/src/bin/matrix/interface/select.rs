//! select.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::EBADF;
use guest_tests::failure::equal;
use guest_tests::{Failure, Outcome};
use libkq::FdSet;
use rt::sync::Mutex;

use super::{Interface, Trigger, Wish};
use crate::source::Condition;
use crate::told::{Told, What};

const CONDITIONS: [Condition; 3] = [Condition::Read, Condition::Write, Condition::Urgent];

struct Select(Mutex<Vec<Wish>>);

pub fn make() -> Outcome<Arc<dyn Interface>> {
    Ok(Arc::new(Select(Mutex::new(Vec::new()))))
}

impl Interface for Select {
    fn watch(&self, wish: Wish, _: Trigger) -> Outcome {
        self.0.lock().push(wish);
        Ok(())
    }

    fn rearm(&self, _: Wish, _: Trigger) -> Outcome {
        Err(Failure::new("select has levels only"))
    }

    fn remove(&self, wish: Wish) -> Outcome {
        self.0.lock().retain(|other| *other != wish);
        Ok(())
    }

    fn look(&self, timeout: Option<Duration>) -> Outcome<Vec<Told>> {
        let wishes = self.0.lock().clone();
        let mut sets = CONDITIONS.map(|condition| {
            let such = wishes.iter().filter(|wish| wish.condition == condition);
            such.map(|wish| wish.number).collect::<FdSet>()
        });
        let (asked, nfds) = (sets.clone(), wishes.iter().map(|wish| wish.number + 1).max().unwrap_or(0));
        let count = match libkq::select(nfds, sets.each_mut().map(Some), timeout, None) {
            Err(error) if error.errno == EBADF => {
                // R47: they are as they were.
                equal(sets, asked)?;
                return Err(error.into());
            }
            count => count?,
        };
        let mut told = Vec::new();
        for wish in &wishes {
            let place = CONDITIONS.iter().position(|&condition| condition == wish.condition);
            if place.is_some_and(|place| sets[place].contains(wish.number)) {
                told.push(Told { number: wish.number, what: What::of(wish.condition) });
            }
        }
        equal(sets.iter().map(FdSet::len).sum::<usize>(), told.len())?;
        equal(count, told.len())?;
        Ok(told)
    }
}
