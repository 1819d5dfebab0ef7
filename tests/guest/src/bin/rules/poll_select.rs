//! poll and select (R45 to R48, R50).

use alloc::vec;
use core::time::Duration;

use abi::error::{EBADF, EINVAL};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::process::MAX_DESCRIPTORS;
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, FdSet, KEvent, PollFd, Queue, SignalMask,
    process,
};
use rt::thread;

use guest_tests::looks::{NOW, PATIENTLY, drain, heard, only_told, pair, pipe, polled, stuff};

pub const TESTS: &[Test] = &[
    ("r45_a_closed_number_counts_and_ends_the_call_at_once", a_closed_number),
    ("r45_a_number_that_is_closed_meanwhile_ends_the_wait", closed_meanwhile),
    ("r46_events_are_never_written_and_revents_are_zeroed", events_and_revents),
    ("poll_skips_negative_numbers", negative_numbers),
    ("poll_tells_hang_ups_and_errors_unasked_and_hup_excludes_out", unasked),
    ("poll_fills_both_entries_of_one_number", one_number_twice),
    ("poll_of_nothing_sleeps_and_of_too_much_is_refused", nothing_and_too_much),
    ("r47_select_counts_bits_and_ignores_those_from_nfds_on", select_counts_bits),
    ("r47_select_leaves_the_sets_alone_when_a_number_is_closed", select_of_a_closed_number),
    ("r47_select_takes_a_hang_up_for_readable_and_an_error_for_both", select_of_ends),
    ("r48_no_interface_is_early_or_rounds_to_zero", never_early),
    ("r48_epoll_pwait_waits_for_less_than_a_millisecond", less_than_a_millisecond),
    ("r48_huge_timeouts_wait_and_end", huge_timeouts),
    ("r50_a_blocked_epoll_wait_sees_what_another_thread_adds", blocked_epoll_wait),
    ("r50_a_blocked_dp_poll_sees_what_another_thread_adds", blocked_dp_poll),
];

/// A number that is not open.
const CLOSED: i32 = 60_000;

fn a_closed_number() -> Outcome {
    let ((reader, _writer), (other, other_writer)) = (pipe()?, pipe()?);
    let mut list = [
        PollFd::new(reader.number(), Conditions::IN),
        PollFd::new(CLOSED, Conditions::IN),
        PollFd::new(CLOSED + 1, Conditions::empty()),
    ];
    // For ever, and yet at once.
    equal(libkq::poll(&mut list, None, None)?, 2)?;
    equal(list.map(|entry| entry.revents), [Conditions::empty(), Conditions::NVAL, Conditions::NVAL])?;
    // It counts beside what is ready.
    other_writer.write_all(b"x")?;
    list[0].fd = other.number();
    equal(libkq::poll(&mut list, None, None)?, 3)?;
    // A number is what it is now, not what it was.
    let number = reader.number();
    drop(reader);
    equal(polled_number(number)?, Conditions::NVAL)?;
    let again = other.duplicate()?;
    equal(again.number(), number)?;
    equal(polled_number(number)?, Conditions::IN)
}

fn polled_number(number: i32) -> Outcome<Conditions> {
    let mut list = [PollFd::new(number, Conditions::IN)];
    libkq::poll(&mut list, NOW, None)?;
    Ok(list[0].revents)
}

fn closed_meanwhile() -> Outcome {
    for _ in 0..10 {
        let ((reader, _writer), (other, _other_writer)) = (pipe()?, pipe()?);
        let (number, others) = (reader.number(), other.number());
        let waiter = thread::spawn(move || {
            let mut list = [PollFd::new(others, Conditions::IN), PollFd::new(number, Conditions::IN)];
            libkq::poll(&mut list, PATIENTLY, None).map(|count| (count, list[1].revents))
        })?;
        a_moment();
        drop(reader);
        equal(waiter.join()??, (1, Conditions::NVAL))?;
    }
    Ok(())
}

