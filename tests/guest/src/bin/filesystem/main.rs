//! Files in memory on the machine: what kevent, poll, select and epoll say of them. Runs with the manifest `descriptors`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod ends;
mod names;
mod notes;
mod readiness;

use alloc::format;

use guest_tests::failure::equal;
use guest_tests::looks::PATIENTLY;
use guest_tests::{Failure, Outcome, Suite, child};
use libkq::flag::{O_CREAT, O_RDWR, O_TRUNC, O_WRONLY};
use libkq::{Descriptor, Filter, KEvent, Queue, process};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Acts on a file that has two names and is open.
const SHARED: &str = "/tmp/shared";

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, play) {
        return status;
    }
    let mut suite = Suite::of_lookers(start);
    let families = [readiness::TESTS, notes::TESTS, names::TESTS, ends::TESTS];
    families.iter().for_each(|tests| suite.table(tests));
    suite.finish()
}

fn play(role: &str) -> Outcome {
    match role {
        "acts" => {
            let file = Descriptor::open(SHARED, O_WRONLY)?;
            file.write_all(b"by another process")?;
            drop(file);
            Ok(process().chmod(SHARED, 0o600)?)
        }
        _ => Err(Failure::new("no such role")),
    }
}

fn make(path: &str) -> Outcome<Descriptor> {
    Ok(Descriptor::open(path, O_RDWR | O_CREAT | O_TRUNC | 0o644)?)
}

fn vnode(file: &Descriptor, bits: u32) -> KEvent {
    KEvent { fflags: bits, ..KEvent::new(file.number() as usize, Filter::VNODE) }.add().clear()
}

/// Waits until these bits have been told, and no others.
#[track_caller]
fn noted(queue: &Queue, expected: u32) -> Outcome {
    let mut told = 0;
    while told & expected != expected {
        let mut events = [KEvent::default(); 4];
        let events = queue.wait(&mut events, PATIENTLY)?;
        if events.is_empty() {
            return Err(Failure::new(format!("told {told:#x}, expected {expected:#x}")));
        }
        told |= events.iter().fold(0, |bits, event| bits | event.fflags);
    }
    equal(told, expected)
}
