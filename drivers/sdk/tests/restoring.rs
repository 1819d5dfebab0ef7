//! Durable files: what is kept of them, and going on with them.

mod fake;

use abi::error::{EBADF, ENOENT, EOPNOTSUPP, Error, Result};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_RDWR};
use driver_sdk::engine::Left;
use driver_sdk::{Context, DURABLE, Direction, Driver, FileId, Filters, Kind, Level, Opening, Taken};
use event_protocol::badge::SourceId;
use fake::{Bench, Got, Thing};

const DURABLY: usize = O_RDWR | DURABLE as usize;

/// What was restored: path, flags, word.
type Restored = (String, u64, u64);

/// A driver of paths `/lamp...`, each with a level that is written, and kept.
#[derive(Default)]
struct Lamp {
    restored: Vec<Restored>,
    closed: usize,
}

fn opening(path: &str, level: u64) -> Result<Opening> {
    match path {
        "/lamp/blind" => Ok(Opening::new(Kind::Device, Filters::empty())),
        "/lamp/broken" if level > 0 => Err(Error::new(ENOENT)),
        path if path.starts_with("/lamp") => {
            let opening = Opening::new(Kind::Device, Filters::READ | Filters::WRITE);
            Ok(opening.readable(Level::new(level as i64)).keeping(level))
        }
        _ => Err(Error::new(ENOENT)),
    }
}

impl Driver for Lamp {
    const DURABLE: bool = true;

    fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, _: u64) -> Result<Opening> {
        opening(path, 0)
    }

    fn open_at(
        &mut self,
        context: &mut Context<'_>,
        _: FileId,
        file: FileId,
        path: &str,
        flags: u64,
    ) -> Result<Opening> {
        self.open(context, file, path, flags)
    }

    fn restore(
        &mut self,
        _: &mut Context<'_>,
        _: FileId,
        path: &str,
        flags: u64,
        kept: u64,
    ) -> Result<Opening> {
        self.restored.push((path.into(), flags, kept));
        opening(path, kept)
    }

    fn close(&mut self, _: &mut Context<'_>, _: FileId) {
        self.closed += 1;
    }

    fn read(&mut self, _: &mut Context<'_>, _: FileId, buffer: &mut [u8], _: Option<u64>) -> Result<Taken> {
        buffer[0] = b'!';
        Ok(Taken { count: 1, arrival: 0 })
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        _: Option<u64>,
    ) -> Result<usize> {
        let level = u64::from(bytes[0] - b'0');
        context.keep(file, level);
        context.publish(file, Direction::Read, Level::new(level as i64), true);
        Ok(1)
    }
}

/// A driver that somebody comes after.
fn lasting(session: u64) -> Bench<Lamp> {
    Bench::new(Lamp::default()).lasting(session)
}

#[test]
fn what_is_kept_brings_the_file_back() {
    let mut old = lasting(1);
    let file = old.open("/lamp", DURABLY | O_NONBLOCK, 7).unwrap();
    assert_eq!(old.source(file).word, 0);
    old.try_write(file, b"5");
    assert_eq!(old.source(file).word, 5);
    let left = old.left();
    let mut new = lasting(2);
    new.engine.restore(left);
    let flags = (DURABLY | O_NONBLOCK) as u64;
    assert_eq!(new.engine.driver().restored, [("/lamp".into(), flags, 5)]);
    let files = new.files();
    assert_eq!(files.len(), 1);
    assert_eq!(new.try_read(files[0], 4), Got::Data(b"!".to_vec(), 0));
    let source = new.made(0);
    assert_eq!((source.read, source.word), (Level::new(5), 5));
    // The client's quota, and the last close.
    assert_eq!(new.engine.load().0, 1);
    new.close(files[0]);
    assert_eq!((new.engine.load().0, new.engine.shared().0, new.engine.driver().closed), (0, 0, 1));
}

#[test]
fn only_what_is_more_than_before_is_news() {
    for (before, news) in [(4, 1), (5, 0), (6, 0)] {
        let mut old = lasting(1);
        let file = old.open("/lamp", DURABLY, 7).unwrap();
        old.try_write(file, b"5");
        let mut left = old.left();
        left[0].levels[0] = Level::new(before);
        let mut new = lasting(2);
        new.engine.restore(left);
        assert_eq!((new.made(0).read, new.made(0).arrivals), (Level::new(5), news), "{before}");
    }
}

