//! What a change list does (R1 to R6, R54), and what a delete promises (R35).

use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use abi::error::{EBADF, EINVAL, ENOENT};
use abi::flag::{O_CREAT, O_RDWR, O_TRUNC};
use guest_tests::crew::Crew;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{NOW, PATIENTLY, drain, heard, next, only, pair, pipe, ready};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment, books};
use libkq::event::note;
use libkq::{Descriptor, EventFlags, Filter, KEvent, Queue, kevent, process};

pub const TESTS: &[Test] = &[
    ("r1_all_changes_come_before_any_event", all_changes_come_first),
    ("r2_a_failure_is_an_event_and_the_rest_goes_on", a_failure_is_an_event),
    ("r2_without_room_the_call_fails_and_what_follows_is_not_done", without_room),
    ("r3_receipts_answer_each_change_and_drain_nothing", receipts),
    ("r4_no_room_for_events_returns_at_once", no_room_for_events),
    ("r5_one_array_for_changes_and_events", one_array),
    ("r6_adding_again_modifies_and_keeps_the_activation", adding_again),
    ("r6_fflags_are_replaced_and_not_ored", fflags_are_replaced),
    ("r35_after_a_delete_nobody_is_handed_its_udata", after_a_delete),
    ("r54_events_carry_the_sticky_flags_and_no_actions", returned_flags),
];

/// A number that is not open.
const CLOSED: i32 = 60_000;

fn all_changes_come_first() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    writer.write_all(b"abc")?;
    let changes = [
        KEvent::user(1).add().trigger(),
        KEvent::read(reader.number()).add().udata(5),
        // What the first one made is gone before events are read.
        KEvent::user(1).delete(),
    ];
    let mut events = [KEvent::default(); 4];
    equal(kevent(queue.number(), &changes, &mut events, None)?, 1)?;
    equal((events[0].filter, events[0].data, events[0].udata), (Filter::READ, 3, 5))
}

fn a_failure_is_an_event() -> Outcome {
    let (queue, (reader, writer), (one, _other)) = (Queue::new()?, pipe()?, pair()?);
    writer.write_all(b"abc")?;
    // New notes in several shards, with failures among them: they travel together, and are answered in order.
    let changes = [
        KEvent::read(CLOSED).add().udata(7),
        KEvent::read(reader.number()).add(),
        KEvent::write(reader.number()).add(),
        KEvent::write(one.number()).add(),
        KEvent::user(3).delete(),
        KEvent::new(1, Filter(99)).add(),
    ];
    let mut events = [KEvent::default(); 8];
    // At once, though it may wait for ever.
    equal(kevent(queue.number(), &changes, &mut events, None)?, 4)?;
    let expected = [(0, EBADF), (2, EINVAL), (4, ENOENT), (5, EINVAL)];
    for (event, (change, errno)) in events.iter().zip(expected) {
        equal(event.flags, EventFlags::ERROR)?;
        let change: &KEvent = &changes[change];
        equal((event.ident, event.filter, event.udata), (change.ident, change.filter, change.udata))?;
        equal(event.data, i64::from(errno))?;
    }
    // The others were made, and none was told by that call.
    let mut filters: vec::Vec<Filter> = ready(&queue)?.iter().map(|event| event.filter).collect();
    filters.sort_unstable();
    equal(filters, vec![Filter::WRITE, Filter::READ])
}

fn without_room() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    writer.write_all(b"abc")?;
    let last = KEvent::user(2).add().trigger();
    for failing in
        [KEvent::read(CLOSED).add(), KEvent::user(9).delete(), KEvent::write(reader.number()).add()]
    {
        let changes = [KEvent::user(1).add().clear().trigger(), failing, last];
        let errno = match failing.filter {
            Filter::USER => ENOENT,
            Filter::READ => EBADF,
            _ => EINVAL,
        };
        refused(queue.apply(&changes), errno)?;
        equal(only(&queue)?.ident, 1)?;
    }
    // The same with notes that travel to the server together.
    let changes = [
        KEvent::read(reader.number()).add(),
        KEvent::read(CLOSED).add(),
        KEvent::write(writer.number()).add(),
    ];
    refused(queue.apply(&changes), EBADF)?;
    equal(only(&queue)?.filter, Filter::READ)?;
    // Room for one: the first failure has it, the second ends the call.
    let changes = [KEvent::read(CLOSED).add(), KEvent::read(CLOSED + 1).add(), last];
    refused(kevent(queue.number(), &changes, &mut [KEvent::default()], NOW), EBADF)?;
    refused(queue.apply(&[KEvent::user(2).delete()]), ENOENT)
}

