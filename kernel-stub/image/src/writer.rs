//! Makes boot archives.

use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use abi::memory::PAGE;

use crate::{
    archive::{HEADER, LINE, MAGIC, PATH, VERSION, is_path},
    crc::crc32,
};

/// Collects files for an archive.
///
/// ```
/// use image::{archive::Archive, writer::Writer};
///
/// let mut writer = Writer::new();
/// writer.add("etc/motd", b"hello\n".to_vec())?;
/// let bytes = writer.finish();
/// let file = Archive::parse(&bytes)?.find("etc/motd").ok_or("not there")?;
/// file.verify()?;
/// assert_eq!(file.data, b"hello\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Writer {
    files: BTreeMap<String, Vec<u8>>,
}

/// Why a file cannot be added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// [`is_path`] says no.
    Path(String),
    /// A file with this path is there already.
    Twice(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Path(path) => write!(
                f,
                "\"{}\" cannot name a file of the archive: 1 to {PATH} bytes, no empty part, no . or ..",
                path.escape_debug()
            ),
            Error::Twice(path) => write!(f, "\"{path}\" is in the archive already"),
        }
    }
}

impl core::error::Error for Error {}

impl Writer {
    /// An archive without files.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Adds a file.
    pub fn add(&mut self, path: &str, data: Vec<u8>) -> Result<(), Error> {
        if !is_path(path) {
            return Err(Error::Path(path.to_owned()));
        }
        if self.files.contains_key(path) {
            return Err(Error::Twice(path.to_owned()));
        }
        self.files.insert(path.to_owned(), data);
        Ok(())
    }

    /// The archive's bytes. Equal files give equal bytes, in whatever order they were added.
    pub fn finish(&self) -> Vec<u8> {
        let page = PAGE as usize;
        let mut table = Vec::new();
        let mut length = HEADER + self.files.len() * LINE;
        for (path, data) in &self.files {
            let offset = length.next_multiple_of(page);
            length = offset + data.len();
            let start = table.len();
            table.extend_from_slice(path.as_bytes());
            table.resize(start + PATH, 0);
            table.extend_from_slice(&(offset as u64).to_le_bytes());
            table.extend_from_slice(&(data.len() as u64).to_le_bytes());
            table.extend_from_slice(&crc32(data).to_le_bytes());
            table.resize(start + LINE, 0);
        }
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(self.files.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(length as u64).to_le_bytes());
        bytes.extend_from_slice(&crc32(&table).to_le_bytes());
        bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
        bytes.extend_from_slice(&table);
        for data in self.files.values() {
            bytes.resize(bytes.len().next_multiple_of(page), 0);
            bytes.extend_from_slice(data);
        }
        bytes
    }
}
