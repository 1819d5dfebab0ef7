//! Who is told, and how often (R10 to R15, R36, R60), with threads on all CPUs.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use abi::error::EAGAIN;
use guest_tests::failure::{ensure, equal};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment};
use libkq::event::note;
use libkq::{Descriptor, EpollEvent, EpollFlags, EpollSet, EventFlags, Filter, KEvent, PollFd, Queue};

use guest_tests::crew::{Crew, until};
use guest_tests::looks::{NOW, PATIENTLY, drain, next, only, pair, pipe, ready};

pub const TESTS: &[Test] = &[
    ("r10_a_oneshot_outlives_a_look_that_finds_it_false", oneshot_outlives_a_look),
    ("r12_a_level_is_never_invisible_to_anybody", never_invisible),
    ("r12_a_note_that_was_told_goes_to_the_tail", to_the_tail),
    ("r13_one_level_wakes_every_waiter_one_after_the_other", one_level_wakes_all),
    ("r14_no_event_lost_when_slots_run_out", slots_run_out),
    ("r15_clear_forgets_data_and_fflags", clear_forgets),
    ("r36_one_event_has_one_delivery_among_many_waiters", one_event_one_delivery),
    ("r36_an_edge_of_epoll_has_one_delivery_among_many_waiters", one_edge_of_epoll),
    ("r60_each_byte_has_one_reader", each_byte_has_one_reader),
    ("r60_expirations_are_told_to_one_each", expirations_are_told_once),
];

fn oneshot_outlives_a_look() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    queue.apply(&[KEvent::read(reader.number()).add().oneshot()])?;
    for _ in 0..3 {
        // Activated, and false again when it is looked at.
        writer.write_all(b"abc")?;
        drain(&reader, 3)?;
        equal(ready(&queue)?, vec![])?;
    }
    writer.write_all(b"de")?;
    equal(only(&queue)?.data, 2)?;
    writer.write_all(b"f")?;
    equal(ready(&queue)?, vec![])
}

/// Whether a look finds something; who looks does not wait.
type Look = fn(&Looked) -> Outcome<bool>;

/// The same two files in a set of each kind.
struct Looked {
    queue: Queue,
    set: EpollSet,
    device: Descriptor,
    files: [i32; 2],
}

const LOOKS: [(&str, Look); 4] = [
    ("kevent", |looked| Ok(!looked.queue.wait(&mut [KEvent::default()], NOW)?.is_empty())),
    ("epoll", |looked| Ok(!looked.set.wait(&mut [EpollEvent::default()], NOW)?.is_empty())),
    ("/dev/poll", |looked| {
        let mut list = [PollFd::default()];
        Ok(libkq::process().devpoll_poll(looked.device.number(), &mut list, NOW, None)? == 1)
    }),
    ("poll", |looked| {
        let mut list = looked.files.map(|file| PollFd::new(file, libkq::Conditions::IN));
        Ok(libkq::poll(&mut list, NOW, None)? > 0)
    }),
];

fn never_invisible() -> Outcome {
    const LOOKS_EACH: usize = 500;
    let pipes = [pipe()?, pipe()?];
    let looked = Arc::new(Looked {
        queue: Queue::new()?,
        set: EpollSet::new()?,
        device: Descriptor::open("/dev/poll", libkq::flag::O_RDWR)?,
        files: [pipes[0].0.number(), pipes[1].0.number()],
    });
    for (reader, writer) in &pipes {
        writer.write_all(b"stays")?;
        looked.queue.apply(&[KEvent::read(reader.number()).add()])?;
        looked.set.add(reader.number(), EpollFlags::IN, 1)?;
        let entry = PollFd::new(reader.number(), libkq::Conditions::IN);
        libkq::process().devpoll_write(looked.device.number(), &[entry])?;
    }
    // All have room for less than there is, so each look moves something that others look at.
    let crew = Crew::on_each_cpu(2, |_| {
        let looked = looked.clone();
        move || {
            for at in 0..LOOKS_EACH {
                let (name, look) = LOOKS[at % LOOKS.len()];
                if !look(&looked)? {
                    return Err(Failure::new(alloc::format!("{name} did not see it")));
                }
            }
            Ok(())
        }
    })?;
    crew.join()
}

