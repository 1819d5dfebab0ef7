//! The engine, with a pipe as the driver.

mod fake;

use abi::error::{
    EAGAIN, EBADF, EBADMSG, EINVAL, EMFILE, ENAMETOOLONG, ENOENT, ENOSYS, ENOTDIR, ENOTSOCK, ENOTTY,
    EOPNOTSUPP, Error, Result,
};
use abi::flag::{O_RDONLY, O_RDWR, O_WRONLY};
use driver_sdk::limits::{LEAST_CLIENTS, PENDING_PER_CLIENT, PENDING_PER_FILE};
use driver_sdk::{
    Context, Control, ControlReply, Direction, Driver, FileId, FileType, Filters, Kind, Level, Opening, Taken,
};
use event_protocol::descriptor::label;
use fake::{Bench, FILES, Got};
use proptest::prelude::*;
use std::collections::VecDeque;

const ROOM: usize = 10;

/// Bytes written to any file are read from any file.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    files: Vec<FileId>,
}

impl Pipe {
    fn settle(&mut self, context: &mut Context<'_>) {
        for &file in &self.files {
            context.publish(file, Direction::Read, Level::new(self.bytes.len() as i64), false);
            context.publish(file, Direction::Write, Level::new((ROOM - self.bytes.len()) as i64), false);
        }
    }
}

impl Driver for Pipe {
    fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != "/pipe" {
            return Err(Error::new(ENOENT));
        }
        let filters = Filters::READ | Filters::WRITE;
        Ok(Opening::new(Kind::Pipe, filters))
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        self.files.push(file);
        self.settle(context);
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.files.retain(|&open| open != file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        _: FileId,
        buffer: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        let count = self.bytes.len().min(buffer.len());
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        buffer.iter_mut().zip(self.bytes.drain(..count)).for_each(|(to, from)| *to = from);
        self.settle(context);
        Ok(Taken { count, arrival: context.now() })
    }

    fn unread(&mut self, context: &mut Context<'_>, _: FileId, bytes: &[u8]) {
        bytes.iter().rev().for_each(|&byte| self.bytes.push_front(byte));
        self.settle(context);
    }

    fn write(&mut self, context: &mut Context<'_>, _: FileId, bytes: &[u8], _: Option<u64>) -> Result<usize> {
        let count = bytes.len().min(ROOM - self.bytes.len());
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        self.bytes.extend(&bytes[..count]);
        self.settle(context);
        Ok(count)
    }

    fn control(&mut self, _: &mut Context<'_>, _: FileId, control: &Control) -> Result<ControlReply> {
        match control {
            Control::Available => Ok(ControlReply::Available(self.bytes.len() as u64)),
            _ => Err(Error::new(ENOTTY)),
        }
    }

    fn queue(&self, _: FileId, direction: Direction) -> u64 {
        if direction == Direction::Read { 1 } else { 2 }
    }
}

fn bench() -> Bench<Pipe> {
    let mut bench = Bench::new(Pipe::default());
    bench.engine.set_time(77);
    bench
}

fn data(text: &str) -> Got {
    Got::Data(text.into(), 77)
}

#[test]
fn what_is_written_is_read() {
    let mut bench = bench();
    let file = bench.open("/pipe", O_RDWR, 1).unwrap();
    assert_eq!(bench.try_write(file, b"hello"), Got::Count(5));
    assert_eq!(bench.source(file).read, Level::new(5));
    assert_eq!(bench.control(file, Control::Available), Ok(ControlReply::Available(5)));
    assert_eq!(bench.try_read(file, 3), data("hel"));
    assert_eq!(bench.try_read(file, 100), data("lo"));
    assert_eq!(bench.try_read(file, 100), Got::Errno(EAGAIN));
}

#[test]
fn a_file_whose_driver_knows_nothing_of_stat_has_the_type_of_its_kind() {
    let mut bench = bench();
    let file = bench.open("/pipe", O_RDWR, 1).unwrap();
    let Ok(ControlReply::Stat(stat)) = bench.control(file, Control::Stat) else { panic!("it has none") };
    assert_eq!((stat.file_type, stat.links, stat.size), (FileType::Fifo, 1, 0));
    assert_eq!(bench.control(file, Control::Truncate(0)), Err(Error::new(ENOTTY)));
}

