//! What names stand for: a directory or a regular file.

use crate::content::Content;
use crate::directory::Directory;
use abi::error::{EISDIR, ENOTDIR, Error, Result};
use alloc::vec::Vec;

/// The number of a node, never used again.
pub type Number = u64;

/// The bits of a mode that are permissions.
pub const MODE: u16 = 0o7777;

/// Times of a node, in ns since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Times {
    /// Last read.
    pub accessed: u64,
    /// Last written.
    pub modified: u64,
    /// Last change of anything.
    pub changed: u64,
}

/// What a node is.
pub enum Body {
    /// Names of other nodes.
    Directory(Directory),
    /// Bytes.
    Regular(Content),
}

/// A file, whatever its names are.
pub struct Node<K> {
    /// What it is.
    pub body: Body,
    /// Permissions: told, and not enforced, since there is one user.
    pub mode: u16,
    /// Names that it has; a directory's own `.` and its children's `..` among them.
    pub links: u32,
    /// Its times.
    pub times: Times,
    /// Who has it open.
    pub opens: Vec<K>,
    /// The file system that it belongs to.
    pub mount: usize,
}

/// What is told of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Its number.
    pub node: Number,
    /// The file system's number.
    pub mount: usize,
    /// Whether it is a directory.
    pub directory: bool,
    /// Permissions.
    pub mode: u16,
    /// Names that it has.
    pub links: u32,
    /// Bytes; of a directory its names.
    pub size: u64,
    /// Pages of memory.
    pub pages: u64,
    /// Its times.
    pub times: Times,
}

impl<K> Node<K> {
    /// A node that has as many links as the kind begins with.
    pub fn new(body: Body, mount: usize, mode: u16, now: u64) -> Node<K> {
        let links = if matches!(body, Body::Directory(_)) { 2 } else { 1 };
        let times = Times { accessed: now, modified: now, changed: now };
        Node { body, mode: mode & MODE, links, times, opens: Vec::new(), mount }
    }

    /// ENOTDIR.
    pub fn directory(&self) -> Result<&Directory> {
        match &self.body {
            Body::Directory(directory) => Ok(directory),
            Body::Regular(_) => Err(Error::new(ENOTDIR)),
        }
    }

    /// ENOTDIR.
    pub fn directory_mut(&mut self) -> Result<&mut Directory> {
        match &mut self.body {
            Body::Directory(directory) => Ok(directory),
            Body::Regular(_) => Err(Error::new(ENOTDIR)),
        }
    }

    /// EISDIR.
    pub fn content(&self) -> Result<&Content> {
        match &self.body {
            Body::Regular(content) => Ok(content),
            Body::Directory(_) => Err(Error::new(EISDIR)),
        }
    }

    /// EISDIR.
    pub fn content_mut(&mut self) -> Result<&mut Content> {
        match &mut self.body {
            Body::Regular(content) => Ok(content),
            Body::Directory(_) => Err(Error::new(EISDIR)),
        }
    }

    /// Whether it is one.
    pub fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }

    /// Bytes; of a directory its names.
    pub fn size(&self) -> u64 {
        match &self.body {
            Body::Directory(directory) => directory.len() as u64,
            Body::Regular(content) => content.size(),
        }
    }
}
