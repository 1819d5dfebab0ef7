//! The names of FIFOs: one directory of them, without any others inside.

use abi::error::{EACCES, EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, Error, Result};
use abi::message::MAX_BYTES;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use driver_sdk::{Entry, FileType, PathReply};
use event_protocol::descriptor::names::FIFOS;

/// Names that there can be.
pub const MOST: usize = 1024;
/// Bytes of a name.
pub const LONGEST: usize = 255;

/// What a path of this service's is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place<'a> {
    /// The directory of the FIFOs.
    Directory,
    /// A name in it.
    Name(&'a str),
}

/// Reads a path.
pub fn place(path: &str) -> Result<Place<'_>> {
    let rest = path.strip_prefix(FIFOS).ok_or(Error::new(ENOENT))?;
    if rest.is_empty() || rest == "/" {
        return Ok(Place::Directory);
    }
    let name = rest.strip_prefix('/').ok_or(Error::new(ENOENT))?;
    match name {
        "." => Ok(Place::Directory),
        ".." => Err(Error::new(EACCES)),
        _ if name.len() > LONGEST => Err(Error::new(ENAMETOOLONG)),
        _ if name.contains('/') => Err(Error::new(ENOTDIR)),
        _ => Ok(Place::Name(name)),
    }
}

/// A path that has to be a name.
pub fn name(path: &str) -> Result<&str> {
    match place(path)? {
        Place::Name(name) => Ok(name),
        Place::Directory => Err(Error::new(EISDIR)),
    }
}

/// Names, each of a FIFO's number.
#[derive(Default)]
pub struct Names {
    names: BTreeMap<String, u64>,
    links: BTreeMap<u64, u32>,
}

impl Names {
    /// None.
    pub const fn new() -> Names {
        Names { names: BTreeMap::new(), links: BTreeMap::new() }
    }

    /// The FIFO of a name.
    pub fn find(&self, name: &str) -> Result<u64> {
        self.names.get(name).copied().ok_or(Error::new(ENOENT))
    }

    /// Gives a FIFO a name: EEXIST, ENOSPC.
    pub fn add(&mut self, name: &str, fifo: u64) -> Result<()> {
        if self.names.contains_key(name) {
            return Err(Error::new(EEXIST));
        }
        if self.names.len() >= MOST {
            return Err(Error::new(ENOSPC));
        }
        self.names.insert(String::from(name), fifo);
        *self.links.entry(fifo).or_default() += 1;
        Ok(())
    }

    /// Takes a name away: whose it was.
    pub fn remove(&mut self, name: &str) -> Result<u64> {
        let fifo = self.names.remove(name).ok_or(Error::new(ENOENT))?;
        if let Some(links) = self.links.get_mut(&fifo) {
            *links -= 1;
            if *links == 0 {
                self.links.remove(&fifo);
            }
        }
        Ok(fifo)
    }

    /// Gives a FIFO another name instead of one: the FIFO that had that other name, which has it no longer.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<Option<u64>> {
        let fifo = self.find(from)?;
        let replaced = self.names.get(to).copied();
        if replaced == Some(fifo) {
            // Two names of one file: nothing happens (rename(2)).
            return Ok(None);
        }
        if replaced.is_some() {
            self.remove(to)?;
        }
        self.remove(from)?;
        self.add(to, fifo)?;
        Ok(replaced)
    }

    /// How many names a FIFO has.
    pub fn links(&self, fifo: u64) -> u32 {
        self.links.get(&fifo).copied().unwrap_or(0)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names from a place on, as many as go into an answer. Names that come and go meanwhile may be missed or told
    /// twice.
    pub fn list(&self, cookie: u64) -> Result<PathReply> {
        let from = usize::try_from(cookie).map_err(|_| Error::new(EINVAL))?;
        let mut room = MAX_BYTES - 64;
        let mut entries = Vec::new();
        let mut next = None;
        for (at, (name, &inode)) in self.names.iter().enumerate().skip(from) {
            // The numbers of an entry and its name's length take at most so much.
            let size = name.len() + 16;
            if size > room {
                next = Some(at as u64);
                break;
            }
            room -= size;
            entries.push(Entry { name: name.clone(), inode, file_type: FileType::Fifo });
        }
        Ok(PathReply::Entries { entries, next })
    }
}
