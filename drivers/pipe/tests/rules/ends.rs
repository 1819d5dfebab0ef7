//! The end of file, hang-ups, and nobody to read.

use crate::bench::{bench, data, fifo, fill, open, pipe};
use crate::fake::Got;
use abi::error::{EAGAIN, EPIPE};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_WRONLY};
use driver_sdk::{Level, LevelFlags};
use pipe::conduit::CAPACITY;

const EOF: LevelFlags = LevelFlags::EOF;

const NONE: LevelFlags = LevelFlags::empty();

#[test]
fn r18_end_of_file_is_told_with_what_is_left_and_the_hang_up_when_that_is_read() {
    let mut bench = bench();
    let (reader, writer) = pipe(&mut bench);
    bench.try_write(writer, b"last");
    let before = bench.source(reader).arrivals;
    bench.close(writer);
    assert_eq!(bench.source(reader).read, Level::new(4).with(EOF));
    assert_eq!(bench.source(reader).arrivals, before + 1, "an end is an edge");
    assert_eq!(bench.try_read(reader, 3), data(b"las"));
    assert_eq!(bench.source(reader).read, Level::new(1).with(EOF));
    assert_eq!(bench.source(reader).arrivals, before + 1);
    assert_eq!(bench.try_read(reader, 3), data(b"t"));
    assert_eq!(bench.source(reader).read, Level::new(0).with(EOF | LevelFlags::HANGUP));
    assert_eq!(bench.source(reader).arrivals, before + 2, "so is the hang-up");
    assert_eq!(bench.try_read(reader, 3), Got::Count(0));
    let waits = bench.read(reader, 3);
    assert_eq!(bench.got(waits), Some(Got::Count(0)), "nothing waits for what does not come");
}

#[test]
fn r19_end_of_file_clears_when_a_new_writer_opens() {
    let mut bench = bench();
    fifo(&mut bench);
    let reader = open(&mut bench, O_RDONLY | O_NONBLOCK);
    let writer = open(&mut bench, O_WRONLY);
    bench.close(writer);
    assert_eq!(bench.source(reader).read.flags, EOF | LevelFlags::HANGUP);
    let arrivals = bench.source(reader).arrivals;
    let writer = open(&mut bench, O_WRONLY);
    assert_eq!(bench.source(reader).read, Level::new(0));
    assert_eq!(bench.try_read(reader, 1), Got::Errno(EAGAIN));
    let waits = bench.read(reader, 1);
    assert_eq!(bench.got(waits), None);
    bench.close(writer);
    assert_eq!(bench.got(waits), Some(Got::Count(0)));
    assert_eq!(bench.source(reader).arrivals, arrivals + 1, "the second end is an edge again");
}

#[test]
fn a_fifo_that_never_had_a_writer_is_not_at_its_end() {
    let mut bench = bench();
    fifo(&mut bench);
    let reader = open(&mut bench, O_RDONLY | O_NONBLOCK);
    assert_eq!(bench.source(reader).read, Level::new(0), "select does not find it readable");
    assert_eq!(bench.try_read(reader, 1), Got::Count(0), "though a read would not wait");
    let writer = open(&mut bench, O_WRONLY);
    let second = open(&mut bench, O_RDONLY);
    bench.close(writer);
    // Who opens it now has not seen a writer; the others have.
    let third = open(&mut bench, O_RDONLY | O_NONBLOCK);
    let flags = [reader, second, third].map(|file| bench.source(file).read.flags);
    assert_eq!(flags, [EOF | LevelFlags::HANGUP, EOF | LevelFlags::HANGUP, NONE]);
}

#[test]
fn r21_without_readers_writing_is_at_its_end() {
    let mut bench = bench();
    let (reader, writer) = pipe(&mut bench);
    fill(&mut bench, writer, CAPACITY);
    let waits = bench.write(writer, b"for nobody");
    let before = bench.source(writer).arrivals;
    bench.close(reader);
    assert_eq!(bench.got(waits), Some(Got::Errno(EPIPE)));
    assert_eq!(bench.source(writer).write, Level::new(0).with(EOF | LevelFlags::ERROR));
    assert_eq!(bench.source(writer).arrivals, before + 1);
    assert_eq!(bench.try_write(writer, b"x"), Got::Errno(EPIPE));
    // Another client that is handed the descriptor sees the same.
    let other = bench.watch(writer, 2).unwrap();
    assert_eq!(bench.made(other).write, Level::new(0).with(EOF | LevelFlags::ERROR));
}

#[test]
fn bytes_of_a_fifo_that_nobody_has_are_gone() {
    let mut bench = bench();
    fifo(&mut bench);
    let (reader, writer) = (open(&mut bench, O_RDONLY | O_NONBLOCK), open(&mut bench, O_WRONLY));
    bench.try_write(writer, b"old");
    bench.close(reader);
    let reader = open(&mut bench, O_RDONLY);
    assert_eq!(bench.try_read(reader, 1), data(b"o"), "the writer keeps them");
    bench.close(reader);
    bench.close(writer);
    let reader = open(&mut bench, O_RDONLY | O_NONBLOCK);
    assert_eq!(bench.source(reader).read, Level::new(0));
}
