//! The driver with its pipes.

use crate::fake::{Bench, Got};
use abi::error::EAGAIN;
use abi::flag::{O_RDONLY, O_WRONLY};
use driver_sdk::{FileId, PathReply, PathRequest};
use pipe::pipes::Pipes;

pub fn bench() -> Bench<Pipes> {
    Bench::new(Pipes::new())
}

pub fn pipe(bench: &mut Bench<Pipes>) -> (FileId, FileId) {
    let reader = bench.open("/dev/pipe", O_RDONLY, 1).unwrap();
    let writer = bench.open_at(reader, "writer", O_WRONLY, 1).unwrap();
    (reader, writer)
}

pub fn fifo(bench: &mut Bench<Pipes>) {
    let made = bench.path(PathRequest::MakeFifo { path: "/run/fifo/f".into(), mode: 0o644 });
    assert_eq!(made, Ok(PathReply::Done));
}

pub fn open(bench: &mut Bench<Pipes>, flags: usize) -> FileId {
    bench.open("/run/fifo/f", flags, 1).unwrap()
}

pub fn begin(bench: &mut Bench<Pipes>, flags: usize, client: u64) -> u64 {
    bench.begin_open(None, "/run/fifo/f", flags, client, 0)
}

pub fn data(text: &[u8]) -> Got {
    Got::Data(text.into(), 0)
}

pub fn fill(bench: &mut Bench<Pipes>, writer: FileId, bytes: usize) {
    let chunk = vec![7; 1000];
    let mut left = bytes;
    while left > 0 {
        let count = left.min(chunk.len());
        assert_eq!(bench.try_write(writer, &chunk[..count]), Got::Count(count as u64));
        left -= count;
    }
}

pub fn empty(bench: &mut Bench<Pipes>, reader: FileId, bytes: usize) {
    let mut left = bytes;
    while left > 0 {
        let Got::Data(data, _) = bench.try_read(reader, 1000) else { panic!("{left} bytes are lost") };
        left -= data.len();
    }
    assert_eq!(bench.try_read(reader, 1000), Got::Errno(EAGAIN));
}