fn to_the_tail() -> Outcome {
    let queue = Queue::new()?;
    let pipes: Vec<_> = (0..3).map(|_| pipe()).collect::<Outcome<_>>()?;
    for (reader, writer) in &pipes {
        writer.write_all(b"x")?;
        queue.apply(&[KEvent::read(reader.number()).add()])?;
    }
    let seen: Vec<usize> = (0..9).map(|_| next(&queue).map(|event| event.ident)).collect::<Outcome<_>>()?;
    let mut turn = seen[..3].to_vec();
    equal((&seen[3..6], &seen[6..]), (&turn[..], &turn[..]))?;
    turn.sort_unstable();
    turn.dedup();
    equal(turn.len(), 3)
}

fn one_level_wakes_all() -> Outcome {
    for round in 0..10 {
        let (queue, (reader, writer)) = (Arc::new(Queue::new()?), pipe()?);
        queue.apply(&[KEvent::read(reader.number()).add()])?;
        // Nobody reads: whoever takes it puts it back and wakes the next.
        let crew = Crew::start(6, |_| {
            let queue = queue.clone();
            move || equal(next(&queue)?.data, 1)
        })?;
        if round % 2 == 0 {
            a_moment();
        }
        writer.write_all(b"x")?;
        crew.join()?;
    }
    Ok(())
}

fn slots_run_out() -> Outcome {
    let (queue, (one, other)) = (Queue::new()?, pair()?);
    for clear in [EventFlags::CLEAR, EventFlags::ONESHOT, EventFlags::DISPATCH] {
        let notes = [KEvent::read(one.number()).with(clear), KEvent::write(one.number()).with(clear)];
        queue.apply(&notes.map(KEvent::add))?;
        // Reading and writing at once, and room for one.
        other.write_all(b"abc")?;
        let mut filters = vec![next(&queue)?.filter, next(&queue)?.filter];
        filters.sort_unstable();
        equal(filters, vec![Filter::WRITE, Filter::READ])?;
        equal(ready(&queue)?, vec![])?;
        drain(&one, 3)?;
        if clear != EventFlags::ONESHOT {
            queue.apply(&[KEvent::read(one.number()).delete(), KEvent::write(one.number()).delete()])?;
        }
    }
    // Many sources, one place.
    let pipes: Vec<_> = (0..20).map(|_| pipe()).collect::<Outcome<_>>()?;
    for (reader, writer) in &pipes {
        queue.apply(&[KEvent::read(reader.number()).add().clear()])?;
        writer.write_all(b"x")?;
    }
    let mut idents: Vec<usize> =
        (0..20).map(|_| next(&queue).map(|event| event.ident)).collect::<Outcome<_>>()?;
    idents.sort_unstable();
    let mut expected: Vec<usize> = pipes.iter().map(|(reader, _)| reader.number() as usize).collect();
    expected.sort_unstable();
    equal(idents, expected)?;
    equal(ready(&queue)?, vec![])
}

fn clear_forgets() -> Outcome {
    let queue = Queue::new()?;
    let fire = |bits, data| KEvent { fflags: note::TRIGGER | note::FFOR | bits, data, ..KEvent::user(1) };
    for (clear, then) in [(EventFlags::CLEAR, (2, 0)), (EventFlags::DISPATCH, (3, 0))] {
        queue.apply(&[KEvent::user(1).add().with(clear)])?;
        queue.apply(&[fire(1, 5)])?;
        let event = only(&queue)?;
        equal((event.fflags, event.data), (1, 5))?;
        queue.apply(&[fire(2, 0).enable()])?;
        let event = only(&queue)?;
        equal((event.fflags, event.data), then)?;
        queue.apply(&[KEvent::user(1).delete()])?;
    }
    // The same edge is not told again; the same amount, newly come, is.
    let (reader, writer) = pipe()?;
    queue.apply(&[KEvent::read(reader.number()).add().clear()])?;
    for _ in 0..3 {
        writer.write_all(b"x")?;
        equal(only(&queue)?.data, 1)?;
        equal(ready(&queue)?, vec![])?;
        drain(&reader, 1)?;
        equal(ready(&queue)?, vec![])?;
    }
    Ok(())
}

