//! More threads that wait at once than a word has bits.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use abi::flag::O_NONBLOCK;
use guest_tests::failure::equal;
use guest_tests::{Failure, Outcome, PATIENCE};
use libkq::{Conditions, KEvent, PollFd, Queue};
use rt::clock;
use rt::thread::{Builder, JoinHandle};

/// Threads.
const CROWD: usize = 150;

/// Each waits for a trigger of its own in one queue, and then for a descriptor of its own by poll, all at once; whichever of
/// them an event is for is woken.
pub fn each_of_many_is_woken() -> Outcome {
    let queue = Arc::new(Queue::new()?);
    let pipes = (0..CROWD).map(|_| libkq::pipe(O_NONBLOCK)).collect::<Result<Vec<_>, _>>()?;
    let told = Arc::new(AtomicU64::new(0));
    let mut threads: Vec<JoinHandle<Outcome>> = Vec::new();
    for &(reader, _) in &pipes {
        let (queue, told) = (queue.clone(), told.clone());
        threads.push(Builder::new().name("one of many").spawn(move || {
            let mut room = [KEvent::default()];
            equal(queue.wait(&mut room, None)?.len(), 1)?;
            told.fetch_add(1, Ordering::SeqCst);
            let mut list = [PollFd::new(reader, Conditions::IN)];
            equal(libkq::poll(&mut list, None, None)?, 1)?;
            told.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })?);
    }
    guest_tests::a_moment();
    for ident in 0..CROWD {
        queue.apply(&[KEvent::user(ident).add().oneshot().trigger()])?;
    }
    until(&told, CROWD as u64, "of its trigger")?;
    guest_tests::a_moment();
    // From the last to the first: whoever has a high number is woken as well as the others.
    for &(_, writer) in pipes.iter().rev() {
        libkq::write(writer, b"!")?;
    }
    until(&told, 2 * CROWD as u64, "of its bytes")?;
    for thread in threads {
        thread.join()??;
    }
    let mut room = vec![KEvent::default(); 1];
    equal(queue.wait(&mut room, Some(Duration::ZERO))?.len(), 0)?;
    for (reader, writer) in pipes {
        libkq::close(reader).and(libkq::close(writer))?;
    }
    Ok(())
}

fn until(told: &AtomicU64, so_many: u64, what: &str) -> Outcome {
    // Beginning to poll takes so many threads a while: only a standstill is a failure.
    let (mut deadline, mut before) = (clock::after(PATIENCE), 0);
    loop {
        let now = told.load(Ordering::SeqCst);
        if now >= so_many {
            break;
        }
        if now > before {
            (deadline, before) = (clock::after(PATIENCE), now);
        }
        if clock::now_ns() > deadline {
            return Err(Failure::new(format!("{} threads were not told {what}", so_many - now)));
        }
        guest_tests::a_moment();
    }
    equal(told.load(Ordering::SeqCst), so_many)
}
