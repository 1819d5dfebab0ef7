//! Local sockets on the machine: what kevent, poll, select and epoll say of them. Runs with the manifest `descriptors`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{
    EADDRINUSE, EAGAIN, EBADF, ECONNREFUSED, ECONNRESET, EINVAL, EISCONN, EMFILE, EMSGSIZE, ENFILE, ENODEV,
    ENOENT, ENOMEM, ENOTCONN, ENOTSOCK, EPIPE, EPROTOTYPE,
};
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::ledger::Ledger;
use guest_tests::{Failure, Outcome, PATIENCE, Suite, a_moment, child};
use libkq::control::message::MessageFlags;
use libkq::event::note;
use libkq::flag::{O_CREAT, O_NONBLOCK, O_RDWR};
use libkq::process::SocketType;
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, EventFlags, FdSet, Filter, KEvent, PollFd,
    Queue, process,
};
use rt::init;
use rt::thread::Builder;

const PROGRAM: &str = env!("CARGO_BIN_NAME");
const NOW: Option<Duration> = Some(Duration::ZERO);
const PATIENTLY: Option<Duration> = Some(Duration::from_nanos(PATIENCE));
const NAME: &str = "/run/socket/test";
const PLAIN: MessageFlags = MessageFlags::empty();

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(role) = child::role(start) {
        return match play(role) {
            Ok(()) => 0,
            Err(failure) => {
                rt::log!("{role}: {failure}");
                1
            }
        };
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(&[
        ("bytes_go_both_ways", bytes_go_both_ways),
        ("r18_end_of_file_with_bytes_unread", end_of_file_with_bytes_unread),
        ("r18_a_reset_is_the_sockets_error", a_reset_is_the_sockets_error),
        ("r20_half_a_connection_ends", half_a_connection_ends),
        ("r22_a_listener_reads_its_backlog", a_listener_reads_its_backlog),
        ("r24_low_water_marks_are_the_notes_own", low_water_marks),
        ("r40_edges_of_a_socket", edges_of_a_socket),
        ("r47_urgent_data_is_exceptional", urgent_data_is_exceptional),
        ("r51_closing_a_listener_wakes_its_sleepers", closing_a_listener),
        ("r51_shutting_down_a_listener_wakes_its_sleepers", shutting_down_a_listener),
        ("r51_who_watches_a_listener_hears_of_its_end_by_every_interface", watchers_of_a_listener),
        ("r52_epoll_tells_both_directions_in_one", both_directions_in_one),
        ("connecting_waits_for_the_backlog", connecting_waits),
        ("names_say_what_is_wrong", names_say_what_is_wrong),
        ("datagrams_keep_their_boundaries", datagrams),
        ("a_full_receiver_makes_its_sender_wait", a_full_receiver),
        ("records_are_whole", records),
        ("descriptors_travel_within_a_process", descriptors_travel),
        ("descriptors_travel_to_another_process", descriptors_travel_to_another_process),
        ("what_is_peeked_at_stays", peeking),
        ("no_byte_is_lost_among_eight_threads", no_byte_is_lost),
        ("a_dead_peer_is_an_end", a_dead_peer_is_an_end),
        ("r55_a_greedy_process_gets_an_error", a_greedy_process),
        ("nothing_is_left_over", nothing_is_left_over),
        ("r57_a_dead_driver_is_told_once", a_dead_driver_is_told_once),
    ]);
    suite.finish()
}

fn play(role: &str) -> Outcome {
    let socket = Descriptor::socket(SocketType::Stream)?;
    process().connect(socket.number(), NAME)?;
    match role {
        "gives" => {
            let (one, other) = Descriptor::socket_pair(SocketType::Stream)?;
            one.write_all(b"from afar")?;
            let sent = process().send(socket.number(), b"x", "", &[other.number()], PLAIN)?;
            equal(sent, 1)?;
            drop((one, other));
            // Until the other side is done.
            equal(socket.read(&mut [0])?, 0)
        }
        "dies" => {
            socket.write_all(b"last words")?;
            rt::thread::sleep(PATIENCE);
            Ok(())
        }
        _ => Err(Failure::new("no such role")),
    }
}

fn pair() -> Outcome<(Descriptor, Descriptor)> {
    Ok(Descriptor::socket_pair(SocketType::Stream)?)
}

fn socket() -> Outcome<Descriptor> {
    Ok(Descriptor::socket(SocketType::Stream)?)
}

/// A listener at [`NAME`], whose name goes first.
struct Listener(Descriptor);

