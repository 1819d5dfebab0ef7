//! Drivers that fail, and what is left of it (R56, R57, R59).

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EBADMSG, EBUSY, EIO, ENODEV, Error};
use abi::flag::{O_NONBLOCK, O_RDWR};
use guest_tests::books;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::operator::kill;
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment, soon};
use libkq::control::Control;
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, EventFlags, FdSet, Filter, KEvent, PollFd,
    Queue, process,
};
use rt::thread;

use crate::liar::{Given, LIES, Lie};
use crate::odd::{BUSY, DESK, MOUSE, STORM, order};
use guest_tests::crew::{Crew, until};
use guest_tests::looks::{NOW, PATIENTLY, drain, next, only, only_told, pipe, polled, ready, told};

pub const TESTS: &[Test] = &[
    ("r56_a_driver_that_errs_leaves_no_note", a_driver_errs),
    ("r56_levels_that_mean_nothing_leave_no_hanging_note", levels_mean_nothing),
    ("r56_a_driver_that_answers_nonsense_leaves_no_note", a_driver_lies),
    ("r56_a_driver_that_does_not_say_what_to_watch_holds_nobody_up", a_driver_is_silent),
    ("r56_a_driver_that_blocks_leaves_no_hanging_note", a_driver_blocks),
    ("r57_an_unplugged_mouse_is_told_to_all_who_poll_it", a_mouse_is_unplugged),
    ("r57_what_is_gone_fires_once_and_leaves_nothing", what_is_gone),
    ("r59_a_million_events_that_nobody_reads_are_one_note", a_million_events),
];

fn mouse() -> libkq::Result<Descriptor> {
    Descriptor::open(MOUSE, O_RDWR | O_NONBLOCK)
}

fn tell(order: u8) -> Outcome {
    Ok(Descriptor::open(DESK, O_RDWR)?.write_all(&[order])?)
}

/// Waits until a driver serves (again).
fn served(path: &str) -> Outcome<Descriptor> {
    let deadline = soon();
    loop {
        match Descriptor::open(path, O_RDWR | O_NONBLOCK) {
            Err(error) if error.errno == ENODEV => a_moment(),
            opened => return Ok(opened?),
        }
        ensure(rt::clock::now_ns() < deadline, "it is started again")?;
    }
}

/// Waits until the server keeps no more notes than that.
fn notes_are(count: u64) -> Outcome {
    until(|| books::notes().is_ok_and(|notes| notes <= count))
}

fn a_driver_errs() -> Outcome {
    let (queue, set, before) = (Queue::new()?, EpollSet::new()?, books::settled()?);
    for _ in 0..20 {
        refused(Descriptor::open(BUSY, O_RDWR), EBUSY)?;
    }
    // No source: nothing can be watched, and nothing is.
    let desk = Descriptor::open(DESK, O_RDWR)?;
    ensure(queue.apply(&[KEvent::read(desk.number()).add()]).is_err(), "the desk has no source")?;
    ensure(set.add(desk.number(), EpollFlags::IN, 1).is_err(), "nor for epoll")?;
    refused(desk.write_all(b"?"), abi::error::EINVAL)?;
    equal(books::notes()?, before)?;
    let mouse = mouse()?;
    queue.apply(&[KEvent::read(mouse.number()).add()])?;
    set.add(mouse.number(), EpollFlags::empty(), 2)?;
    for _ in 0..2 {
        equal(ready(&queue)?, vec![])?;
        tell(order::ERROR)?;
        let event = only(&queue)?;
        equal((event.fflags, event.data, event.is_eof()), (EIO as u32, 0, false))?;
        equal(only_told(&set)?.events(), EpollFlags::ERR)?;
        equal(polled(&mouse, Conditions::empty())?, Conditions::ERR)?;
        tell(order::MEND)?;
        equal(told(&set)?, vec![])?;
        equal(polled(&mouse, Conditions::empty())?, Conditions::empty())?;
    }
    drop(mouse);
    equal(books::notes()?, before)
}