fn receipts() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    writer.write_all(b"abc")?;
    queue.apply(&[KEvent::user(1).add().clear().trigger()])?;
    let changes = [
        KEvent::read(reader.number()).add().receipt().udata(4),
        KEvent::user(3).add(),
        KEvent::user(1).receipt().udata(5),
        KEvent::user(2).delete().receipt(),
    ];
    let mut events = [KEvent::default(); 8];
    equal(kevent(queue.number(), &changes, &mut events, None)?, 3)?;
    for (event, (ident, data)) in events.iter().zip([(changes[0].ident, 0), (1, 0), (2, i64::from(ENOENT))]) {
        equal((event.flags, event.ident, event.data), (EventFlags::ERROR, ident, data))?;
    }
    equal((events[0].udata, events[0].error()), (4, None))?;
    // What was pending then is pending now.
    let mut idents: vec::Vec<usize> = ready(&queue)?.iter().map(|event| event.ident).collect();
    idents.sort_unstable();
    let mut expected = vec![1, reader.number() as usize];
    expected.sort_unstable();
    equal(idents, expected)
}

fn no_room_for_events() -> Outcome {
    let queue = Queue::new()?;
    // Neither of them waits, though nothing is ready.
    equal(kevent(queue.number(), &[KEvent::user(1).add().clear()], &mut [], None)?, 0)?;
    equal(kevent(queue.number(), &[], &mut [], None)?, 0)?;
    queue.apply(&[KEvent::user(1).trigger()])?;
    equal(kevent(queue.number(), &[], &mut [], Some(Duration::from_secs(1000)))?, 0)?;
    equal(only(&queue)?.ident, 1)?;
    // Counts beyond the list, which is what a negative count is.
    let mut list = [KEvent::user(2).add().trigger()];
    for (changes, events) in [(2, 1), (1, 2), (usize::MAX, 0), (0, usize::MAX)] {
        refused(process().kevent_in_place(queue.number(), &mut list, changes, events, NOW), EINVAL)?;
    }
    equal(ready(&queue)?, vec![])
}

fn one_array() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    writer.write_all(b"abc")?;
    let changes = [
        KEvent::user(1).add().clear().trigger(),
        KEvent::read(CLOSED).add(),
        KEvent::read(reader.number()).add().clear(),
        KEvent::user(77).delete(),
    ];
    let mut list = changes;
    equal(process().kevent_in_place(queue.number(), &mut list, 4, 4, None)?, 2)?;
    equal((list[0].ident, list[0].data), (CLOSED as usize, i64::from(EBADF)))?;
    equal((list[1].ident, list[1].data), (77, i64::from(ENOENT)))?;
    // The changes behind the answers were read as they had been.
    let mut list = [KEvent::user(2).add().clear().trigger(), KEvent::default(), KEvent::default()];
    equal(process().kevent_in_place(queue.number(), &mut list, 1, 3, PATIENTLY)?, 3)?;
    let mut filters = list.map(|event| (event.filter, event.ident));
    filters.sort_unstable();
    let expected = [(Filter::USER, 1), (Filter::USER, 2), (Filter::READ, reader.number() as usize)];
    equal(filters, expected)
}

fn adding_again() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    let add = KEvent::read(reader.number()).add();
    let before = books::settled()?;
    queue.apply(&[add.clear().udata(1)])?;
    equal(books::notes()?, before + 1)?;
    writer.write_all(b"abc")?;
    // Not taken yet: it is told once, to who has it now.
    queue.apply(&[add.clear().udata(2), add.clear().udata(3)])?;
    equal(books::notes()?, before + 1)?;
    let event = only(&queue)?;
    equal((event.udata, event.data), (3, 3))?;
    equal(ready(&queue)?, vec![])?;
    // An edge becomes a level, and a one-shot; each time it is the same note.
    queue.apply(&[add.udata(4)])?;
    for _ in 0..2 {
        equal(only(&queue)?.udata, 4)?;
    }
    queue.apply(&[add.oneshot().udata(5)])?;
    equal(only(&queue)?.udata, 5)?;
    equal(ready(&queue)?, vec![])?;
    // A change that is none to udata.
    queue.apply(&[
        KEvent::user(1).add().udata(6),
        KEvent::user(1).with(EventFlags::KEEPUDATA).udata(7).trigger(),
    ])?;
    equal(only(&queue)?.udata, 6)
}

