//! Listeners: their backlog, their names, and who waits for them when they end.

use alloc::vec;
use alloc::vec::Vec;

use abi::error::{
    EADDRINUSE, EAGAIN, EBADF, ECONNREFUSED, EINVAL, EISCONN, ENOENT, ENOTCONN, ENOTSOCK, EPROTOTYPE,
};
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::looks::{PATIENTLY, next, polled, ready};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment, books, crew::until};
use libkq::flag::{O_CREAT, O_RDWR};
use libkq::process::SocketType;
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, FdSet, Filter, KEvent, PollFd, Queue, process,
};
use rt::thread::Builder;

use crate::connections::{BOTH, Listener, NAME, socket};

pub const TESTS: &[Test] = &[
    ("r22_a_listener_reads_its_backlog", a_listener_reads_its_backlog),
    ("r51_closing_a_listener_wakes_its_sleepers", closing_a_listener),
    ("r51_shutting_down_a_listener_wakes_its_sleepers", shutting_down_a_listener),
    ("r51_who_watches_a_listener_hears_of_its_end_by_every_interface", watchers_of_a_listener),
    ("connecting_waits_for_the_backlog", connecting_waits),
    ("names_say_what_is_wrong", names_say_what_is_wrong),
];

fn a_listener_reads_its_backlog() -> Outcome {
    let (queue, listener) = (Queue::new()?, Listener::new(8)?);
    let number = listener.0.number();
    queue.apply(&[KEvent::read(number).add(), KEvent::write(number).add()])?;
    equal(ready(&queue)?, vec![])?;
    equal(polled(&listener.0, BOTH)?, Conditions::empty())?;
    let clients = [listener.connect()?, listener.connect()?];
    equal((next(&queue)?.filter, next(&queue)?.data), (Filter::READ, 2))?;
    clients[0].write_all(b"early")?;
    let server = listener.0.accept()?;
    equal(server.read(&mut [0; 9])?, 5)?;
    equal(ready(&queue)?.iter().map(|event| event.data).collect::<Vec<_>>(), vec![1])?;
    equal(process().peer_name(clients[0].number())?.as_str(), NAME)?;
    drop(listener.0.accept()?);
    equal(ready(&queue)?, vec![])?;
    process().set_nonblocking(number, true)?;
    refused(process().accept(number, 0), EAGAIN)?;
    refused_with(listener.0.read(&mut [0]), &[EINVAL, ENOTCONN])
}

/// Sleepers on a listener: a connect that waits for room, and an accept that waits for a connection.
fn sleepers(end: fn(Listener) -> Outcome, accept_says: &[i32]) -> Outcome {
    let listener = Listener::new(1)?;
    let (pending, waiting) = (listener.connect()?, socket()?);
    let number = waiting.number();
    let connects =
        Builder::new().spawn(move || process().connect(number, NAME).map_err(|error| error.errno))?;
    a_moment();
    end(listener)?;
    let Ok(Err(errno)) = connects.join() else { return Err(Failure::new("connect returned no error")) };
    // Closing took the name with it, perhaps before the connect.
    ensure([ECONNREFUSED, ENOENT].contains(&errno), "the connect that waited is refused")?;
    drop(pending);
    let listener = Listener::new(1)?;
    let number = listener.0.number();
    let accepts = Builder::new().spawn(move || process().accept(number, 0).map_err(|error| error.errno))?;
    a_moment();
    end(listener)?;
    let Ok(Err(errno)) = accepts.join() else { return Err(Failure::new("accept returned no error")) };
    ensure(accept_says.contains(&errno), "accept says why it woke")
}

fn closing_a_listener() -> Outcome {
    sleepers(
        |listener| {
            drop(listener);
            Ok(())
        },
        &[EBADF, EINVAL],
    )
}

fn shutting_down_a_listener() -> Outcome {
    sleepers(
        |listener| {
            let queue = Queue::new()?;
            let number = listener.0.number();
            queue.apply(&[KEvent::read(number).add(), KEvent::write(number).add()])?;
            process().shutdown(number, true, true)?;
            loop {
                let event = next(&queue)?;
                equal(event.filter, Filter::READ)?;
                if event.is_eof() {
                    return Ok(());
                }
            }
        },
        &[EINVAL, EBADF],
    )
}

/// Waits, as long as it takes, for a number to be readable; how many were told.
type Watch = fn(i32) -> libkq::Result<usize>;

