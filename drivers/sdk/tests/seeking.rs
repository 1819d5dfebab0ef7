//! Offsets and positions: of files that have them, and of all others.

mod fake;

use abi::error::{EAGAIN, EBADF, ESPIPE, Error, Result};
use abi::flag::{O_RDONLY, O_RDWR, O_WRONLY};
use driver_sdk::{
    Context, Control, ControlReply, Driver, FileId, Filters, Kind, Level, Opening, Taken, Whence,
};
use event_protocol::descriptor::{NONBLOCK, label};
use fake::{Bench, Got};

const SEEK: Control = Control::Seek { whence: Whence::Start, offset: 3 };

/// Remembers what it was asked, and has nothing to read.
#[derive(Default)]
struct Scroll(Vec<String>);

impl Driver for Scroll {
    fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, _: u64) -> Result<Opening> {
        let opening = Opening::new(Kind::Device, Filters::READ).readable(Level::new(1));
        Ok(if path == "/scroll" { opening.seekable() } else { opening })
    }

    fn close(&mut self, _: &mut Context<'_>, _: FileId) {}

    fn read(&mut self, _: &mut Context<'_>, _: FileId, _: &mut [u8], offset: Option<u64>) -> Result<Taken> {
        self.0.push(format!("read {offset:?}"));
        Err(Error::new(EAGAIN))
    }

    fn write(&mut self, _: &mut Context<'_>, _: FileId, bytes: &[u8], offset: Option<u64>) -> Result<usize> {
        self.0.push(format!("write {offset:?}"));
        Ok(bytes.len())
    }

    fn control(&mut self, _: &mut Context<'_>, _: FileId, control: &Control) -> Result<ControlReply> {
        self.0.push(format!("{control:?}"));
        Ok(ControlReply::Number(3))
    }
}

fn read_at(bench: &mut Bench<Scroll>, file: FileId, length: u64, offset: u64) -> Option<Got> {
    let token = bench.send(file.badge(), label::READ, [length, NONBLOCK, offset, 0], &[], None);
    bench.got(token)
}

fn write_at(bench: &mut Bench<Scroll>, file: FileId, bytes: &[u8], offset: u64) -> Option<Got> {
    let token = bench.send(file.badge(), label::WRITE, [0, NONBLOCK, offset, 0], bytes, None);
    bench.got(token)
}

#[test]
fn a_seekable_file_hears_of_offsets() {
    let mut bench = Bench::new(Scroll::default());
    let file = bench.open("/scroll", O_RDWR, 1).unwrap();
    assert_eq!(read_at(&mut bench, file, 1, 7), Some(Got::Errno(EAGAIN)));
    assert_eq!(write_at(&mut bench, file, b"x", 8), Some(Got::Count(1)));
    assert_eq!(bench.try_write(file, b"x"), Got::Count(1));
    assert_eq!(bench.control(file, SEEK), Ok(ControlReply::Number(3)));
    let seek = format!("{SEEK:?}");
    assert_eq!(bench.engine.driver().0, ["read Some(7)", "write Some(8)", "write None", &seek]);
}

#[test]
fn any_other_has_none_and_its_driver_does_not_hear_of_them() {
    let mut bench = Bench::new(Scroll::default());
    let file = bench.open("/stream", O_RDWR, 1).unwrap();
    assert_eq!(read_at(&mut bench, file, 1, 0), Some(Got::Errno(ESPIPE)));
    assert_eq!(write_at(&mut bench, file, b"x", 0), Some(Got::Errno(ESPIPE)));
    assert_eq!(bench.control(file, SEEK), Err(Error::new(ESPIPE)));
    assert!(bench.engine.driver().0.is_empty());
    assert_eq!(bench.try_read(file, 1), Got::Errno(EAGAIN));
    assert_eq!(bench.try_write(file, b"x"), Got::Count(1));
    assert_eq!(bench.control(file, Control::Available), Ok(ControlReply::Number(3)));
    assert_eq!(bench.engine.driver().0, ["read None", "write None", "Available"]);
    // Nothing wanted is nothing taken, wherever.
    assert_eq!(read_at(&mut bench, file, 0, 0), Some(Got::Count(0)));
    assert_eq!(write_at(&mut bench, file, b"", 0), Some(Got::Count(0)));
    // Who may not read at all is told that first.
    let (reader, writer) =
        (bench.open("/stream", O_RDONLY, 1).unwrap(), bench.open("/stream", O_WRONLY, 1).unwrap());
    assert_eq!(read_at(&mut bench, writer, 1, 0), Some(Got::Errno(EBADF)));
    assert_eq!(write_at(&mut bench, reader, b"x", 0), Some(Got::Errno(EBADF)));
}

#[test]
fn who_asks_for_what_never_will_be_does_not_wait_behind_others() {
    let mut bench = Bench::new(Scroll::default());
    let file = bench.open("/stream", O_RDWR, 1).unwrap();
    let waits = bench.read(file, 1);
    assert_eq!(bench.got(waits), None);
    let token = bench.send(file.badge(), label::READ, [1, 0, 0, 0], &[], None);
    assert_eq!((bench.got(token), bench.got(waits)), (Some(Got::Errno(ESPIPE)), None));
}
