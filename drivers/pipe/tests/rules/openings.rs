//! Opening waits for the other side.

use crate::bench::{begin, bench, data, fifo, open, pipe};
use crate::fake::Got;
use abi::error::{EBUSY, EINVAL, ENOENT, ENXIO, Error};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use driver_sdk::Level;
use pipe::conduit::CAPACITY;

#[test]
fn opening_a_fifo_waits_for_the_other_side() {
    for (first, second) in [(O_RDONLY, O_WRONLY), (O_WRONLY, O_RDONLY)] {
        let mut bench = bench();
        fifo(&mut bench);
        let waits = begin(&mut bench, first, 1);
        assert_eq!(bench.got(waits), None);
        let other = begin(&mut bench, second, 2);
        let (mine, others) = (bench.opened(waits).unwrap(), bench.opened(other).unwrap());
        let (reader, writer) = if first == O_RDONLY { (mine, others) } else { (others, mine) };
        assert_eq!(bench.try_write(writer, b"met"), Got::Count(3));
        assert_eq!(bench.source(writer).write, Level::new(CAPACITY as i64 - 3));
        assert_eq!(bench.try_read(reader, 10), data(b"met"));
        assert_eq!(bench.engine.load(), (2, 0));
    }
}

#[test]
fn one_writer_lets_all_waiting_readers_in() {
    let mut bench = bench();
    fifo(&mut bench);
    let waits: Vec<u64> = (1..4).map(|client| begin(&mut bench, O_RDONLY, client)).collect();
    open(&mut bench, O_WRONLY | O_NONBLOCK);
    for token in waits {
        assert!(bench.opened(token).is_ok());
    }
}

#[test]
fn without_waiting_a_reader_comes_in_and_a_writer_needs_one() {
    let mut bench = bench();
    fifo(&mut bench);
    assert_eq!(bench.open("/run/fifo/f", O_WRONLY | O_NONBLOCK, 1), Err(Error::new(ENXIO)));
    let reader = open(&mut bench, O_RDONLY | O_NONBLOCK);
    let writer = open(&mut bench, O_WRONLY | O_NONBLOCK);
    bench.close(reader);
    assert_eq!(bench.open("/run/fifo/f", O_WRONLY | O_NONBLOCK, 1), Err(Error::new(ENXIO)));
    bench.close(writer);
    let both = open(&mut bench, O_RDWR);
    assert_eq!(bench.try_write(both, b"self"), Got::Count(4));
    assert_eq!(bench.try_read(both, 10), data(b"self"));
    assert_eq!(bench.source(both).read, Level::new(0));
    assert_eq!(bench.source(both).write, Level::new(CAPACITY as i64));
}

#[test]
fn one_who_died_waiting_at_the_door_lets_nobody_in() {
    let mut bench = bench();
    fifo(&mut bench);
    let dead = begin(&mut bench, O_RDONLY, 2);
    bench.link().dead_clients.insert(2);
    bench.link().dead.insert(dead);
    let writer = begin(&mut bench, O_WRONLY, 1);
    assert_eq!(bench.got(writer), None, "there is no reader");
    assert_eq!(bench.engine.load(), (1, 1));
    open(&mut bench, O_RDONLY);
    assert!(bench.opened(writer).is_ok());
    assert_eq!(bench.engine.load(), (2, 0));
}

#[test]
fn one_who_gave_up_at_the_door_is_let_in_to_nobodys_harm() {
    let mut bench = bench();
    fifo(&mut bench);
    // It lives, but its call was interrupted.
    let gone = begin(&mut bench, O_RDONLY, 1);
    bench.link().dead.insert(gone);
    let writer = begin(&mut bench, O_WRONLY, 1);
    assert_eq!(bench.got(writer), None);
    let reader = open(&mut bench, O_RDONLY);
    let writer = bench.opened(writer).unwrap();
    assert_eq!(bench.source(writer).write, Level::new(CAPACITY as i64));
    assert_eq!(bench.source(reader).read, Level::new(0));
}

#[test]
fn a_pipe_has_one_write_end() {
    let mut bench = bench();
    assert_eq!(bench.open("/dev/pipe", O_WRONLY, 1), Err(Error::new(EINVAL)));
    let (reader, writer) = pipe(&mut bench);
    assert_eq!(bench.open_at(reader, "writer", O_WRONLY, 1), Err(Error::new(EBUSY)));
    assert_eq!(bench.open_at(writer, "reader", O_RDONLY, 1), Err(Error::new(ENOENT)));
    bench.close(writer);
    assert_eq!(bench.open_at(reader, "writer", O_WRONLY, 1), Err(Error::new(EBUSY)));
    bench.close(reader);
    assert_eq!(bench.engine.driver().count(), (0, 0));
}
