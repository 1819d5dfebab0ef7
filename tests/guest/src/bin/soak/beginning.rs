//! The first moments of a process: many threads meet the event server at once.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::flag::O_NONBLOCK;
use guest_tests::Outcome;
use guest_tests::child::{Role, ends_well};
use libkq::process::SocketType;
use libkq::{KEvent, Queue};
use rt::thread::{Builder, JoinHandle};

/// Processes, one after the other.
const PROCESSES: u32 = 8;
/// Threads of each.
const THREADS: u32 = 8;

/// A shard's handle is asked for once, by whichever of the threads adopts a source there first.
pub fn many_threads_begin() -> Outcome {
    for _ in 0..PROCESSES {
        let beginner = Role::new(crate::PROGRAM, "beginner").quota(16 << 20).spawn(Vec::new())?;
        ends_well(&beginner)?;
    }
    Ok(())
}

/// The process.
pub fn run() -> Outcome {
    let there = Arc::new(AtomicU32::new(0));
    // The session is open, with the handle of one shard.
    let queue = Arc::new(Queue::new()?);
    let threads = (0..THREADS).map(|number| {
        let (there, queue) = (there.clone(), queue.clone());
        Builder::new().name("beginner").spawn(move || begin(number, &there, &queue))
    });
    let threads = threads.collect::<Result<Vec<JoinHandle<Outcome>>, _>>()?;
    threads.into_iter().try_for_each(|thread| thread.join()?)
}

fn begin(number: u32, there: &AtomicU32, queue: &Queue) -> Outcome {
    let (reader, writer) = match number % 2 {
        0 => libkq::pipe(O_NONBLOCK)?,
        _ => libkq::process().socketpair(SocketType::Stream, O_NONBLOCK as u64)?,
    };
    there.fetch_add(1, Ordering::SeqCst);
    while there.load(Ordering::SeqCst) < THREADS {
        rt::thread::yield_now();
    }
    queue.apply(&[KEvent::read(reader).add()])?;
    Ok(libkq::close(reader).and(libkq::close(writer))?)
}
