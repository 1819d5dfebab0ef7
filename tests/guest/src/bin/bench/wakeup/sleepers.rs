//! Who waits for the event.

use alloc::sync::Arc;

use guest_tests::crew::Crew as Threads;
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome, soon};
use libkq::flag::O_RDONLY;
use libkq::{Descriptor, EventFlags, Filter, KEvent, Queue};
use rt::clock;
use rt::sys::{Endpoint, Notification};

use super::row::{Crew, Policy, Row, word};

/// One process of a crew, for one row after the other.
pub fn sleepers(start: &rt::Start) -> Outcome {
    let missing = || Failure::new("handles are missing");
    let me = start.arg(3).parse().map_err(|_| Failure::new("who am I?"))?;
    let publisher: Endpoint = start.object("publisher").ok_or_else(missing)?;
    let shared = Arc::new(Shared::open(start.object("shared").ok_or_else(missing)?)?);
    let go: Notification = start.object("go").ok_or_else(missing)?;
    let done: Notification = start.object("done").ok_or_else(missing)?;
    let file = Descriptor::open_at(&publisher, "/dev/bench", O_RDONLY)?;
    done.signal(1)?;
    loop {
        go.wait(soon())?;
        let Some(row) = Row::load(&shared) else { return Ok(()) };
        match row.crew {
            Crew::Processes => sleep(&prepared(&file, row.policy)?, &shared, me)?,
            Crew::Threads => threads(row.width, &shared, || prepared(&file, row.policy).map(Arc::new))?,
            Crew::Queue => {
                let queue = Arc::new(prepared(&file, row.policy)?);
                threads(row.width, &shared, || Ok(queue.clone()))?;
            }
        }
        done.signal(1)?;
    }
}

/// A queue with a note.
fn prepared(file: &Descriptor, policy: Policy) -> Outcome<Queue> {
    let queue = Queue::new()?;
    let note = KEvent::read(file.number()).add().clear();
    match policy {
        Policy::Plain => queue.apply(&[note])?,
        Policy::Exclusive(choice) => {
            queue.apply(&[note.with(EventFlags::WAKEONE)])?;
            queue.wake_policy(file.number(), Filter::READ, Some(choice))?;
        }
    }
    Ok(queue)
}

fn threads(width: u64, shared: &Arc<Shared>, mut queue: impl FnMut() -> Outcome<Arc<Queue>>) -> Outcome {
    let queues = (0..width).map(|_| queue()).collect::<Outcome<alloc::vec::Vec<_>>>()?;
    let crew = Threads::start(width, |me| {
        let (queue, shared) = (queues[me as usize].clone(), shared.clone());
        move || sleep(&queue, &shared, me)
    })?;
    crew.join()
}

/// Takes what comes until the end of the row.
fn sleep(queue: &Queue, shared: &Shared, me: u64) -> Outcome {
    let mut events = [KEvent::default()];
    loop {
        let count = libkq::kevent(queue.number(), &[], &mut events, None)?;
        if shared.take(word::EVENT) != 0 {
            shared.set(word::TAKEN_AT, clock::ticks());
            shared.add(word::TAKEN + me as usize, 1);
        }
        if count != 1 {
            return Err(Failure::new("another number of events"));
        }
        if events[0].flags.contains(EventFlags::EOF) {
            // Others who share the queue are told only of a new note.
            let note = KEvent::read(events[0].ident as i32);
            return Ok(queue.apply(&[note.delete(), note.add().clear()])?);
        }
    }
}
