//! Reads the manifest's file.

use alloc::vec::Vec;
use core::fmt;

use init_protocol::{
    VERSION,
    manifest::{Device, Entry, Manifest},
};

/// What is wrong with a manifest's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// Made for another version of init.
    Version(u32),
    /// The list of devices, or what stands before it, cannot be read.
    Devices(postcard::Error),
    /// The number of entries cannot be read.
    Count(postcard::Error),
    /// An entry cannot be read, nor can those after it.
    Entry {
        /// Which, from 0.
        index: u64,
        /// Of how many.
        count: u64,
        /// Why.
        error: postcard::Error,
    },
    /// Bytes after the last entry.
    Rest(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Version(found) => write!(f, "manifest of version {found}, expected {VERSION}"),
            Error::Devices(error) => write!(f, "the manifest's devices cannot be read: {error}"),
            Error::Count(error) => write!(f, "the manifest's number of entries cannot be read: {error}"),
            Error::Entry { index, count, error } => {
                write!(f, "manifest entry {index} of {count} cannot be read, nor those after it: {error}")
            }
            Error::Rest(length) => write!(f, "the manifest has {length} bytes after its last entry"),
        }
    }
}

/// Reads as much as can be read: a damaged entry does not take those before it along.
pub fn manifest(bytes: &[u8]) -> (Manifest, Option<Error>) {
    let mut manifest = Manifest::default();
    let error = fill(&mut manifest, bytes).err();
    (manifest, error)
}

// `postcard` writes a struct as its fields one after the other and a list as its length and its elements, so the fields
// of `Manifest` can be taken one by one.
fn fill(manifest: &mut Manifest, bytes: &[u8]) -> Result<(), Error> {
    let (version, bytes) = postcard::take_from_bytes::<u32>(bytes).map_err(Error::Devices)?;
    if version != VERSION {
        return Err(Error::Version(version));
    }
    let (devices, bytes) = postcard::take_from_bytes::<Vec<Device>>(bytes).map_err(Error::Devices)?;
    manifest.devices = devices;
    let (count, mut bytes) = postcard::take_from_bytes::<u64>(bytes).map_err(Error::Count)?;
    for index in 0..count {
        let (entry, rest) = postcard::take_from_bytes::<Entry>(bytes).map_err(|error| Error::Entry {
            index,
            count,
            error,
        })?;
        manifest.entries.push(entry);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(()) } else { Err(Error::Rest(bytes.len())) }
}
