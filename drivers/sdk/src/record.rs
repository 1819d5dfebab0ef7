//! What the event server keeps of a durable file, a copy with each of its sources.

use abi::error::{EOPNOTSUPP, Error, Result};
use alloc::string::String;
use alloc::vec::Vec;
use event_protocol::control::limits::MAX_KEPT;
use serde::{Deserialize, Serialize};

/// Of which file a source is, and how it was opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The driver's session in which the file was opened, and the file there: no other file has both.
    pub origin: (u64, u64),
    /// Whose quota the file counts against.
    pub client: u64,
    /// Whose quota the source counts against.
    pub watcher: u64,
    /// The `O_*` flags.
    pub flags: u64,
    /// The path.
    pub path: String,
}

impl Record {
    /// That of a source for a client, as it is kept. EOPNOTSUPP: its path is too long for that.
    pub fn of(&self, watcher: u64) -> Result<Vec<u8>> {
        let record = Record { watcher, ..self.clone() };
        let bytes = postcard::to_allocvec(&record).ok();
        bytes.filter(|bytes| bytes.len() <= MAX_KEPT).ok_or(Error::new(EOPNOTSUPP))
    }
}
