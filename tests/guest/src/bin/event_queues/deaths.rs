//! The driver dies, and at last the event server.

use alloc::sync::Arc;
use alloc::vec;

use abi::error::{ENODEV, ENOTCONN, Error};
use guest_tests::crew::Crew;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{PATIENTLY, next, ready};
use guest_tests::operator::kill;
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment, soon};
use libkq::{KEvent, Queue};
use rt::clock;

use crate::open_template;

pub const TESTS: &[Test] = &[
    ("r57_a_dead_driver_is_told_once", a_dead_driver_is_told_once),
    ("a_dead_server_is_an_error", a_dead_server_is_an_error),
];

fn a_dead_driver_is_told_once() -> Outcome {
    let (queue, file) = (Arc::new(Queue::new()?), open_template()?);
    queue.apply(&[KEvent::read(file.number()).add()])?;
    let waiter = {
        let queue = queue.clone();
        rt::thread::spawn(move || next(&queue))?
    };
    a_moment();
    kill("template")?;
    let event = waiter.join()??;
    ensure(event.is_eof(), "end of file")?;
    equal(event.fflags, ENODEV as u32)?;
    equal(ready(&queue)?, vec![])?;
    refused(queue.apply(&[KEvent::read(file.number()).add()]), ENODEV)?;
    refused(queue.apply(&[KEvent::write(file.number()).add()]), ENODEV)?;
    refused(file.read(&mut [0; 1]), ENODEV)?;
    drop(file);
    // init starts it again, and the same queue serves its files.
    let deadline = soon();
    let file = loop {
        match open_template() {
            Ok(file) => break file,
            Err(Error { errno: ENODEV }) => a_moment(),
            Err(error) => return Err(error.into()),
        }
        ensure(clock::now_ns() < deadline, "it is started again")?;
    };
    queue.apply(&[KEvent::read(file.number()).add()])?;
    file.write_all(b"again")?;
    equal(next(&queue)?.data, 5)
}

fn a_dead_server_is_an_error() -> Outcome {
    let (queue, file) = (Arc::new(Queue::new()?), open_template()?);
    let waiters = Crew::on_each_cpu(2, |_| {
        let queue = queue.clone();
        move || -> Outcome { refused(queue.wait(&mut [KEvent::default()], PATIENTLY), ENOTCONN) }
    })?;
    a_moment();
    kill("event")?;
    waiters.join()?;
    refused(queue.apply(&[KEvent::read(file.number()).add()]), ENOTCONN)?;
    // What needs no server goes on.
    queue.apply(&[KEvent::user(1).add().trigger()])?;
    equal(ready(&queue)?.len(), 1)
}
