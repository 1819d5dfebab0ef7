//! Many processes with many threads, killed at random while records come.
//!
//! Records come in bursts. After one, nobody new is started until all of it was taken: who is new would look, and what
//! nobody was woken for would not show.

use alloc::format;
use alloc::vec::Vec;

use guest_tests::failure::{ensure, equal};
use guest_tests::looks::{NOW, pipe};
use guest_tests::random::Random;
use guest_tests::{Outcome, books};
use libkq::{Descriptor, KEvent, Queue};

use crate::crew::{Plan, Sleepers, until};
use crate::ledger::{Ledger, SLOTS};
use crate::worker::Sharing;

const PROCESSES: usize = 8;
/// Most records of a burst.
const BURST: u64 = 8;
/// Most nanoseconds between a burst and a kill.
const AFTER: u64 = 300_000;

/// So many records, and so many kills among them.
pub fn under_kills(records: u64, kills: u64, seed: u64) -> Outcome {
    let random = &mut Random::new(seed);
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    let before = books::settled()?;
    let ledger = Ledger::new(records)?;
    let threads = SLOTS / PROCESSES;
    let start = |at| {
        let plan = Plan { first: at * threads, threads, sharing: at % Sharing::ALL.len() };
        Sleepers::start(plan, &reader, &ledger, at as u64 + 1)
    };
    let mut crew: Vec<Sleepers> = (0..PROCESSES).map(start).collect::<Outcome<_>>()?;
    let handed_on = books::sum(|stats| stats.handed_on)?;
    let (mut written, mut killed, mut gone) = (0, 0, 0);
    while written < records {
        let count = (random.below(BURST) + 1).min(records - written);
        // As many by now as of the records were written.
        let kill = killed * records < kills * written;
        let victim = random.below(PROCESSES as u64) as usize;
        let by_itself = random.below(2) == 0;
        if kill && by_itself {
            crew[victim].kill_one()?;
        }
        write(&writer, written..written + count, random.below(2) == 0)?;
        written += count;
        if kill && !by_itself {
            rt::thread::sleep(random.below(AFTER));
            crew[victim].kill()?;
        }
        until("what was written is taken", || Ok(queue.wait(&mut [KEvent::default()], NOW)?.is_empty()))?;
        if kill {
            books::audited()?;
            killed += 1;
            gone += crew[victim].restore(&reader, &ledger, random.draw())?;
        }
    }
    drop(writer);
    crew.into_iter().try_for_each(Sleepers::end)?;
    let handed_on = books::sum(|stats| stats.handed_on)? - handed_on;
    let twice = (0..records).filter(|&record| ledger.times(record) > 1).count();
    let missing = records - ledger.taken();
    rt::log!(
        "wakeone: {records} records, {} threads and {} processes killed, {handed_on} wake-ups handed on, {missing} records \
         gone with who read them, of {gone} that were reading",
        ledger.killed(),
        killed - ledger.killed().min(killed),
    );
    equal(twice, 0)?;
    ensure(missing <= gone, "no record is lost but with who read it")?;
    books::audited()?;
    let mut now = 0;
    let balanced = until("the books are what they were", || {
        now = books::settled()?;
        Ok(now == before)
    });
    balanced.map_err(|failure| failure.within(&format!("{now} notes, {before} before")))
}

/// Writes numbers at once, or each as an arrival of its own.
fn write(writer: &Descriptor, records: core::ops::Range<u64>, at_once: bool) -> Outcome {
    let bytes: Vec<u8> = records.flat_map(u64::to_le_bytes).collect();
    let part = if at_once { bytes.len() } else { 8 };
    bytes.chunks(part).try_for_each(|part| Ok(writer.write_all(part)?))
}