fn events_and_revents() -> Outcome {
    let (reader, writer) = pipe()?;
    let asked = Conditions::from_bits_retain(0x4000) | Conditions::IN | Conditions::PRI;
    let mut list = [PollFd { fd: reader.number(), events: asked, revents: Conditions::all() }; 2];
    equal(libkq::poll(&mut list, Some(Duration::from_millis(1)), None)?, 0)?;
    equal(list, [PollFd::new(reader.number(), asked); 2])?;
    writer.write_all(b"x")?;
    equal(libkq::poll(&mut list, NOW, None)?, 2)?;
    equal(list.map(|entry| (entry.fd, entry.events)), [(reader.number(), asked); 2])?;
    drain(&reader, 1)?;
    equal(libkq::poll(&mut list, NOW, None)?, 0)?;
    equal(list.map(|entry| entry.revents), [Conditions::empty(); 2])
}

fn negative_numbers() -> Outcome {
    let (reader, writer) = pipe()?;
    writer.write_all(b"x")?;
    let mut list = [-1, -2, i32::MIN, reader.number()].map(|fd| PollFd {
        fd,
        events: Conditions::IN,
        revents: Conditions::all(),
    });
    equal(libkq::poll(&mut list, None, None)?, 1)?;
    let none = Conditions::empty();
    equal(list.map(|entry| entry.revents), [none, none, none, Conditions::IN])?;
    let begin = rt::clock::now_ns();
    equal(libkq::poll(&mut list[..3], Some(Duration::from_millis(2)), None)?, 0)?;
    ensure(rt::clock::now_ns() - begin >= 2_000_000, "nothing but a sleep")
}

fn unasked() -> Outcome {
    let (reader, writer) = pipe()?;
    equal(polled(&reader, Conditions::empty())?, Conditions::empty())?;
    drop(writer);
    heard(&reader);
    equal(polled(&reader, Conditions::empty())?, Conditions::HUP)?;
    let (reader, writer) = pipe()?;
    drop(reader);
    heard(&writer);
    equal(polled(&writer, Conditions::empty())?, Conditions::ERR)?;
    // Space there is, but nobody takes it any more.
    let (one, other) = pair()?;
    equal(polled(&one, Conditions::OUT)?, Conditions::OUT)?;
    drop(other);
    heard(&one);
    let said = polled(&one, Conditions::OUT | Conditions::IN)?;
    ensure(said.contains(Conditions::HUP) && !said.contains(Conditions::OUT), "HUP excludes OUT")
}

fn one_number_twice() -> Outcome {
    let (one, other) = pair()?;
    other.write_all(b"x")?;
    let number = one.number();
    let mut list = [
        PollFd::new(number, Conditions::IN),
        PollFd::new(number, Conditions::OUT),
        PollFd::new(number, Conditions::PRI),
        PollFd::new(number, Conditions::IN | Conditions::OUT),
    ];
    equal(libkq::poll(&mut list, None, None)?, 3)?;
    let expected = [Conditions::IN, Conditions::OUT, Conditions::empty(), Conditions::IN | Conditions::OUT];
    equal(list.map(|entry| entry.revents), expected)
}

fn nothing_and_too_much() -> Outcome {
    let begin = rt::clock::now_ns();
    equal(libkq::poll(&mut [], Some(Duration::from_millis(3)), None)?, 0)?;
    equal(libkq::select(0, [None, None, None], Some(Duration::from_millis(3)), None)?, 0)?;
    ensure(rt::clock::now_ns() - begin >= 6_000_000, "both slept")?;
    let mut list = vec![PollFd::new(-1, Conditions::IN); MAX_DESCRIPTORS + 1];
    refused(libkq::poll(&mut list, None, None), EINVAL)?;
    equal(libkq::poll(&mut list[1..], NOW, None)?, 0)
}

fn set_of(files: &[&Descriptor]) -> FdSet {
    files.iter().map(|file| file.number()).collect()
}

