//! Memory, and who gets how much of it.

use crate::bench::{bench, empty, fifo, fill, pipe};
use crate::fake::{Bench, Got};
use abi::error::{EBUSY, EINVAL, ENOMEM, EPERM, ESPIPE, Error};
use abi::flag::{O_RDONLY, O_RDWR, O_WRONLY};
use driver_sdk::{Control, ControlReply, FileId, Level, PathRequest, Setting, Whence};
use pipe::conduit::{CAPACITY, LEAST};
use pipe::pipes::Pipes;

#[test]
fn r55_a_write_for_which_there_is_no_memory_fails_and_others_go_on() {
    // A client has a quarter.
    let mut bench = Bench::new(Pipes::holding(4 * (CAPACITY + CAPACITY / 2)));
    let (first, second) = (pipe(&mut bench), pipe(&mut bench));
    fill(&mut bench, first.1, CAPACITY);
    fill(&mut bench, second.1, CAPACITY / 2);
    assert_eq!(bench.try_write(second.1, b"more"), Got::Errno(ENOMEM));
    // It has used up what is its own: another client does not notice.
    let reader = bench.open("/dev/pipe", O_RDONLY, 2).unwrap();
    let writer = bench.open_at(reader, "writer", O_WRONLY, 2).unwrap();
    fill(&mut bench, writer, CAPACITY);
    fifo(&mut bench);
    let both = bench.open("/run/fifo/f", O_RDWR, 3).unwrap();
    fill(&mut bench, both, CAPACITY);
    let both = {
        bench.close(both);
        bench.open("/run/fifo/f", O_RDWR, 1).unwrap()
    };
    assert_eq!(bench.try_write(both, b"more"), Got::Errno(ENOMEM), "whoever made the name");
    empty(&mut bench, second.0, CAPACITY / 2);
    fill(&mut bench, second.1, CAPACITY / 2);
    // What is empty needs no memory.
    empty(&mut bench, first.0, CAPACITY);
    fill(&mut bench, second.1, CAPACITY / 2);
    bench.close(second.0);
    bench.close(second.1);
    fill(&mut bench, first.1, CAPACITY);
}

#[test]
fn r55_many_pipes_are_small_ones() {
    let mut bench = bench();
    let files: Vec<FileId> =
        (0..400).map(|n| bench.open("/dev/pipe", O_RDONLY, 1 + n % 3).unwrap()).collect();
    let size = |bench: &mut Bench<Pipes>, file| match bench.control(file, Control::Get(Setting::SendBuffer)) {
        Ok(ControlReply::Number(size)) => size as usize,
        other => panic!("{other:?}"),
    };
    assert_eq!((size(&mut bench, files[0]), size(&mut bench, files[399])), (CAPACITY, LEAST));
    let larger = Control::Set(Setting::SendBuffer, 1 << 20);
    assert_eq!(bench.control(files[399], larger.clone()), Err(Error::new(EPERM)));
    assert_eq!(size(&mut bench, files[399]), LEAST);
    files[..100].iter().for_each(|&file| bench.close(file));
    assert_eq!(bench.control(files[399], larger), Ok(ControlReply::Done));
}

#[test]
fn r55_fifos_leave_pipes_their_size() {
    let mut bench = bench();
    let size = |bench: &mut Bench<Pipes>, file| match bench.control(file, Control::Get(Setting::SendBuffer)) {
        Ok(ControlReply::Number(size)) => size as usize,
        other => panic!("{other:?}"),
    };
    for n in 0..pipe::names::MOST {
        bench.path(PathRequest::MakeFifo { path: format!("/run/fifo/{n}"), mode: 0 }).unwrap();
    }
    let (first, last) =
        (bench.open("/run/fifo/0", O_RDWR, 1).unwrap(), bench.open("/run/fifo/1023", O_RDWR, 1).unwrap());
    assert_eq!((size(&mut bench, first), size(&mut bench, last)), (CAPACITY, LEAST));
    let larger = Control::Set(Setting::SendBuffer, 1 << 20);
    assert_eq!(bench.control(first, larger.clone()), Err(Error::new(EPERM)));
    let other = bench.open("/dev/pipe", O_RDONLY, 2).unwrap();
    assert_eq!(size(&mut bench, other), CAPACITY);
    assert_eq!(bench.control(other, larger), Ok(ControlReply::Done));
}

#[test]
fn sizes() {
    let mut bench = bench();
    let (reader, writer) = pipe(&mut bench);
    let set = |bytes| Control::Set(Setting::SendBuffer, bytes);
    for (bytes, errno) in [(-1, EINVAL), ((1 << 20) + 1, EINVAL), (i64::MAX, EINVAL)] {
        assert_eq!(bench.control(writer, set(bytes)), Err(Error::new(errno)));
    }
    assert_eq!(bench.control(reader, set(0)), Ok(ControlReply::Done));
    assert_eq!(bench.source(writer).write, Level::new(LEAST as i64));
    fill(&mut bench, writer, LEAST);
    let waits = bench.write(writer, b"more");
    assert_eq!(bench.control(reader, set(100_000)), Ok(ControlReply::Done));
    assert_eq!(bench.got(waits), Some(Got::Count(4)), "more room lets writers go on");
    assert_eq!(bench.control(reader, set(0)), Err(Error::new(EBUSY)));
    let seek = Control::Seek { whence: Whence::Start, offset: 0 };
    assert_eq!(bench.control(reader, seek), Err(Error::new(ESPIPE)));
}
