//! epoll: items, errors, edges, one-shots (R32, R39 to R42).

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EBADF, EEXIST, EINVAL, ENOENT, EPERM, Result};
use abi::flag::{O_CREAT, O_RDWR};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::epoll::CLOEXEC;
use libkq::{
    Descriptor, EpollEvent, EpollFlags, EpollOp, EpollSet, Queue, SignalMask, epoll_create1, epoll_ctl,
    epoll_pwait, epoll_wait, process,
};

use guest_tests::looks::{NOW, drain, only_told, pair, pipe, stuff, told};

pub const TESTS: &[Test] = &[
    ("r32_a_duplicate_keeps_an_item_and_reports_for_the_closed_number", a_duplicate_keeps_an_item),
    ("r32_dup2_over_the_last_number_removes_an_item", dup2_over_the_last),
    ("r39_modify_arms_a_one_shot_and_looks_at_once", modify_arms),
    ("r39_a_one_shot_that_fired_is_silent_about_hang_ups_too", fired_is_silent),
    ("r40_edges_with_modify_partial_reads_and_one_shots", edges),
    ("r41_hang_ups_and_errors_are_told_unasked", unasked),
    ("r42_rotation_reaches_every_descriptor", rotation),
    ("epoll_ctl_says_what_is_wrong", wrong_controls),
    ("epoll_waits_say_what_is_wrong", wrong_waits),
    ("epoll_events_are_packed_to_twelve_bytes", twelve_bytes),
    ("epoll_pwait2_knows_less_than_a_millisecond", fine_timeouts),
];

fn both(event: &EpollEvent) -> (EpollFlags, u64) {
    (event.events(), event.data())
}

fn a_duplicate_keeps_an_item() -> Outcome {
    let (set, (reader, writer)) = (EpollSet::new()?, pipe()?);
    let twin = reader.duplicate()?;
    let number = reader.number();
    set.add(number, EpollFlags::IN, 7)?;
    // The same file by another number is another item.
    set.add(twin.number(), EpollFlags::IN, 8)?;
    writer.write_all(b"x")?;
    equal(told(&set)?.len(), 2)?;
    set.remove(twin.number())?;
    drop(reader);
    // Closed by this number, open by another: the item lives, and nobody can name it.
    equal(both(&only_told(&set)?), (EpollFlags::IN, 7))?;
    refused(set.remove(number), EBADF)?;
    drain(&twin, 1)?;
    equal(told(&set)?, vec![])?;
    writer.write_all(b"y")?;
    equal(only_told(&set)?.data(), 7)?;
    // Another file by that number is another item.
    let (other, other_writer) = pipe()?;
    equal(other.number(), number)?;
    refused(set.remove(number), ENOENT)?;
    set.add(number, EpollFlags::IN, 9)?;
    other_writer.write_all(b"z")?;
    let mut data: Vec<u64> = told(&set)?.iter().map(EpollEvent::data).collect();
    data.sort_unstable();
    equal(data, vec![7, 9])?;
    drop(twin);
    equal(only_told(&set)?.data(), 9)
}

fn dup2_over_the_last() -> Outcome {
    let (set, (reader, writer), (other, _other_writer)) = (EpollSet::new()?, pipe()?, pipe()?);
    set.add(reader.number(), EpollFlags::IN, 1)?;
    writer.write_all(b"x")?;
    equal(told(&set)?.len(), 1)?;
    libkq::dup2(other.number(), reader.number())?;
    equal(told(&set)?, vec![])?;
    refused(set.modify(reader.number(), EpollFlags::IN, 1), ENOENT)
}

fn modify_arms() -> Outcome {
    let (set, (one, other)) = (EpollSet::new()?, pair()?);
    let number = one.number();
    set.add(number, EpollFlags::IN | EpollFlags::ONESHOT, 1)?;
    other.write_all(b"x")?;
    equal(both(&only_told(&set)?), (EpollFlags::IN, 1))?;
    equal(told(&set)?, vec![])?;
    other.write_all(b"y")?;
    a_moment();
    equal(told(&set)?, vec![])?;
    for data in 2..5 {
        // What is there is told, without anything new.
        set.modify(number, EpollFlags::IN | EpollFlags::ONESHOT, data)?;
        equal(both(&only_told(&set)?), (EpollFlags::IN, data))?;
        equal(told(&set)?, vec![])?;
    }
    // Other conditions from now on, and no one-shot any more.
    set.modify(number, EpollFlags::OUT, 6)?;
    for _ in 0..2 {
        equal(both(&only_told(&set)?), (EpollFlags::OUT, 6))?;
    }
    set.modify(number, EpollFlags::empty(), 7)?;
    equal(told(&set)?, vec![])?;
    // A thread that waits is woken by it.
    let set = alloc::sync::Arc::new(set);
    let waiter = {
        let set = set.clone();
        rt::thread::spawn(move || only_told(&set).map(|event| both(&event)))?
    };
    a_moment();
    set.modify(number, EpollFlags::IN, 8)?;
    equal(waiter.join()??, (EpollFlags::IN, 8))
}

