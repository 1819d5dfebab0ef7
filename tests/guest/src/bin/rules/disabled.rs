//! Notes that are off: added so (R9), by hand (R7, R8), and because they were told of (R16, R17).

use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use abi::flag::{O_CREAT, O_RDWR, O_TRUNC};
use guest_tests::crew::Crew;
use guest_tests::failure::equal;
use guest_tests::looks::{drain, next, only, pipe, ready};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::event::note;
use libkq::{Descriptor, EventFlags, Filter, KEvent, Queue, process};

use crate::changes::DeleteOnly;

pub const TESTS: &[Test] = &[
    ("r7_adding_again_does_not_enable", adding_again_does_not_enable),
    ("r8_disabled_notes_collect_and_tell_what_is_still_true", disabled_notes_collect),
    ("r9_what_is_added_disabled_never_fires", added_disabled),
    ("r16_dispatch_survives_enable_and_trigger", dispatch_survives),
    ("r17_clear_does_not_override_dispatch", clear_and_dispatch),
];

/// A note of each kind that is true, or comes true by itself: how it is added, and what makes it true.
fn each_kind(reader: &Descriptor) -> [KEvent; 4] {
    [
        KEvent::read(reader.number()).add(),
        KEvent::read(reader.number()).add().clear(),
        KEvent::user(1).add().trigger(),
        KEvent::timer(1).every(Duration::from_micros(50)),
    ]
}

fn adding_again_does_not_enable() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    writer.write_all(b"abc")?;
    for add in each_kind(&reader) {
        queue.apply(&[add.disable()])?;
        queue.apply(&[add])?;
        a_moment();
        equal(ready(&queue)?, vec![])?;
        queue.apply(&[add.enable()])?;
        equal(only(&queue)?.filter, add.filter)?;
        // Nor does it disable.
        queue.apply(&[add])?;
        writer.write_all(b"d")?;
        equal(only(&queue)?.filter, add.filter)?;
        queue.apply(&[add.delete_only()])?;
    }
    Ok(())
}

fn disabled_notes_collect() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    let file = Descriptor::open("/tmp/r8", O_RDWR | O_CREAT | O_TRUNC | 0o600)?;
    let vnode = KEvent { fflags: note::WRITE, ..KEvent::new(file.number() as usize, Filter::VNODE) };
    let notes = [
        KEvent::read(reader.number()),
        KEvent::user(1),
        KEvent { data: 50, fflags: note::USECONDS, ..KEvent::timer(1) },
        vnode,
    ];
    for note in notes {
        queue.apply(&[note.add().clear()])?;
        queue.apply(&[KEvent { fflags: 0, data: 0, ..note }.disable()])?;
    }
    // What came before a note was disabled is not what this is about.
    ready(&queue)?;
    writer.write_all(b"abc")?;
    file.write_all(b"abc")?;
    queue.apply(&[KEvent::user(1).trigger()])?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    for note in notes {
        queue.apply(&[KEvent { fflags: 0, data: 0, ..note }.enable()])?;
        equal(next(&queue)?.filter, note.filter)?;
        queue.apply(&[note.delete_only()])?;
    }
    // No longer true: nothing is told.
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    queue.apply(&[KEvent::read(reader.number()).disable()])?;
    drain(&reader, 3)?;
    queue.apply(&[KEvent::read(reader.number()).enable()])?;
    equal(ready(&queue)?, vec![])?;
    writer.write_all(b"more")?;
    equal(only(&queue)?.data, 4)?;
    Ok(process().unlink("/tmp/r8")?)
}

fn added_disabled() -> Outcome {
    let (queue, (reader, writer)) = (Arc::new(Queue::new()?), pipe()?);
    writer.write_all(b"abc")?;
    let stop = Arc::new(AtomicBool::new(false));
    // They look all the time: not even for an instant may it be there.
    let crew = Crew::on_each_cpu(1, |_| {
        let (queue, stop) = (queue.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::SeqCst) {
                equal(ready(&queue)?, vec![])?;
                // With counted instructions a CPU that never waits has all others wait for it.
                rt::thread::sleep(1000);
            }
            Ok(())
        }
    })?;
    for _ in 0..8 {
        for add in each_kind(&reader) {
            queue.apply(&[add.disable()])?;
            rt::thread::sleep(100_000);
            queue.apply(&[add.delete_only()])?;
        }
    }
    stop.store(true, Ordering::SeqCst);
    crew.join()
}

fn dispatch_survives() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    queue.apply(&[KEvent::user(1).add().dispatch(), KEvent::read(reader.number()).add().dispatch()])?;
    for round in 1..=3 {
        // In one change: armed again and fired.
        queue.apply(&[KEvent::user(1).enable().trigger()])?;
        let event = only(&queue)?;
        equal((event.filter, event.flags), (Filter::USER, EventFlags::DISPATCH))?;
        equal(ready(&queue)?, vec![])?;
        // Fired while it is off: it waits.
        queue.apply(&[KEvent::user(1).trigger()])?;
        equal(ready(&queue)?, vec![])?;
        queue.apply(&[KEvent::user(1).enable()])?;
        equal(only(&queue)?.ident, 1)?;
        // What comes meanwhile is told when it is on again, and then no more.
        writer.write_all(b"x")?;
        if round == 1 {
            equal(only(&queue)?.data, 1)?;
        }
        equal(ready(&queue)?, vec![])?;
        queue.apply(&[KEvent::read(reader.number()).enable()])?;
        let event = only(&queue)?;
        equal((event.data, event.flags), (round, EventFlags::DISPATCH))?;
        equal(ready(&queue)?, vec![])?;
    }
    Ok(())
}

fn clear_and_dispatch() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, pipe()?);
    let note = KEvent::read(reader.number());
    queue.apply(&[note.add().clear().dispatch(), KEvent::user(1).add().clear().dispatch()])?;
    writer.write_all(b"x")?;
    equal(only(&queue)?.flags, EventFlags::CLEAR | EventFlags::DISPATCH)?;
    // A new edge, and it is off.
    writer.write_all(b"x")?;
    a_moment();
    equal(ready(&queue)?, vec![])?;
    queue.apply(&[note.enable()])?;
    equal(only(&queue)?.data, 2)?;
    // On again, and nothing is new.
    queue.apply(&[note.enable()])?;
    equal(ready(&queue)?, vec![])?;
    for _ in 0..2 {
        queue.apply(&[KEvent::user(1).enable().trigger()])?;
        equal(only(&queue)?.ident, 1)?;
        queue.apply(&[KEvent::user(1).trigger()])?;
        equal(ready(&queue)?, vec![])?;
    }
    Ok(())
}
