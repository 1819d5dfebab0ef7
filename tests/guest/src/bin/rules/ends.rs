//! Closing, and what there is a limit to (R31, R34, R53, R55).

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use abi::error::{EBADF, EDQUOT, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC, Error};
use abi::flag::O_RDWR;
use guest_tests::child::{Role, ends_well};
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment};
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollOp, EpollSet, KEvent, PollFd, Queue, process,
};
use rt::sys::Memory;

use guest_tests::crew::Crew;
use guest_tests::looks::{NOW, PATIENTLY, drain, only, only_told, pipe, ready};

pub const TESTS: &[Test] = &[
    ("r31_dup2_over_a_number_takes_its_notes_in_every_queue", dup2_takes_notes),
    ("r31_a_number_that_is_used_again_has_no_old_notes", used_again),
    ("r34_closing_a_set_wakes_its_waiters_in_every_interface", closing_wakes),
    ("r53_two_queues_on_one_descriptor_are_independent", two_queues),
    ("r55_who_wants_too_much_gets_an_error", a_greedy_child),
];

fn dup2_takes_notes() -> Outcome {
    let queues = [Queue::new()?, Queue::new()?];
    let ((reader, writer), (other, other_writer)) = (pipe()?, pipe()?);
    let number = reader.number();
    let twin = reader.duplicate()?;
    for queue in &queues {
        queue.apply(&[KEvent::read(number).add().udata(1), KEvent::read(twin.number()).add().udata(2)])?;
    }
    writer.write_all(b"x")?;
    libkq::dup2(other.number(), number)?;
    for queue in &queues {
        // The one by the other number stays.
        equal(only(queue)?.udata, 2)?;
        refused(queue.apply(&[KEvent::read(number).delete()]), ENOENT)?;
        queue.apply(&[KEvent::read(number).add().udata(3)])?;
    }
    drain(&twin, 1)?;
    other_writer.write_all(b"yy")?;
    for queue in &queues {
        let event = only(queue)?;
        equal((event.udata, event.data), (3, 2))?;
    }
    // Over itself it is nothing.
    libkq::dup2(number, number)?;
    equal(only(&queues[0])?.udata, 3)?;
    // poll goes by the number.
    let mut list = [PollFd::new(number, Conditions::IN)];
    equal(libkq::poll(&mut list, NOW, None)?, 1)?;
    libkq::dup2(twin.number(), number)?;
    equal(libkq::poll(&mut list, NOW, None)?, 0)
}

fn used_again() -> Outcome {
    let queue = Arc::new(Queue::new()?);
    // Closed by several threads at once while the numbers go round.
    let crew = Crew::on_each_cpu(2, |_| {
        let queue = queue.clone();
        move || {
            for _ in 0..20 {
                let (reader, writer) = pipe()?;
                let number = reader.number();
                writer.write_all(b"x")?;
                let note = KEvent::read(number);
                refused(queue.apply(&[note.delete()]), ENOENT)?;
                queue.apply(&[note.add().clear().disable()])?;
                drop(reader);
                // The number may be another thread's by now: only who has it has a note there.
                ensure(writer.write_all(b"x").is_err(), "nobody reads it")?;
            }
            Ok(())
        }
    })?;
    crew.join()?;
    equal(ready(&queue)?, vec![])
}

fn closing_wakes() -> Outcome {
    for round in 0..6 {
        let (set, device) = (libkq::epoll_create1(0)?, libkq::open("/dev/poll", O_RDWR)?);
        let queue = libkq::kqueue()?;
        let (reader, _writer) = pipe()?;
        libkq::epoll_ctl(set, EpollOp::Add, reader.number(), EpollEvent::new(EpollFlags::IN, 1))?;
        process().devpoll_write(device, &[PollFd::new(reader.number(), Conditions::IN)])?;
        libkq::kevent(queue, &[KEvent::read(reader.number()).add()], &mut [], NOW)?;
        let crew = Crew::on_each_cpu(3, |me| {
            move || {
                let waited = match me % 3 {
                    0 => libkq::epoll_wait(set, &mut [EpollEvent::default()], PATIENTLY),
                    1 => process().devpoll_poll(device, &mut [PollFd::default()], PATIENTLY, None),
                    _ => libkq::kevent(queue, &[], &mut [KEvent::default()], PATIENTLY),
                };
                refused(waited, EBADF)
            }
        })?;
        if round % 2 == 0 {
            a_moment();
        }
        for number in [set, device, queue] {
            libkq::close(number)?;
        }
        crew.join()?;
    }
    Ok(())
}

