//! Fuzzers at work, and the others beside them.

use alloc::vec::Vec;

use guest_tests::child::{Role, ends_well};
use guest_tests::random::Random;
use guest_tests::{Outcome, books, soon};
use rt::sys::Notification;
use rt::{clock, init};

use crate::PROGRAM;
use crate::bystander::{Bystander, SOURCES};
use crate::step::INTERFACES;

/// Fuzzers at a time.
const FUZZERS: u64 = 2;
/// What each does before it ends.
const ACTS: u64 = 4000;
/// Rounds that go before the books are opened: what tables grow to is there then.
const BEFORE: u64 = 2;

/// Rounds of fuzzers for so many milliseconds, one at least; the others exchange events meanwhile. What the fuzzers had is gone
/// with them.
pub fn others_are_untouched(milliseconds: u64, seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let mut bystander = Bystander::new()?;
    (0..BEFORE).try_for_each(|_| round(&mut random, &mut bystander))?;
    let (books, end, mut rounds) = (books::open_beside(SOURCES)?, clock::after(milliseconds * 1_000_000), 0);
    while rounds == 0 || clock::now_ns() < end {
        round(&mut random, &mut bystander)?;
        books.are_balanced_after_lies()?;
        rounds += 1;
    }
    let acts = (BEFORE + rounds) * FUZZERS * ACTS;
    let [lies, notes, changes] = [
        books::sum(|stats| stats.lies)?,
        books::sum(|stats| stats.activations)?,
        books::sum(|stats| stats.changes)?,
    ];
    let events = bystander.events();
    rt::log!(
        "faults: {acts} acts of fuzzers: {lies} lies, {changes} changes, {notes} activations; {events} events of others"
    );
    Ok(())
}

fn round(random: &mut Random, bystander: &mut Bystander) -> Outcome {
    let ended = Notification::create()?;
    let mut children = Vec::new();
    for place in 0..FUZZERS {
        let role = Role::new(PROGRAM, "fuzzer").argument(random.draw() >> 1).argument(ACTS).quota(12 << 20);
        let child = role.spawn(Vec::new())?;
        ended.watch_exit(&child.process, 1 << place)?;
        children.push(child);
    }
    // One of them is killed in the midst of it, now and then.
    let mut until_kill = random.below(60);
    let (mut killed, mut gone) = (false, 0);
    while gone != (1 << FUZZERS) - 1 {
        bystander.exchange(*random.pick(&INTERFACES))?;
        gone |= ended.poll()?;
        if until_kill == 0 && gone & 1 == 0 {
            killed = true;
            init::kill(children[0].pid, 9)?;
        }
        until_kill = until_kill.wrapping_sub(1);
        // They have the CPU, too.
        rt::thread::sleep(200_000);
    }
    if killed {
        // It may have come to its end before.
        init::wait_until(children.remove(0).pid, soon())?;
    }
    children.iter().try_for_each(ends_well)
}
