//! What is told of either end.

use alloc::vec;
use core::time::Duration;

use abi::error::{EAGAIN, EINVAL, EPIPE};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_WRONLY};
use event_protocol::descriptor::PIPE_BUF;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{drain, only, polled, ready};
use guest_tests::suite::Test;
use guest_tests::{Outcome, PATIENCE};
use libkq::control::{Control, ControlReply};
use libkq::{Conditions, EventFlags, FdSet, KEvent, Queue};

use crate::ends::{CAPACITY, Fifo, end, fill, pipe, read};

pub const TESTS: &[Test] = &[
    ("bytes_come_out_as_they_went_in", bytes_come_out),
    ("r18_end_of_file_and_then_the_hang_up", end_of_file),
    ("r19_end_of_file_clears_when_a_writer_comes", a_writer_comes),
    ("r21_writable_from_pipe_buf_on_and_data_is_space", writable),
    ("r21_no_readers_are_an_end_and_a_later_add_epipe", no_readers),
    ("r24_two_queues_two_marks", two_marks),
    ("r15_writes_are_edges_for_readers_and_reads_for_writers", edges),
    ("r47_select_knows_a_fifo_without_writers", select_of_a_fifo),
];

fn bytes_come_out() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    equal(ready(&queue)?, vec![])?;
    writer.write_all(b"hello")?;
    equal(only(&queue)?.data, 5)?;
    equal(read(&reader, 3)?, b"hel".to_vec())?;
    equal(only(&queue)?.data, 2)?;
    equal(reader.control(Control::Available)?, ControlReply::Available(2))?;
    equal(read(&reader, 30)?, b"lo".to_vec())?;
    equal(ready(&queue)?, vec![])
}

fn end_of_file() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add()])?;
    writer.write_all(b"abc")?;
    drop(writer);
    let event = end(&queue)?;
    equal((event.data, event.fflags), (3, 0))?;
    ensure(!event.flags.contains(EventFlags::NODATA), "there is data")?;
    equal(polled(&reader, Conditions::IN)?, Conditions::IN)?;
    equal(read(&reader, 9)?, b"abc".to_vec())?;
    let event = only(&queue)?;
    equal((event.is_eof(), event.data), (true, 0))?;
    ensure(event.flags.contains(EventFlags::NODATA), "there is no data any more")?;
    ensure(polled(&reader, Conditions::empty())?.contains(Conditions::HUP), "the hang-up is told unasked")?;
    equal(read(&reader, 9)?, vec![])
}

fn a_writer_comes() -> Outcome {
    let fifo = Fifo::new("r19")?;
    let reader = fifo.open(O_RDONLY | O_NONBLOCK)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(reader.number()).add().clear()])?;
    equal(ready(&queue)?, vec![])?;
    drop(fifo.open(O_WRONLY)?);
    ensure(only(&queue)?.is_eof(), "the writer is gone")?;
    equal(ready(&queue)?, vec![])?;
    let writer = fifo.open(O_WRONLY)?;
    equal(polled(&reader, Conditions::IN)?, Conditions::empty())?;
    refused(read(&reader, 1), EAGAIN)?;
    writer.write_all(b"x")?;
    let event = only(&queue)?;
    equal((event.is_eof(), event.data), (false, 1))?;
    drop(writer);
    let event = only(&queue)?;
    equal((event.is_eof(), event.data), (true, 1))
}

fn writable() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::write(writer.number()).add()])?;
    equal(only(&queue)?.data, CAPACITY as i64)?;
    fill(&writer, CAPACITY - PIPE_BUF)?;
    equal(only(&queue)?.data, PIPE_BUF as i64)?;
    fill(&writer, 1)?;
    equal(ready(&queue)?, vec![])?;
    equal(polled(&writer, Conditions::OUT)?, Conditions::empty())?;
    drain(&reader, 1)?;
    equal(only(&queue)?.data, PIPE_BUF as i64)?;
    equal(polled(&writer, Conditions::OUT)?, Conditions::OUT)?;
    refused(queue.apply(&[KEvent::write(reader.number()).add()]), EINVAL)
}

fn no_readers() -> Outcome {
    let (reader, writer) = pipe()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::write(writer.number()).add()])?;
    drop(reader);
    end(&queue)?;
    refused(writer.write_all(b"x"), EPIPE)?;
    ensure(polled(&writer, Conditions::OUT)?.contains(Conditions::ERR), "an error, told unasked")?;
    let other = Queue::new()?;
    refused(other.apply(&[KEvent::write(writer.number()).add()]), EPIPE)
}

fn two_marks() -> Outcome {
    let (reader, writer) = pipe()?;
    let (low, high) = (Queue::new()?, Queue::new()?);
    low.apply(&[KEvent::read(reader.number()).add().low_water(2)])?;
    high.apply(&[KEvent::read(reader.number()).add().low_water(5)])?;
    writer.write_all(b"12")?;
    equal(only(&low)?.data, 2)?;
    equal(ready(&high)?, vec![])?;
    writer.write_all(b"345")?;
    equal(only(&high)?.data, 5)?;
    drain(&reader, 4)?;
    equal((ready(&low)?, ready(&high)?), (vec![], vec![]))?;
    // A mark below PIPE_BUF is the note's own, too.
    let space = Queue::new()?;
    fill(&writer, CAPACITY - 11)?;
    space.apply(&[KEvent::write(writer.number()).add().low_water(10)])?;
    equal(only(&space)?.data, 10)?;
    fill(&writer, 1)?;
    equal(ready(&space)?, vec![])
}

fn edges() -> Outcome {
    let (reader, writer) = pipe()?;
    let (reads, writes) = (Queue::new()?, Queue::new()?);
    reads.apply(&[KEvent::read(reader.number()).add().clear()])?;
    writes.apply(&[KEvent::write(writer.number()).add().clear()])?;
    equal(only(&writes)?.data, CAPACITY as i64)?;
    for size in 1..4 {
        writer.write_all(b"x")?;
        equal(only(&reads)?.data, size)?;
        equal(ready(&reads)?, vec![])?;
        equal(ready(&writes)?, vec![])?;
    }
    drain(&reader, 1)?;
    equal(only(&writes)?.data, CAPACITY as i64 - 2)?;
    equal((ready(&writes)?, ready(&reads)?), (vec![], vec![]))
}

fn select_of_a_fifo() -> Outcome {
    let fifo = Fifo::new("select")?;
    let reader = fifo.open(O_RDONLY | O_NONBLOCK)?;
    let readable_in = |time: Duration| -> Outcome<bool> {
        let mut set = FdSet::new();
        set.insert(reader.number());
        let nfds = reader.number() + 1;
        let count = libkq::select(nfds, [Some(&mut set), None, None], Some(time), None)?;
        equal(count == 1, set.contains(reader.number()))?;
        Ok(count == 1)
    };
    let readable = || readable_in(Duration::ZERO);
    equal(readable()?, false)?;
    equal(polled(&reader, Conditions::IN)?, Conditions::empty())?;
    let writer = fifo.open(O_WRONLY)?;
    equal(readable()?, false)?;
    writer.write_all(b"x")?;
    equal(readable()?, true)?;
    drain(&reader, 1)?;
    equal(readable()?, false)?;
    drop(writer);
    equal(readable_in(Duration::from_nanos(PATIENCE))?, true)?;
    ensure(polled(&reader, Conditions::IN)?.contains(Conditions::HUP), "and poll says why")?;
    let _writer = fifo.open(O_WRONLY)?;
    equal(readable()?, false)
}
