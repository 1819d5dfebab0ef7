//! Levels, edges, and calls that wait for them.

use alloc::sync::Arc;
use alloc::vec;

use abi::error::EAGAIN;
use guest_tests::failure::{equal, refused};
use guest_tests::looks::{NOW, next, ready};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::{Filter, KEvent, Queue};
use rt::clock;
use rt::thread::Builder;
use template::driver::CAPACITY;

use crate::open_template;

pub const TESTS: &[Test] = &[
    ("r11_readiness_follows_the_level", readiness_follows_the_level),
    ("r15_an_edge_is_told_once", an_edge_is_told_once),
    ("r50_a_blocked_call_sees_what_comes", a_blocked_call_sees_what_comes),
];

fn readiness_follows_the_level() -> Outcome {
    let (queue, file) = (Queue::new()?, open_template()?);
    queue.apply(&[KEvent::read(file.number()).add().udata(42)])?;
    equal(ready(&queue)?, vec![])?;
    file.write_all(b"hello")?;
    for _ in 0..3 {
        let events = ready(&queue)?;
        equal(events.len(), 1)?;
        equal((events[0].ident, events[0].data, events[0].udata), (file.number() as usize, 5, 42))?;
    }
    let mut buffer = [0; 16];
    equal(file.read(&mut buffer[..2])?, 2)?;
    equal(ready(&queue)?[0].data, 3)?;
    equal(file.read(&mut buffer)?, 3)?;
    // The level was published before the read was answered.
    equal(ready(&queue)?, vec![])?;
    refused(file.read(&mut buffer), EAGAIN)?;
    queue.apply(&[KEvent::write(file.number()).add()])?;
    equal(ready(&queue)?[0].data, CAPACITY as i64)?;
    file.write_all(&[7; CAPACITY])?;
    let events = ready(&queue)?;
    equal(events.len(), 1)?;
    equal((events[0].filter, events[0].data), (Filter::READ, CAPACITY as i64))
}

fn an_edge_is_told_once() -> Outcome {
    let (queue, file) = (Queue::new()?, open_template()?);
    file.write_all(b"a")?;
    queue.apply(&[KEvent::read(file.number()).add().clear()])?;
    equal(next(&queue)?.data, 1)?;
    equal(ready(&queue)?, vec![])?;
    file.write_all(b"b")?;
    equal(next(&queue)?.data, 2)?;
    equal(file.read(&mut [0; 1])?, 1)?;
    equal(ready(&queue)?, vec![])
}

fn a_blocked_call_sees_what_comes() -> Outcome {
    for round in 0..50u64 {
        let (queue, file) = (Queue::new()?, Arc::new(open_template()?));
        let (number, writer) = (queue.number(), file.clone());
        let late = round % 2 == 0;
        let thread = Builder::new().cpus(1 << (round % clock::cpu_count() as u64)).spawn(move || {
            if late {
                a_moment();
            }
            libkq::kevent(number, &[KEvent::read(writer.number()).add()], &mut [], NOW)?;
            writer.write_all(b"x")
        })?;
        equal(next(&queue)?.data, 1)?;
        thread.join()??;
    }
    Ok(())
}
