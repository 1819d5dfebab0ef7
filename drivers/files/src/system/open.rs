//! Opening, closing, and what is done to an open file.

use super::FileSystem;
use super::path::Place;
use crate::content::Content;
use crate::node::{Body, MODE, Node, Number, Times};
use crate::notes::Notes;
use abi::error::{EBADF, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, EOVERFLOW, Error, Result};

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct How {
    /// `O_RDONLY`, `O_RDWR`.
    pub read: bool,
    /// `O_WRONLY`, `O_RDWR`.
    pub write: bool,
    /// `O_CREAT`.
    pub create: bool,
    /// `O_EXCL`.
    pub exclusive: bool,
    /// `O_TRUNC`.
    pub truncate: bool,
    /// `O_APPEND`.
    pub append: bool,
    /// `O_DIRECTORY`.
    pub directory: bool,
    /// Permissions of a file that is made.
    pub mode: u16,
}

/// What a new position is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    /// The start.
    Start,
    /// Where the file stands.
    Current,
    /// The end.
    End,
}

/// An open file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub node: Number,
    client: u64,
    position: u64,
    how: How,
}

impl Open {
    /// Bytes from here to the end.
    pub fn distance<K>(&self, node: &Node<K>) -> i64 {
        node.size() as i64 - self.position as i64
    }
}

/// The furthest position: differences of two stay within 64 bits.
const MAX_POSITION: u64 = i64::MAX as u64;

impl<K: Copy + Ord> FileSystem<K> {
    /// Opens what a path names for a client, or makes it. True when it is a directory.
    ///
    /// ENOENT, ENOTDIR, EISDIR, EEXIST, ENOSPC, ENAMETOOLONG.
    pub fn open(&mut self, key: K, client: u64, from: Option<K>, path: &str, how: How) -> Result<bool> {
        let place = self.place(from, path)?;
        let node = match place.found {
            Some(_) if how.create && how.exclusive => return Err(Error::new(EEXIST)),
            Some(found) => self.open_existing(found, how)?,
            None if how.create => self.create(&place, client, how)?,
            None => return Err(Error::new(ENOENT)),
        };
        // Told to those who had it open before.
        self.post(node, Notes::OPEN);
        self.opens.insert(key, Open { node, client, position: 0, how });
        let opened = self.node_mut(node)?;
        opened.opens.push(key);
        Ok(opened.is_directory())
    }

    fn open_existing(&mut self, found: Number, how: How) -> Result<Number> {
        let directory = self.node(found)?.is_directory();
        if directory && (how.write || how.create || how.truncate) {
            return Err(Error::new(EISDIR));
        }
        if !directory && how.directory {
            return Err(Error::new(ENOTDIR));
        }
        if how.truncate && how.write {
            self.resize(found, 0)?;
        }
        Ok(found)
    }

    fn create(&mut self, place: &Place<'_>, client: u64, how: How) -> Result<Number> {
        if how.directory {
            return Err(Error::new(EINVAL));
        }
        if place.slash {
            return Err(Error::new(EISDIR));
        }
        let mount = self.node(place.directory)?.mount;
        let name = self.claim(place, client)?;
        let node = self.add(Body::Regular(Content::default()), mount, how.mode);
        self.enter(place.directory, name, node, client, Notes::WRITE)?;
        Ok(node)
    }

    /// For whom a file was opened.
    pub fn client(&self, key: K) -> Result<u64> {
        self.open_of(key).map(|open| open.client)
    }

    /// Nobody has it open any more.
    pub fn close(&mut self, key: K) {
        let Some(open) = self.opens.remove(&key) else { return };
        if let Some(node) = self.nodes.get_mut(&open.node) {
            node.opens.retain(|&other| other != key);
        }
        self.post(open.node, if open.how.write { Notes::CLOSE_WRITE } else { Notes::CLOSE });
        self.free_if_unused(open.node);
    }

    /// Reads at a position, or where the file stands, which moves it. EBADF, EISDIR.
    pub fn read(&mut self, key: K, buffer: &mut [u8], at: Option<u64>) -> Result<usize> {
        let open = *self.open_of(key)?;
        if !open.how.read {
            return Err(Error::new(EBADF));
        }
        let now = self.now;
        let node = self.node_mut(open.node)?;
        let count = node.content()?.read(at.unwrap_or(open.position), buffer);
        node.times.accessed = now;
        if at.is_none() {
            self.move_to(key, open.position + count as u64)?;
        }
        self.post(open.node, Notes::READ);
        Ok(count)
    }

