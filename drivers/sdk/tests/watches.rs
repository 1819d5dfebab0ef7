//! Files that several clients watch.

mod fake;

use abi::error::{EINVAL, EMFILE, ENODEV, EPERM, Error, Result};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_RDWR};
use driver_sdk::limits::LEAST_CLIENTS;
use driver_sdk::{
    Context, Control, ControlReply, Direction, Driver, FileId, Filters, Kind, Level, LevelFlags, Opening,
    Taken,
};
use fake::{Bench, FILES, Source};

/// What is written is published: a digit is a level, letters are other things. `/blind` cannot be watched.
struct Lamp;

impl Driver for Lamp {
    fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, _: u64) -> Result<Opening> {
        let filters = if path == "/blind" { Filters::empty() } else { Filters::READ };
        let opening = Opening::new(Kind::Device, filters);
        Ok(if path == "/open" { opening.shared() } else { opening })
    }

    fn close(&mut self, _: &mut Context<'_>, _: FileId) {}

    fn read(&mut self, _: &mut Context<'_>, _: FileId, _: &mut [u8], _: Option<u64>) -> Result<Taken> {
        Ok(Taken::default())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        _: Option<u64>,
    ) -> Result<usize> {
        for &byte in bytes {
            match byte {
                b'p' => context.post(file, 1),
                b'n' => context.note(file, 4, 0),
                b'e' => {
                    context.set_error(file, 5);
                    let level = Level::new(0).with(LevelFlags::ERROR);
                    context.publish(file, Direction::Write, level, true);
                }
                b'g' => context.retire(file, ENODEV),
                _ => context.publish(file, Direction::Read, Level::new(i64::from(byte - b'0')), true),
            }
        }
        Ok(bytes.len())
    }
}

fn bench() -> (Bench<Lamp>, FileId) {
    let mut bench = Bench::new(Lamp);
    let file = bench.open("/lamp", O_RDWR, 1).unwrap();
    (bench, file)
}

#[test]
fn all_who_watch_are_told_the_same() {
    let (mut bench, file) = bench();
    let other = bench.watch(file, 2).unwrap();
    bench.try_write(file, b"3pn");
    assert_eq!(bench.made(other), bench.source(file));
    let expected = Source {
        read: Level::new(3),
        arrivals: 1,
        changes: 1,
        occurrences: 1,
        notes: 4,
        ..Source::default()
    };
    assert_eq!(bench.made(other), expected);
}

#[test]
fn who_comes_later_finds_the_level_of_now_and_that_something_arrived() {
    let (mut bench, file) = bench();
    bench.try_write(file, b"25e");
    let other = bench.watch(file, 2).unwrap();
    let source = bench.made(other);
    assert_eq!((source.read, source.write), (Level::new(5), Level::new(0).with(LevelFlags::ERROR)));
    assert_eq!((source.error, source.arrivals), (5, bench.source(file).arrivals));
    // What was counted before is not the newcomer's.
    bench.try_write(file, b"p");
    assert_eq!(bench.made(other).occurrences, 1);
}

#[test]
fn a_source_goes_with_its_client_and_all_go_with_the_file() {
    let (mut bench, file) = bench();
    let (second, third) = (bench.watch(file, 2).unwrap(), bench.watch(file, 3).unwrap());
    assert_eq!((second, bench.engine.shared().0), (third, 2), "one for all but the first");
    bench.link().abandoned.insert(second);
    bench.try_write(file, b"1");
    assert_eq!(bench.made(second).errno, Some(0), "nobody is told there any more");
    assert_eq!(bench.engine.shared().0, 1);
    let fourth = bench.watch(file, 4).unwrap();
    assert_ne!(fourth, second);
    // The first client closed its descriptor and its watch handle; the fourth has another descriptor.
    bench.link().abandoned.insert(0);
    assert_eq!(bench.watch(file, 5), Ok(fourth));
    assert_eq!((bench.made(0).errno, bench.made(fourth).errno), (Some(0), None));
    bench.link().abandoned.insert(fourth);
    let sixth = bench.watch(file, 6).unwrap();
    assert_eq!((bench.made(fourth).errno, bench.engine.shared().0), (Some(0), 1));
    bench.close(file);
    assert_eq!((bench.made(sixth).errno, bench.engine.shared().0), (Some(0), 0));
}

