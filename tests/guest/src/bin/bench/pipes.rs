//! Pipes: what a byte through one costs, and as many as other figures need, kept for the next.

use alloc::vec::Vec;

use guest_tests::measure::{Clock, measure, tell};
use guest_tests::{Failure, Outcome};
use libkq::Descriptor;
use rt::sync::Mutex;

use crate::kernel::Figure;

pub const FIGURES: &[Figure] = &[("pipe_write_read", write_read)];

static PIPES: Mutex<Vec<(Descriptor, Descriptor)>> = Mutex::new(Vec::new());

/// The numbers of the reading ends of so many pipes. They are empty.
pub fn readers(count: usize) -> Outcome<Vec<i32>> {
    let mut pipes = PIPES.lock();
    while pipes.len() < count {
        let pipe = Descriptor::pipe()?;
        pipes.push(pipe);
    }
    Ok(pipes[..count].iter().map(|(reader, _)| reader.number()).collect())
}

/// Puts a byte into some of the pipes, which [`readers`] has made.
pub fn fill(which: impl Iterator<Item = usize>) -> Outcome {
    let pipes = PIPES.lock();
    for at in which {
        pipes[at].1.write_all(b".")?;
    }
    Ok(())
}

/// Takes the byte out of them again.
pub fn drain(which: impl Iterator<Item = usize>) -> Outcome {
    let pipes = PIPES.lock();
    for at in which {
        pipes[at].0.read(&mut [0])?;
    }
    Ok(())
}

/// A byte through a pipe, in one process: a call of its driver for each end.
fn write_read(name: &str) -> Outcome {
    let clock = Clock::here();
    let pipe = Descriptor::pipe()?;
    let (mut byte, reader, writer) = ([0], pipe.0.number(), pipe.1.number());
    let cost = measure(|| {
        let begin = clock.begin();
        let written = libkq::write(writer, b".");
        let read = libkq::read(reader, &mut byte);
        let end = clock.end();
        if (written?, read?, byte) != (1, 1, *b".") {
            return Err(Failure::new("another byte"));
        }
        Ok(end.since(begin))
    })?;
    tell(name, cost);
    Ok(())
}
