//! Acts that add names, and the listing of those that are there.

use super::FileSystem;
use super::path::Place;
use crate::directory::Directory;
use crate::node::{Body, Number, Times};
use crate::notes::Notes;
use abi::error::{EEXIST, EMLINK, ENOENT, EPERM, EXDEV, Error, Result};

/// Names of one file.
pub const MAX_LINKS: u32 = 65_535;

impl<K: Copy + Ord> FileSystem<K> {
    /// Makes a directory. EEXIST, ENOENT, ENOTDIR, ENOSPC, EMLINK.
    pub fn mkdir(&mut self, client: u64, from: Option<K>, path: &str, mode: u16) -> Result<()> {
        let place = self.place(from, path)?;
        if place.found.is_some() {
            return Err(Error::new(EEXIST));
        }
        let parent = self.node(place.directory)?;
        if parent.links >= MAX_LINKS {
            return Err(Error::new(EMLINK));
        }
        let mount = parent.mount;
        let name = self.claim(&place, client)?;
        let node = self.add(Body::Directory(Directory::new(place.directory)), mount, mode);
        self.node_mut(place.directory)?.links += 1;
        self.enter(place.directory, name, node, client, Notes::WRITE | Notes::LINK)
    }

    /// Gives a file another name. EPERM for directories, EEXIST, EXDEV, EMLINK, ENOENT, ENOSPC.
    pub fn link(&mut self, client: u64, from: Option<K>, old: &str, new: &str) -> Result<()> {
        let found = self.find(from, old)?;
        let place = self.place(from, new)?;
        if place.found.is_some() {
            return Err(Error::new(EEXIST));
        }
        let node = self.node(found)?;
        if node.is_directory() {
            return Err(Error::new(EPERM));
        }
        if node.mount != self.node(place.directory)?.mount {
            return Err(Error::new(EXDEV));
        }
        if place.slash {
            return Err(Error::new(ENOENT));
        }
        if node.links >= MAX_LINKS {
            return Err(Error::new(EMLINK));
        }
        let name = self.claim(&place, client)?;
        let now = self.now;
        let node = self.node_mut(found)?;
        node.links += 1;
        node.times.changed = now;
        self.enter(place.directory, name, found, client, Notes::WRITE)?;
        self.post(found, Notes::LINK);
        Ok(())
    }

    /// Lists a directory: the first name behind a cookie, where 0 is the start. `None`: there are no more.
    pub fn list(&mut self, directory: Number, cookie: u64) -> Result<Option<(u64, &str, Number)>> {
        let now = self.now;
        let node = self.node_mut(directory)?;
        node.times.accessed = now;
        Ok(self.node(directory)?.directory()?.after(cookie))
    }

    /// The directory that is listed when a path is, and all who have it open are told that it was read. ENOTDIR.
    pub fn listing(&mut self, from: Option<K>, path: &str) -> Result<Number> {
        let found = self.find(from, path)?;
        self.listing_of(found)
    }

    /// The same of an open directory.
    pub fn listing_open(&mut self, key: K) -> Result<Number> {
        let found = self.open_of(key)?.node;
        self.listing_of(found)
    }

    fn listing_of(&mut self, found: Number) -> Result<Number> {
        self.node(found)?.directory()?;
        self.post(found, Notes::READ);
        Ok(found)
    }

    /// Whether a node is a directory.
    pub fn is_directory(&self, number: Number) -> bool {
        self.nodes.get(&number).is_some_and(|node| node.is_directory())
    }

    /// Pays for a name that is about to be added. ENOENT in a directory that was removed.
    pub(super) fn claim<'p>(&mut self, place: &Place<'p>, client: u64) -> Result<&'p str> {
        let name = place.name.ok_or(Error::new(EEXIST))?;
        if self.node(place.directory)?.links == 0 {
            return Err(Error::new(ENOENT));
        }
        self.names.take(client)?;
        Ok(name)
    }

    /// Adds a name that is paid for.
    pub(super) fn enter(
        &mut self,
        directory: Number,
        name: &str,
        node: Number,
        payer: u64,
        notes: Notes,
    ) -> Result<()> {
        let now = self.now;
        let parent = self.node_mut(directory)?;
        parent.times = Times { modified: now, changed: now, ..parent.times };
        parent.directory_mut()?.insert(name, node, payer);
        self.post(directory, notes);
        Ok(())
    }
}
