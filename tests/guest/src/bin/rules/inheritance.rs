//! What a child process has (R33).

use alloc::vec;

use abi::error::{EAGAIN, EBADF, EINVAL};
use guest_tests::Outcome;
use guest_tests::child::{ROLE, ends_well};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use libkq::control::message::MessageFlags;
use libkq::flag::O_RDWR;
use libkq::process_calls::Command;
use libkq::{Conditions, Descriptor, KEvent, PollFd, Queue, kevent, process};

use guest_tests::looks::{NOW, only, pair, pipe, ready};

pub const TESTS: &[Test] = &[
    ("r33_a_kqueue_does_not_travel_to_a_child", a_kqueue_stays),
    ("r33_a_kqueue_does_not_travel_in_a_message", a_kqueue_is_not_sent),
    ("a_child_has_the_flags_that_a_file_has_by_then", flags_travel),
    ("devpoll_is_its_owners_and_nobody_elses", devpoll_stays),
];

/// The part of a child that was started with descriptor 5 and finds no others, while its parent has a kqueue as 9.
pub fn play(role: &str) -> Option<Outcome> {
    match role {
        "has-no-kqueue" => Some(has_no_kqueue()),
        // Descriptor 5 does not wait, and 6 is the same.
        "waits-not" => {
            Some([5, 6].into_iter().try_for_each(|number| refused(libkq::read(number, &mut [0]), EAGAIN)))
        }
        _ => None,
    }
}

fn flags_travel() -> Outcome {
    let (reader, _writer) = Descriptor::pipe()?;
    process().set_nonblocking(reader.number(), true)?;
    let command = Command::new("bin/rules").argument(ROLE).argument("waits-not");
    let child = command.inherit(reader.number(), 5)?.inherit(reader.number(), 6)?.spawn()?;
    ensure(child.wait()?.is_success(), "the child does not wait")
}

fn has_no_kqueue() -> Outcome {
    for number in (0..64).filter(|&number| number != 5) {
        refused(kevent(number, &[], &mut [KEvent::default()], NOW), EBADF)?;
        refused(libkq::dup(number), EBADF)?;
    }
    // The file that it was given it can watch with a queue of its own.
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(5).add()])?;
    equal(only(&queue)?.data, 3)
}

fn a_kqueue_stays() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    libkq::dup2(queue.number(), 9)?;
    let twin = Descriptor::from_number(9);
    for number in [queue.number(), twin.number()] {
        for place in [5, 9] {
            refused(Command::new("bin/rules").inherit(number, place).map(drop), EINVAL)?;
        }
    }
    writer.write_all(b"abc")?;
    let child = crate::with("has-no-kqueue", &[(&reader, 5)])?;
    ends_well(&child)?;
    // Its end took nothing from its parent's queue.
    equal(only(&queue)?.data, 3)
}

/// Another process cannot even have it, so none is refused with `EACCES`.
fn devpoll_stays() -> Outcome {
    let (device, (reader, writer), (one, _other)) =
        (Descriptor::open("/dev/poll", O_RDWR)?, pipe()?, pair()?);
    let entry = PollFd::new(reader.number(), Conditions::IN);
    process().devpoll_write(device.number(), &[entry])?;
    refused(Command::new("bin/rules").inherit(device.number(), 5).map(drop), EINVAL)?;
    refused(libkq::inheritance::give(device.number(), 5).map(drop), EINVAL)?;
    refused(process().send(one.number(), b"x", "", &[device.number()], MessageFlags::empty()), EINVAL)?;
    writer.write_all(b"x")?;
    let mut list = [PollFd::default()];
    equal(process().devpoll_poll(device.number(), &mut list, NOW, None)?, 1)
}

fn a_kqueue_is_not_sent() -> Outcome {
    let (queue, (one, other)) = (Queue::new()?, pair()?);
    queue.apply(&[KEvent::user(1).add()])?;
    let plain = MessageFlags::empty();
    refused(process().send(one.number(), b"with", "", &[queue.number()], plain), EINVAL)?;
    // Nothing of that message is on its way.
    process().send(one.number(), b"without", "", &[], plain)?;
    let mut buffer = [0; 16];
    let watched = Queue::new()?;
    watched.apply(&[KEvent::read(other.number()).add()])?;
    only(&watched)?;
    let message = process().receive(other.number(), &mut buffer, 3, plain)?;
    equal((message.count, message.descriptors.len()), (7, 0))?;
    equal(ready(&queue)?, vec![])?;
    queue.apply(&[KEvent::user(1).trigger()])?;
    equal(only(&queue)?.ident, 1)
}
