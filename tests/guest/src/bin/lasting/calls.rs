//! What is asked of a durable descriptor while its driver is away, and when it dies over it.

use abi::error::{EAGAIN, EIO, EOPNOTSUPP};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment, operator, soon};
use libkq::flag::{O_DURABLE, O_NONBLOCK, O_RDONLY, O_RDWR};
use libkq::{Descriptor, process};
use rt::thread::Builder;

use crate::seen::{SERIAL, ask, ask_once, durable, number, replace};
use crate::serial::{MAKE, NUMBER, SPIN};

pub const TESTS: &[Test] = &[
    ("what_is_asked_of_nobody_waits_for_the_next", what_is_asked_of_nobody_waits_for_the_next),
    ("who_does_not_wait_is_told_to_come_again", who_does_not_wait_is_told_to_come_again),
    ("a_request_over_which_the_driver_dies_is_repeated_or_fails", a_request_over_which_the_driver_dies),
    ("a_driver_that_cannot_go_on_refuses_durable_opens", refusals),
];

fn what_is_asked_of_nobody_waits_for_the_next() -> Outcome {
    let file = durable(SERIAL)?;
    for round in 1..10 {
        operator::kill(SERIAL)?;
        ask(&file, MAKE, round)?;
        equal(number(&file, round - 1)?, round - 1)?;
    }
    // A descriptor that nothing was asked of for a while is none the worse for it.
    let other = durable(SERIAL)?;
    (0..3).try_for_each(|_| replace(SERIAL))?;
    Ok(ask_once(&other, MAKE, 1)?)
}

fn who_does_not_wait_is_told_to_come_again() -> Outcome {
    let file = durable(SERIAL)?;
    ask(&file, MAKE, 1)?;
    process().set_nonblocking(file.number(), true)?;
    let deadline = soon();
    for _ in 0..5 {
        operator::kill(SERIAL)?;
        loop {
            match file.read(&mut [0; NUMBER]) {
                Ok(count) => break equal(count, NUMBER)?,
                Err(error) if error.errno == EAGAIN => a_moment(),
                Err(error) => return Err(error.into()),
            }
            ensure(rt::clock::now_ns() < deadline, "the driver comes back")?;
        }
    }
    Ok(())
}

/// A write may have been done, so it is not repeated; a read goes on waiting.
fn a_request_over_which_the_driver_dies() -> Outcome {
    let file = durable(SERIAL)?;
    let number = file.number();
    let reader = Builder::new().spawn(move || process().read_at(number, &mut [0; NUMBER], 0))?;
    let writer = Builder::new().spawn(move || libkq::write(number, &[SPIN; 9]))?;
    (0..5).for_each(|_| a_moment());
    let written = loop {
        // It is watched too, and may have been found to hang already.
        let _ = operator::kill(SERIAL);
        if writer.is_finished() {
            break writer.join()?;
        }
        (0..20).for_each(|_| a_moment());
    };
    refused(written, EIO)?;
    ask(&file, MAKE, 1)?;
    equal(reader.join()?.map_err(Failure::from)?.count, NUMBER)
}

fn refusals() -> Outcome {
    for path in ["/dev/timer", "/dev/pipe"] {
        refused(Descriptor::open(path, O_RDONLY | O_DURABLE), EOPNOTSUPP)?;
    }
    let file = Descriptor::open("/dev/serial", O_RDWR | O_DURABLE | O_NONBLOCK)?;
    equal(process().flags(file.number())? as usize & O_DURABLE, O_DURABLE)
}
