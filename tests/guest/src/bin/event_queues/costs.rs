//! What notes and looks cost: memory, and entries of the kernel.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use abi::error::Result;
use guest_tests::failure::{ensure, equal};
use guest_tests::ledger::Ledger;
use guest_tests::looks::{NOW, next, ready};
use guest_tests::suite::Test;
use guest_tests::{Outcome, soon};
use libkq::{Descriptor, KEvent, Queue};
use rt::clock;

use crate::open_template;

pub const TESTS: &[Test] = &[
    ("r55_a_thousand_notes", a_thousand_notes),
    ("nothing_is_left_over", nothing_is_left_over),
    ("a_look_enters_no_kernel", a_look_enters_no_kernel),
];

fn a_thousand_notes() -> Outcome {
    let (queue, file) = (Queue::new()?, open_template()?);
    let copies: Vec<Descriptor> = (0..600).map(|_| file.duplicate()).collect::<Result<_>>()?;
    for copy in &copies {
        queue.apply(&[KEvent::read(copy.number()).add(), KEvent::write(copy.number()).add()])?;
    }
    file.write_all(b"x")?;
    let mut events = vec![KEvent::default(); 2000];
    // The server tells all within one turn; until then some are not there yet.
    let deadline = soon();
    loop {
        let count = queue.wait(&mut events, NOW)?.len();
        if count == 2 * copies.len() {
            return Ok(());
        }
        ensure(clock::now_ns() < deadline, "all notes are ready")?;
    }
}

fn nothing_is_left_over() -> Outcome {
    let round = || -> Outcome {
        let (queue, file) = (Queue::new()?, open_template()?);
        let twin = file.duplicate()?;
        queue.apply(&[
            KEvent::read(file.number()).add(),
            KEvent::write(twin.number()).add().oneshot(),
            KEvent::timer(1).every(Duration::from_millis(1)),
            KEvent::user(1).add(),
        ])?;
        file.write_all(b"x")?;
        for _ in 0..5 {
            next(&queue)?;
        }
        Ok(())
    };
    // Heaps, tables, waiter records and pages of cells grow to what they need.
    for _ in 0..5 {
        round()?;
    }
    let ledger = Ledger::open()?;
    for _ in 0..100 {
        round()?;
    }
    ledger.balance()
}

fn a_look_enters_no_kernel() -> Outcome {
    rt::sys::set_affinity(1)?;
    let (queue, file) = (Queue::new()?, open_template()?);
    queue.apply(&[KEvent::read(file.number()).add(), KEvent::write(file.number()).add()])?;
    ready(&queue)?;
    let entries = || clock::cpu_hint().entries.load(Ordering::Relaxed);
    // Others on this CPU enter the kernel too, at times: the quietest of many looks counts.
    let mut least = u64::MAX;
    for _ in 0..100 {
        let before = entries();
        let mut events = [KEvent::default(); 4];
        for _ in 0..10 {
            queue.wait(&mut events, NOW)?;
        }
        least = least.min(entries() - before);
    }
    rt::sys::set_affinity((1 << clock::cpu_count()) - 1)?;
    equal(least, 0)
}
