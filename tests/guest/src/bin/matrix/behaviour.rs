//! What every way to wait promises of every source, as far as it has it.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EBADF, EPERM};
use guest_tests::failure::{ensure, equal};
use guest_tests::{Failure, Outcome};
use libkq::Descriptor;
use rt::thread::{Builder, JoinHandle};

use crate::interface::{Closed, Interface, NATIVE, Trigger, Way, Wish, Words};
use crate::source::{Condition, Kind, Source};
use crate::told::{Told, What};
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

/// Something that holds of a cell.
type Behaviour = (&'static str, fn(&Cell) -> Outcome);

const BEHAVIOURS: &[Behaviour] = &[
    ("silent, then told", silent_then_told),
    ("told as often as the trigger says", told_as_often),
    ("told at once when it is true already", true_already),
    ("what is not true any more is not told", not_true_any_more),
    ("a blocked wait is woken", blocked),
    ("a blocked wait sees what is added", added_to_a_blocked_wait),
    ("removed, it is silent", removed),
    ("a closed number", closed),
    ("a number that is closed under a blocked wait", closed_under_a_wait),
    ("the end of the source", ended),
    ("two sets on one number are independent", independent),
];

/// What holds of what is always ready.
const ALWAYS_READY: &[Behaviour] = &[
    ("always told", always_told),
    ("removed, it is silent", always_removed),
    ("a closed number", always_closed),
];

impl Cell {
    /// Checks all that holds of it.
    pub fn check(&self) -> Outcome {
        let always_ready = self.kind.always_ready && self.way.words != Words::Kevent;
        let behaviours = match always_ready {
            true if self.way.refuses_always_ready => return self.within("refused", refused(self)),
            true => ALWAYS_READY,
            false => BEHAVIOURS,
        };
        behaviours.iter().try_for_each(|(name, holds)| self.within(name, holds(self)))
    }

    /// Checks that a condition is never told, though the others come and go.
    pub fn check_never(&self) -> Outcome {
        self.within("never told", never(self))
    }

    fn within(&self, name: &str, outcome: Outcome) -> Outcome {
        outcome.map_err(|failure| {
            let (condition, trigger) = (self.condition, self.trigger);
            failure.within(&format!("{condition:?}, {trigger:?}, {name}"))
        })
    }

    /// A source of which the condition does not hold.
    fn source(&self) -> Outcome<Arc<dyn Source>> {
        let source = (self.kind.make)()?;
        source.lower(self.condition)?;
        Ok(source)
    }

    fn wish(&self, source: &Arc<dyn Source>) -> Wish {
        Wish { number: source.number(self.condition), condition: self.condition }
    }

    /// A source that is watched by a set of its own, and of which the condition does not hold.
    fn watched(&self) -> Outcome<(Arc<dyn Source>, Arc<dyn Interface>)> {
        let (source, set) = (self.source()?, (self.way.make)()?);
        set.watch(self.wish(&source), self.trigger)?;
        Ok((source, set))
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

    /// A thread waits in the set.
    fn waiter(&self, set: &Arc<dyn Interface>) -> Outcome<JoinHandle<Outcome<Vec<Told>>>> {
        let set = set.clone();
        Ok(Builder::new().name("waiter").spawn(move || set.look(PATIENTLY))?)
    }
}

/// Nothing is told: not at once, and not in a while. Both leave all in place, as what follows shows.
#[track_caller]
fn quiet(set: &Arc<dyn Interface>) -> Outcome {
    equal(set.look(NOW)?, Vec::new())?;
    equal(set.look(Some(A_WHILE))?, Vec::new())
}

/// Lets others go on for a moment; no result depends on it.
fn a_moment() {
    rt::thread::sleep(A_WHILE.as_nanos() as u64);
}

fn silent_then_told(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    quiet(&set)?;
    source.raise(cell.condition)?;
    cell.comes(&set, cell.wish(&source))
}

fn told_as_often(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let wish = cell.wish(&source);
    source.raise(cell.condition)?;
    cell.comes(&set, wish)?;
    match cell.trigger {
        Trigger::Level => {
            equal(set.look(NOW)?, cell.told(wish))?;
            equal(set.look(Some(A_WHILE))?, cell.told(wish))?;
        }
        Trigger::Edge => {
            quiet(&set)?;
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
            quiet(&set)?;
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

fn true_already(cell: &Cell) -> Outcome {
    let (source, set) = (cell.source()?, (cell.way.make)()?);
    let wish = cell.wish(&source);
    source.raise(cell.condition)?;
    set.watch(wish, cell.trigger)?;
    cell.comes(&set, wish)
}

fn not_true_any_more(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let wish = cell.wish(&source);
    source.raise(cell.condition)?;
    // By then the set has heard of it, or will have soon.
    a_moment();
    source.lower(cell.condition)?;
    quiet(&set)?;
    source.raise(cell.condition)?;
    cell.comes(&set, wish)
}

fn blocked(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let wish = cell.wish(&source);
    let waiter = cell.waiter(&set)?;
    a_moment();
    source.raise(cell.condition)?;
    equal(waiter.join()??, cell.told(wish))
}

fn added_to_a_blocked_wait(cell: &Cell) -> Outcome {
    if !cell.way.shared || cell.way.nested {
        return Ok(());
    }
    let (source, set) = (cell.source()?, (cell.way.make)()?);
    let wish = cell.wish(&source);
    source.raise(cell.condition)?;
    let waiter = cell.waiter(&set)?;
    a_moment();
    set.watch(wish, cell.trigger)?;
    equal(waiter.join()??, cell.told(wish))
}

fn removed(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let wish = cell.wish(&source);
    source.raise(cell.condition)?;
    a_moment();
    set.remove(wish)?;
    quiet(&set)?;
    source.lower(cell.condition)?;
    source.raise(cell.condition)?;
    quiet(&set)?;
    absent(cell, &set, wish, cell.way.absent)
}

/// There is nothing to remove.
fn absent(cell: &Cell, set: &Arc<dyn Interface>, wish: Wish, errno: Option<i32>) -> Outcome {
    match (set.remove(wish), errno) {
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

fn closed(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let (wish, heir) = (cell.wish(&source), Heir::new()?);
    source.raise(cell.condition)?;
    a_moment();
    source.close(cell.condition);
    after_close(cell, &set, wish, &heir)
}

/// What is said of a number that was closed, and of the next file that has it.
fn after_close(cell: &Cell, set: &Arc<dyn Interface>, wish: Wish, heir: &Heir) -> Outcome {
    match cell.way.closed {
        Closed::Silent => {
            quiet(set)?;
            let next = heir.takes(wish.number)?;
            quiet(set)?;
            absent(cell, set, wish, cell.way.absent)?;
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

fn closed_under_a_wait(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let (other, number) = (cell.source()?, cell.wish(&source).number);
    let wish = cell.wish(&other);
    set.watch(wish, cell.trigger)?;
    let waiter = cell.waiter(&set)?;
    a_moment();
    source.close(cell.condition);
    match cell.way.closed {
        Closed::Silent => {
            a_moment();
            ensure(!waiter.is_finished(), "the wait goes on")?;
            other.raise(cell.condition)?;
            equal(waiter.join()??, cell.told(wish))
        }
        Closed::Invalid => equal(waiter.join()??, alloc::vec![Told { number, what: What::CLOSED }]),
        Closed::Refused => bad_number(waiter.join()?),
    }
}

fn ended(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let wish = cell.wish(&source);
    let waiter = cell.waiter(&set)?;
    a_moment();
    let Some(ending) = source.hang_up(cell.condition)? else {
        source.raise(cell.condition)?;
        return equal(waiter.join()??, cell.told(wish));
    };
    let told = alloc::vec![Told { number: wish.number, what: cell.way.ending(ending) }];
    equal(waiter.join()??, told.clone())?;
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

fn independent(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let wish = cell.wish(&source);
    // One like it, and one of another interface.
    let at = NATIVE.iter().position(|way| way.name == cell.way.name).map_or(0, |at| (at + 1) % NATIVE.len());
    let (like, unlike) = ((cell.way.make)()?, (NATIVE[at].make)()?);
    like.watch(wish, cell.trigger)?;
    if !cell.kind.always_ready {
        unlike.watch(wish, Trigger::Level)?;
    }
    quiet(&like)?;
    source.raise(cell.condition)?;
    for other in [&set, &like] {
        cell.comes(other, wish)?;
    }
    if !cell.kind.always_ready {
        cell.comes(&unlike, wish)?;
    }
    // What becomes of one is nothing to the others.
    like.remove(wish).or_else(|failure| match cell.trigger {
        Trigger::OneShot => Ok(()),
        _ => Err(failure),
    })?;
    if !cell.kind.always_ready {
        cell.comes(&unlike, wish)?;
    }
    source.lower(cell.condition)?;
    quiet(&set)?;
    if matches!(cell.trigger, Trigger::Level | Trigger::Edge) {
        source.raise(cell.condition)?;
        cell.comes(&set, wish)?;
        quiet(&like)?;
    }
    Ok(())
}

fn never(cell: &Cell) -> Outcome {
    let (source, set) = ((cell.kind.make)()?, (cell.way.make)()?);
    let wish = cell.wish(&source);
    set.watch(wish, cell.trigger)?;
    quiet(&set)?;
    for &condition in cell.kind.conditions {
        source.raise(condition)?;
        quiet(&set)?;
        source.lower(condition)?;
    }
    quiet(&set)?;
    set.remove(wish)
}

fn refused(cell: &Cell) -> Outcome {
    let (source, set) = (cell.source()?, (cell.way.make)()?);
    match set.watch(cell.wish(&source), cell.trigger) {
        Err(failure) if failure.is(EPERM) => {}
        done => return Err(Failure::new(format!("watching what is always ready: {done:?}"))),
    }
    source.raise(cell.condition)?;
    quiet(&set)
}

fn always_told(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let wish = cell.wish(&source);
    cell.comes(&set, wish)?;
    equal(set.look(NOW)?, cell.told(wish))?;
    source.raise(cell.condition)?;
    source.lower(cell.condition)?;
    equal(set.look(NOW)?, cell.told(wish))
}

fn always_removed(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let wish = cell.wish(&source);
    set.remove(wish)?;
    quiet(&set)?;
    absent(cell, &set, wish, cell.way.absent)
}

fn always_closed(cell: &Cell) -> Outcome {
    let (source, set) = cell.watched()?;
    let (wish, heir) = (cell.wish(&source), Heir::new()?);
    source.close(cell.condition);
    after_close(cell, &set, wish, &heir)
}