#[test]
fn the_level_is_published_before_the_reply() {
    let mut bench = bench();
    let file = bench.open("/pipe", O_RDWR, 1).unwrap();
    _ = bench.try_write(file, b"x");
    _ = bench.try_read(file, 1);
    assert_eq!(
        bench.link().at_last_reply[&file].read,
        Level::new(0),
        "who has the byte does not see it ready"
    );
}

#[test]
fn waiting_readers_are_answered_in_their_order() {
    let mut bench = bench();
    let file = bench.open("/pipe", O_RDWR, 1).unwrap();
    let other = bench.open("/pipe", O_RDWR, 2).unwrap();
    let (first, second) = (bench.read(file, 2), bench.read(other, 2));
    assert_eq!(bench.try_read(other, 2), Got::Errno(EAGAIN), "nobody overtakes");
    bench.write(file, b"abc");
    assert_eq!(bench.got(first), Some(data("ab")));
    assert_eq!(bench.got(second), Some(data("c")));
    assert_eq!(bench.engine.load(), (2, 0));
}

#[test]
fn a_blocked_write_is_answered_when_all_of_it_is_taken() {
    let mut bench = bench();
    let file = bench.open("/pipe", O_RDWR, 1).unwrap();
    let long = bench.write(file, b"0123456789abcdefghijklmno");
    let after = bench.write(file, b"!");
    assert_eq!(bench.try_write(file, b"?"), Got::Errno(EAGAIN), "nobody overtakes");
    assert_eq!(bench.try_read(file, 100), data("0123456789"));
    assert_eq!(bench.got(long), None);
    assert_eq!(bench.try_read(file, 100), data("abcdefghij"));
    assert_eq!(bench.got(long), Some(Got::Count(25)));
    assert_eq!(bench.got(after), Some(Got::Count(1)));
    assert_eq!(bench.try_read(file, 100), data("klmno!"));
}

#[test]
fn r60_what_a_dead_reader_would_have_got_is_read_by_the_next() {
    let mut bench = bench();
    let file = bench.open("/pipe", O_RDWR, 1).unwrap();
    let (dead, alive) = (bench.read(file, 10), bench.read(file, 10));
    bench.link().dead.insert(dead);
    bench.write(file, b"once");
    assert_eq!(bench.got(alive), Some(data("once")));
    assert_eq!(bench.engine.counters().undelivered, 1);
    assert_eq!(bench.source(file).read, Level::new(0));
    let last = bench.read(file, 10);
    bench.link().dead.insert(last);
    bench.write(file, b"kept");
    assert_eq!(bench.source(file).read, Level::new(4), "ready again for whoever looks");
    assert_eq!(bench.try_read(file, 10), data("kept"));
}

#[test]
fn r51_closing_tells_those_who_wait() {
    let mut bench = bench();
    let file = bench.open("/pipe", O_RDWR, 1).unwrap();
    let other = bench.open("/pipe", O_RDWR, 1).unwrap();
    let (mine, others) = (bench.read(file, 1), bench.read(other, 1));
    bench.close(file);
    assert_eq!(bench.got(mine), Some(Got::Errno(EBADF)));
    assert_eq!(bench.got(others), None);
    assert_eq!(bench.source(file).errno, Some(0));
    assert_eq!(bench.engine.load(), (1, 1));
    // A badge closed again, or never open, is nobody's.
    bench.engine.closed(file.badge());
    bench.engine.closed(u64::MAX);
}

#[test]
fn an_open_that_fails_leaves_nothing() {
    let mut bench = bench();
    assert_eq!(bench.open("/nothing", O_RDWR, 1), Err(Error::new(ENOENT)));
    bench.link().refuse_source = true;
    assert_eq!(bench.open("/pipe", O_RDWR, 1), Err(Error::new(EMFILE)));
    assert_eq!(bench.engine.load(), (0, 0));
    assert!(bench.engine.driver().files.is_empty());
}

#[test]
fn what_a_client_opened_that_died_meanwhile_is_closed() {
    let mut bench = bench();
    bench.link().dead.insert(1);
    let open = event_protocol::descriptor::Open { path: "/pipe".into(), flags: O_RDWR as u64 };
    bench.send(0, label::OPEN, [0; 4], &postcard::to_allocvec(&open).unwrap(), Some(1));
    assert_eq!(bench.link().made[0].errno, Some(0));
    assert_eq!((bench.engine.load(), bench.engine.shared()), ((0, 0), (0, 0)));
    assert!(bench.engine.driver().files.is_empty());
}

