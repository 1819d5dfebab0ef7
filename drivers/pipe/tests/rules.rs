//! Pipes and FIFOs behind the real engine.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;

use abi::error::{
    EAGAIN, EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOMEM, ENOSPC, ENOTDIR, ENXIO, EPERM, EPIPE, ESPIPE,
    Error,
};
use abi::flag::{O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use driver_sdk::{
    Control, ControlReply, FileId, FileType, Level, LevelFlags, PathReply, PathRequest, Setting, Whence,
};
use event_protocol::descriptor::PIPE_BUF;
use fake::{Bench, Got};
use pipe::conduit::{CAPACITY, LEAST};
use pipe::pipes::Pipes;

fn bench() -> Bench<Pipes> {
    Bench::new(Pipes::new())
}

fn pipe(bench: &mut Bench<Pipes>) -> (FileId, FileId) {
    let reader = bench.open("/dev/pipe", O_RDONLY, 1).unwrap();
    let writer = bench.open_at(reader, "writer", O_WRONLY, 1).unwrap();
    (reader, writer)
}

fn fifo(bench: &mut Bench<Pipes>) {
    let made = bench.path(PathRequest::MakeFifo { path: "/run/fifo/f".into(), mode: 0o644 });
    assert_eq!(made, Ok(PathReply::Done));
}

fn open(bench: &mut Bench<Pipes>, flags: usize) -> FileId {
    bench.open("/run/fifo/f", flags, 1).unwrap()
}

fn begin(bench: &mut Bench<Pipes>, flags: usize, client: u64) -> u64 {
    bench.begin_open(None, "/run/fifo/f", flags, client, 0)
}

fn data(text: &[u8]) -> Got {
    Got::Data(text.into(), 0)
}

fn fill(bench: &mut Bench<Pipes>, writer: FileId, bytes: usize) {
    let chunk = vec![7; 1000];
    let mut left = bytes;
    while left > 0 {
        let count = left.min(chunk.len());
        assert_eq!(bench.try_write(writer, &chunk[..count]), Got::Count(count as u64));
        left -= count;
    }
}

fn empty(bench: &mut Bench<Pipes>, reader: FileId, bytes: usize) {
    let mut left = bytes;
    while left > 0 {
        let Got::Data(data, _) = bench.try_read(reader, 1000) else { panic!("{left} bytes are lost") };
        left -= data.len();
    }
    assert_eq!(bench.try_read(reader, 1000), Got::Errno(EAGAIN));
}

const EOF: LevelFlags = LevelFlags::EOF;
const NONE: LevelFlags = LevelFlags::empty();

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

#[test]
fn names() {
    let mut bench = bench();
    fifo(&mut bench);
    let make = |path: &str| PathRequest::MakeFifo { path: path.into(), mode: 0o600 };
    for (path, errno) in [
        ("/run/fifo/f", EEXIST),
        ("/run/fifo", EEXIST),
        ("/run/fifo/a/b", ENOTDIR),
        ("/run/fifos/a", ENOENT),
        ("/dev/pipe", ENOENT),
    ] {
        assert_eq!(bench.path(make(path)), Err(Error::new(errno)), "{path}");
    }
    assert_eq!(bench.open("/run/fifo/g", O_RDWR, 1), Err(Error::new(ENOENT)));
    assert_eq!(bench.open("/run/fifo", O_RDONLY, 1), Err(Error::new(EISDIR)));
    assert_eq!(bench.open("/run/fifo/f", O_RDWR | O_DIRECTORY, 1), Err(Error::new(ENOTDIR)));
    assert_eq!(bench.open("/run/fifo/f", O_RDWR | O_CREAT | O_EXCL, 1), Err(Error::new(EEXIST)));
    assert_eq!(bench.open("/run/fifo/f", 0, 1), Err(Error::new(EINVAL)));
    let stat =
        |bench: &mut Bench<Pipes>, path: &str| match bench.path(PathRequest::Stat { path: path.into() }) {
            Ok(PathReply::Stat(stat)) => Ok(stat),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.errno),
        };
    let link = PathRequest::Link { from: "/run/fifo/f".into(), to: "/run/fifo/g".into() };
    assert_eq!(bench.path(link), Ok(PathReply::Done));
    let (f, g) = (stat(&mut bench, "/run/fifo/f").unwrap(), stat(&mut bench, "/run/fifo/g").unwrap());
    assert_eq!((f.inode, f.links, f.mode, f.file_type), (g.inode, 2, 0o644, FileType::Fifo));
    let file = open(&mut bench, O_RDWR);
    assert_eq!(bench.control(file, Control::Stat), Ok(ControlReply::Stat(f)));
    for path in ["/run/fifo/f", "/run/fifo/g"] {
        assert_eq!(bench.path(PathRequest::Unlink { path: path.into() }), Ok(PathReply::Done));
        assert_eq!(stat(&mut bench, path), Err(ENOENT));
    }
    assert_eq!(bench.try_write(file, b"still"), Got::Count(5));
    assert_eq!(bench.engine.driver().count(), (1, 0));
    bench.close(file);
    assert_eq!(bench.engine.driver().count(), (0, 0));
}

#[test]
fn renaming_replaces() {
    let mut bench = bench();
    let path = |name: &str| format!("/run/fifo/{name}");
    for name in ["a", "b"] {
        bench.path(PathRequest::MakeFifo { path: path(name), mode: 0 }).unwrap();
    }
    let rename = |from: &str, to: &str| PathRequest::Rename { from: path(from), to: path(to) };
    assert_eq!(bench.path(rename("a", "a")), Ok(PathReply::Done));
    assert_eq!(bench.path(rename("a", "b")), Ok(PathReply::Done));
    assert_eq!(bench.path(rename("a", "c")), Err(Error::new(ENOENT)));
    assert_eq!(bench.engine.driver().count(), (1, 1));
    let list = PathRequest::ReadDirectory { path: "/run/fifo".into(), cookie: 0 };
    let Ok(PathReply::Entries { entries, next: None }) = bench.path(list) else { panic!("no list") };
    assert_eq!(entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(entries[0].inode, 1);
}

#[test]
fn r55_names_have_an_end_and_a_long_list_comes_in_parts() {
    let mut bench = bench();
    let name = |n: usize| format!("/run/fifo/{n:0>200}");
    for n in 0..pipe::names::MOST {
        bench.path(PathRequest::MakeFifo { path: name(n), mode: 0 }).unwrap();
    }
    let one_more = PathRequest::MakeFifo { path: name(5000), mode: 0 };
    assert_eq!(bench.path(one_more), Err(Error::new(ENOSPC)));
    assert_eq!(bench.engine.driver().count(), (pipe::names::MOST, pipe::names::MOST));
    let (mut seen, mut cookie) = (0, 0);
    loop {
        let list = PathRequest::ReadDirectory { path: "/run/fifo/".into(), cookie };
        let Ok(PathReply::Entries { entries, next }) = bench.path(list) else { panic!("no list") };
        assert!(!entries.is_empty());
        seen += entries.len();
        match next {
            Some(next) => cookie = next,
            None => break,
        }
    }
    assert_eq!(seen, pipe::names::MOST);
}

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
