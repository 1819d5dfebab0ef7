//! Processes and drivers that die, and what is left of what is closed.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{ENODEV, Error, Result};
use abi::flag::{O_RDONLY, O_WRONLY};
use guest_tests::books;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::looks::{only, ready};
use guest_tests::operator;
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, PATIENCE, a_moment};
use libkq::{Descriptor, KEvent, Queue};
use rt::init;

use crate::ends::{Fifo, pipe, read, start};
use crate::inheritance::with;

pub const TESTS: &[Test] = &[
    ("a_killed_writer_is_an_end", killed_writer),
    ("who_is_killed_while_opening_is_nobody", killed_opener),
    ("r31_closing_and_opening_leaves_nothing", leaves_nothing),
    ("r57_a_killed_driver_is_an_end", killed_driver),
];

fn killed_writer() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    let child = with("sleeps", &[(&writer, 6)])?;
    drop(writer);
    a_moment();
    equal(ready(&queue)?, vec![])?;
    init::kill(child.pid, 9)?;
    ensure(only(&queue)?.is_eof(), "the last writer is dead")?;
    init::wait_until(child.pid, guest_tests::soon())?;
    Ok(())
}

fn killed_opener() -> Outcome {
    let fifo = Fifo::new("killed")?;
    let child = with("opens", &[])?;
    for _ in 0..20 {
        a_moment();
    }
    init::kill(child.pid, 9)?;
    init::wait_until(child.pid, guest_tests::soon())?;
    // A writer waits for a living reader.
    let path = fifo.0.clone();
    let waits = start(move || Ok(Descriptor::open(&path, O_WRONLY)?.write_all(b"to the living")?))?;
    for _ in 0..5 {
        a_moment();
    }
    let reader = fifo.open(O_RDONLY)?;
    equal(read(&reader, 20)?, b"to the living".to_vec())?;
    waits.join()?
}

fn leaves_nothing() -> Outcome {
    let round = |unread: bool| -> Outcome {
        let pipes: Result<Vec<_>> = (0..30).map(|_| pipe()).collect();
        let (pipes, queue) = (pipes?, Queue::new()?);
        for (reader, writer) in &pipes {
            queue.apply(&[KEvent::read(reader.number()).add(), KEvent::write(writer.number()).add()])?;
            if unread {
                writer.write_all(b"left unread")?;
            }
        }
        Ok(())
    };
    let kept = || Ok::<_, Error>([books::notes()?, books::sum(|stats| stats.sources)?]);
    // Heaps and tables grow to what they need.
    for unread in [true, false, true] {
        round(unread)?;
    }
    books::settled()?;
    let (ledger, before) = (Ledger::open()?, kept()?);
    // So many that what one of them left would be seen.
    for at in 0..15 {
        round(at % 3 == 0)?;
    }
    let deadline = guest_tests::soon();
    loop {
        let now = kept()?;
        if now == before {
            return ledger.balance();
        }
        if rt::clock::now_ns() > deadline {
            return Err(Failure::new(format!("notes and sources: {before:?} before, {now:?} now")));
        }
        a_moment();
    }
}

fn killed_driver() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add(), KEvent::write(writer.number()).add().clear()])?;
    ensure(!only(&queue)?.is_eof(), "there is space")?;
    operator::kill("pipe")?;
    let (mut seen, deadline) = (Vec::new(), guest_tests::soon());
    while seen.len() < 2 {
        let mut events = [KEvent::default(); 2];
        for event in queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE)))? {
            ensure(event.is_eof(), "both ends end")?;
            equal(event.fflags, ENODEV as u32)?;
            ensure(!seen.contains(&event.filter), "each is told once")?;
            seen.push(event.filter);
        }
        ensure(rt::clock::now_ns() < deadline, "both are told")?;
    }
    a_moment();
    equal(ready(&queue)?, vec![])?;
    refused(writer.write_all(b"x"), ENODEV)?;
    refused(read(&reader, 1), ENODEV)?;
    let deadline = guest_tests::soon();
    loop {
        if let Ok((reader, writer)) = pipe() {
            writer.write_all(b"again")?;
            return equal(read(&reader, 9)?, b"again".to_vec());
        }
        ensure(rt::clock::now_ns() < deadline, "it is started again")?;
        a_moment();
    }
}