fn levels_mean_nothing() -> Outcome {
    let (queue, set, mouse) = (Queue::new()?, EpollSet::new()?, mouse()?);
    let number = mouse.number();
    let notes = [
        KEvent::read(number).add(),
        KEvent::write(number).add().clear(),
        KEvent::new(number as usize, Filter::EXCEPT).add(),
    ];
    queue.apply(&notes)?;
    set.add(number, EpollFlags::IN | EpollFlags::OUT | EpollFlags::ET, 1)?;
    for _ in 0..5 {
        tell(order::NONSENSE)?;
        // Whatever it says, calls end.
        ready(&queue)?;
        told(&set)?;
        polled(&mouse, Conditions::all().difference(Conditions::NVAL))?;
        let mut read = FdSet::from_iter([number]);
        libkq::select(number + 1, [Some(&mut read), None, None], NOW, None)?;
        queue.apply(&notes)?;
    }
    tell(order::MEND)?;
    // Then it comes to its senses, and so do the notes.
    ready(&queue)?;
    told(&set)?;
    queue.apply(&[notes[1].delete_again()])?;
    equal(ready(&queue)?, vec![])?;
    mouse.write_all(b"moves")?;
    let event = only(&queue)?;
    equal((event.filter, event.data, event.flags, event.fflags), (Filter::READ, 5, EventFlags::empty(), 0))?;
    ensure(only_told(&set)?.events().contains(EpollFlags::IN), "and epoll says so")
}

trait DeleteAgain {
    fn delete_again(&self) -> KEvent;
}

impl DeleteAgain for KEvent {
    fn delete_again(&self) -> KEvent {
        KEvent::new(self.ident, self.filter).delete()
    }
}

/// Tries everything with a liar's file; none of it may hang, kill or leave something.
fn believe(file: &Descriptor, queue: &Queue, set: &EpollSet) -> Outcome {
    let number = file.number();
    let changes = [KEvent::read(number).add(), KEvent::write(number).add().clear(), KEvent::user(2).add()];
    let mut events = [KEvent::default(); 8];
    libkq::kevent(queue.number(), &changes, &mut events, NOW)?;
    let _ = queue.apply(&[KEvent::read(number).add().oneshot()]);
    let _ = set.add(number, EpollFlags::IN | EpollFlags::OUT, 1);
    told(set)?;
    let _ = polled(file, Conditions::IN | Conditions::OUT);
    let mut read = FdSet::from_iter([number]);
    let _ = libkq::select(number + 1, [Some(&mut read), None, None], NOW, None);
    let device = Descriptor::open("/dev/poll", O_RDWR)?;
    let _ = process().devpoll_write(device.number(), &[PollFd::new(number, Conditions::IN)]);
    let mut list = [PollFd::default(); 2];
    let _ = process().devpoll_poll(device.number(), &mut list, NOW, None);
    // More bytes than fit, and documents that are none.
    ensure(file.read(&mut [0; 3]).is_err(), "a count that cannot be")?;
    ensure(libkq::write(number, b"abc").is_err(), "a count that cannot be")?;
    ensure(file.control(Control::Available).is_err(), "a document that is none")
}

fn a_driver_lies() -> Outcome {
    let (reader, writer) = pipe()?;
    let (queue, set) = (Queue::new()?, EpollSet::new()?);
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    set.add(reader.number(), EpollFlags::IN, 7)?;
    let before = books::settled()?;
    let mut believed = 0;
    for (number, lie) in LIES.iter().enumerate() {
        let path = alloc::format!("/dev/liar/{number}");
        let outcome = match Descriptor::open(&path, O_RDWR | O_NONBLOCK) {
            Ok(file) => {
                believed += 1;
                watched(&file, *lie, &queue).and_then(|()| believe(&file, &queue, &set))
            }
            Err(_) => Ok(()),
        };
        outcome.map_err(|failure| Failure::new(alloc::format!("{lie:?}: {failure}")))?;
        // What is closed is gone, whatever it was, and the others go on.
        notes_are(before)
            .map_err(|failure| Failure::new(alloc::format!("{lie:?} leaves notes: {failure}")))?;
        writer.write_all(b"x")?;
        equal(only(&queue)?.ident, reader.number() as usize)?;
        equal(only_told(&set)?.data(), 7)?;
        drain(&reader, 1)?;
        equal((ready(&queue)?, told(&set)?), (vec![], vec![]))?;
    }
    ensure(believed > 5, "some of the lies were found out late")?;
    // All that it ever got from anybody is what says who they are, and nobody took it for the event server.
    let mut told = [[0; 8]; 3];
    equal(Descriptor::open("/dev/liar/loot", O_RDWR)?.read(told.as_flattened_mut())?, 24)?;
    let [handles, powers, misled] = told.map(u64::from_le_bytes);
    ensure(handles >= LIES.len() as u64, "it was told who opens it")?;
    equal((powers, misled), (0, 0))
}

/// What is no watch handle of this client's is found out before anything is believed of it.
fn watched(file: &Descriptor, lie: Lie, queue: &Queue) -> Outcome {
    let Lie::Watch(given) = lie else { return Ok(()) };
    // Once the shard said no, and once that is known.
    for _ in 0..2 {
        let errno = if given == Given::Destroyed { ENODEV } else { EBADMSG };
        refused(queue.apply(&[KEvent::read(file.number()).add()]), errno)?;
    }
    Ok(())
}

