//! What every way to wait promises of every source, as far as it has it.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EBADF, ENOENT, EPERM};
use guest_tests::failure::{ensure, equal};
use guest_tests::{Failure, Outcome};
use libkq::Descriptor;

use crate::interface::{Closed, Interface, NATIVE, Trigger, Way, Wish, Words};
use crate::source::{Condition, Kind, Source};
use crate::told::{Told, What};
use crate::waiter::{self, Wait};
use crate::{NOW, PATIENTLY};

/// Long enough for what should not come to come.
const A_WHILE: Duration = Duration::from_micros(400);

/// A cell of the matrix.
#[derive(Clone, Copy)]
pub struct Cell {
    /// What is watched.
    pub kind: &'static Kind,
    /// How.
    pub way: &'static Way,
    /// How often it is told.
    pub trigger: Trigger,
    /// What is waited for.
    pub condition: Condition,
}

/// Something that holds of a cell. The source is one of which the condition does not hold, and may be used again.
type Behaviour = (&'static str, fn(&Cell, &Arc<dyn Source>) -> Outcome);

const BEHAVIOURS: &[Behaviour] = &[
    ("silent, then told as often as the trigger says", told_as_often),
    ("told at once when it is true already", true_already),
    ("what is not true any more is not told", not_true_any_more),
    ("a blocked wait is woken", blocked),
    ("a blocked wait sees what is added", added_to_a_blocked_wait),
    ("removed, it is silent", removed),
    ("two sets on one number are independent", independent),
];

/// The same of how it ends. Each has a source of its own.
const ENDS: &[Behaviour] = &[
    ("the end of the source", ended),
    ("a closed number", closed),
    ("a number that is closed under a blocked wait", closed_under_a_wait),
];

/// The same of what is always ready.
const ALWAYS_READY: &[Behaviour] = &[("always told", always_told), ("a closed number", always_closed)];

const REFUSED: &[Behaviour] = &[("what is always ready is refused", refused)];

impl Cell {
    /// Checks all that holds of it.
    pub fn check(&self) -> Outcome {
        let always_ready = self.kind.always_ready && self.way.words != Words::Kevent;
        let (behaviours, ends) = match always_ready {
            true if self.way.refuses_always_ready => (REFUSED, [].as_slice()),
            true => (ALWAYS_READY, [].as_slice()),
            false => (BEHAVIOURS, ENDS),
        };
        let source = (self.kind.make)()?;
        for behaviour in behaviours {
            self.hold(behaviour, &source)?;
        }
        ends.iter().try_for_each(|behaviour| self.hold(behaviour, &(self.kind.make)()?))
    }

    /// Checks that a condition is never told, though the others come and go.
    pub fn check_never(&self) -> Outcome {
        self.within("never told", never(self))
    }

    fn hold(&self, (name, behaviour): &Behaviour, source: &Arc<dyn Source>) -> Outcome {
        self.within(name, source.lower(self.condition).and_then(|()| behaviour(self, source)))
    }

    fn within(&self, name: &str, outcome: Outcome) -> Outcome {
        outcome.map_err(|failure| {
            let (condition, trigger) = (self.condition, self.trigger);
            failure.within(&format!("{condition:?}, {trigger:?}, {name}"))
        })
    }

    fn wish(&self, source: &Arc<dyn Source>) -> Wish {
        Wish { number: source.number(self.condition), condition: self.condition }
    }

    /// A set that watches a source.
    fn watching(&self, source: &Arc<dyn Source>) -> Outcome<Arc<dyn Interface>> {
        let set = (self.way.make)()?;
        set.watch(self.wish(source), self.trigger)?;
        Ok(set)
    }

    /// What is told when the condition holds.
    fn told(&self, wish: Wish) -> Vec<Told> {
        alloc::vec![Told { number: wish.number, what: What::of(self.condition) }]
    }

    /// The condition is told, waited for.
    #[track_caller]
    fn comes(&self, set: &Arc<dyn Interface>, wish: Wish) -> Outcome {
        equal(set.look(PATIENTLY)?, self.told(wish))
    }

    /// Another thread waits in the set.
    fn wait(&self, set: &Arc<dyn Interface>) -> Outcome<Wait> {
        let wait = waiter::begin(set.clone())?;
        a_moment();
        Ok(wait)
    }
}

/// Nothing is told.
#[track_caller]
fn quiet(set: &Arc<dyn Interface>) -> Outcome {
    equal(set.look(NOW)?, Vec::new())
}

/// Nothing is told in a while either. Both looks leave all in place, as what follows shows.
#[track_caller]
fn quiet_for_a_while(set: &Arc<dyn Interface>) -> Outcome {
    quiet(set)?;
    equal(set.look(Some(A_WHILE))?, Vec::new())
}

/// Lets others go on for a moment; no result depends on it.
fn a_moment() {
    rt::thread::sleep(A_WHILE.as_nanos() as u64);
}

fn told_as_often(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let (set, wish) = (cell.watching(source)?, cell.wish(source));
    quiet_for_a_while(&set)?;
    source.raise(cell.condition)?;
    cell.comes(&set, wish)?;
    match cell.trigger {
        Trigger::Level => {
            equal(set.look(NOW)?, cell.told(wish))?;
            equal(set.look(Some(A_WHILE))?, cell.told(wish))?;
        }
        Trigger::Edge => {
            quiet_for_a_while(&set)?;
            if !cell.way.nested {
                // Though it holds already.
                source.raise(cell.condition)?;
                cell.comes(&set, wish)?;
                quiet(&set)?;
            }
        }
        Trigger::OneShot | Trigger::Dispatch => {
            quiet(&set)?;
            source.raise(cell.condition)?;
            quiet_for_a_while(&set)?;
            // It holds still.
            set.rearm(wish, cell.trigger)?;
            cell.comes(&set, wish)?;
            quiet(&set)?;
            set.rearm(wish, cell.trigger)?;
        }
    }
    source.lower(cell.condition)?;
    quiet(&set)?;
    source.raise(cell.condition)?;
    cell.comes(&set, wish)
}

fn true_already(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    source.raise(cell.condition)?;
    cell.comes(&cell.watching(source)?, cell.wish(source))
}

fn not_true_any_more(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let set = cell.watching(source)?;
    source.raise(cell.condition)?;
    // By then the set has heard of it, or will have soon.
    a_moment();
    source.lower(cell.condition)?;
    quiet(&set)?;
    source.raise(cell.condition)?;
    cell.comes(&set, cell.wish(source))
}

fn blocked(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let set = cell.watching(source)?;
    let wait = cell.wait(&set)?;
    source.raise(cell.condition)?;
    equal(wait.end()?, cell.told(cell.wish(source)))
}

fn added_to_a_blocked_wait(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    if !cell.way.shared {
        return Ok(());
    }
    // It waits for something else, or a set that is in another would not be in it yet.
    let (set, wish, other) = ((cell.way.make)()?, cell.wish(source), (cell.kind.make)()?);
    other.lower(cell.condition)?;
    set.watch(cell.wish(&other), cell.trigger)?;
    source.raise(cell.condition)?;
    let wait = cell.wait(&set)?;
    set.watch(wish, cell.trigger)?;
    equal(wait.end()?, cell.told(wish))
}

fn removed(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let (set, wish) = (cell.watching(source)?, cell.wish(source));
    source.raise(cell.condition)?;
    set.remove(wish)?;
    quiet_for_a_while(&set)?;
    source.lower(cell.condition)?;
    source.raise(cell.condition)?;
    quiet(&set)?;
    absent(cell, &set, wish)
}

/// There is nothing to remove.
fn absent(cell: &Cell, set: &Arc<dyn Interface>, wish: Wish) -> Outcome {
    match (set.remove(wish), cell.way.absent) {
        (Ok(()), None) => Ok(()),
        (Err(failure), Some(errno)) if failure.is(errno) => Ok(()),
        (done, _) => Err(Failure::new(format!("{} removes what is not there: {done:?}", cell.way.name))),
    }
}

/// A file that can be read, to take a number that is closed.
struct Heir {
    reader: Descriptor,
    _writer: Descriptor,
}

impl Heir {
    fn new() -> Outcome<Heir> {
        let (reader, writer) = Descriptor::pipe()?;
        writer.write_all(b"x")?;
        Ok(Heir { reader, _writer: writer })
    }

    /// The number is its own until what is returned is dropped.
    fn takes(&self, number: i32) -> Outcome<Descriptor> {
        equal(libkq::dup2(self.reader.number(), number)?, number)?;
        Ok(Descriptor::from_number(number))
    }
}

fn closed(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let set = cell.watching(source)?;
    let (wish, heir) = (cell.wish(source), Heir::new()?);
    source.raise(cell.condition)?;
    source.close(cell.condition);
    after_close(cell, &set, wish, &heir)
}

/// What is said of a number that was closed, and of the next file that has it.
fn after_close(cell: &Cell, set: &Arc<dyn Interface>, wish: Wish, heir: &Heir) -> Outcome {
    match cell.way.closed {
        Closed::Silent => {
            quiet_for_a_while(set)?;
            let next = heir.takes(wish.number)?;
            quiet(set)?;
            absent(cell, set, wish)?;
            drop(next);
        }
        Closed::Invalid => {
            let invalid = alloc::vec![Told { number: wish.number, what: What::CLOSED }];
            equal(set.look(PATIENTLY)?, invalid.clone())?;
            equal(set.look(NOW)?, invalid)?;
            // Who watches the set learns who has the number now when the set itself is looked at.
            if !cell.way.nested {
                let next = heir.takes(wish.number)?;
                equal(set.look(NOW)?, inherited(cell, wish))?;
                drop(next);
            }
            set.remove(wish)?;
            quiet(set)?;
        }
        Closed::Refused => {
            bad_number(set.look(PATIENTLY))?;
            bad_number(set.look(NOW))?;
            let next = heir.takes(wish.number)?;
            equal(set.look(NOW)?, inherited(cell, wish))?;
            drop(next);
        }
    }
    Ok(())
}

/// What is told of an [`Heir`].
fn inherited(cell: &Cell, wish: Wish) -> Vec<Told> {
    if cell.condition == Condition::Read { cell.told(wish) } else { Vec::new() }
}

fn bad_number(looked: Outcome<Vec<Told>>) -> Outcome {
    match looked {
        Err(failure) if failure.is(EBADF) => Ok(()),
        Err(failure) => Err(failure),
        Ok(told) => Err(Failure::new(format!("a closed number is looked at: {told:?}"))),
    }
}

fn closed_under_a_wait(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let (set, number, other) = (cell.watching(source)?, cell.wish(source).number, (cell.kind.make)()?);
    other.lower(cell.condition)?;
    let wish = cell.wish(&other);
    set.watch(wish, cell.trigger)?;
    let wait = cell.wait(&set)?;
    source.close(cell.condition);
    match cell.way.closed {
        Closed::Silent => {
            a_moment();
            ensure(!wait.is_over(), "the wait goes on")?;
            other.raise(cell.condition)?;
            equal(wait.end()?, cell.told(wish))
        }
        Closed::Invalid => equal(wait.end()?, alloc::vec![Told { number, what: What::CLOSED }]),
        Closed::Refused => bad_number(wait.end()),
    }
}

fn ended(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let (set, wish) = (cell.watching(source)?, cell.wish(source));
    let wait = cell.wait(&set)?;
    let Some(ending) = source.hang_up(cell.condition)? else {
        source.raise(cell.condition)?;
        return equal(wait.end()?, cell.told(wish));
    };
    let told = alloc::vec![Told { number: wish.number, what: cell.way.ending(ending) }];
    equal(wait.end()?, told.clone())?;
    match cell.trigger {
        Trigger::Level => equal(set.look(NOW)?, told)?,
        Trigger::Edge => quiet(&set)?,
        Trigger::OneShot | Trigger::Dispatch => {
            quiet(&set)?;
            // What has ended is true for ever, but to kevent nobody may add a note on a pipe that is broken (R21).
            let added =
                cell.trigger == Trigger::OneShot && !cell.way.nested && cell.way.words == Words::Kevent;
            if !added {
                set.rearm(wish, cell.trigger)?;
                equal(set.look(PATIENTLY)?, told)?;
            }
        }
    }
    if source.come_back(cell.condition)? && cell.condition == Condition::Read {
        quiet(&set)?;
    }
    Ok(())
}

fn independent(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let (set, wish) = (cell.watching(source)?, cell.wish(source));
    // One like it, and one of another interface, if that watches such a source.
    let like = cell.watching(source)?;
    let at = NATIVE.iter().position(|way| way.name == cell.way.name).map_or(0, |at| (at + 1) % NATIVE.len());
    let other = match cell.kind.always_ready {
        true => None,
        false => Some((NATIVE[at].make)()?),
    };
    if let Some(other) = &other {
        other.watch(wish, Trigger::Level)?;
    }
    source.raise(cell.condition)?;
    let all = [Some(&set), Some(&like), other.as_ref()];
    all.into_iter().flatten().try_for_each(|set| cell.comes(set, wish))?;
    // What becomes of one is nothing to the others.
    like.remove(wish).or_else(|failure| match cell.trigger {
        Trigger::OneShot if failure.is(ENOENT) => Ok(()),
        _ => Err(failure),
    })?;
    other.iter().try_for_each(|other| equal(other.look(NOW)?, cell.told(wish)))?;
    if cell.trigger == Trigger::Level {
        equal(set.look(NOW)?, cell.told(wish))?;
    }
    source.lower(cell.condition)?;
    quiet(&set)?;
    source.raise(cell.condition)?;
    if matches!(cell.trigger, Trigger::Level | Trigger::Edge) {
        cell.comes(&set, wish)?;
    }
    other.iter().try_for_each(|other| cell.comes(other, wish))?;
    quiet(&like)
}

fn never(cell: &Cell) -> Outcome {
    let source = (cell.kind.make)()?;
    let set = cell.watching(&source)?;
    quiet_for_a_while(&set)?;
    for &condition in cell.kind.conditions {
        source.raise(condition)?;
        quiet_for_a_while(&set)?;
        source.lower(condition)?;
    }
    set.remove(cell.wish(&source))
}

fn refused(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let set = (cell.way.make)()?;
    match set.watch(cell.wish(source), cell.trigger) {
        Err(failure) if failure.is(EPERM) => {}
        done => return Err(Failure::new(format!("watching what is always ready: {done:?}"))),
    }
    source.raise(cell.condition)?;
    quiet_for_a_while(&set)
}

fn always_told(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let (set, wish) = (cell.watching(source)?, cell.wish(source));
    cell.comes(&set, wish)?;
    equal(set.look(NOW)?, cell.told(wish))?;
    source.raise(cell.condition)?;
    source.lower(cell.condition)?;
    equal(set.look(NOW)?, cell.told(wish))?;
    set.remove(wish)?;
    quiet_for_a_while(&set)?;
    absent(cell, &set, wish)
}

fn always_closed(cell: &Cell, source: &Arc<dyn Source>) -> Outcome {
    let set = cell.watching(source)?;
    let (wish, heir) = (cell.wish(source), Heir::new()?);
    source.close(cell.condition);
    after_close(cell, &set, wish, &heir)
}