fn select_counts_bits() -> Outcome {
    let ((one, other), (reader, _writer)) = (pair()?, pipe()?);
    other.write_all(b"x")?;
    let nfds = one.number().max(reader.number()) + 1;
    let (mut read, mut write) = (set_of(&[&one, &reader]), set_of(&[&one]));
    let mut except = set_of(&[&one]);
    let sets = [Some(&mut read), Some(&mut write), Some(&mut except)];
    equal(libkq::select(nfds, sets, None, None)?, 2)?;
    equal((read, write), (set_of(&[&one]), set_of(&[&one])))?;
    ensure(except.is_empty(), "nothing urgent")?;
    // Bits from nfds on: neither looked at nor kept, and no error though nothing is open there.
    let mut read = set_of(&[&one]);
    read.insert(CLOSED);
    equal(libkq::select(one.number() + 1, [Some(&mut read), None, None], NOW, None)?, 1)?;
    equal(read, set_of(&[&one]))?;
    let mut read = set_of(&[&one]);
    equal(libkq::select(one.number(), [Some(&mut read), None, None], NOW, None)?, 0)?;
    refused(libkq::select(-1, [Some(&mut read), None, None], NOW, None), EINVAL)?;
    // Numbers beyond 1024 are numbers like others.
    libkq::dup2(one.number(), 5000)?;
    let far = Descriptor::from_number(5000);
    let mut read = set_of(&[&far, &one]);
    equal(libkq::select(5001, [Some(&mut read), None, None], None, None)?, 2)
}

fn select_of_a_closed_number() -> Outcome {
    let (one, other) = pair()?;
    other.write_all(b"x")?;
    for closed_one_in in 0..3 {
        let mut sets = [set_of(&[&one]), set_of(&[&one]), set_of(&[&one])];
        sets[closed_one_in].insert(CLOSED);
        let before = sets.clone();
        let [read, write, except] = &mut sets;
        let asked = libkq::select(CLOSED + 1, [Some(read), Some(write), Some(except)], None, None);
        refused(asked, EBADF)?;
        equal(sets, before)?;
    }
    Ok(())
}

fn select_of_ends() -> Outcome {
    // Ended without a byte: readable.
    let (reader, writer) = pipe()?;
    drop(writer);
    heard(&reader);
    let ask = |file: &Descriptor| -> Outcome<[bool; 3]> {
        let mut sets = [set_of(&[file]), set_of(&[file]), set_of(&[file])];
        let [read, write, except] = &mut sets;
        libkq::select(file.number() + 1, [Some(read), Some(write), Some(except)], NOW, None)?;
        Ok(sets.map(|set| set.contains(file.number())))
    };
    ensure(ask(&reader)?[0], "a hang-up is readable")?;
    // An error: a read and a write would tell it, neither would wait.
    let (one, other) = pair()?;
    stuff(&one)?;
    other.write_all(b"never read")?;
    equal(ask(&one)?, [true, false, false])?;
    drain(&one, 10)?;
    equal(ask(&one)?, [false, false, false])?;
    drop(other);
    heard(&one);
    equal(ask(&one)?, [true, true, false])?;
    let (reader, writer) = pipe()?;
    stuff(&writer)?;
    ensure(!ask(&writer)?[1], "it is full")?;
    drop(reader);
    heard(&writer);
    ensure(ask(&writer)?[1], "an error is writable")
}

/// A wait of each interface for nothing.
type Wait = fn(Option<Duration>) -> libkq::Result<usize>;

const WAITS: [(&str, Wait); 5] = [
    ("kevent", |timeout| {
        let queue = libkq::Queue::new()?;
        queue.wait(&mut [libkq::KEvent::default()], timeout).map(<[_]>::len)
    }),
    ("poll", |timeout| libkq::poll(&mut [PollFd::new(-1, Conditions::IN)], timeout, None)),
    ("select", |timeout| libkq::select(1, [None, None, None], timeout, None)),
    ("epoll", |timeout| EpollSet::new()?.wait(&mut [EpollEvent::default()], timeout).map(<[_]>::len)),
    ("/dev/poll", |timeout| {
        let set = Descriptor::open("/dev/poll", libkq::flag::O_RDWR)?;
        process().devpoll_poll(set.number(), &mut [PollFd::default()], timeout, None)
    }),
];

