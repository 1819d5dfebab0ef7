//! Local sockets on the machine: what kevent, poll, select and epoll say of them. Runs with the manifest `descriptors`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod connections;
mod ends;
mod listeners;
mod messages;
mod passing;
mod streams;

use guest_tests::failure::equal;
use guest_tests::{Failure, Outcome, PATIENCE, Suite, child};
use libkq::process::SocketType;
use libkq::{Descriptor, process};

use crate::connections::{NAME, PLAIN};

const PROGRAM: &str = env!("CARGO_BIN_NAME");

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, play) {
        return status;
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(streams::TESTS);
    suite.table(listeners::TESTS);
    suite.table(messages::TESTS);
    suite.table(passing::TESTS);
    suite.table(ends::TESTS);
    suite.finish()
}

fn play(role: &str) -> Outcome {
    let socket = Descriptor::socket(SocketType::Stream)?;
    process().connect(socket.number(), NAME)?;
    match role {
        "gives" => {
            let (one, other) = Descriptor::socket_pair(SocketType::Stream)?;
            one.write_all(b"from afar")?;
            let sent = process().send(socket.number(), b"x", "", &[other.number()], PLAIN)?;
            equal(sent, 1)?;
            drop((one, other));
            // Until the other side is done.
            equal(socket.read(&mut [0])?, 0)
        }
        "dies" => {
            socket.write_all(b"last words")?;
            rt::thread::sleep(PATIENCE);
            Ok(())
        }
        _ => Err(Failure::new("no such role")),
    }
}