fn fired_is_silent() -> Outcome {
    let (set, (reader, writer)) = (EpollSet::new()?, pipe()?);
    set.add(reader.number(), EpollFlags::IN | EpollFlags::ONESHOT, 1)?;
    writer.write_all(b"x")?;
    only_told(&set)?;
    drain(&reader, 1)?;
    drop(writer);
    a_moment();
    equal(told(&set)?, vec![])?;
    set.modify(reader.number(), EpollFlags::ONESHOT, 2)?;
    equal(both(&only_told(&set)?), (EpollFlags::HUP, 2))?;
    equal(told(&set)?, vec![])
}

fn edges() -> Outcome {
    let (set, (reader, writer)) = (EpollSet::new()?, pipe()?);
    let (number, edge) = (reader.number(), EpollFlags::IN | EpollFlags::ET);
    set.add(number, edge, 1)?;
    equal(told(&set)?, vec![])?;
    writer.write_all(b"abcd")?;
    equal(only_told(&set)?.data(), 1)?;
    equal(told(&set)?, vec![])?;
    // Bytes that are left are no news.
    drain(&reader, 2)?;
    equal(told(&set)?, vec![])?;
    writer.write_all(b"e")?;
    equal(only_told(&set)?.data(), 1)?;
    equal(told(&set)?, vec![])?;
    // MOD makes news of what is there.
    set.modify(number, edge, 2)?;
    equal(only_told(&set)?.data(), 2)?;
    equal(told(&set)?, vec![])?;
    drain(&reader, 3)?;
    set.modify(number, edge, 3)?;
    equal(told(&set)?, vec![])?;
    // Both at once: the first edge, and then none until it is armed.
    set.modify(number, edge | EpollFlags::ONESHOT, 4)?;
    for data in [4, 5] {
        writer.write_all(b"x")?;
        equal(only_told(&set)?.data(), data)?;
        writer.write_all(b"y")?;
        a_moment();
        equal(told(&set)?, vec![])?;
        set.modify(number, edge | EpollFlags::ONESHOT, data + 1)?;
        equal(only_told(&set)?.data(), data + 1)?;
        set.modify(number, edge | EpollFlags::ONESHOT, data + 1)?;
        equal(only_told(&set)?.data(), data + 1)?;
        drain(&reader, 2)?;
        set.modify(number, edge | EpollFlags::ONESHOT, data + 1)?;
    }
    // The end is an edge.
    drop(writer);
    ensure(only_told(&set)?.events().contains(EpollFlags::HUP), "the hang-up is told")?;
    equal(told(&set)?, vec![])
}

fn unasked() -> Outcome {
    let (set, (reader, writer)) = (EpollSet::new()?, pipe()?);
    set.add(reader.number(), EpollFlags::empty(), 1)?;
    writer.write_all(b"x")?;
    equal(told(&set)?, vec![])?;
    drain(&reader, 1)?;
    drop(writer);
    equal(both(&only_told(&set)?), (EpollFlags::HUP, 1))?;
    let (reader, writer) = pipe()?;
    let set = EpollSet::new()?;
    set.add(writer.number(), EpollFlags::PRI, 2)?;
    stuff(&writer)?;
    equal(told(&set)?, vec![])?;
    drop(reader);
    equal(both(&only_told(&set)?), (EpollFlags::ERR, 2))?;
    // As often as it is asked, and with what was asked for.
    set.modify(writer.number(), EpollFlags::OUT, 3)?;
    for _ in 0..2 {
        ensure(only_told(&set)?.events().contains(EpollFlags::ERR), "the error is told")?;
    }
    Ok(())
}