#[test]
fn access_is_what_was_asked_for() {
    let mut bench = bench();
    let (reader, writer) =
        (bench.open("/pipe", O_RDONLY, 1).unwrap(), bench.open("/pipe", O_WRONLY, 1).unwrap());
    assert_eq!(bench.try_write(reader, b"x"), Got::Errno(EBADF));
    assert_eq!(bench.try_write(writer, b"x"), Got::Count(1));
    assert_eq!(bench.try_read(writer, 1), Got::Errno(EBADF));
    assert_eq!(bench.try_read(reader, 0), Got::Count(0));
    assert_eq!(bench.try_read(reader, u64::MAX), data("x"));
}

#[test]
fn r55_quotas() {
    let mut bench = bench();
    for _ in 0..FILES / LEAST_CLIENTS {
        bench.open("/pipe", O_RDWR, 1).unwrap();
    }
    assert_eq!(bench.open("/pipe", O_RDWR, 1), Err(Error::new(EMFILE)));
    let files: Vec<FileId> =
        (0..PENDING_PER_CLIENT + 1).map(|_| bench.open("/pipe", O_RDWR, 2).unwrap()).collect();
    let tokens: Vec<u64> = files.iter().map(|&file| bench.read(file, 1)).collect();
    assert_eq!(bench.engine.load().1, PENDING_PER_CLIENT);
    assert!(matches!(bench.got(tokens[PENDING_PER_CLIENT]), Some(Got::Errno(_))));
    let other = bench.open("/pipe", O_RDWR, 3).unwrap();
    let waits = bench.read(other, 1);
    assert_eq!(bench.got(waits), None, "one client's quota is not another's");
}

#[test]
fn waiting_reads_that_were_given_up_make_room() {
    let mut bench = bench();
    let file = bench.open("/pipe", O_RDWR, 1).unwrap();
    let tokens: Vec<u64> = (0..PENDING_PER_FILE * 3).map(|_| bench.read(file, 1)).collect();
    assert_eq!(bench.engine.load().1, PENDING_PER_FILE);
    assert_eq!(bench.got(tokens[0]), Some(Got::Errno(EAGAIN)));
    assert_eq!(bench.got(tokens[PENDING_PER_FILE * 3 - 1]), None);
}

#[test]
fn nonsense_is_refused() {
    let mut bench = bench();
    let file = bench.open("/pipe", O_RDWR, 1).unwrap();
    let mut errno = |badge, label, bytes: &[u8], ticket| {
        let token = bench.send(badge, label, [0; 4], bytes, ticket);
        match bench.got(token) {
            Some(Got::Errno(errno)) => errno,
            other => panic!("{other:?}"),
        }
    };
    let open = |path: &str| {
        postcard::to_allocvec(&event_protocol::descriptor::Open { path: path.into(), flags: 0 }).unwrap()
    };
    assert_eq!(errno(0, label::OPEN, &open("/pipe"), None), EINVAL);
    assert_eq!(errno(0, label::OPEN, &open("/pipe"), Some(0)), EINVAL);
    assert_eq!(errno(0, label::OPEN, b"\xff\xff", Some(1)), EBADMSG);
    assert_eq!(errno(0, label::OPEN, &open(&"x".repeat(2000)), Some(1)), ENAMETOOLONG);
    assert_eq!(errno(0, label::READ, b"", None), ENOSYS);
    assert_eq!(errno(file.badge(), label::OPEN, &open("/pipe"), Some(1)), ENOTDIR);
    assert_eq!(errno(file.badge(), label::OPEN, &open("/pipe"), None), EINVAL);
    assert_eq!(errno(file.badge(), label::WATCH, b"", None), EINVAL);
    assert_eq!(errno(file.badge(), label::WATCH, b"", Some(0)), EINVAL);
    assert_eq!(errno(file.badge(), label::SEND, b"", None), ENOTSOCK);
    assert_eq!(errno(file.badge(), label::RECEIVE, b"", None), ENOTSOCK);
    assert_eq!(errno(0, label::PATH, b"\xff", None), EBADMSG);
    assert_eq!(errno(0, label::PATH, b"\x00\x01x", None), EOPNOTSUPP);
    assert_eq!(errno(file.badge(), 99, b"", None), ENOSYS);
    assert_eq!(errno(file.badge(), label::CONTROL, b"\xff", None), EBADMSG);
    assert_eq!(errno(file.badge() + (1 << 32), label::READ, b"", None), EBADF);
    assert_eq!(errno(file.badge() + 1, label::READ, b"", None), EBADF);
}

