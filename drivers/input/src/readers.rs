//! Who reads what a device tells: each open file has a queue of its own.

use crate::record::{DROPPED, Record, SIZE, SYN};
use abi::error::{EAGAIN, EINVAL, ESPIPE, Error, Result};
use alloc::collections::{BTreeMap, VecDeque};
use driver_sdk::{Context, Direction, FileId, Level, Taken};

/// Records that wait for one reader at most.
pub const KEPT: usize = 512;

#[derive(Default)]
struct Reader {
    records: VecDeque<Record>,
    /// Of these the first so many are whole: only they are read.
    whole: usize,
    /// It has missed something: what comes is left out until what happened at once is over.
    skips: bool,
    /// Something is whole that was not when its level was told last.
    has_news: bool,
}

/// All of them.
#[derive(Default)]
pub struct Readers {
    files: BTreeMap<FileId, Reader>,
    /// Records told so far, and how often a queue was full.
    pub told: u64,
    /// How often a queue was full.
    pub dropped: u64,
}

impl Readers {
    /// A reader comes: it is told what happens from here on.
    pub fn open(&mut self, file: FileId) {
        self.files.insert(file, Reader::default());
    }

    /// It goes.
    pub fn close(&mut self, file: FileId) {
        self.files.remove(&file);
    }

    /// Whether it is one of them.
    pub fn has(&self, file: FileId) -> bool {
        self.files.contains_key(&file)
    }

    /// The device tells something.
    pub fn push(&mut self, record: Record) {
        self.told += 1;
        for reader in self.files.values_mut() {
            if reader.skips {
                reader.skips = !record.is_end();
                continue;
            }
            if reader.records.len() == KEPT {
                self.dropped += 1;
                reader.records.clear();
                reader.records.push_back(Record { kind: SYN, code: DROPPED, value: 0, ..record });
                reader.skips = !record.is_end();
                (reader.whole, reader.has_news) = (1, true);
                continue;
            }
            reader.records.push_back(record);
            if record.is_end() {
                (reader.whole, reader.has_news) = (reader.records.len(), true);
            }
        }
    }

    /// Readers are told of what is whole.
    pub fn publish(&mut self, context: &mut Context<'_>) {
        for (&file, reader) in &mut self.files {
            if core::mem::take(&mut reader.has_news) {
                context.publish(file, Direction::Read, level(reader), true);
            }
        }
    }

    /// Gives a reader whole records. EINVAL: there is no room for one; ESPIPE: they have no places.
    pub fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        if offset.is_some() {
            return Err(Error::new(ESPIPE));
        }
        if buffer.len() < SIZE {
            return Err(Error::new(EINVAL));
        }
        let reader = self.files.get_mut(&file).filter(|reader| reader.whole > 0);
        let reader = reader.ok_or(Error::new(EAGAIN))?;
        let arrival = reader.records.front().map_or(0, |record| record.time);
        let count = reader.whole.min(buffer.len() / SIZE);
        for (record, place) in reader.records.drain(..count).zip(buffer.chunks_exact_mut(SIZE)) {
            place.copy_from_slice(&record.to_bytes());
        }
        reader.whole -= count;
        context.publish(file, Direction::Read, level(reader), false);
        Ok(Taken { count: count * SIZE, arrival })
    }

    /// Takes back what a reader did not get.
    pub fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        let Some(reader) = self.files.get_mut(&file) else { return };
        let (records, _) = bytes.as_chunks::<SIZE>();
        for &record in records.iter().rev() {
            reader.records.push_front(Record::from_bytes(record));
            reader.whole += 1;
        }
        context.publish(file, Direction::Read, level(reader), false);
    }

    /// Bytes that a reader can read.
    pub fn available(&self, file: FileId) -> usize {
        self.files.get(&file).map_or(0, |reader| reader.whole * SIZE)
    }
}

fn level(reader: &Reader) -> Level {
    Level::new((reader.whole * SIZE) as i64)
}