    /// The last read without a position did not reach its reader: its bytes are still to be read.
    pub fn unread(&mut self, key: K, count: usize) {
        if let Ok(open) = self.open_of(key) {
            let position = open.position.saturating_sub(count as u64);
            // It is open: found above.
            _ = self.move_to(key, position);
        }
    }

    /// Writes at a position, or where the file stands, or at the end (`O_APPEND`). EBADF, EFBIG, ENOSPC.
    pub fn write(&mut self, key: K, bytes: &[u8], at: Option<u64>) -> Result<usize> {
        let open = *self.open_of(key)?;
        if !open.how.write {
            return Err(Error::new(EBADF));
        }
        let now = self.now;
        let FileSystem { nodes, pages, .. } = self;
        let node = nodes.get_mut(&open.node).ok_or(Error::new(ENOENT))?;
        let before = node.size();
        let start = if open.how.append { before } else { at.unwrap_or(open.position) };
        let count = node.content_mut()?.write(start, bytes, open.client, pages)?;
        if count == 0 {
            return Ok(0);
        }
        node.times = Times { modified: now, changed: now, ..node.times };
        let grew = node.size() > before;
        if at.is_none() || open.how.append {
            self.open_mut(key)?.position = start + count as u64;
        }
        self.post(open.node, if grew { Notes::WRITE | Notes::EXTEND } else { Notes::WRITE });
        self.tell_distances(open.node, grew);
        Ok(count)
    }

    /// Moves an open file. EINVAL before the start, EOVERFLOW too far behind the end.
    pub fn seek(&mut self, key: K, whence: Whence, offset: i64) -> Result<u64> {
        let open = self.open_of(key)?;
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => open.position as i64,
            Whence::End => self.node(open.node)?.size() as i64,
        };
        let position = base.checked_add(offset).ok_or(Error::new(EOVERFLOW))?;
        let position = u64::try_from(position).map_err(|_| Error::new(EINVAL))?;
        self.move_to(key, position)?;
        Ok(position)
    }

    fn move_to(&mut self, key: K, position: u64) -> Result<()> {
        let open = self.opens.get_mut(&key).ok_or(Error::new(EBADF))?;
        open.position = position.min(MAX_POSITION);
        if let Some(node) = self.nodes.get(&open.node).filter(|node| !node.is_directory()) {
            let bytes = open.distance(node);
            self.changes.push(super::Change::Distance { open: key, bytes, grew: false });
        }
        Ok(())
    }

    /// Bytes from where an open file stands to its end; negative behind it (R23).
    pub fn distance(&self, key: K) -> Result<i64> {
        let open = self.open_of(key)?;
        Ok(open.distance(self.node(open.node)?))
    }

    /// Cuts an open file off, or makes it longer. EINVAL when it cannot be written, EFBIG.
    pub fn truncate_open(&mut self, key: K, size: u64) -> Result<()> {
        let open = *self.open_of(key)?;
        if !open.how.write {
            return Err(Error::new(EINVAL));
        }
        self.resize(open.node, size)
    }

    /// The same with a path.
    pub fn truncate(&mut self, from: Option<K>, path: &str, size: u64) -> Result<()> {
        let node = self.find(from, path)?;
        self.resize(node, size)
    }

    /// Changes the permissions of an open file.
    pub fn set_mode_open(&mut self, key: K, mode: u16) -> Result<()> {
        let node = self.open_of(key)?.node;
        self.change_mode(node, mode)
    }

    /// The same with a path.
    pub fn set_mode(&mut self, from: Option<K>, path: &str, mode: u16) -> Result<()> {
        let node = self.find(from, path)?;
        self.change_mode(node, mode)
    }

    fn change_mode(&mut self, number: Number, mode: u16) -> Result<()> {
        let now = self.now;
        let node = self.node_mut(number)?;
        node.mode = mode & MODE;
        node.times.changed = now;
        self.post(number, Notes::ATTRIB);
        Ok(())
    }

    fn resize(&mut self, number: Number, size: u64) -> Result<()> {
        let now = self.now;
        let FileSystem { nodes, pages, .. } = self;
        let node = nodes.get_mut(&number).ok_or(Error::new(ENOENT))?;
        let Body::Regular(content) = &mut node.body else { return Err(Error::new(EISDIR)) };
        let before = content.size();
        content.resize(size, pages)?;
        node.times = Times { modified: now, changed: now, ..node.times };
        let grew = size > before;
        self.post(number, if grew { Notes::ATTRIB | Notes::EXTEND } else { Notes::ATTRIB });
        if size != before {
            self.tell_distances(number, grew);
        }
        Ok(())
    }
}