impl Listener {
    fn new(backlog: i32) -> Outcome<Listener> {
        let listener = Listener(socket()?);
        process().bind(listener.0.number(), NAME)?;
        process().listen(listener.0.number(), backlog)?;
        Ok(listener)
    }

    fn connect(&self) -> Outcome<Descriptor> {
        let client = socket()?;
        process().connect(client.number(), NAME)?;
        Ok(client)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A test that unlinked it has done the same.
        let _ = process().unlink(NAME);
    }
}

fn ready(queue: &Queue) -> Outcome<Vec<KEvent>> {
    let mut events = [KEvent::default(); 8];
    Ok(queue.wait(&mut events, NOW)?.to_vec())
}

fn next(queue: &Queue) -> Outcome<KEvent> {
    let mut events = [KEvent::default(); 1];
    queue.wait(&mut events, PATIENTLY)?.first().copied().ok_or(Failure::new("nothing came"))
}

fn polled(socket: &Descriptor, asked: Conditions) -> Outcome<Conditions> {
    let mut list = [PollFd::new(socket.number(), asked)];
    libkq::poll(&mut list, NOW, None)?;
    Ok(list[0].revents)
}

const BOTH: Conditions = Conditions::IN.union(Conditions::OUT);

fn bytes_go_both_ways() -> Outcome {
    let (one, other) = pair()?;
    let mut buffer = [0; 9];
    for (from, to) in [(&one, &other), (&other, &one)] {
        from.write_all(b"hello")?;
        equal(polled(to, BOTH)?, BOTH)?;
        equal(to.read(&mut buffer)?, 5)?;
        equal(&buffer[..5], b"hello")?;
        equal(polled(to, BOTH)?, Conditions::OUT)?;
    }
    refused(process().seek(one.number(), 0, libkq::control::Whence::Start), abi::error::ESPIPE)
}

fn end_of_file_with_bytes_unread() -> Outcome {
    let (queue, (one, other)) = (Queue::new()?, pair()?);
    queue.apply(&[KEvent::read(other.number()).add()])?;
    one.write_all(b"bytes")?;
    drop(one);
    let event = loop {
        let event = next(&queue)?;
        if event.is_eof() {
            break event;
        }
    };
    equal((event.data, event.fflags, event.flags.contains(EventFlags::NODATA)), (5, 0, false))?;
    ensure(!polled(&other, BOTH)?.contains(Conditions::HUP), "bytes are left")?;
    equal(other.read(&mut [0; 9])?, 5)?;
    let event = next(&queue)?;
    ensure(event.is_eof() && event.flags.contains(EventFlags::NODATA), "drained")?;
    ensure(polled(&other, BOTH)?.contains(Conditions::HUP), "hung up")?;
    ensure(!polled(&other, BOTH)?.contains(Conditions::OUT), "HUP excludes OUT")?;
    equal(other.read(&mut [0; 9])?, 0)
}

fn a_reset_is_the_sockets_error() -> Outcome {
    let (queue, (one, other)) = (Queue::new()?, pair()?);
    other.write_all(b"never read")?;
    queue.apply(&[KEvent::read(other.number()).add()])?;
    drop(one);
    let event = next(&queue)?;
    ensure(event.is_eof(), "the end")?;
    equal(event.fflags, ECONNRESET as u32)?;
    ensure(polled(&other, Conditions::empty())?.contains(Conditions::ERR), "an error unasked")?;
    refused(other.read(&mut [0]), ECONNRESET)?;
    equal(process().take_error(other.number())?, 0)?;
    equal(other.read(&mut [0])?, 0)?;
    equal(next(&queue)?.fflags, 0)?;
    let (one, other) = pair()?;
    other.write_all(b"never read")?;
    drop(one);
    equal(process().take_error(other.number())?, ECONNRESET)
}

fn half_a_connection_ends() -> Outcome {
    let (queue, (one, other)) = (Queue::new()?, pair()?);
    let number = other.number();
    process().shutdown(one.number(), false, true)?;
    queue.apply(&[KEvent::read(number).add(), KEvent::write(number).add()])?;
    for _ in 0..2 {
        let event = next(&queue)?;
        equal(event.is_eof(), event.filter == Filter::READ)?;
    }
    refused(libkq::write(one.number(), b"x"), EPIPE)?;
    ensure(polled(&other, BOTH | Conditions::RDHUP)?.contains(BOTH | Conditions::RDHUP), "half is open")?;
    other.write_all(b"back")?;
    equal(one.read(&mut [0; 9])?, 4)?;
    process().shutdown(one.number(), true, false)?;
    refused(libkq::write(number, b"x"), EPIPE)?;
    queue.apply(&[KEvent::read(number).delete()])?;
    ensure(next(&queue)?.is_eof(), "nobody will read it")?;
    let idle = socket()?;
    refused(process().shutdown(idle.number(), true, true), ENOTCONN)
}

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

