//! One of two is killed, some instructions after an event for which one of them was chosen: a step later each time, from the
//! choice until the event was taken.

use guest_tests::failure::{ensure, equal};
use guest_tests::looks::{NOW, pipe};
use guest_tests::{Outcome, a_moment, books, measure};
use libkq::{KEvent, Queue};

use crate::crew::{Plan, Sleepers, until};
use crate::ledger::Ledger;

const STEPS: u64 = 120;
/// Nanoseconds: instructions, where they are counted.
const STEP: u64 = 100;

pub fn sweep() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    let ledger = Ledger::new(STEPS)?;
    let start = |at: usize| {
        let plan = Plan { first: at, threads: 1, sharing: 2 * at };
        Sleepers::start(plan, &reader, &ledger, 1)
    };
    let mut both = [start(0)?, start(1)?];
    let handed_on = books::sum(|stats| stats.handed_on)?;
    let mut reading = 0;
    for step in 0..STEPS {
        // They sleep, or else this step is another one.
        a_moment();
        writer.write_all(&step.to_le_bytes())?;
        rt::thread::sleep(step * STEP);
        let victim = &mut both[(step / 2 % 2) as usize];
        victim.kill()?;
        until("who is left takes it", || Ok(queue.wait(&mut [KEvent::default()], NOW)?.is_empty()))?;
        reading += victim.restore(&reader, &ledger, 1)?;
    }
    let handed_on = books::sum(|stats| stats.handed_on)? - handed_on;
    drop(writer);
    both.into_iter().try_for_each(Sleepers::end)?;
    let times =
        |wanted: fn(u64) -> bool| (0..STEPS).filter(|&step| wanted(ledger.times(step))).count() as u64;
    let gone = times(|times| times == 0);
    rt::log!(
        "wakeone: of {STEPS} events {handed_on} were handed on; {gone} went with {reading} who were reading"
    );
    equal(times(|times| times > 1), 0)?;
    ensure(gone <= reading, "no record is lost but with who read it")?;
    if measure::instructions_are_counted() {
        ensure(handed_on > 0 && reading > 0, "kills before the look, and after it")?;
    }
    Ok(())
}
