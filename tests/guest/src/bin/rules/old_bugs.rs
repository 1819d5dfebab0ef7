//! What went wrong in the first kernels that had this, not to come back.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;

use abi::flag::{O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use guest_tests::Outcome;
use guest_tests::failure::{ensure, equal};
use guest_tests::suite::Test;
use libkq::{Conditions, Descriptor, EpollFlags, EpollSet, FdSet, KEvent, PollFd, Queue, process};

use guest_tests::crew::Crew;
use guest_tests::looks::{NOW, drain, next, only, pipe, polled, ready, told};

pub const TESTS: &[Test] = &[
    ("end_of_file_with_data_pending_is_told_by_every_interface", end_with_data_pending),
    ("a_fifo_whose_writers_are_gone_is_readable_by_every_interface", writers_are_gone),
    ("a_pipe_write_tells_the_readers_queue_and_no_other", the_right_queue),
    ("no_note_is_lost_among_many_who_change_it", no_note_is_lost),
];

/// One file in everything that can watch it for reading.
struct Watchers {
    file: Descriptor,
    queue: Queue,
    set: EpollSet,
    device: Descriptor,
}

impl Watchers {
    fn of(file: Descriptor) -> Outcome<Watchers> {
        let watchers = Watchers {
            queue: Queue::new()?,
            set: EpollSet::new()?,
            device: Descriptor::open("/dev/poll", O_RDWR)?,
            file,
        };
        let number = watchers.file.number();
        watchers.queue.apply(&[KEvent::read(number).add()])?;
        watchers.set.add(number, EpollFlags::IN, 1)?;
        process().devpoll_write(watchers.device.number(), &[PollFd::new(number, Conditions::IN)])?;
        Ok(watchers)
    }

    /// What the five say: is it readable, is it at its end with nothing left.
    fn say(&self) -> Outcome<[(bool, bool); 4]> {
        let number = self.file.number();
        let said = |told: Conditions| (!told.is_empty(), told.contains(Conditions::HUP));
        let events = ready(&self.queue)?;
        let drained = |event: &KEvent| event.is_eof() && event.data == 0;
        let by_kevent = (!events.is_empty(), events.iter().any(drained));
        let events = told(&self.set)?;
        let by_epoll = events.first().map_or(Conditions::empty(), |event| event.events().conditions());
        let mut list = [PollFd::default()];
        process().devpoll_poll(self.device.number(), &mut list, NOW, None)?;
        let by_poll = said(polled(&self.file, Conditions::IN)?);
        // select has one word for both.
        let mut read = FdSet::from_iter([number]);
        libkq::select(number + 1, [Some(&mut read), None, None], NOW, None)?;
        equal(read.contains(number), by_poll.0)?;
        Ok([by_kevent, by_poll, said(by_epoll), said(list[0].revents)])
    }
}

const SILENT: [(bool, bool); 4] = [(false, false); 4];
const READABLE: [(bool, bool); 4] = [(true, false); 4];
const ENDED: [(bool, bool); 4] = [(true, true); 4];

fn end_with_data_pending() -> Outcome {
    let (reader, writer) = pipe()?;
    let watchers = Watchers::of(reader)?;
    equal(watchers.say()?, SILENT)?;
    writer.write_all(b"abc")?;
    equal(watchers.say()?, READABLE)?;
    drop(writer);
    for _ in 0..3 {
        equal(watchers.say()?, READABLE)?;
        drain(&watchers.file, 1)?;
    }
    for _ in 0..2 {
        equal(watchers.say()?, ENDED)?;
        equal(watchers.file.read(&mut [0])?, 0)?;
    }
    Ok(())
}

fn writers_are_gone() -> Outcome {
    let path: String = format!("/run/fifo/{}", crate::PROGRAM);
    process().mkfifo(&path, 0o600)?;
    let watchers = Watchers::of(Descriptor::open(&path, O_RDONLY | O_NONBLOCK)?)?;
    equal(watchers.say()?, SILENT)?;
    for _ in 0..2 {
        let writers = [Descriptor::open(&path, O_WRONLY)?, Descriptor::open(&path, O_WRONLY)?];
        equal(watchers.say()?, SILENT)?;
        let [first, second] = writers;
        drop(first);
        equal(watchers.say()?, SILENT)?;
        second.write_all(b"x")?;
        equal(watchers.say()?, READABLE)?;
        drop(second);
        equal(watchers.say()?, READABLE)?;
        drain(&watchers.file, 1)?;
        equal(watchers.say()?, ENDED)?;
    }
    Ok(process().unlink(&path)?)
}

fn the_right_queue() -> Outcome {
    let ((reader, writer), (other, other_writer)) = (pipe()?, pipe()?);
    let queues = [Queue::new()?, Queue::new()?, Queue::new()?];
    queues[0].apply(&[KEvent::read(reader.number()).add().clear()])?;
    queues[1].apply(&[KEvent::read(other.number()).add().clear()])?;
    queues[2].apply(&[
        KEvent::write(writer.number()).add().clear(),
        KEvent::write(other_writer.number()).add().clear(),
    ])?;
    equal(ready(&queues[2])?.len(), 2)?;
    for (written, read, mine, others) in [(&writer, &reader, 0, 1), (&other_writer, &other, 1, 0)] {
        written.write_all(b"x")?;
        equal(only(&queues[mine])?.ident, read.number() as usize)?;
        equal((ready(&queues[others])?, ready(&queues[2])?), (vec![], vec![]))?;
        drain(read, 1)?;
        // Who reads makes room, which is the writer's news.
        equal(only(&queues[2])?.ident, written.number() as usize)?;
        equal((ready(&queues[0])?, ready(&queues[1])?), (vec![], vec![]))?;
    }
    Ok(())
}

fn no_note_is_lost() -> Outcome {
    let (queue, (reader, writer)) = (Arc::new(Queue::new()?), pipe()?);
    let number = reader.number();
    let note = KEvent::read(number);
    for round in 0..5 {
        let crew = Crew::on_each_cpu(2, |me| {
            let queue = queue.clone();
            move || {
                let changes = [
                    note.add().udata(me as usize),
                    note.disable(),
                    note.enable(),
                    note.add().oneshot(),
                    note.delete(),
                    note.add().dispatch(),
                ];
                for at in 0..30 {
                    // Some find no note; none of them breaks it.
                    let _ = queue.apply(&[changes[(at + me as usize) % changes.len()]]);
                    ready(&queue)?;
                }
                Ok(())
            }
        })?;
        writer.write_all(b"x")?;
        crew.join()?;
        // Whatever is left of it, it can be had again, and there is one.
        queue.apply(&[note.add().enable().udata(77)])?;
        let event = only(&queue)?;
        equal((event.udata, event.data), (77, round + 1))?;
    }
    let _ = next(&queue)?;
    ensure(queue.apply(&[note.delete()]).is_ok(), "there was one")?;
    equal(ready(&queue)?, vec![])
}
