//! Descriptors that travel in messages.

use alloc::vec;

use guest_tests::failure::equal;
use guest_tests::looks::next;
use guest_tests::suite::Test;
use guest_tests::{Outcome, child};
use libkq::{Descriptor, KEvent, Queue, process};

use crate::PROGRAM;
use crate::connections::{Listener, PLAIN, pair};

pub const TESTS: &[Test] = &[
    ("descriptors_travel_within_a_process", descriptors_travel),
    ("descriptors_travel_to_another_process", descriptors_travel_to_another_process),
];

fn descriptors_travel() -> Outcome {
    let ((one, other), (near, far)) = (pair()?, pair()?);
    process().send(one.number(), b"with", "", &[far.number()], PLAIN)?;
    drop(far);
    let mut buffer = [0; 9];
    let message = process().receive(other.number(), &mut buffer, 3, PLAIN)?;
    equal((message.count, message.descriptors.len()), (4, 1))?;
    let far = Descriptor::from_number(message.descriptors[0]);
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(far.number()).add()])?;
    near.write_all(b"hello")?;
    equal(next(&queue)?.data, 5)?;
    equal(far.read(&mut buffer)?, 5)?;
    // What is on its way when nobody can receive it any more is closed.
    process().send(one.number(), b"with", "", &[far.number()], PLAIN)?;
    drop((far, one, other));
    equal(near.read(&mut buffer)?, 0)
}

fn descriptors_travel_to_another_process() -> Outcome {
    let listener = Listener::new(1)?;
    let giver = child::Role::new(PROGRAM, "gives").spawn(vec![])?;
    let server = listener.0.accept()?;
    let message = process().receive(server.number(), &mut [0; 9], 3, PLAIN)?;
    equal(message.descriptors.len(), 1)?;
    let far = Descriptor::from_number(message.descriptors[0]);
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(far.number()).add()])?;
    loop {
        let event = next(&queue)?;
        if event.is_eof() {
            equal(event.data, 9)?;
            break;
        }
    }
    let mut buffer = [0; 16];
    equal(far.read(&mut buffer)?, 9)?;
    equal(&buffer[..9], b"from afar")?;
    drop(server);
    child::ends_well(&giver)
}