#[test]
fn all_who_watched_a_file_have_it_again() {
    let mut old = lasting(1);
    let file = old.open("/lamp", DURABLY, 7).unwrap();
    old.watch(file, 8).unwrap();
    let other = old.open("/lamp/other", DURABLY, 7).unwrap();
    old.try_write(file, b"3");
    old.try_write(other, b"4");
    let left = old.left();
    let mut new = lasting(2);
    new.engine.restore(left);
    let files = new.files();
    assert_eq!(files.len(), 3, "each has a descriptor to go on with");
    assert_eq!((files[0] == files[1], files[0] == files[2]), (true, false));
    assert_eq!(new.engine.load().0, 2);
    new.try_write(files[0], b"9");
    assert_eq!([0, 1, 2].map(|made| new.made(made).read.amount), [9, 9, 4]);
    assert_eq!([0, 1, 2].map(|made| new.made(made).word), [9, 9, 4]);
    // One who joins now is kept with the others.
    let third = new.watch(files[0], 9).unwrap();
    assert_eq!((new.made(third).word, new.made(third).kept.is_some()), (9, true));
    new.let_go(files[0]);
    assert_eq!(new.engine.load().0, 1);
}

#[test]
fn files_of_different_drivers_are_never_taken_for_one() {
    let mut old = lasting(1);
    let first = old.open("/lamp/first", DURABLY, 7).unwrap();
    let mut left = old.left();
    let mut new = lasting(2);
    let second = new.open("/lamp/second", DURABLY, 7).unwrap();
    assert_eq!(first, second, "the same name, in another session");
    let more = new.left();
    left.extend(more.into_iter().map(|left| Left { source: SourceId::new(0, 9, 9), ..left }));
    let mut third = lasting(3);
    third.engine.restore(left);
    let restored: Vec<&str> = third.engine.driver().restored.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(restored, ["/lamp/first", "/lamp/second"]);
}

#[test]
fn what_cannot_be_brought_back_is_left_alone() {
    let mut old = lasting(1);
    let broken = old.open("/lamp/broken", DURABLY, 7).unwrap();
    old.try_write(broken, b"1");
    let mut left = old.left();
    left.push(Left { kept: vec![1, 2, 3], ..left[0].clone() });
    let mut new = lasting(2);
    new.engine.restore(left.clone());
    assert_eq!((new.engine.load().0, new.link().made.len()), (0, 0));
    assert_eq!(new.engine.driver().closed, 0, "it never was open");
    // Nor what the event server does not give.
    let mut old = lasting(1);
    old.open("/lamp", DURABLY, 7).unwrap();
    let left = old.left();
    let mut new = lasting(2);
    new.link().refuse_source = true;
    new.engine.restore(left);
    new.settle();
    assert_eq!((new.engine.load().0, new.engine.driver().closed), (0, 1), "nobody has it");
}

#[test]
fn a_durable_open_is_refused_where_nobody_could_go_on_with_it() {
    let mut bench = lasting(1);
    let refused = |result: Result<FileId>| assert_eq!(result, Err(Error::new(EOPNOTSUPP)));
    let file = bench.open("/lamp", DURABLY, 7).unwrap();
    refused(bench.open_at(file, "/lamp", DURABLY, 7));
    refused(bench.open("/lamp/blind", DURABLY, 7));
    refused(bench.open(&format!("/lamp/{}", "x".repeat(300)), DURABLY, 7));
    assert_eq!((bench.engine.load().0, bench.engine.shared().0), (1, 1));
    bench.link().session = None;
    refused(bench.open("/lamp", DURABLY, 7));
    let plain = bench.open("/lamp", O_RDONLY, 7).unwrap();
    assert_eq!(bench.source(plain).kept, None);
    bench.engine.link().let_go(Thing::Descriptor(plain));
    bench.settle();
    assert_eq!(bench.try_read(plain, 1), Got::Errno(EBADF));
}

/// One of those that say nothing of it.
struct Mortal;

impl Driver for Mortal {
    fn open(&mut self, _: &mut Context<'_>, _: FileId, _: &str, _: u64) -> Result<Opening> {
        Ok(Opening::new(Kind::Device, Filters::READ))
    }

    fn close(&mut self, _: &mut Context<'_>, _: FileId) {}
}

#[test]
fn a_driver_that_does_not_say_so_has_nothing_durable() {
    let mut bench = Bench::new(Mortal);
    bench.link().session = Some(1);
    assert_eq!(bench.open("/lamp", DURABLY, 7), Err(Error::new(EOPNOTSUPP)));
    assert!(bench.open("/lamp", O_RDWR, 7).is_ok());
}
