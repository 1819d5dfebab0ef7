//! Ends of processes and of the driver, and what is left after them.

use alloc::format;
use alloc::vec;

use abi::error::{EMFILE, ENFILE, ENODEV, ENOMEM, EPIPE};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::looks::{next, polled, ready};
use guest_tests::operator;
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment, child};
use libkq::control::message::MessageFlags;
use libkq::flag::O_NONBLOCK;
use libkq::process::SocketType;
use libkq::{Conditions, Descriptor, Filter, KEvent, Queue, process};
use rt::init;

use crate::PROGRAM;
use crate::connections::{BOTH, Listener, PLAIN, pair, socket};

pub const TESTS: &[Test] = &[
    ("a_dead_peer_is_an_end", a_dead_peer_is_an_end),
    ("r55_a_greedy_process_gets_an_error", a_greedy_process),
    ("nothing_is_left_over", nothing_is_left_over),
    ("r57_a_dead_driver_is_told_once", a_dead_driver_is_told_once),
];

fn a_dead_peer_is_an_end() -> Outcome {
    let listener = Listener::new(1)?;
    let dies = child::Role::new(PROGRAM, "dies").spawn(vec![])?;
    let server = listener.0.accept()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(server.number()).add()])?;
    equal(next(&queue)?.data, 10)?;
    init::kill(dies.pid, 9)?;
    loop {
        let event = next(&queue)?;
        if event.is_eof() {
            equal(event.data, 10)?;
            break;
        }
    }
    equal(server.read(&mut [0; 99])?, 10)?;
    equal(server.read(&mut [0; 99])?, 0)?;
    refused(libkq::write(server.number(), b"x"), EPIPE)
}

fn a_greedy_process() -> Outcome {
    let mut sockets = vec![];
    let error = loop {
        match socket() {
            Ok(socket) => sockets.push(socket),
            Err(failure) => break failure,
        }
        ensure(sockets.len() < 10_000, "there is an end")?;
    };
    ensure(error.is(EMFILE) || error.is(ENFILE) || error.is(ENOMEM), "the quota is told")?;
    sockets.truncate(1);
    drop(pair()?);
    let (one, other) = Descriptor::socket_pair(SocketType::SeqPacket)?;
    process().set_nonblocking(one.number(), true)?;
    let number = other.number();
    let sent =
        (0..10_000).take_while(|_| process().send(one.number(), b"", "", &[number], PLAIN).is_ok()).count();
    ensure(sent < 1000, "handles on their way have an end")?;
    ensure(
        process().receive(number, &mut [0], 0, PLAIN)?.flags.contains(MessageFlags::HANDLES_TRUNCATED),
        "told",
    )?;
    equal(process().send(one.number(), b"", "", &[number], PLAIN)?, 0)
}

fn nothing_is_left_over() -> Outcome {
    let round = |number: usize| -> Outcome {
        let (queue, (one, other)) = (Queue::new()?, pair()?);
        queue.apply(&[KEvent::read(other.number()).add(), KEvent::write(one.number()).add()])?;
        process().send(one.number(), b"x", "", &[other.number()], PLAIN)?;
        let name = format!("/run/socket/round-{number}");
        let listener = Descriptor::socket(SocketType::Stream)?;
        process().bind(listener.number(), &name)?;
        process().listen(listener.number(), 1)?;
        let client = socket()?;
        process().connect(client.number(), &name)?;
        process().unlink(&name)?;
        let mut flags = O_NONBLOCK as u64;
        flags |= process().flags(client.number())?;
        Ok(process().set_flags(client.number(), flags)?)
    };
    round(0)?;
    let ledger = Ledger::open()?;
    for number in 0..100 {
        round(number)?;
    }
    ledger.balance()
}

/// A dead driver: every note is told once, and the service comes back.
fn a_dead_driver_is_told_once() -> Outcome {
    let (queue, (one, other), listener) = (Queue::new()?, pair()?, Listener::new(1)?);
    queue.apply(&[
        KEvent::read(other.number()).add(),
        KEvent::write(listener.0.number()).add(),
        KEvent::new(one.number() as usize, Filter::EXCEPT).add(),
    ])?;
    operator::kill("socket")?;
    for _ in 0..3 {
        let event = next(&queue)?;
        ensure(event.is_eof(), "the end of file")?;
        equal(event.fflags, ENODEV as u32)?;
    }
    equal(ready(&queue)?, vec![])?;
    ensure(polled(&other, BOTH)?.contains(Conditions::HUP), "hung up")?;
    refused(queue.apply(&[KEvent::read(one.number()).add()]), ENODEV)?;
    refused(other.read(&mut [0]), ENODEV)?;
    drop((one, other, listener));
    let deadline = guest_tests::soon();
    loop {
        match pair() {
            Ok((one, other)) => {
                one.write_all(b"again")?;
                return equal(other.read(&mut [0; 9])?, 5);
            }
            Err(failure) if failure.is(ENODEV) => a_moment(),
            Err(failure) => return Err(failure),
        }
        ensure(rt::clock::now_ns() < deadline, "it is started again")?;
    }
}
