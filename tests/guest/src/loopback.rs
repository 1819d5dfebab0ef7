//! A part of drivers that misbehave: files that give back what is written to them. A whole and honest one is
//! `drivers/template`.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::error::{EAGAIN, ENOENT, Error, Result};
use driver_sdk::{Context, Direction, Driver, FileId, Filters, Kind, Level, Opening, Taken};

/// Bytes that a file holds.
pub const CAPACITY: usize = 4096;

/// The driver, or a part of one.
#[derive(Debug)]
pub struct Loopback {
    path: &'static str,
    files: Vec<(FileId, VecDeque<u8>)>,
}

/// What is news to those who watch a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Bytes,
    Room,
    Nothing,
}

impl Loopback {
    /// One whose files are opened by this path.
    pub fn new(path: &'static str) -> Loopback {
        Loopback { path, files: Vec::new() }
    }

    /// The files that are open.
    pub fn files(&self) -> Vec<FileId> {
        self.files.iter().map(|(file, _)| *file).collect()
    }

    /// Whether a file is one of these.
    pub fn has(&self, file: FileId) -> bool {
        self.files.iter().any(|(known, _)| *known == file)
    }

    /// Publishes the levels of all files as they are.
    pub fn publish_all(&self, context: &mut Context<'_>) {
        for (file, bytes) in &self.files {
            publish(context, *file, bytes.len(), News::Nothing);
        }
    }

    fn bytes(&mut self, file: FileId) -> Result<&mut VecDeque<u8>> {
        let found = self.files.iter_mut().find(|(known, _)| *known == file);
        found.map(|(_, bytes)| bytes).ok_or(Error::new(ENOENT))
    }
}

/// What such a file is that serves these filters, too.
pub fn opening(filters: Filters) -> Opening {
    let filters = Filters::READ | Filters::WRITE | filters;
    Opening::new(Kind::Device, filters).writable(Level::new(CAPACITY as i64))
}

fn publish(context: &mut Context<'_>, file: FileId, waiting: usize, news: News) {
    context.publish(file, Direction::Read, Level::new(waiting as i64), news == News::Bytes);
    context.publish(file, Direction::Write, Level::new((CAPACITY - waiting) as i64), news == News::Room);
}

impl Driver for Loopback {
    fn open(&mut self, _: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != self.path {
            return Err(Error::new(ENOENT));
        }
        self.files.push((file, VecDeque::new()));
        Ok(opening(Filters::empty()))
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.files.retain(|(known, _)| *known != file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        let bytes = self.bytes(file)?;
        if bytes.is_empty() {
            return Err(Error::new(EAGAIN));
        }
        let count = bytes.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(bytes.drain(..count)) {
            *place = byte;
        }
        let left = bytes.len();
        publish(context, file, left, News::Room);
        Ok(Taken { count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, taken: &[u8]) {
        if let Ok(bytes) = self.bytes(file) {
            taken.iter().rev().for_each(|&byte| bytes.push_front(byte));
            let left = bytes.len();
            publish(context, file, left, News::Bytes);
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        given: &[u8],
        _: Option<u64>,
    ) -> Result<usize> {
        let bytes = self.bytes(file)?;
        let count = given.len().min(CAPACITY - bytes.len());
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        bytes.extend(&given[..count]);
        let waiting = bytes.len();
        publish(context, file, waiting, News::Bytes);
        Ok(count)
    }
}
