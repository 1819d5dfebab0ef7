//! Bytes in and out, and room for them.

use crate::bench::{bench, data, fill, pipe};
use crate::fake::Got;
use abi::error::EAGAIN;
use driver_sdk::{Control, ControlReply, Level};
use event_protocol::descriptor::PIPE_BUF;
use pipe::conduit::CAPACITY;

#[test]
fn what_goes_in_comes_out() {
    let mut bench = bench();
    let (reader, writer) = pipe(&mut bench);
    assert_eq!(bench.source(writer).write, Level::new(CAPACITY as i64));
    assert_eq!(bench.try_write(writer, b"hello"), Got::Count(5));
    assert_eq!(bench.source(reader).read, Level::new(5));
    assert_eq!(bench.source(writer).write, Level::new(CAPACITY as i64 - 5));
    assert_eq!(bench.control(writer, Control::Available), Ok(ControlReply::Available(5)));
    assert_eq!(bench.try_read(reader, 2), data(b"he"));
    assert_eq!(bench.try_read(reader, 20), data(b"llo"));
    assert_eq!(bench.try_read(reader, 20), Got::Errno(EAGAIN));
    assert_eq!(bench.source(reader).read, Level::new(0));
}

/// A bug of old kernels: writing told the writers.
#[test]
fn a_write_is_an_arrival_for_readers_and_a_read_for_writers() {
    let mut bench = bench();
    let (reader, writer) = pipe(&mut bench);
    let before = (bench.source(reader).arrivals, bench.source(writer).arrivals);
    bench.try_write(writer, b"one");
    assert_eq!((bench.source(reader).arrivals, bench.source(writer).arrivals), (before.0 + 1, before.1));
    bench.try_write(writer, b"two");
    assert_eq!((bench.source(reader).arrivals, bench.source(writer).arrivals), (before.0 + 2, before.1));
    bench.try_read(reader, 1);
    assert_eq!((bench.source(reader).arrivals, bench.source(writer).arrivals), (before.0 + 2, before.1 + 1));
    bench.try_read(reader, 10);
    assert_eq!((bench.source(reader).arrivals, bench.source(writer).arrivals), (before.0 + 2, before.1 + 2));
    // What found nothing, or no room, is news to nobody.
    bench.try_read(reader, 10);
    fill(&mut bench, writer, CAPACITY);
    let before = (bench.source(reader).arrivals, bench.source(writer).arrivals);
    assert_eq!(bench.try_write(writer, b"x"), Got::Errno(EAGAIN));
    assert_eq!((bench.source(reader).arrivals, bench.source(writer).arrivals), before);
}

#[test]
fn r21_writable_is_real_space_and_the_mark_is_pipe_buf() {
    let mut bench = bench();
    let (reader, writer) = pipe(&mut bench);
    fill(&mut bench, writer, CAPACITY - PIPE_BUF + 1);
    assert_eq!(bench.source(writer).write, Level::new(PIPE_BUF as i64 - 1));
    bench.try_read(reader, 1);
    assert_eq!(bench.source(writer).write, Level::new(PIPE_BUF as i64));
    assert_eq!(bench.try_write(writer, &[1; PIPE_BUF]), Got::Count(PIPE_BUF as u64));
    assert_eq!(bench.source(writer).write, Level::new(0));
}

#[test]
fn small_writes_are_whole_or_not_at_all() {
    let mut bench = bench();
    let (reader, writer) = pipe(&mut bench);
    fill(&mut bench, writer, CAPACITY - 10);
    assert_eq!(bench.try_write(writer, &[1; 11]), Got::Errno(EAGAIN));
    assert_eq!(bench.try_write(writer, &[1; PIPE_BUF]), Got::Errno(EAGAIN));
    assert_eq!(bench.source(writer).write, Level::new(10));
    assert_eq!(
        bench.try_write(writer, &[1; PIPE_BUF + 1]),
        Got::Count(10),
        "a larger one takes what there is"
    );
    let waits = bench.write(writer, &[2; 100]);
    bench.try_read(reader, 99);
    assert_eq!(bench.got(waits), None);
    bench.try_read(reader, 1);
    assert_eq!(bench.got(waits), Some(Got::Count(100)));
}

#[test]
fn an_oversize_write_goes_on_with_each_read() {
    let mut bench = bench();
    let (reader, writer) = pipe(&mut bench);
    fill(&mut bench, writer, CAPACITY - 1);
    let bytes: Vec<u8> = (0..3968).map(|n| n as u8).collect();
    let waits = bench.write(writer, &bytes);
    let mut seen = vec![];
    while seen.len() < CAPACITY - 1 + bytes.len() {
        match bench.try_read(reader, 777) {
            Got::Data(got, _) => seen.extend(got),
            other => panic!("{other:?} after {}", seen.len()),
        }
    }
    assert_eq!(bench.got(waits), Some(Got::Count(3968)));
    assert_eq!(seen[CAPACITY - 1..], bytes);
}

#[test]
fn what_a_dead_reader_took_is_there_for_the_next() {
    let mut bench = bench();
    let (reader, writer) = pipe(&mut bench);
    let dead = bench.read(reader, 10);
    bench.link().dead.insert(dead);
    bench.try_write(writer, b"kept");
    assert_eq!(bench.source(reader).read, Level::new(4));
    assert_eq!(bench.try_read(reader, 10), data(b"kept"));
}