fn two_queues() -> Outcome {
    let (one, two, set, (reader, writer)) = (Queue::new()?, Queue::new()?, EpollSet::new()?, pipe()?);
    let note = KEvent::read(reader.number());
    one.apply(&[note.add().clear().udata(1)])?;
    two.apply(&[note.add().udata(2)])?;
    set.add(reader.number(), EpollFlags::IN | EpollFlags::ONESHOT, 3)?;
    writer.write_all(b"x")?;
    // The one's edge, switch, end and name are not the other's.
    equal(only(&one)?.udata, 1)?;
    equal(ready(&one)?, vec![])?;
    for _ in 0..2 {
        equal(only(&two)?.udata, 2)?;
    }
    equal(only_told(&set)?.data(), 3)?;
    one.apply(&[note.disable()])?;
    writer.write_all(b"x")?;
    equal(ready(&one)?, vec![])?;
    equal(only(&two)?.data, 2)?;
    two.apply(&[note.delete()])?;
    one.apply(&[note.enable()])?;
    equal(only(&one)?.data, 2)?;
    refused(two.apply(&[note.delete()]), ENOENT)?;
    one.apply(&[note.delete()]).map_err(Failure::from)
}

/// The part of a child that takes whatever it can get.
pub fn play(role: &str) -> Option<Outcome> {
    (role == "greedy").then(greedy)
}

const NO_MORE: &[i32] = &[EMFILE, ENFILE, ENOMEM, ENOSPC, EDQUOT];

/// Takes more until an error.
fn take_all<T>(mut take: impl FnMut() -> libkq::Result<T>) -> Outcome<Vec<T>> {
    let mut taken = Vec::new();
    let error = loop {
        match take() {
            Ok(more) => taken.push(more),
            Err(error) => break error,
        }
        ensure(taken.len() < 50_000, "there is an end")?;
    };
    refused_with(Err::<(), Error>(error), NO_MORE)?;
    ensure(taken.len() > 10, "there was something")?;
    Ok(taken)
}

fn greedy() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    writer.write_all(b"x")?;
    // What was there before works on beside it, and what is given back can be had again.
    let queues = take_all(Queue::new)?;
    equal(only(&queue)?.data, 1)?;
    drop(queues);
    drop(take_all(EpollSet::new)?);
    // Items of one set: over quota is ENOSPC here. A little is left, for what a call itself needs.
    let set = EpollSet::new()?;
    let twins = (0..900).map(|_| reader.duplicate()).collect::<libkq::Result<Vec<_>>>()?;
    let add = |twin: &Descriptor| set.add(twin.number(), EpollFlags::IN | EpollFlags::ET, 1);
    let mut eaten = take_all(|| Memory::create(16 << 10))?;
    eaten.truncate(eaten.len() - 1);
    let made = twins.iter().take_while(|twin| add(twin).is_ok()).count();
    if !(1..twins.len()).contains(&made) {
        return Err(Failure::new(alloc::format!("{made} of {} were made", twins.len())));
    }
    refused(add(&twins[made]), ENOSPC)?;
    equal(only(&queue)?.data, 1)?;
    // Those that were made are made, and there is more when there is room again.
    drop(eaten);
    set.modify(twins[0].number(), EpollFlags::IN, 7)?;
    add(&twins[made]).map_err(Failure::from)
}

fn a_greedy_child() -> Outcome {
    let child = Role::new(crate::PROGRAM, "greedy").quota(4 << 20).spawn(vec![])?;
    ends_well(&child)
}