fn rotation() -> Outcome {
    let set = EpollSet::new()?;
    let pipes: Vec<_> = (0..10).map(|_| pipe()).collect::<Outcome<_>>()?;
    for (index, (reader, writer)) in pipes.iter().enumerate() {
        writer.write_all(b"x")?;
        set.add(reader.number(), EpollFlags::IN, index as u64)?;
    }
    for most in [1, 3, 7] {
        let (mut seen, mut calls) = ([0; 10], 0);
        while seen.contains(&0) {
            let mut events = [EpollEvent::default(); 7];
            for event in set.wait(&mut events[..most], NOW)? {
                seen[event.data() as usize] += 1;
            }
            calls += 1;
            ensure(calls <= 10usize.div_ceil(most), "every one has had its turn")?;
        }
    }
    Ok(())
}

fn wrong_controls() -> Outcome {
    let (set, (reader, writer), queue) = (EpollSet::new()?, pipe()?, Queue::new()?);
    let event = EpollEvent::new(EpollFlags::IN, 1);
    let control = |epfd: i32, op, fd: i32| -> Result<()> { epoll_ctl(epfd, op, fd, event) };
    for op in [EpollOp::Add, EpollOp::Modify, EpollOp::Delete] {
        for closed in [-1, 60_000] {
            refused(control(set.number(), op, closed), EBADF)?;
            refused(control(closed, op, reader.number()), EBADF)?;
        }
        refused(control(set.number(), op, set.number()), EINVAL)?;
        refused(control(reader.number(), op, writer.number()), EINVAL)?;
        refused(control(queue.number(), op, writer.number()), EINVAL)?;
    }
    for op in [EpollOp::Modify, EpollOp::Delete] {
        refused(control(set.number(), op, reader.number()), ENOENT)?;
    }
    control(set.number(), EpollOp::Add, reader.number())?;
    refused(control(set.number(), EpollOp::Add, reader.number()), EEXIST)?;
    let file = Descriptor::open("/tmp/epoll-errors", O_RDWR | O_CREAT | 0o600)?;
    for op in [EpollOp::Add, EpollOp::Modify, EpollOp::Delete] {
        refused(control(set.number(), op, file.number()), EPERM)?;
    }
    process().unlink("/tmp/epoll-errors")?;
    for number in [0, 4, -1] {
        equal(EpollOp::try_from(number).map_err(|error| error.errno), Err(EINVAL))?;
    }
    refused(epoll_create1(1), EINVAL)?;
    drop(Descriptor::from_number(epoll_create1(CLOEXEC)?));
    // All of it changed nothing.
    equal(told(&set)?, vec![])?;
    writer.write_all(b"x")?;
    equal(told(&set)?.len(), 1)
}

fn wrong_waits() -> Outcome {
    let ((reader, _writer), queue, set) = (pipe()?, Queue::new()?, EpollSet::new()?);
    let mut room = [EpollEvent::default()];
    for (number, errno) in [(-1, EBADF), (60_000, EBADF), (reader.number(), EINVAL), (queue.number(), EINVAL)]
    {
        refused(epoll_wait(number, &mut room, NOW), errno)?;
        refused(epoll_pwait(number, &mut room, NOW, SignalMask::empty()), errno)?;
    }
    refused(epoll_wait(set.number(), &mut [], NOW), EINVAL)?;
    refused(epoll_pwait(set.number(), &mut [], NOW, SignalMask::empty()), EINVAL)
}

fn twelve_bytes() -> Outcome {
    equal((size_of::<EpollEvent>(), align_of::<EpollEvent>()), (12, 1))?;
    // Two of them one behind the other, as a C program finds them.
    let (set, pipes) = (EpollSet::new()?, [pipe()?, pipe()?]);
    for (data, (reader, writer)) in [u64::MAX, 0x0102_0304_0506_0708].into_iter().zip(&pipes) {
        writer.write_all(b"x")?;
        set.add(reader.number(), EpollFlags::IN, data)?;
    }
    let mut events = [EpollEvent::default(); 2];
    equal(epoll_wait(set.number(), &mut events, NOW)?, 2)?;
    let mut data: Vec<u64> = events.iter().map(EpollEvent::data).collect();
    data.sort_unstable();
    equal(data, vec![0x0102_0304_0506_0708, u64::MAX])
}

fn fine_timeouts() -> Outcome {
    let set = EpollSet::new()?;
    let mut room = [EpollEvent::default()];
    for nanos in [1, 1_000, 300_000, 1_500_000] {
        let begin = rt::clock::now_ns();
        let timeout = Some(Duration::from_nanos(nanos));
        equal(epoll_pwait(set.number(), &mut room, timeout, SignalMask::empty())?, 0)?;
        ensure(rt::clock::now_ns() - begin >= nanos, "the time has passed")?;
    }
    Ok(())
}
