//! What is told of the two ends of a connection.

use alloc::vec;
use alloc::vec::Vec;

use abi::error::{ECONNRESET, EINVAL, ENOTCONN, EPIPE};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{NOW, PATIENTLY, next, polled, ready};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment};
use libkq::control::message::MessageFlags;
use libkq::event::note;
use libkq::{
    Conditions, EpollEvent, EpollFlags, EpollSet, EventFlags, FdSet, Filter, KEvent, Queue, process,
};
use rt::thread::Builder;

use crate::connections::{BOTH, pair, socket};

pub const TESTS: &[Test] = &[
    ("bytes_go_both_ways", bytes_go_both_ways),
    ("r18_end_of_file_with_bytes_unread", end_of_file_with_bytes_unread),
    ("r18_a_reset_is_the_sockets_error", a_reset_is_the_sockets_error),
    ("r20_half_a_connection_ends", half_a_connection_ends),
    ("r24_low_water_marks_are_the_notes_own", low_water_marks),
    ("r40_edges_of_a_socket", edges_of_a_socket),
    ("r47_urgent_data_is_exceptional", urgent_data_is_exceptional),
    ("r52_epoll_tells_both_directions_in_one", both_directions_in_one),
    ("no_byte_is_lost_among_eight_threads", no_byte_is_lost),
];

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
