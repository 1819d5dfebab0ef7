//! /dev/poll.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EBADF, EINVAL, ENOENT};
use abi::flag::O_RDWR;
use guest_tests::Outcome;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use libkq::{Conditions, Descriptor, PollFd, process};

use guest_tests::looks::{NOW, PATIENTLY, drain, pair, pipe};

pub const TESTS: &[Test] = &[
    ("devpoll_writes_or_their_events", writes_or_their_events),
    ("devpoll_remove_stands_alone_and_comes_first_to_narrow", remove_stands_alone),
    ("devpoll_a_bad_number_is_invalid_and_no_error", a_bad_number),
    ("devpoll_a_closed_number_is_invalid_until_removed_or_used_again", a_closed_number),
    ("devpoll_is_polled_tells_the_interest", is_polled),
    ("devpoll_goes_on_where_it_stopped", goes_on_where_it_stopped),
    ("devpoll_counts_and_sleeps_without_room", counts_and_sleeps),
    ("devpoll_says_what_is_wrong", says_what_is_wrong),
];

struct Device(Descriptor);

impl Device {
    fn open() -> Outcome<Device> {
        Ok(Device(Descriptor::open("/dev/poll", O_RDWR)?))
    }

    fn write(&self, list: &[PollFd]) -> libkq::Result<()> {
        process().devpoll_write(self.0.number(), list)
    }

    /// What is ready now: numbers and conditions.
    fn poll(&self) -> Outcome<Vec<(i32, Conditions)>> {
        let mut list = [PollFd::default(); 16];
        let count = process().devpoll_poll(self.0.number(), &mut list, NOW, None)?;
        Ok(list[..count].iter().map(|entry| (entry.fd, entry.revents)).collect())
    }

    fn is_polled(&self, number: i32) -> libkq::Result<Option<Conditions>> {
        process().devpoll_is_polled(self.0.number(), number)
    }
}

fn entry(file: &Descriptor, events: Conditions) -> PollFd {
    PollFd::new(file.number(), events)
}

fn writes_or_their_events() -> Outcome {
    let (device, (one, other)) = (Device::open()?, pair()?);
    device.write(&[entry(&one, Conditions::OUT)])?;
    equal(device.poll()?, vec![(one.number(), Conditions::OUT)])?;
    other.write_all(b"x")?;
    equal(device.poll()?, vec![(one.number(), Conditions::OUT)])?;
    device.write(&[entry(&one, Conditions::IN)])?;
    equal(device.poll()?, vec![(one.number(), Conditions::IN | Conditions::OUT)])?;
    // In one write too, and nothing is nothing more.
    let (two, _) = pair()?;
    device.write(&[
        entry(&two, Conditions::IN),
        entry(&two, Conditions::OUT),
        entry(&two, Conditions::empty()),
    ])?;
    equal(device.is_polled(two.number())?, Some(Conditions::IN | Conditions::OUT))
}

fn remove_stands_alone() -> Outcome {
    let (device, (one, other)) = (Device::open()?, pair()?);
    other.write_all(b"x")?;
    device.write(&[entry(&one, Conditions::IN | Conditions::OUT)])?;
    for events in [Conditions::IN, Conditions::OUT | Conditions::IN] {
        refused(device.write(&[entry(&one, Conditions::REMOVE | events)]), EINVAL)?;
    }
    equal(device.poll()?, vec![(one.number(), Conditions::IN | Conditions::OUT)])?;
    // Less than before: away with it first.
    device.write(&[entry(&one, Conditions::REMOVE), entry(&one, Conditions::IN)])?;
    equal(device.poll()?, vec![(one.number(), Conditions::IN)])?;
    device.write(&[entry(&one, Conditions::IN), entry(&one, Conditions::REMOVE)])?;
    equal((device.poll()?, device.is_polled(one.number())?), (vec![], None))?;
    // What is not there can be removed, as often as one likes.
    device
        .write(&[entry(&one, Conditions::REMOVE), PollFd::new(60_000, Conditions::REMOVE)])
        .map_err(Into::into)
}

fn a_bad_number() -> Outcome {
    let (device, (reader, writer)) = (Device::open()?, pipe()?);
    writer.write_all(b"x")?;
    device.write(&[PollFd::new(60_000, Conditions::IN), entry(&reader, Conditions::IN)])?;
    let mut found = device.poll()?;
    found.sort_unstable_by_key(|(fd, _)| *fd);
    equal(found, vec![(reader.number(), Conditions::IN), (60_000, Conditions::NVAL)])?;
    // Also for who would wait for ever.
    drain(&reader, 1)?;
    let mut list = [PollFd::default(); 4];
    equal(process().devpoll_poll(device.0.number(), &mut list, None, None)?, 1)?;
    equal((list[0].fd, list[0].events, list[0].revents), (60_000, Conditions::IN, Conditions::NVAL))?;
    device.write(&[PollFd::new(60_000, Conditions::REMOVE)])?;
    equal(device.poll()?, vec![])
}

