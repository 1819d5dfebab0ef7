//! Durable descriptors that are duplicated, passed on and inherited.

use alloc::format;

use guest_tests::books::sum;
use guest_tests::child::ROLE;
use guest_tests::failure::{ensure, equal};
use guest_tests::looks::{PATIENTLY, pair};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment, soon};
use init_protocol::status::ExitStatus;
use libkq::control::message::MessageFlags;
use libkq::process_calls::Command;
use libkq::{Descriptor, KEvent, Queue, process};

use crate::PROGRAM;
use crate::seen::{SERIAL, ask, durable, number, replace};
use crate::serial::{MAKE, TAKE};

pub const TESTS: &[Test] = &[
    ("a_duplicate_is_as_durable", a_duplicate_is_as_durable),
    ("a_descriptor_that_was_passed_on_is_as_durable", passed_on),
    ("an_inherited_descriptor_is_as_durable", inherited),
];

/// What the heir has been given.
const HEIRLOOM: i32 = 8;

fn a_duplicate_is_as_durable() -> Outcome {
    let file = durable(SERIAL)?;
    let second = file.duplicate()?;
    ask(&file, MAKE, 1)?;
    replace(SERIAL)?;
    drop(file);
    equal(number(&second, 0)?, 0)
}

fn passed_on() -> Outcome {
    let (one, other) = pair()?;
    let file = durable(SERIAL)?;
    ask(&file, MAKE, 3)?;
    process().send(one.number(), b"!", "", &[file.number()], MessageFlags::empty())?;
    let received = process().receive(other.number(), &mut [0; 1], 1, MessageFlags::empty())?;
    equal(received.descriptors.len(), 1)?;
    let passed = Descriptor::from_number(received.descriptors[0]);
    replace(SERIAL)?;
    equal(number(&passed, 2)?, 2)?;
    // It is the same open file still, also for the next driver.
    ask(&passed, TAKE, 2)?;
    replace(SERIAL)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(file.number()).add(), KEvent::read(passed.number()).add().udata(1)])?;
    let mut events = [KEvent::default(); 4];
    let told = queue.wait(&mut events, PATIENTLY)?;
    ensure(told.iter().all(|event| event.data == 1 && !event.is_eof()), "one number is left")
}

fn inherited() -> Outcome {
    let file = durable(SERIAL)?;
    let before = sum(|stats| stats.notes)?;
    let command = Command::new(&format!("bin/{PROGRAM}")).argument(ROLE).argument("heir").quota(8 << 20);
    let child = command.inherit(file.number(), HEIRLOOM)?.spawn()?;
    // What it has been given is its own when it has asked for it: it has, and waits.
    let deadline = soon();
    while sum(|stats| stats.notes)? == before {
        ensure(rt::clock::now_ns() < deadline, "the heir watches what it was given")?;
        a_moment();
    }
    replace(SERIAL)?;
    replace(SERIAL)?;
    ask(&file, MAKE, 1)?;
    match rt::init::wait(child.pid() as u32)? {
        ExitStatus::Exited(0) => Ok(()),
        other => Err(Failure::new(format!("the heir {other}"))),
    }
}

/// The program that was given one.
pub fn heir() -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(HEIRLOOM).add()])?;
    let mut events = [KEvent::default(); 4];
    let told = queue.wait(&mut events, PATIENTLY)?;
    equal(told.len(), 1)?;
    ensure(!told[0].is_eof() && told[0].data == 1, "a number, and no end")?;
    equal(number(&Descriptor::from_number(HEIRLOOM), 0)?, 0)
}