fn low_water_marks() -> Outcome {
    let (one, two, (from, to)) = (Queue::new()?, Queue::new()?, pair()?);
    one.apply(&[KEvent::read(to.number()).low_water(4).add()])?;
    two.apply(&[KEvent::read(to.number()).low_water(8).add()])?;
    from.write_all(b"12345")?;
    equal(next(&one)?.data, 5)?;
    equal(ready(&two)?, vec![])?;
    from.write_all(b"678")?;
    equal(next(&two)?.data, 8)
}

fn edges_of_a_socket() -> Outcome {
    let (set, (one, other)) = (EpollSet::new()?, pair()?);
    set.add(other.number(), EpollFlags::IN | EpollFlags::ET, 7)?;
    let waits = |timeout| -> Outcome<usize> {
        let mut events = [EpollEvent::default(); 2];
        Ok(libkq::epoll_wait(set.number(), &mut events, timeout)?)
    };
    one.write_all(b"ab")?;
    equal(waits(PATIENTLY)?, 1)?;
    equal(waits(NOW)?, 0)?;
    equal(other.read(&mut [0])?, 1)?;
    a_moment();
    equal(waits(NOW)?, 0)?;
    one.write_all(b"c")?;
    equal(waits(PATIENTLY)?, 1)
}

fn urgent_data_is_exceptional() -> Outcome {
    let (queue, (one, other)) = (Queue::new()?, pair()?);
    let number = other.number();
    queue.apply(&[KEvent { fflags: note::OOB, ..KEvent::new(number as usize, Filter::EXCEPT) }.add()])?;
    one.write_all(b"ordinary")?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    process().send(one.number(), b"!", "", &[], MessageFlags::OOB)?;
    equal(next(&queue)?.filter, Filter::EXCEPT)?;
    ensure(polled(&other, Conditions::PRI)?.contains(Conditions::PRI), "POLLPRI")?;
    let mut set = FdSet::new();
    set.insert(number);
    equal(libkq::select(number + 1, [None, None, Some(&mut set)], NOW, None)?, 1)?;
    let mut buffer = [0; 16];
    equal(process().receive(number, &mut buffer, 0, MessageFlags::OOB)?.count, 1)?;
    equal(buffer[0], b'!')?;
    equal(ready(&queue)?, vec![])?;
    ensure(!process().at_mark(number)?, "before the mark")?;
    equal(other.read(&mut buffer)?, 8)?;
    ensure(process().at_mark(number)?, "at the mark")?;
    refused(process().receive(number, &mut buffer, 0, MessageFlags::OOB), EINVAL)
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
            let watcher = Builder::new().spawn(move || watch(number).map_err(|error| error.errno))?;
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

fn both_directions_in_one() -> Outcome {
    let (set, (one, other)) = (EpollSet::new()?, pair()?);
    set.add(other.number(), EpollFlags::IN | EpollFlags::OUT, 9)?;
    one.write_all(b"x")?;
    let mut events = [EpollEvent::default(); 4];
    let deadline = guest_tests::soon();
    loop {
        let found = libkq::epoll_wait(set.number(), &mut events, PATIENTLY)?;
        equal(found, 1)?;
        let both = EpollFlags::IN | EpollFlags::OUT;
        if events[0] == EpollEvent::new(both, 9) {
            return Ok(());
        }
        ensure(rt::clock::now_ns() < deadline, "both in one entry")?;
    }
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

fn datagrams() -> Outcome {
    let (one, other) = (Descriptor::socket(SocketType::Datagram)?, Descriptor::socket(SocketType::Datagram)?);
    process().bind(one.number(), "/run/socket/one")?;
    process().bind(other.number(), NAME)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(other.number()).add()])?;
    for bytes in [&b"first"[..], b"", b"second one"] {
        equal(process().send(one.number(), bytes, NAME, &[], PLAIN)?, bytes.len())?;
    }
    ensure(next(&queue)?.data > 0, "readable")?;
    let mut buffer = [0; 6];
    let message = process().receive(other.number(), &mut buffer, 0, PLAIN)?;
    equal((message.count, message.address.as_str()), (5, "/run/socket/one"))?;
    let message = process().receive(other.number(), &mut buffer, 0, PLAIN)?;
    equal((message.count, message.whole), (0, 0))?;
    let message = process().receive(other.number(), &mut buffer, 0, PLAIN)?;
    equal((message.count, message.whole, message.flags), (6, 10, MessageFlags::TRUNCATED))?;
    equal(ready(&queue)?, vec![])?;
    refused(process().receive(other.number(), &mut buffer, 0, MessageFlags::NONBLOCK), EAGAIN)?;
    refused(process().send(one.number(), b"x", "/run/socket/none", &[], PLAIN), ENOENT)?;
    refused(process().send(one.number(), &[0; 5000], NAME, &[], PLAIN), EMSGSIZE)?;
    process().unlink(NAME)?;
    Ok(process().unlink("/run/socket/one")?)
}

