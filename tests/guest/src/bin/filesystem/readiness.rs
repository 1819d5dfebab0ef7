//! What files are ready for: kevent says how much (R23), the others always.

use alloc::vec;

use abi::error::EPERM;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{PATIENTLY, next, ready};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::control::Whence;
use libkq::event::note;
use libkq::flag::{O_DIRECTORY, O_RDONLY};
use libkq::{Conditions, Descriptor, EpollFlags, EpollSet, FdSet, Filter, KEvent, PollFd, Queue, process};

use crate::make;

pub const TESTS: &[Test] = &[
    ("r23_data_is_the_distance_to_the_end", data_is_the_distance),
    ("r23_a_blocked_kevent_sees_growth", a_blocked_kevent_sees_growth),
    ("r23_file_poll_is_always_ready", file_poll_is_always_ready),
    ("r23_an_edge_is_growth", an_edge_is_growth),
    ("regular_files_are_always_ready_to_poll_and_select", always_ready),
    ("epoll_refuses_files", epoll_refuses_files),
];

fn data_is_the_distance() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/distance")?);
    let reader = Descriptor::open("/tmp/distance", O_RDONLY)?;
    queue.apply(&[KEvent::read(reader.number()).add(), KEvent::write(file.number()).add()])?;
    file.write_all(b"0123456789")?;
    let of_reader = |queue: &Queue| -> Outcome<i64> {
        loop {
            let event = next(queue)?;
            if event.filter == Filter::READ {
                return Ok(event.data);
            }
        }
    };
    equal(of_reader(&queue)?, 10)?;
    equal(reader.read(&mut [0; 4])?, 4)?;
    equal(of_reader(&queue)?, 6)?;
    process().seek(reader.number(), 3, Whence::End)?;
    equal(of_reader(&queue)?, -3)?;
    process().seek(reader.number(), 0, Whence::End)?;
    let left = ready(&queue)?;
    ensure(left.iter().all(|event| event.filter == Filter::WRITE), "at the end nothing is to be read")?;
    equal(left.len(), 1)?;
    process().unlink("/tmp/distance")?;
    Ok(())
}

fn a_blocked_kevent_sees_growth() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/grows")?);
    let reader = Descriptor::open("/tmp/grows", O_RDONLY)?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    for round in 1..=3 {
        let writer = file.duplicate()?;
        let thread = rt::thread::Builder::new().spawn(move || {
            a_moment();
            writer.write_all(b"more").is_ok()
        })?;
        equal(next(&queue)?.data, 4)?;
        ensure(thread.join() == Ok(true), "the writer wrote")?;
        equal(reader.read(&mut [0; 9])?, 4)?;
        equal(process().stat(reader.number())?.size, 4 * round)?;
        equal(ready(&queue)?, vec![])?;
    }
    Ok(process().unlink("/tmp/grows")?)
}

fn file_poll_is_always_ready() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/file-poll")?);
    queue.apply(&[KEvent::read(file.number()).add()])?;
    equal(ready(&queue)?, vec![])?;
    queue.apply(&[KEvent { fflags: note::FILE_POLL, ..KEvent::read(file.number()) }.add()])?;
    let is = |data| {
        equal(
            ready(&queue)?.iter().map(|event| (event.filter, event.data)).collect(),
            vec![(Filter::READ, data)],
        )
    };
    // At the end, before it and beyond it, as often as one looks.
    equal(next(&queue)?.data, 0)?;
    for (place, data) in [(0, 0), (-2, 2), (7, -7)] {
        file.write_all(b"abc")?;
        process().seek(file.number(), place, Whence::End)?;
        for _ in 0..3 {
            is(data)?;
        }
        process().seek(file.number(), 0, Whence::End)?;
    }
    Ok(process().unlink("/tmp/file-poll")?)
}

fn an_edge_is_growth() -> Outcome {
    let (queue, file) = (Queue::new()?, make("/tmp/edge")?);
    let reader = Descriptor::open("/tmp/edge", O_RDONLY)?;
    file.write_all(b"abcd")?;
    queue.apply(&[KEvent::read(reader.number()).add().clear()])?;
    equal(next(&queue)?.data, 4)?;
    equal(ready(&queue)?, vec![])?;
    process().write_at(file.number(), b"AB", 0)?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    file.write_all(b"e")?;
    equal(next(&queue)?.data, 5)?;
    Ok(process().unlink("/tmp/edge")?)
}

fn always_ready() -> Outcome {
    let file = make("/tmp/ready")?;
    let mut list = [PollFd::new(file.number(), Conditions::IN | Conditions::OUT | Conditions::PRI)];
    equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
    equal(list[0].revents, Conditions::IN | Conditions::OUT)?;
    let (mut read, mut write) = (FdSet::new(), FdSet::new());
    read.insert(file.number());
    write.insert(file.number());
    let sets = [Some(&mut read), Some(&mut write), None];
    equal(libkq::select(file.number() + 1, sets, PATIENTLY, None)?, 2)?;
    Ok(process().unlink("/tmp/ready")?)
}

fn epoll_refuses_files() -> Outcome {
    let (set, file) = (EpollSet::new()?, make("/tmp/epoll")?);
    refused(set.add(file.number(), EpollFlags::IN, 1), EPERM)?;
    let directory = Descriptor::open("/tmp", O_RDONLY | O_DIRECTORY)?;
    refused(set.add(directory.number(), EpollFlags::IN, 1), EPERM)?;
    Ok(process().unlink("/tmp/epoll")?)
}