fn a_closed_number() -> Outcome {
    let (device, (reader, writer)) = (Device::open()?, pipe()?);
    let number = reader.number();
    writer.write_all(b"x")?;
    device.write(&[entry(&reader, Conditions::IN)])?;
    // Open by another number, it is closed all the same.
    let twin = reader.duplicate()?;
    drop(reader);
    for _ in 0..3 {
        equal(device.poll()?, vec![(number, Conditions::NVAL)])?;
    }
    equal(device.is_polled(number)?, Some(Conditions::IN))?;
    // Used again it is adopted, with what was asked.
    let (other, other_writer) = pipe()?;
    equal(other.number(), number)?;
    equal(device.poll()?, vec![])?;
    other_writer.write_all(b"yz")?;
    equal(device.poll()?, vec![(number, Conditions::IN)])?;
    // By another file at once, by dup2.
    libkq::dup2(twin.number(), number)?;
    drain(&twin, 1)?;
    equal(device.poll()?, vec![])?;
    writer.write_all(b"x")?;
    equal(device.poll()?, vec![(number, Conditions::IN)])?;
    drop(other);
    equal(device.poll()?, vec![(number, Conditions::NVAL)])?;
    device.write(&[PollFd::new(number, Conditions::REMOVE)])?;
    equal(device.poll()?, vec![])?;
    // A thread that waits hears of a close.
    device.write(&[entry(&twin, Conditions::PRI)])?;
    let (set, waits_for) = (device.0.number(), twin.number());
    let waiter = rt::thread::spawn(move || {
        let mut list = [PollFd::default()];
        process().devpoll_poll(set, &mut list, PATIENTLY, None).map(|_| (list[0].fd, list[0].revents))
    })?;
    guest_tests::a_moment();
    drop(twin);
    equal(waiter.join()??, (waits_for, Conditions::NVAL))
}

fn is_polled() -> Outcome {
    let (device, (reader, _writer)) = (Device::open()?, pipe()?);
    equal(device.is_polled(reader.number())?, None)?;
    let asked = Conditions::IN | Conditions::RDNORM | Conditions::PRI;
    device.write(&[entry(&reader, asked)])?;
    // The interest, whatever is ready.
    equal(device.is_polled(reader.number())?, Some(asked))?;
    equal(device.is_polled(60_000)?, None)?;
    refused(device.is_polled(-1), ENOENT)?;
    device.write(&[entry(&reader, Conditions::REMOVE)])?;
    equal(device.is_polled(reader.number())?, None)
}

fn goes_on_where_it_stopped() -> Outcome {
    let device = Device::open()?;
    let pipes: Vec<_> = (0..10).map(|_| pipe()).collect::<Outcome<_>>()?;
    for (reader, writer) in &pipes {
        writer.write_all(b"x")?;
        device.write(&[entry(reader, Conditions::IN)])?;
    }
    for most in [1, 3, 7] {
        let (mut left, mut calls) = (pipes.iter().map(|(reader, _)| reader.number()).collect::<Vec<_>>(), 0);
        while !left.is_empty() {
            let mut list = [PollFd::default(); 7];
            let count = process().devpoll_poll(device.0.number(), &mut list[..most], NOW, None)?;
            equal(count, most)?;
            left.retain(|number| list[..count].iter().all(|entry| entry.fd != *number));
            calls += 1;
            ensure(calls <= 10usize.div_ceil(most), "every one has had its turn")?;
        }
    }
    Ok(())
}

fn counts_and_sleeps() -> Outcome {
    let device = Device::open()?;
    let pipes = [pipe()?, pipe()?, pipe()?];
    for (reader, _) in &pipes {
        device.write(&[entry(reader, Conditions::IN)])?;
    }
    for (count, (_, writer)) in pipes.iter().enumerate() {
        equal(device.poll()?.len(), count)?;
        writer.write_all(b"x")?;
    }
    equal(device.poll()?.len(), 3)?;
    // Without room it is a sleep, whatever is ready.
    let begin = rt::clock::now_ns();
    let timeout = Some(Duration::from_millis(3));
    equal(process().devpoll_poll(device.0.number(), &mut [], timeout, None)?, 0)?;
    ensure(rt::clock::now_ns() - begin >= 3_000_000, "it slept")
}

fn says_what_is_wrong() -> Outcome {
    let (device, (reader, _writer)) = (Device::open()?, pipe()?);
    for number in [-1, 60_000] {
        refused(process().devpoll_write(number, &[]), EBADF)?;
        refused(process().devpoll_poll(number, &mut [PollFd::default()], NOW, None), EBADF)?;
        refused(process().devpoll_is_polled(number, 0), EBADF)?;
    }
    refused(process().devpoll_poll(reader.number(), &mut [PollFd::default()], NOW, None), EINVAL)?;
    refused(process().devpoll_is_polled(reader.number(), 0), EINVAL)?;
    refused(device.0.read(&mut [0; 8]), EBADF)?;
    refused(libkq::write(device.0.number(), &[0; 7]), EINVAL)?;
    // Negative numbers are nobody's.
    device.write(&[PollFd::new(-7, Conditions::IN)])?;
    equal(device.poll()?, vec![])
}
