//! Exclusive notes: what arrives is taken, or somebody is on the way to it, at whatever point one of two waiters dies, times out
//! or is cancelled.

use crate::session::{NOTE, Session, check};
use event_protocol::changed::{Drain, Publisher};
use event_protocol::filter::Filters;
use event_protocol::park::{End, Waiter, choose};
use event_protocol::parked::Parked;
use event_protocol::slot::{Control, Slot, Terms};
use loom::sync::Arc;
use loom::thread;

/// A process with one queue, one thread and one exclusive note.
struct Process {
    parked: Parked,
    waiter: Waiter,
    slot: Slot,
}

struct World {
    session: Session,
    processes: [Process; 2],
}

/// What becomes of the first waiter. The second waits as long as it takes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Patient,
    /// Its deadline passes.
    TimesOut,
    /// It is cancelled in its wait, or before it has looked: what it is chosen for is not for it.
    Cancelled,
    CancelledEarly,
    /// Its process dies before it has looked, or in its wait.
    DiesEarly,
    Dies,
    /// It is suspended where it would have died.
    StuckEarly,
    Stuck,
}

/// How the first waiter leaves.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Left {
    /// It has looked, and takes what is there.
    Took,
    /// It sleeps, or is not heard of again.
    Asleep,
    /// It does not wait any more, and nobody had chosen it.
    Away,
    /// The shard is told that it was chosen for nothing.
    HandedBack,
    /// Its process is dead.
    Dead,
}

impl World {
    fn new() -> World {
        let session = Session::new(Filters::READ);
        let terms = Terms { control: Control::ENABLED, filters: Filters::READ, ..Terms::default() };
        let process = || {
            let slot = Slot::default();
            slot.begin(NOTE.generation, terms, &session.cell);
            slot.keep();
            Process { parked: Parked::default(), waiter: Waiter::default(), slot }
        };
        let processes = [process(), process()];
        World { session, processes }
    }

    fn sees(&self, process: usize) -> bool {
        !self.processes[process].slot.active(&self.session.cell).is_empty()
    }

    /// Says that it sleeps next.
    fn announce(&self, process: usize) {
        let Process { parked, waiter, .. } = &self.processes[process];
        waiter.announce(parked, 0, 0);
    }

    fn withdraw(&self, process: usize) -> End {
        let Process { parked, waiter, .. } = &self.processes[process];
        waiter.withdraw(parked, 0)
    }

    /// The shard's: the first of these, in turn, for whom there is something and who sleeps.
    fn wake(&self, turn: &[usize]) -> Option<usize> {
        turn.iter().copied().find(|&process| {
            let Process { parked, waiter, .. } = &self.processes[process];
            self.sees(process) && choose(parked, std::slice::from_ref(waiter), 63).is_some()
        })
    }

    fn first(&self, fate: Fate) -> Left {
        self.announce(0);
        match fate {
            Fate::DiesEarly => return Left::Dead,
            Fate::StuckEarly => return Left::Asleep,
            Fate::CancelledEarly => return self.cancelled(),
            _ => {}
        }
        if self.sees(0) {
            // Chosen or not: it is up, and looks.
            let _ = self.withdraw(0);
            return Left::Took;
        }
        match fate {
            Fate::Dies => Left::Dead,
            Fate::Cancelled => self.cancelled(),
            Fate::TimesOut => match self.withdraw(0) {
                End::Chosen => {
                    assert!(self.sees(0), "chosen for nothing");
                    Left::Took
                }
                End::Withdrawn => Left::Away,
            },
            _ => Left::Asleep,
        }
    }

    fn cancelled(&self) -> Left {
        match self.withdraw(0) {
            End::Chosen => Left::HandedBack,
            End::Withdrawn => Left::Away,
        }
    }
}

/// One arrival. The shard looks, chooses, and hears of what became of the first waiter at any time after it.
fn hand_off(fate: Fate, turn: [usize; 2]) {
    check(5, move || {
        let world = Arc::new(World::new());
        let first = {
            let world = world.clone();
            thread::spawn(move || world.first(fate))
        };
        let shard = {
            let world = world.clone();
            thread::spawn(move || {
                world.session.publish(&mut Publisher::new(), 1, true);
                assert!(Drain::new().pop(world.session.changed()).unwrap().is_some());
                world.session.cell.begin_look();
                let chosen = world.wake(&turn);
                let lease = world.processes[0].waiter.turn();
                let left = first.join().unwrap();
                let again = match left {
                    // Its notes are gone.
                    Left::Dead => world.wake(&[1]),
                    Left::HandedBack => world.wake(&[1, 0]),
                    // The lease is over.
                    Left::Asleep if fate != Fate::Patient && chosen == Some(0) => {
                        assert!(world.processes[0].waiter.still_owes(lease));
                        world.wake(&[1])
                    }
                    _ => None,
                };
                (left, chosen, again)
            })
        };
        world.announce(1);
        let took = world.sees(1);
        if took {
            let _ = world.withdraw(1);
        }
        let (left, chosen, again) = shard.join().unwrap();
        let comes = |process: usize| world.processes[process].waiter.is_chosen();
        let first_comes = left == Left::Took || left == Left::Asleep && fate == Fate::Patient && comes(0);
        assert!(took || comes(1) || first_comes, "{left:?}: the second sleeps on what nobody comes for");
        if again.is_none() && chosen.is_some() {
            assert!(!(comes(0) && comes(1)), "one arrival wakes one");
        }
        assert!(!(took && comes(1)), "who is up is not waited for");
    });
}

fn each_in_turn(fate: Fate) {
    hand_off(fate, [0, 1]);
    hand_off(fate, [1, 0]);
}

#[test]
fn r43_of_two_who_sleep_or_are_about_to_one_comes() {
    each_in_turn(Fate::Patient);
}

#[test]
fn r44_one_that_times_out_leaves_nothing_to_nobody() {
    each_in_turn(Fate::TimesOut);
}

#[test]
fn r44_one_that_is_cancelled_leaves_nothing_to_nobody() {
    each_in_turn(Fate::CancelledEarly);
    each_in_turn(Fate::Cancelled);
}

#[test]
fn r44_one_that_dies_leaves_nothing_to_nobody() {
    each_in_turn(Fate::DiesEarly);
    each_in_turn(Fate::Dies);
}

#[test]
fn r44_one_that_does_not_come_back_leaves_nothing_to_nobody() {
    each_in_turn(Fate::StuckEarly);
    each_in_turn(Fate::Stuck);
}
