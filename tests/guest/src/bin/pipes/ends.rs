//! The two ends of a pipe or FIFO, as the tests use them.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::error::Result;
use guest_tests::Outcome;
use guest_tests::failure::ensure;
use guest_tests::looks::only;
use libkq::{Descriptor, KEvent, Queue};
use rt::thread::{Builder, JoinHandle};

/// Bytes that a pipe holds.
pub const CAPACITY: usize = 65536;

pub fn pipe() -> Result<(Descriptor, Descriptor)> {
    Descriptor::pipe()
}

/// The event that tells of the end. A driver hears of a close soon after it; until then what was true is told.
pub fn end(queue: &Queue) -> Outcome<KEvent> {
    let deadline = guest_tests::soon();
    loop {
        let event = only(queue)?;
        if event.is_eof() {
            return Ok(event);
        }
        ensure(rt::clock::now_ns() < deadline, "the end is told")?;
    }
}

pub fn read(file: &Descriptor, most: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let count = file.read(&mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

pub fn fill(file: &Descriptor, bytes: usize) -> Result<()> {
    file.write_all(&vec![b'.'; bytes])
}

pub fn start(body: impl FnOnce() -> Outcome + Send + 'static) -> Result<JoinHandle<Outcome>> {
    Builder::new().name("other").spawn(body)
}

/// A FIFO, unlinked at the end.
pub struct Fifo(pub String);

impl Fifo {
    pub fn new(name: &str) -> Result<Fifo> {
        let path = format!("/run/fifo/{name}");
        libkq::process().mkfifo(&path, 0o600)?;
        Ok(Fifo(path))
    }

    pub fn open(&self, flags: usize) -> Result<Descriptor> {
        Descriptor::open(&self.0, flags)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // A test that unlinked it has nothing left to unlink.
        _ = libkq::process().unlink(&self.0);
    }
}