#[test]
fn all_who_come_after_the_first_have_one_source_which_is_told_last() {
    let (mut bench, file) = bench();
    let other = bench.watch(file, 2).unwrap();
    for client in 3..200 {
        assert_eq!(bench.watch(file, client), Ok(other));
    }
    // As many handles of it.
    assert_eq!(bench.link().shares, vec![other; 198]);
    bench.link().told.clear();
    bench.try_write(file, b"3");
    assert_eq!(bench.link().told, [0, other]);
    // One that is meant for all is for the first as well.
    let file = bench.open("/open", O_RDWR, 1).unwrap();
    let first = bench.link().first[&file];
    assert_eq!(bench.watch(file, 2), Ok(first));
    assert_eq!(bench.watch(file, 1), Ok(first));
}

#[test]
fn a_source_that_cannot_be_shared_is_refused_and_nothing_is_left() {
    let (mut bench, file) = bench();
    bench.link().refuse_source = true;
    assert_eq!(bench.watch(file, 2), Err(Error::new(EMFILE)));
    assert_eq!(bench.engine.shared().0, 1);
    bench.link().refuse_source = false;
    assert!(bench.watch(file, 2).is_ok());
    bench.try_write(file, b"3");
    bench.close(file);
    assert_eq!(bench.engine.shared().0, 0);
}

#[test]
fn r57_what_is_gone_is_gone_for_all_and_for_newcomers() {
    let (mut bench, file) = bench();
    let other = bench.watch(file, 2).unwrap();
    bench.try_write(file, b"g");
    assert_eq!((bench.source(file).errno, bench.made(other).errno), (Some(ENODEV), Some(ENODEV)));
    assert_eq!(bench.watch(file, 3), Err(Error::new(ENODEV)));
    // Nobody is told of what happens to nothing.
    bench.try_write(file, b"5p");
    assert_eq!(bench.source(file).read, Level::new(0));
}

#[test]
fn what_cannot_be_watched_says_so_and_needs_a_living_client_all_the_same() {
    let (mut bench, _) = bench();
    let blind = bench.open("/blind", O_RDWR, 1).unwrap();
    assert_eq!(bench.watch(blind, 2), Err(Error::new(EPERM)));
    bench.link().dead_clients.insert(9);
    assert_eq!(bench.open("/blind", O_RDWR, 9), Err(Error::new(EINVAL)));
    assert_eq!(bench.engine.load().0, 2);
}

#[test]
fn r55_sources_have_quotas() {
    let (mut bench, file) = bench();
    // The further source of a file counts for who needed it first.
    let mut files = vec![file];
    for made in 0.. {
        let file = bench.open("/lamp", O_RDWR, 7 + made / 100).unwrap();
        files.push(file);
        match bench.watch(file, 6) {
            Ok(_) => assert!(bench.watch(file, 6).is_ok(), "by the same"),
            Err(error) => {
                assert_eq!((error.errno, made), (EMFILE, (FILES / LEAST_CLIENTS) as u64));
                assert!(bench.watch(file, 5).is_ok(), "another client has its own");
                assert!(bench.watch(file, 6).is_ok(), "which others may watch by");
                files.into_iter().for_each(|file| bench.close(file));
                assert_eq!(bench.engine.shared(), (0, 0));
                return;
            }
        }
    }
}

#[test]
fn who_is_handed_a_descriptor_can_ask_what_it_is() {
    let (mut bench, _) = bench();
    let flags = O_RDONLY | O_NONBLOCK;
    let file = bench.open("/lamp", flags, 1).unwrap();
    let described = ControlReply::Described { kind: Kind::Device, flags: flags as u64 };
    assert_eq!(bench.control(file, Control::Describe), Ok(described));
}
