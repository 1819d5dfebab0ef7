//! Pipes and FIFOs on the machine, through kevent, poll and select. Runs with the manifest `pipes`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod deaths;
mod ends;
mod fifos;
mod inheritance;
mod readiness;
mod transfers;

use core::time::Duration;

use abi::error::EBADF;
use abi::flag::O_RDONLY;
use guest_tests::child;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::{Failure, Outcome, PATIENCE, Suite};
use libkq::{Descriptor, Filter, KEvent, Queue};

use crate::ends::read;
use crate::inheritance::{SET, has_a_set, has_twins};

const PROGRAM: &str = env!("CARGO_BIN_NAME");

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, play) {
        return status;
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(readiness::TESTS);
    suite.table(transfers::TESTS);
    suite.table(fifos::TESTS);
    suite.table(inheritance::TESTS);
    suite.table(deaths::TESTS);
    suite.finish()
}

fn play(role: &str) -> Outcome {
    match role {
        "echoes" => {
            // Both ends came from another process: each is watched here with a source of its own.
            let (from, to) = (Descriptor::from_number(5), Descriptor::from_number(6));
            let queue = Queue::new()?;
            queue.apply(&[KEvent::read(5).add(), KEvent::write(6).add().clear()])?;
            let mut seen_space = false;
            loop {
                let mut events = [KEvent::default(); 4];
                for event in queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE)))? {
                    seen_space |= event.filter == Filter::WRITE;
                    if event.filter == Filter::READ {
                        let bytes = read(&from, 1000)?;
                        if bytes.is_empty() {
                            return ensure(event.is_eof() && seen_space, "the end is told, and space was");
                        }
                        to.write_all(&bytes)?;
                    }
                }
            }
        }
        "has_a_set" => return has_a_set(),
        "has_twins" => return has_twins(),
        "has_nothing" => {
            refused(libkq::dup(SET), EBADF)?;
            return equal(rt::start::start().data().len(), 0);
        }
        "sleeps" => rt::thread::sleep(PATIENCE),
        "opens" => drop(Descriptor::open("/run/fifo/killed", O_RDONLY)?),
        _ => return Err(Failure::new("no such part")),
    }
    Ok(())
}