/// Waiters that count what they are told, until they are told to stop.
fn count_deliveries(queue: &Arc<Queue>, taken: &Arc<AtomicU64>) -> Outcome<Crew> {
    Crew::on_each_cpu(2, |_| {
        let (queue, taken) = (queue.clone(), taken.clone());
        move || {
            while next(&queue)?.udata != usize::MAX {
                taken.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }
    })
}

fn one_event_one_delivery() -> Outcome {
    const ROUNDS: u64 = 40;
    for flags in [EventFlags::ONESHOT, EventFlags::CLEAR, EventFlags::DISPATCH] {
        for user in [false, true] {
            let (queue, (reader, writer)) = (Arc::new(Queue::new()?), pipe()?);
            let taken = Arc::new(AtomicU64::new(0));
            let crew = count_deliveries(&queue, &taken)?;
            let note = if user { KEvent::user(1) } else { KEvent::read(reader.number()) };
            for round in 1..=ROUNDS {
                queue.apply(&[note.add().enable().with(flags)])?;
                if user {
                    queue.apply(&[note.trigger()])?;
                } else {
                    writer.write_all(b"x")?;
                }
                until(|| taken.load(Ordering::SeqCst) >= round)?;
                if !user {
                    drain(&reader, 1)?;
                }
            }
            queue.apply(&[KEvent::user(0).add().trigger().udata(usize::MAX)])?;
            crew.join()?;
            equal(taken.load(Ordering::SeqCst), ROUNDS)?;
        }
    }
    Ok(())
}

fn one_edge_of_epoll() -> Outcome {
    const ROUNDS: u64 = 40;
    const STOP: u64 = u64::MAX;
    for how in [EpollFlags::ET, EpollFlags::ONESHOT] {
        let (set, (reader, writer), (end, ender)) = (Arc::new(EpollSet::new()?), pipe()?, pipe()?);
        set.add(reader.number(), EpollFlags::IN | how, 1)?;
        set.add(end.number(), EpollFlags::IN, STOP)?;
        let taken = Arc::new(AtomicU64::new(0));
        let crew = Crew::on_each_cpu(2, |_| {
            let (set, taken) = (set.clone(), taken.clone());
            move || loop {
                let mut events = [EpollEvent::default()];
                match set.wait(&mut events, PATIENTLY)? {
                    [event] if event.data() == STOP => return Ok(()),
                    [_] => taken.fetch_add(1, Ordering::SeqCst),
                    _ => return Err(Failure::new("nothing came")),
                };
            }
        })?;
        for round in 1..=ROUNDS {
            writer.write_all(b"x")?;
            until(|| taken.load(Ordering::SeqCst) >= round)?;
            drain(&reader, 1)?;
            if how == EpollFlags::ONESHOT {
                set.modify(reader.number(), EpollFlags::IN | how, 1)?;
            }
        }
        ender.write_all(b"x")?;
        crew.join()?;
        equal(taken.load(Ordering::SeqCst), ROUNDS)?;
    }
    Ok(())
}

fn each_byte_has_one_reader() -> Outcome {
    const BYTES: u64 = 200;
    let (queue, (reader, writer)) = (Arc::new(Queue::new()?), pipe()?);
    // One byte, one edge: who is told finds it, and nobody else is told.
    queue.apply(&[KEvent::read(reader.number()).add().clear()])?;
    let (read, vain) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let crew = Crew::on_each_cpu(2, |_| {
        let (queue, read, vain) = (queue.clone(), read.clone(), vain.clone());
        move || loop {
            let event = next(&queue)?;
            if event.filter == Filter::USER {
                return Ok(());
            }
            match libkq::read(event.ident as i32, &mut [0]) {
                Ok(1) => read.fetch_add(1, Ordering::SeqCst),
                Err(error) if error.errno == EAGAIN => vain.fetch_add(1, Ordering::SeqCst),
                other => return Err(Failure::new(alloc::format!("read says {other:?}"))),
            };
        }
    })?;
    for byte in 1..=BYTES {
        writer.write_all(b"x")?;
        until(|| read.load(Ordering::SeqCst) >= byte)?;
    }
    queue.apply(&[KEvent::user(0).add().trigger()])?;
    crew.join()?;
    equal((read.load(Ordering::SeqCst), vain.load(Ordering::SeqCst)), (BYTES, 0))
}

fn expirations_are_told_once() -> Outcome {
    const TIMERS: usize = 40;
    let queue = Arc::new(Queue::new()?);
    let told = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let crew = Crew::on_each_cpu(2, |_| {
        let (queue, told, stop) = (queue.clone(), told.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::SeqCst) {
                let event = next(&queue)?;
                if event.filter == Filter::TIMER {
                    told.fetch_add(event.data as u64, Ordering::SeqCst);
                }
            }
            Ok(())
        }
    })?;
    let timers: Vec<KEvent> =
        (0..TIMERS).map(|ident| KEvent::timer(ident).after(Duration::from_micros(200))).collect();
    queue.apply(&timers)?;
    until(|| told.load(Ordering::SeqCst) >= TIMERS as u64)?;
    a_moment();
    stop.store(true, Ordering::SeqCst);
    queue.apply(&[KEvent::user(0).add().trigger()])?;
    crew.join()?;
    ensure(told.load(Ordering::SeqCst) == TIMERS as u64, "each expired once")
}
