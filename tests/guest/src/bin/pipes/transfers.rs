//! Reads and writes that wait.

use alloc::vec::Vec;

use guest_tests::failure::{ensure, equal};
use guest_tests::looks::only;
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::{KEvent, Queue};

use crate::ends::{pipe, read, start};

pub const TESTS: &[Test] = &[
    ("a_blocked_reader_is_woken", blocked_reader),
    ("an_oversize_write_ends", oversize_write),
    ("small_writes_are_not_torn", small_writes),
];

fn blocked_reader() -> Outcome {
    let (reader, writer) = pipe()?;
    let waits = start(move || equal(read(&reader, 10)?, b"late".to_vec()))?;
    a_moment();
    writer.write_all(b"late")?;
    waits.join()?
}

fn oversize_write() -> Outcome {
    const LENGTH: usize = 300_000;
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    let writes = start(move || {
        let bytes: Vec<u8> = (0..LENGTH).map(|n| (n % 251) as u8).collect();
        writer.write_all(&bytes)?;
        Ok(())
    })?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    let mut seen = 0;
    loop {
        let event = only(&queue)?;
        let bytes = read(&reader, 5000)?;
        let right = bytes.iter().enumerate().all(|(at, &byte)| byte == ((seen + at) % 251) as u8);
        ensure(right, "the bytes come in their order")?;
        seen += bytes.len();
        if bytes.is_empty() {
            ensure(event.is_eof(), "an empty read is the end")?;
            break;
        }
    }
    equal(seen, LENGTH)?;
    writes.join()?
}

fn small_writes() -> Outcome {
    const WRITERS: u8 = 4;
    const EACH: usize = 200;
    const SIZE: usize = 600;
    let (reader, writer) = pipe()?;
    let mut threads = Vec::new();
    for letter in 0..WRITERS {
        let writer = writer.duplicate()?;
        threads.push(start(move || {
            (0..EACH).try_for_each(|_| writer.write_all(&[letter; SIZE]))?;
            Ok(())
        })?);
    }
    drop(writer);
    let (mut counts, mut message) = ([0; WRITERS as usize], Vec::new());
    loop {
        let bytes = read(&reader, SIZE - message.len())?;
        if bytes.is_empty() {
            break;
        }
        message.extend(bytes);
        if message.len() == SIZE {
            let letter = message[0];
            ensure(message.iter().all(|&byte| byte == letter), "a message is of one writer")?;
            counts[letter as usize] += 1;
            message.clear();
        }
    }
    equal((counts, message.len()), ([EACH; WRITERS as usize], 0))?;
    threads.into_iter().try_for_each(|thread| thread.join()?)
}