const WATCHES: [Watch; 5] = [
    |number| libkq::poll(&mut [PollFd::new(number, Conditions::IN)], PATIENTLY, None),
    |number| libkq::select(number + 1, [Some(&mut FdSet::from_iter([number])), None, None], PATIENTLY, None),
    |number| {
        let set = Descriptor::open("/dev/poll", O_RDWR)?;
        process().devpoll_write(set.number(), &[PollFd::new(number, Conditions::IN)])?;
        process().devpoll_poll(set.number(), &mut [PollFd::default()], PATIENTLY, None)
    },
    |number| {
        let set = EpollSet::new()?;
        set.add(number, EpollFlags::IN, 1)?;
        libkq::epoll_wait(set.number(), &mut [EpollEvent::default()], PATIENTLY)
    },
    |number| {
        let queue = Queue::new()?;
        libkq::kevent(queue.number(), &[KEvent::read(number).add()], &mut [KEvent::default()], PATIENTLY)
    },
];

fn watchers_of_a_listener() -> Outcome {
    for shuts_down in [false, true] {
        // Closing takes the notes of kevent and the items of epoll with it: those who wait are told nothing (R31).
        for watch in &WATCHES[..if shuts_down { 5 } else { 3 }] {
            let listener = Listener::new(1)?;
            let (number, watch) = (listener.0.number(), *watch);
            let notes = books::notes()?;
            let watcher = Builder::new().spawn(move || watch(number).map_err(|error| error.errno))?;
            // Before the number is closed it has to wait for it: it would be the watcher's own next one.
            until(|| books::notes().is_ok_and(|now| now > notes))?;
            a_moment();
            ensure(!watcher.is_finished(), "it waits")?;
            if shuts_down {
                process().shutdown(number, true, true)?;
            } else {
                // The number is nobody else's before the watcher has been told.
                process().unlink(NAME)?;
                libkq::close(number)?;
            }
            let told = watcher.join().map_err(|_| Failure::new("the watcher panicked"))?;
            if shuts_down {
                equal(told, Ok(1))?;
            } else {
                ensure([Ok(1), Err(EBADF)].contains(&told), "the number is closed")?;
                core::mem::forget(listener);
            }
        }
    }
    Ok(())
}

fn connecting_waits() -> Outcome {
    let listener = Listener::new(1)?;
    let first = listener.connect()?;
    let hasty = Descriptor::socket(SocketType::Stream)?;
    process().set_nonblocking(hasty.number(), true)?;
    refused(process().connect(hasty.number(), NAME), EAGAIN)?;
    let patient = socket()?;
    let number = patient.number();
    let connects = Builder::new().spawn(move || process().connect(number, NAME))?;
    a_moment();
    let server = listener.0.accept()?;
    ensure(connects.join().is_ok_and(|result| result.is_ok()), "there was room")?;
    let second = listener.0.accept()?;
    patient.write_all(b"second")?;
    equal(second.read(&mut [0; 9])?, 6)?;
    first.write_all(b"1st")?;
    equal(server.read(&mut [0; 9])?, 3)
}

fn names_say_what_is_wrong() -> Outcome {
    let listener = Listener::new(1)?;
    let (client, record) = (listener.connect()?, Descriptor::socket(SocketType::SeqPacket)?);
    refused(process().connect(client.number(), NAME), EISCONN)?;
    refused(process().connect(record.number(), NAME), EPROTOTYPE)?;
    refused(process().connect(record.number(), "/run/socket/none"), ENOENT)?;
    refused(process().bind(record.number(), NAME), EADDRINUSE)?;
    refused(process().listen(record.number(), 1), EINVAL)?;
    refused(record.read(&mut [0]), ENOTCONN)?;
    drop(listener.0.accept()?);
    let number = listener.0.number();
    process().bind(record.number(), "/run/socket/record")?;
    drop(record);
    let other = Descriptor::socket(SocketType::SeqPacket)?;
    refused(process().connect(other.number(), "/run/socket/record"), ECONNREFUSED)?;
    process().unlink("/run/socket/record")?;
    refused(process().connect(number, NAME), EINVAL)?;
    let file = Descriptor::open("/tmp/no-socket", O_RDWR | O_CREAT)?;
    process().unlink("/tmp/no-socket")?;
    refused(process().listen(file.number(), 1), ENOTSOCK)
}
