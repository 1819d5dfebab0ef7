//! Who takes the items: a process that waits for the common pipe and for one of its own, as a server's worker for the listener
//! and its connections.

use abi::error::EAGAIN;
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome, soon};
use libkq::{EventFlags, Filter, KEvent, Queue};
use rt::sys::Notification;

use super::board::{Board, Item};
use super::workload::{self, Workload};
use crate::wakeup::Policy;

/// The numbers that the common pipe and the worker's own have.
pub const COMMON: i32 = 5;
pub const OWN: i32 = 6;

/// The process: one row after the other.
pub fn worker(start: &rt::Start) -> Outcome {
    let missing = || Failure::new("something is missing");
    let me = start.arg(3).parse().map_err(|_| missing())?;
    let board = Board(Shared::open(start.object("board").ok_or_else(missing)?)?);
    let go: Notification = start.object("go").ok_or_else(missing)?;
    let ready: Notification = start.object("ready").ok_or_else(missing)?;
    let done: Notification = start.object("done").ok_or_else(missing)?;
    loop {
        go.wait(soon())?;
        let (number, policy) = board.row();
        let (Some(workload), Some(policy)) = (workload::ALL.get(number), policy.checked_sub(1)) else {
            return Ok(());
        };
        let queue = prepared(Policy::from_number(policy))?;
        ready.signal(1)?;
        serve(&queue, &board, me, workload, &done)?;
        drop(queue);
        ready.signal(1)?;
    }
}

/// A queue with notes of both pipes.
fn prepared(policy: Policy) -> Outcome<Queue> {
    let queue = Queue::new()?;
    let (common, own) = (KEvent::read(COMMON).add(), KEvent::read(OWN).add());
    match policy {
        Policy::Plain => queue.apply(&[common, own])?,
        Policy::Exclusive(choice) => {
            queue.apply(&[common.with(EventFlags::WAKEONE), own])?;
            queue.wake_policy(COMMON, Filter::READ, Some(choice))?;
        }
    }
    Ok(queue)
}

/// Takes one item of each pipe that has some, looks again, and sleeps when there is none.
fn serve(queue: &Queue, board: &Board, me: usize, workload: &Workload, done: &Notification) -> Outcome {
    let mut events = [KEvent::default(); 2];
    loop {
        for event in queue.wait(&mut events, None)? {
            let mut record = [0; 8];
            match libkq::read(event.ident as i32, &mut record) {
                Ok(8) if record == Item::STOP => return Ok(()),
                Ok(8) => {
                    board.handle(Item::from_bytes(record), me, workload.work);
                    done.signal(1)?;
                }
                Ok(_) => return Err(Failure::new("half an item")),
                // Another was faster.
                Err(error) if error.errno == EAGAIN => board.late(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
