//! Going on with the files of a driver that was here before.

use super::Engine;
use crate::driver::Driver;
use crate::files::{File, FileId};
use crate::link::Link;
use crate::record::Record;
use abi::error::Result;
use abi::flag::{O_RDONLY, O_WRONLY};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use event_protocol::badge::SourceId;
use event_protocol::descriptor::{DURABLE, Open};
use event_protocol::level::Level;

/// A source that was left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// The event server's name for it.
    pub source: SourceId,
    /// What was kept of its file.
    pub kept: Vec<u8>,
    /// The word of that.
    pub word: u64,
    /// The levels of reading and writing that were told last.
    pub levels: [Level; 2],
}

impl<D: Driver, L: Link> Engine<D, L> {
    /// What is kept of a file, if it is durable.
    pub(super) fn record(&self, file: FileId, open: &Open, client: u64) -> Option<Record> {
        let session = self.link.lineage().filter(|_| open.flags & DURABLE != 0)?;
        let origin = (session, file.badge());
        Some(Record { origin, client, watcher: client, flags: open.flags, path: open.path.clone() })
    }

    /// Goes on with what was left, as far as the driver can: what it cannot is not touched. Sources of one file are that again.
    pub fn restore(&mut self, left: Vec<Left>) {
        let mut files: BTreeMap<(u64, u64), Option<FileId>> = BTreeMap::new();
        for Left { source, kept, word, levels } in left {
            // What is no record is of a driver that was built otherwise.
            let Ok(record) = postcard::from_bytes::<Record>(&kept) else { continue };
            let watcher = record.watcher;
            let known = files.entry(record.origin).or_insert_with(|| self.restore_file(record, word));
            let Some(file) = *known else { continue };
            // An error is the source's alone: it is not claimed, and ends.
            if self.restore_source(file, watcher, (source, levels)).is_err() {
                self.counters.errors += 1;
            }
        }
        let restored: Vec<FileId> = files.into_values().flatten().collect();
        for file in restored {
            self.look_after(file);
        }
        self.sweep_parcels();
    }

    fn restore_file(&mut self, record: Record, word: u64) -> Option<FileId> {
        let flags = record.flags;
        let file = File {
            client: record.client,
            readable: flags & O_RDONLY as u64 != 0,
            writable: flags & O_WRONLY as u64 != 0,
            flags,
        };
        let file = self.files.insert(file).ok()?;
        self.client = record.client;
        let restored = self.call(|driver, context| driver.restore(context, file, &record.path, flags, word));
        self.client = 0;
        match restored {
            Ok(opening) => {
                self.watches.begin(file, opening, Some(record));
                Some(file)
            }
            Err(_) => {
                self.files.remove(file);
                None
            }
        }
    }

    fn restore_source(&mut self, file: FileId, watcher: u64, left: (SourceId, [Level; 2])) -> Result<()> {
        let descriptor = self.link.mint(file)?;
        self.files.handle_made(file);
        self.watches.claim(&mut self.link, file, watcher, left, descriptor)
    }
}