fn a_driver_is_silent() -> Outcome {
    let (reader, writer) = pipe()?;
    let (queue, before) = (Arc::new(Queue::new()?), books::settled()?);
    let file = Arc::new(Descriptor::open("/dev/liar/silent", O_RDWR | O_NONBLOCK)?);
    let set = Arc::new(EpollSet::new()?);
    let adds = {
        let (queue, file) = (queue.clone(), file.clone());
        thread::spawn(move || queue.apply(&[KEvent::read(file.number()).add()]))?
    };
    let adds_too = {
        let (set, file) = (set.clone(), file.clone());
        thread::spawn(move || set.add(file.number(), EpollFlags::IN, 1))?
    };
    a_moment();
    // The same queue and the same set serve others meanwhile.
    for _ in 0..3 {
        queue.apply(&[KEvent::read(reader.number()).add()])?;
        set.add(reader.number(), EpollFlags::IN, 2)?;
        writer.write_all(b"x")?;
        equal(only(&queue)?.data, 1)?;
        equal(only_told(&set)?.data(), 2)?;
        queue.apply(&[KEvent::read(reader.number()).delete()])?;
        set.remove(reader.number())?;
        drain(&reader, 1)?;
        let (other, _) = pipe()?;
        queue.apply(&[KEvent::read(other.number()).add()])?;
    }
    ensure(!adds.is_finished() && !adds_too.is_finished(), "they wait for an answer")?;
    kill("liar")?;
    refused(adds.join()?, ENODEV)?;
    refused(adds_too.join()?, ENODEV)?;
    notes_are(before)?;
    drop(file);
    served("/dev/liar/loot").map(drop)
}

fn a_driver_blocks() -> Outcome {
    let ((reader, writer), queue, set, before) =
        (pipe()?, Queue::new()?, EpollSet::new()?, books::settled()?);
    let mouse = mouse()?;
    let number = mouse.number();
    queue.apply(&[KEvent::read(number).add(), KEvent::read(reader.number()).add()])?;
    set.add(number, EpollFlags::IN, 1)?;
    let blocked = thread::spawn(|| tell(order::BLOCK))?;
    a_moment();
    // Waits end, others are told, notes come and go, numbers are closed.
    equal(queue.wait(&mut [KEvent::default()], Some(Duration::from_millis(1)))?.len(), 0)?;
    writer.write_all(b"x")?;
    equal(only(&queue)?.ident, reader.number() as usize)?;
    drain(&reader, 1)?;
    queue.apply(&[KEvent::write(number).add()])?;
    equal(only(&queue)?.filter, Filter::WRITE)?;
    queue.apply(&[KEvent::write(number).delete()])?;
    equal(told(&set)?, vec![])?;
    equal(polled(&mouse, Conditions::IN | Conditions::OUT)?, Conditions::OUT)?;
    let twin = mouse.duplicate()?;
    queue.apply(&[KEvent::read(twin.number()).add()])?;
    drop(twin);
    ensure(!blocked.is_finished(), "it blocks")?;
    kill("odd")?;
    let event = only(&queue)?;
    equal((event.ident, event.is_eof(), event.fflags), (number as usize, true, ENODEV as u32))?;
    equal(ready(&queue)?, vec![])?;
    ensure(only_told(&set)?.events().contains(EpollFlags::HUP), "hung up")?;
    ensure(blocked.join()?.is_err_and(|failure| failure.is(ENODEV)), "who had told it hears of its end")?;
    drop((mouse, queue, set));
    notes_are(before)?;
    served(MOUSE).map(drop)
}

/// Waits for a mouse by one interface after the other; returns when it is unplugged.
fn polls(interface: u64) -> Outcome {
    let mouse = mouse()?;
    let number = mouse.number();
    let hung_up = match interface % 5 {
        0 => {
            let queue = Queue::new()?;
            queue.apply(&[KEvent::read(number).add()])?;
            let event = next(&queue)?;
            event.is_eof() && event.fflags == ENODEV as u32 && ready(&queue)?.is_empty()
        }
        1 => {
            let mut list = [PollFd::new(number, Conditions::IN)];
            equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
            list[0].revents.contains(Conditions::HUP)
        }
        2 => {
            let mut read = FdSet::from_iter([number]);
            libkq::select(number + 1, [Some(&mut read), None, None], PATIENTLY, None)? == 1
        }
        3 => {
            let set = EpollSet::new()?;
            set.add(number, EpollFlags::IN, 1)?;
            let mut events = [EpollEvent::default()];
            set.wait(&mut events, PATIENTLY)?.iter().any(|event| event.events().contains(EpollFlags::HUP))
        }
        _ => {
            let device = Descriptor::open("/dev/poll", O_RDWR)?;
            process().devpoll_write(device.number(), &[PollFd::new(number, Conditions::IN)])?;
            let mut list = [PollFd::default()];
            equal(process().devpoll_poll(device.number(), &mut list, PATIENTLY, None)?, 1)?;
            list[0].revents.contains(Conditions::HUP)
        }
    };
    ensure(hung_up, "the mouse is gone")?;
    refused(mouse.read(&mut [0]), ENODEV)
}

