//! A set in another: the inner one has the wishes, and the outer one says when to look at it.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use guest_tests::failure::equal;
use guest_tests::{Failure, Outcome};
use rt::sync::Mutex;

use super::{Interface, Numbered, Trigger, Wish};
use crate::NOW;
use crate::source::Condition;
use crate::told::{Told, What};

struct Nested {
    outer: Arc<dyn Interface>,
    inner: Arc<dyn Interface>,
    /// The inner set, as the outer one asks for it.
    within: Wish,
    watched: Mutex<bool>,
}

/// A set in another.
pub fn make(
    outer: fn() -> Outcome<Arc<dyn Interface>>,
    inner: fn() -> Outcome<Numbered>,
) -> Outcome<Arc<dyn Interface>> {
    let (outer, (inner, number)) = (outer()?, inner()?);
    let within = Wish { number, condition: Condition::Read };
    Ok(Arc::new(Nested { outer, inner, within, watched: Mutex::new(false) }))
}

impl Interface for Nested {
    fn watch(&self, wish: Wish, trigger: Trigger) -> Outcome {
        self.inner.watch(wish, Trigger::Level)?;
        let mut watched = self.watched.lock();
        if !*watched {
            self.outer.watch(self.within, trigger)?;
            *watched = true;
        }
        Ok(())
    }

    fn rearm(&self, _: Wish, trigger: Trigger) -> Outcome {
        self.outer.rearm(self.within, trigger)
    }

    fn remove(&self, wish: Wish) -> Outcome {
        self.inner.remove(wish)
    }

    fn look(&self, timeout: Option<Duration>) -> Outcome<Vec<Told>> {
        match self.outer.look(timeout)?.as_slice() {
            [] => Ok(Vec::new()),
            [told] => {
                equal(*told, Told { number: self.within.number, what: What::READ })?;
                let inside = self.inner.look(NOW)?;
                if inside.is_empty() {
                    Err(Failure::new("the set within has nothing to tell"))
                } else {
                    Ok(inside)
                }
            }
            told => Err(Failure::new(format!("one set is told as {told:?}"))),
        }
    }
}