#[derive(Clone, Debug)]
enum Step {
    Open(u64),
    Close(usize),
    Read(usize, u64, bool),
    Write(usize, usize, bool),
    /// The caller of an outstanding request dies.
    Die(usize),
    Noise(u64, u32, [u64; 4], Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u64..4).prop_map(Step::Open),
        1 => (0usize..8).prop_map(Step::Close),
        4 => (0usize..8, 0u64..15, any::<bool>()).prop_map(|(file, length, block)| Step::Read(file, length, block)),
        4 => (0usize..8, 0usize..25, any::<bool>()).prop_map(|(file, length, block)| Step::Write(file, length, block)),
        2 => (0usize..64).prop_map(Step::Die),
        1 => (any::<u64>(), 0x4400u32..0x4406, any::<[u64; 4]>(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(badge, label, words, bytes)| Step::Noise(badge, label, words, bytes)),
    ]
}

proptest! {
    /// Every byte that was taken from a writer is read by exactly one living reader, in order, or still there; every
    /// living caller is answered or waits.
    #[test]
    fn no_byte_is_lost_or_doubled(steps in prop::collection::vec(step(), 0..150)) {
        let mut bench = bench();
        let mut files: Vec<FileId> = vec![];
        let mut outstanding: Vec<u64> = vec![];
        let (mut next, mut reads) = (0u8, vec![]);
        for step in steps {
            match step {
                Step::Open(client) => files.push(bench.open("/pipe", O_RDWR, client).unwrap()),
                Step::Close(at) if !files.is_empty() => {
                    let at = at % files.len();
                    bench.close(files.swap_remove(at));
                }
                Step::Read(at, length, block) if !files.is_empty() => {
                    let flags = u64::from(!block);
                    let badge = files[at % files.len()].badge();
                    let token = bench.send(badge, label::READ, [length, flags, u64::MAX, 0], &[], None);
                    reads.push(token);
                    outstanding.push(token);
                }
                Step::Write(at, length, block) if !files.is_empty() => {
                    let bytes: Vec<u8> = (0..length).map(|n| next.wrapping_add(n as u8)).collect();
                    // A closed file drops what its writers still had: only whole writes are counted on here.
                    if block && bench.engine.driver().bytes.len() + length > ROOM {
                        continue;
                    }
                    let badge = files[at % files.len()].badge();
                    let token = bench.send(badge, label::WRITE, [0, u64::from(!block), u64::MAX, 0], &bytes, None);
                    match bench.got(token) {
                        Some(Got::Count(count)) => next = next.wrapping_add(count as u8),
                        Some(Got::Errno(EAGAIN)) => {}
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                Step::Die(at) if !outstanding.is_empty() => {
                    let at = at % outstanding.len();
                    let token = outstanding.swap_remove(at);
                    if bench.got(token).is_none() {
                        bench.link().dead.insert(token);
                    }
                }
                Step::Noise(badge, label, words, bytes) if files.iter().all(|file| file.badge() != badge) => {
                    _ = bench.send(badge, label, words, &bytes, Some(9));
                }
                _ => {}
            }
            // Who is alive and waits has nothing to get.
            prop_assert!(bench.engine.load().1 == 0 || bench.engine.driver().bytes.is_empty());
            for file in &files {
                let source = bench.source(*file);
                prop_assert_eq!(source.read.amount, bench.engine.driver().bytes.len() as i64);
            }
        }
        // Readers are answered in the order of delivery, which the levels were recorded in.
        let order = bench.link().order.clone();
        let mut seen = vec![];
        for token in order.into_iter().filter(|token| reads.contains(token)) {
            if let Some(Got::Data(bytes, _)) = bench.got(token) {
                seen.extend(bytes);
            }
        }
        seen.extend(bench.engine.driver().bytes.iter());
        let all: Vec<u8> = (0..seen.len()).map(|n| n as u8).collect();
        prop_assert_eq!(&seen, &all);
        prop_assert_eq!(seen.len() as u8, next);
    }
}