fn fflags_are_replaced() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    writer.write_all(b"abc")?;
    let add = KEvent::read(reader.number()).add();
    queue.apply(&[add.low_water(10)])?;
    equal(ready(&queue)?, vec![])?;
    queue.apply(&[add])?;
    equal(only(&queue)?.data, 3)?;
    queue.apply(&[add.low_water(4)])?;
    equal(ready(&queue)?, vec![])?;
    queue.apply(&[add.delete_only()])?;
    let file = Descriptor::open("/tmp/r6", O_RDWR | O_CREAT | O_TRUNC | 0o600)?;
    let vnode =
        |bits| KEvent { fflags: bits, ..KEvent::new(file.number() as usize, Filter::VNODE) }.add().clear();
    queue.apply(&[vnode(note::WRITE)])?;
    queue.apply(&[vnode(note::ATTRIB)])?;
    file.write_all(b"not asked for any more")?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    process().chmod("/tmp/r6", 0o400)?;
    equal(only(&queue)?.fflags, note::ATTRIB)?;
    Ok(process().unlink("/tmp/r6")?)
}

/// A change that only removes what another one made.
pub trait DeleteOnly {
    fn delete_only(&self) -> KEvent;
}

impl DeleteOnly for KEvent {
    fn delete_only(&self) -> KEvent {
        KEvent::new(self.ident, self.filter).delete()
    }
}

fn after_a_delete() -> Outcome {
    const ROUNDS: u64 = 150;
    const STOP: usize = usize::MAX;
    let (queue, (reader, writer)) = (Arc::new(Queue::new()?), pipe()?);
    // The highest udata whose note is deleted.
    let deleted = Arc::new(AtomicU64::new(0));
    let crew = Crew::on_each_cpu(2, |_| {
        let (queue, deleted) = (queue.clone(), deleted.clone());
        move || loop {
            let gone = deleted.load(Ordering::SeqCst);
            let event = next(&queue)?;
            if event.udata == STOP {
                return Ok(());
            }
            ensure(event.udata as u64 > gone, "it was deleted before the call began")?;
            ensure(event.udata % 2 == 0, "it came when its note was deleted")?;
        }
    })?;
    let note = KEvent::read(reader.number());
    for round in 1..=ROUNDS {
        // Odd: deleted before there is anything to tell. Even: deleted while it is being told.
        if round % 2 == 0 {
            writer.write_all(b"x")?;
        }
        queue.apply(&[note.add().clear().udata(round as usize)])?;
        queue.apply(&[note.delete()])?;
        deleted.store(round, Ordering::SeqCst);
        if round % 2 == 1 {
            writer.write_all(b"x")?;
            rt::thread::sleep(50_000);
        }
        drain(&reader, 1)?;
    }
    queue.apply(&[KEvent::user(0).add().trigger().udata(STOP)])?;
    crew.join()
}

fn returned_flags() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    writer.write_all(b"abc")?;
    let sticky = [
        EventFlags::empty(),
        EventFlags::ONESHOT,
        EventFlags::CLEAR,
        EventFlags::DISPATCH,
        EventFlags::WAKEONE,
        EventFlags::CLEAR | EventFlags::DISPATCH | EventFlags::WAKEONE,
    ];
    for flags in sticky {
        for note in [KEvent::read(reader.number()), KEvent::user(1)] {
            let change = note.with(flags).with(EventFlags::ADD | EventFlags::ENABLE);
            let change = if note.filter == Filter::USER { change.trigger() } else { change };
            queue.apply(&[change])?;
            equal(only(&queue)?.flags, flags)?;
            if !flags.contains(EventFlags::ONESHOT) {
                queue.apply(&[note.delete()])?;
            }
        }
    }
    // The answer to a change says ERROR; the event says what the note has.
    let mut answer = [KEvent::default()];
    let note = KEvent::read(reader.number());
    equal(kevent(queue.number(), &[note.add().receipt()], &mut answer, None)?, 1)?;
    equal((answer[0].flags, only(&queue)?.flags), (EventFlags::ERROR, EventFlags::RECEIPT))?;
    drop(writer);
    heard(&reader);
    let event = next(&queue)?;
    equal(event.flags, EventFlags::RECEIPT | EventFlags::EOF)?;
    drain(&reader, 3)?;
    equal(only(&queue)?.flags, EventFlags::RECEIPT | EventFlags::EOF | EventFlags::NODATA)?;
    queue.apply(&[note.delete(), KEvent::timer(1).after(Duration::from_micros(10))])?;
    // A timer counts from its last delivery on, which is what CLEAR says.
    equal(only(&queue)?.flags, EventFlags::ONESHOT | EventFlags::CLEAR)?;
    queue.apply(&[KEvent::timer(2).every(Duration::from_micros(10))])?;
    equal(only(&queue)?.flags, EventFlags::CLEAR)?;
    queue.apply(&[KEvent::timer(2).delete()]).map_err(Failure::from)
}
