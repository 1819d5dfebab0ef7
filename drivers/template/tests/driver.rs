//! The driver as its clients see it, behind the real engine.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;

use abi::error::{EAGAIN, EINVAL, ENOENT, Error};
use abi::flag::O_RDWR;
use driver_sdk::{Control, ControlReply, DURABLE, FileId, Level};
use fake::{Bench, Got};
use template::driver::{CAPACITY, PATH, Template};

fn bench() -> (Bench<Template>, FileId) {
    let mut bench = Bench::new(Template::default());
    let file = bench.open(PATH, O_RDWR, 1).expect("a file");
    (bench, file)
}

fn levels(bench: &mut Bench<Template>, file: FileId) -> (i64, i64) {
    let source = bench.source(file);
    (source.read.amount, source.write.amount)
}

#[test]
fn what_is_written_is_read_and_the_levels_say_so() {
    let (mut bench, file) = bench();
    assert_eq!(levels(&mut bench, file), (0, CAPACITY as i64));
    assert_eq!(bench.try_write(file, b"hello"), Got::Count(5));
    assert_eq!(levels(&mut bench, file), (5, CAPACITY as i64 - 5));
    assert_eq!(bench.try_read(file, 2), Got::Data(b"he".into(), 0));
    assert_eq!(bench.control(file, Control::Available), Ok(ControlReply::Available(3)));
    assert_eq!(bench.try_read(file, 8), Got::Data(b"llo".into(), 0));
    assert_eq!(levels(&mut bench, file), (0, CAPACITY as i64));
    assert_eq!(bench.try_read(file, 8), Got::Errno(EAGAIN));
}

#[test]
fn who_waits_goes_on_when_it_can() {
    let (mut bench, file) = bench();
    let reader = bench.read(file, 8);
    assert_eq!(bench.got(reader), None);
    bench.try_write(file, b"x");
    assert_eq!(bench.got(reader), Some(Got::Data(b"x".into(), 0)));
    let writer = bench.write(file, &[7; 3000]);
    assert_eq!(bench.got(writer), Some(Got::Count(3000)));
    let writer = bench.write(file, &[8; 3000]);
    assert_eq!(bench.got(writer), None, "a part of it");
    bench.try_read(file, 3000);
    assert_eq!(bench.got(writer), Some(Got::Count(3000)));
}

#[test]
fn what_a_dead_reader_did_not_get_the_next_one_gets() {
    let (mut bench, file) = bench();
    let dead = bench.read(file, 8);
    bench.link().dead.insert(dead);
    bench.try_write(file, b"kept");
    assert_eq!(bench.source(file).read, Level::new(4));
    assert_eq!(bench.try_read(file, 8), Got::Data(b"kept".into(), 0));
}

#[test]
fn files_are_their_own() {
    let (mut bench, file) = bench();
    let other = bench.open(PATH, O_RDWR, 2).expect("another");
    bench.try_write(file, b"mine");
    assert_eq!(bench.try_read(other, 8), Got::Errno(EAGAIN));
    bench.close(file);
    assert_eq!(bench.engine.load().0, 1);
}

#[test]
fn what_it_does_not_know_it_refuses() {
    let (mut bench, file) = bench();
    assert_eq!(bench.open("/dev/template/part", O_RDWR, 1), Err(Error::new(ENOENT)));
    assert_eq!(bench.control(file, Control::Disarm), Err(Error::new(EINVAL)));
}

#[test]
fn a_durable_file_goes_on_empty() {
    let mut old = Bench::new(Template::default()).lasting(1);
    let file = old.open(PATH, O_RDWR | DURABLE as usize, 1).expect("a file");
    old.try_write(file, b"hello");
    let left = old.left();
    let mut new = Bench::new(Template::default()).lasting(2);
    let file = new.go_on_with(left);
    assert_eq!(levels(&mut new, file), (0, CAPACITY as i64));
    assert_eq!(new.try_write(file, b"again"), Got::Count(5));
    assert_eq!(new.try_read(file, 8), Got::Data(b"again".into(), 0));
}