fn a_full_receiver() -> Outcome {
    let (one, other) = Descriptor::socket_pair(SocketType::Datagram)?;
    process().set_nonblocking(one.number(), true)?;
    let block = [7; 1000];
    let sent = (0..1000).take_while(|_| libkq::write(one.number(), &block).is_ok()).count();
    ensure(sent > 4 && sent < 100, "there is an end")?;
    equal(polled(&one, Conditions::OUT)?, Conditions::empty())?;
    process().set_nonblocking(one.number(), false)?;
    let number = one.number();
    let writes = Builder::new().spawn(move || libkq::write(number, &[8; 1000]))?;
    a_moment();
    let mut buffer = [0; 2000];
    for _ in 0..=sent {
        equal(other.read(&mut buffer)?, 1000)?;
    }
    ensure(writes.join() == Ok(Ok(1000)), "it was sent when there was room")?;
    equal(buffer[0], 8)
}

fn records() -> Outcome {
    let (one, other) = Descriptor::socket_pair(SocketType::SeqPacket)?;
    one.write_all(b"record")?;
    one.write_all(b"another")?;
    drop(one);
    let mut buffer = [0; 16];
    let message = process().receive(other.number(), &mut buffer[..3], 0, PLAIN)?;
    equal((message.count, message.whole), (3, 6))?;
    equal(other.read(&mut buffer)?, 7)?;
    equal(other.read(&mut buffer)?, 0)
}

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

fn peeking() -> Outcome {
    let (one, other) = pair()?;
    one.write_all(b"stays")?;
    let mut buffer = [0; 9];
    for flags in [MessageFlags::PEEK, PLAIN] {
        equal(process().receive(other.number(), &mut buffer, 0, flags)?.count, 5)?;
    }
    refused(process().receive(other.number(), &mut buffer, 0, MessageFlags::NONBLOCK), EAGAIN)
}

fn no_byte_is_lost() -> Outcome {
    const EACH: usize = 20_000;
    let mut threads = vec![];
    for seed in 0..4u8 {
        let (one, other) = pair()?;
        threads.push(Builder::new().spawn(move || -> Outcome {
            let bytes: Vec<u8> = (0..EACH).map(|at| (at as u8).wrapping_mul(seed | 1)).collect();
            bytes.chunks(777).try_for_each(|chunk| one.write_all(chunk))?;
            Ok(process().shutdown(one.number(), false, true)?)
        })?);
        threads.push(Builder::new().spawn(move || -> Outcome {
            let queue = Queue::new()?;
            queue.apply(&[KEvent::read(other.number()).add()])?;
            let (mut got, mut buffer) = (0, [0; 1000]);
            loop {
                let event = next(&queue)?;
                let count = other.read(&mut buffer)?;
                ensure(count as i64 >= event.data.min(1000) || count > 0, "what was told is there")?;
                if count == 0 {
                    return equal(got, EACH);
                }
                for &byte in &buffer[..count] {
                    equal(byte, (got as u8).wrapping_mul(seed | 1))?;
                    got += 1;
                }
            }
        })?);
    }
    threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(Failure::new("a thread died"))))
}

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

/// A dead driver: every note is told once, and the service comes back.
fn a_dead_driver_is_told_once() -> Outcome {
    let (queue, (one, other), listener) = (Queue::new()?, pair()?, Listener::new(1)?);
    queue.apply(&[
        KEvent::read(other.number()).add(),
        KEvent::write(listener.0.number()).add(),
        KEvent::new(one.number() as usize, Filter::EXCEPT).add(),
    ])?;
    let entry = init::list(0)?.into_iter().find(|process| process.name == "socket");
    init::kill(entry.ok_or(Failure::new("no socket driver"))?.pid, 9)?;
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