fn never_early() -> Outcome {
    for (name, wait) in WAITS {
        for nanos in [1, 30_000, 400_000, 2_000_000] {
            let begin = rt::clock::now_ns();
            equal(wait(Some(Duration::from_nanos(nanos)))?, 0)?;
            ensure(rt::clock::now_ns() - begin >= nanos, name)?;
        }
    }
    Ok(())
}

fn less_than_a_millisecond() -> Outcome {
    let (set, (reader, writer)) = (EpollSet::new()?, pipe()?);
    set.add(reader.number(), EpollFlags::IN, 3)?;
    let mut events = [EpollEvent::default(); 2];
    for nanos in [1, 999, 400_000, 999_999] {
        let timeout = Some(Duration::from_nanos(nanos));
        let begin = rt::clock::now_ns();
        equal(libkq::epoll_pwait(set.number(), &mut events, timeout, SignalMask::empty())?, 0)?;
        ensure(rt::clock::now_ns() - begin >= nanos, "never early")?;
        writer.write_all(b"x")?;
        equal(libkq::epoll_pwait(set.number(), &mut events, timeout, SignalMask::empty())?, 1)?;
        equal(events[0], EpollEvent::new(EpollFlags::IN, 3))?;
        drain(&reader, 1)?;
    }
    Ok(())
}

fn huge_timeouts() -> Outcome {
    for timeout in
        [None, Some(Duration::MAX), Some(Duration::from_secs(1 << 40)), Some(Duration::from_nanos(u64::MAX))]
    {
        let (reader, writer) = pipe()?;
        let number = reader.number();
        let waiters = [
            thread::spawn(move || libkq::poll(&mut [PollFd::new(number, Conditions::IN)], timeout, None))?,
            thread::spawn(move || {
                let mut read = FdSet::from_iter([number]);
                libkq::select(number + 1, [Some(&mut read), None, None], timeout, None)
            })?,
            thread::spawn(move || {
                let set = EpollSet::new()?;
                set.add(number, EpollFlags::IN, 1)?;
                set.wait(&mut [EpollEvent::default()], timeout).map(<[_]>::len)
            })?,
            thread::spawn(move || {
                let queue = Queue::new()?;
                libkq::kevent(
                    queue.number(),
                    &[KEvent::read(number).add()],
                    &mut [KEvent::default()],
                    timeout,
                )
            })?,
            thread::spawn(move || {
                let set = Descriptor::open("/dev/poll", libkq::flag::O_RDWR)?;
                process().devpoll_write(set.number(), &[PollFd::new(number, Conditions::IN)])?;
                process().devpoll_poll(set.number(), &mut [PollFd::default()], timeout, None)
            })?,
        ];
        a_moment();
        ensure(waiters.iter().all(|waiter| !waiter.is_finished()), "they wait")?;
        writer.write_all(b"x")?;
        for waiter in waiters {
            equal(waiter.join()??, 1)?;
        }
    }
    Ok(())
}

fn blocked_epoll_wait() -> Outcome {
    for _ in 0..10 {
        let (set, (reader, writer)) = (alloc::sync::Arc::new(EpollSet::new()?), pipe()?);
        writer.write_all(b"x")?;
        let waiter = {
            let set = set.clone();
            thread::spawn(move || only_told(&set).map(|event| event.data()))?
        };
        a_moment();
        set.add(reader.number(), EpollFlags::IN, 5)?;
        equal(waiter.join()??, 5)?;
    }
    Ok(())
}

fn blocked_dp_poll() -> Outcome {
    for _ in 0..10 {
        let ((reader, writer), set) = (pipe()?, Descriptor::open("/dev/poll", libkq::flag::O_RDWR)?);
        writer.write_all(b"x")?;
        let number = set.number();
        let waiter = thread::spawn(move || {
            let mut list = [PollFd::default(); 2];
            process().devpoll_poll(number, &mut list, PATIENTLY, None).map(|count| (count, list[0].fd))
        })?;
        a_moment();
        process().devpoll_write(number, &[PollFd::new(reader.number(), Conditions::IN)])?;
        equal(waiter.join()??, (1, reader.number()))?;
    }
    Ok(())
}