fn a_mouse_is_unplugged() -> Outcome {
    let before = books::settled()?;
    for round in 0..4 {
        let mice: Vec<_> = (0..4).map(|_| mouse()).collect::<Result<_, Error>>()?;
        let crew = Crew::start(10, |me| move || polls(me))?;
        // Some are asleep, others just about to be.
        if round % 2 == 0 {
            until(|| books::notes().is_ok_and(|notes| notes >= before + 10))?;
        }
        let unplugged = match round % 2 {
            0 => tell(order::UNPLUG),
            // Whoever comes too late finds no mouse.
            _ => until(|| books::notes().is_ok_and(|notes| notes > before + 2))
                .and_then(|()| tell(order::UNPLUG)),
        };
        unplugged?;
        match crew.join() {
            Err(failure) if round % 2 == 1 && failure.is(ENODEV) => {}
            joined => joined?,
        }
        drop(mice);
        notes_are(before)?;
        tell(order::PLUG)?;
    }
    Ok(())
}

fn what_is_gone() -> Outcome {
    let before = [books::settled()?, books::sum(|stats| stats.sources)?];
    for _ in 0..3 {
        let (queue, other, set, mouse) = (Queue::new()?, Queue::new()?, EpollSet::new()?, mouse()?);
        let number = mouse.number();
        queue.apply(&[
            KEvent::read(number).add(),
            KEvent::write(number).add().disable(),
            KEvent::new(number as usize, Filter::EXCEPT).add().clear(),
        ])?;
        other.apply(&[KEvent::read(number).add().dispatch()])?;
        set.add(number, EpollFlags::IN, 1)?;
        tell(order::UNPLUG)?;
        for queue in [&queue, &queue, &other] {
            let event = next(queue)?;
            equal((event.is_eof(), event.fflags), (true, ENODEV as u32))?;
        }
        equal((ready(&queue)?, ready(&other)?), (vec![], vec![]))?;
        // What was disabled fires when it is enabled.
        queue.apply(&[KEvent::write(number).enable()])?;
        ensure(only(&queue)?.is_eof(), "gone")?;
        equal(ready(&queue)?, vec![])?;
        for add in [KEvent::read(number), KEvent::write(number), KEvent::new(number as usize, Filter::EXCEPT)]
        {
            refused(queue.apply(&[add.add()]), ENODEV)?;
            refused(Queue::new()?.apply(&[add.add()]), ENODEV)?;
        }
        ensure(only_told(&set)?.events().contains(EpollFlags::HUP), "hung up")?;
        ensure(EpollSet::new()?.add(number, EpollFlags::IN, 1).is_err(), "nothing can be added")?;
        ensure(polled(&mouse, Conditions::IN)?.contains(Conditions::HUP), "poll says so, for ever")?;
        refused(self::mouse(), ENODEV)?;
        tell(order::PLUG)?;
    }
    // poll keeps a note of what its thread asked last.
    libkq::poll(&mut [], NOW, None)?;
    let left = || Ok::<_, Error>([books::notes()?, books::sum(|stats| stats.sources)?]);
    until(|| left().is_ok_and(|left| left[0] <= before[0] && left[1] <= before[1]))
}

fn a_million_events() -> Outcome {
    let (queue, edges, set, mouse) = (Queue::new()?, Queue::new()?, EpollSet::new()?, mouse()?);
    let number = mouse.number();
    queue.apply(&[KEvent::read(number).add()])?;
    edges.apply(&[KEvent::read(number).add().clear()])?;
    set.add(number, EpollFlags::IN | EpollFlags::ET, 1)?;
    let before = [books::notes()?, books::sum(|stats| stats.activations)?];
    tell(order::STORM)?;
    equal(books::notes()?, before[0])?;
    ensure(books::sum(|stats| stats.activations)? - before[1] <= 3, "one activation of each note")?;
    equal((only(&queue)?.data, only(&edges)?.data), (STORM, STORM))?;
    equal(only_told(&set)?.data(), 1)?;
    equal((ready(&edges)?, told(&set)?), (vec![], vec![]))
}
