//! Acts that take names away.

use super::FileSystem;
use super::names::MAX_LINKS;
use super::path::Place;
use crate::node::{Number, Times};
use crate::notes::Notes;
use abi::error::{EBUSY, EINVAL, EISDIR, EMLINK, ENOENT, ENOTDIR, ENOTEMPTY, EXDEV, Error, Result};

impl<K: Copy + Ord> FileSystem<K> {
    /// Takes a file's name away; who has it open keeps it. EISDIR, ENOENT, EBUSY.
    pub fn unlink(&mut self, from: Option<K>, path: &str) -> Result<()> {
        let place = self.place(from, path)?;
        let found = place.found.ok_or(Error::new(ENOENT))?;
        if self.node(found)?.is_directory() {
            return Err(Error::new(EISDIR));
        }
        let name = place.name.ok_or(Error::new(EBUSY))?;
        self.leave(place.directory, name, Notes::WRITE)?;
        self.lose_name(found)
    }

    /// Removes an empty directory. ENOTEMPTY, ENOTDIR, ENOENT, EINVAL (`.`), EBUSY (the top).
    pub fn rmdir(&mut self, from: Option<K>, path: &str) -> Result<()> {
        let place = self.place(from, path)?;
        let found = place.found.ok_or(Error::new(ENOENT))?;
        let empty = self.node(found)?.directory()?.is_empty();
        let name = self.movable(&place)?;
        if !empty {
            return Err(Error::new(ENOTEMPTY));
        }
        self.leave(place.directory, name, Notes::WRITE | Notes::LINK)?;
        self.node_mut(place.directory)?.links -= 1;
        self.lose_directory(found)
    }

    /// Gives a file or directory another name, in place of what has it. Nothing happens when both names are the same
    /// file's.
    ///
    /// EXDEV, EINVAL (into itself), EBUSY (the top), ENOTDIR, EISDIR, ENOTEMPTY, ENOENT.
    pub fn rename(&mut self, from: Option<K>, old: &str, new: &str) -> Result<()> {
        let (source, target) = (self.place(from, old)?, self.place(from, new)?);
        let moved = source.found.ok_or(Error::new(ENOENT))?;
        let (old_name, new_name) = (self.movable(&source)?, self.movable(&target)?);
        let directory = self.node(moved)?.is_directory();
        if self.node(source.directory)?.mount != self.node(target.directory)?.mount {
            return Err(Error::new(EXDEV));
        }
        if target.slash && !directory {
            return Err(Error::new(ENOTDIR));
        }
        if directory && self.is_inside(target.directory, moved)? {
            return Err(Error::new(EINVAL));
        }
        if target.found == Some(moved) {
            return Ok(());
        }
        let across = source.directory != target.directory;
        let replaced = match target.found {
            Some(found) => Some((found, self.replaceable(found, directory)?)),
            None => None,
        };
        let parent = self.node(target.directory)?;
        if parent.links == 0 {
            return Err(Error::new(ENOENT));
        }
        if replaced.is_none() && directory && across && parent.links >= MAX_LINKS {
            return Err(Error::new(EMLINK));
        }
        let (from_notes, to_notes) = rename_notes(across, directory, replaced.is_some());
        let payer = self.take_out(source.directory, old_name)?;
        let now = self.now;
        let parent = self.node_mut(target.directory)?;
        parent.times = Times { modified: now, changed: now, ..parent.times };
        if replaced.is_some() {
            parent.directory_mut()?.replace(new_name, moved);
            self.names.give(payer);
        } else {
            parent.directory_mut()?.insert(new_name, moved, payer);
        }
        if directory {
            self.node_mut(source.directory)?.links -= 1;
            if replaced.is_none() {
                self.node_mut(target.directory)?.links += 1;
            }
            self.node_mut(moved)?.directory_mut()?.parent = target.directory;
        }
        self.node_mut(moved)?.times.changed = now;
        self.post(source.directory, from_notes);
        if across {
            self.post(target.directory, to_notes);
        }
        self.post(moved, Notes::RENAME);
        match replaced {
            Some((found, true)) => self.lose_directory(found),
            Some((found, false)) => self.lose_name(found),
            None => Ok(()),
        }
    }

    /// Whether what is in the way of a rename may go; true when it is a directory.
    fn replaceable(&self, found: Number, by_directory: bool) -> Result<bool> {
        let node = self.node(found)?;
        match (node.is_directory(), by_directory) {
            (true, false) => Err(Error::new(EISDIR)),
            (false, true) => Err(Error::new(ENOTDIR)),
            (true, true) if !node.directory()?.is_empty() => Err(Error::new(ENOTEMPTY)),
            (directory, _) => Ok(directory),
        }
    }

    /// Whether a directory is another one or below it.
    fn is_inside(&self, mut at: Number, of: Number) -> Result<bool> {
        loop {
            if at == of {
                return Ok(true);
            }
            let parent = self.node(at)?.directory()?.parent;
            if parent == at {
                return Ok(false);
            }
            at = parent;
        }
    }

    /// The name of what may be moved or removed.
    fn movable<'p>(&self, place: &Place<'p>) -> Result<&'p str> {
        let is_top = |found: Number| self.mounts.iter().any(|&(_, top)| top == found);
        match place.name {
            Some(name) => Ok(name),
            None if place.found.is_some_and(is_top) => Err(Error::new(EBUSY)),
            None => Err(Error::new(EINVAL)),
        }
    }

    /// Takes a name out of its directory, and says so.
    fn leave(&mut self, directory: Number, name: &str, notes: Notes) -> Result<()> {
        let payer = self.take_out(directory, name)?;
        self.names.give(payer);
        self.post(directory, notes);
        Ok(())
    }

    /// Takes a name out of its directory; who pays for it.
    fn take_out(&mut self, directory: Number, name: &str) -> Result<u64> {
        let now = self.now;
        let parent = self.node_mut(directory)?;
        let entry = parent.directory_mut()?.remove(name).ok_or(Error::new(ENOENT))?;
        parent.times = Times { modified: now, changed: now, ..parent.times };
        Ok(entry.payer)
    }

    fn lose_name(&mut self, number: Number) -> Result<()> {
        let now = self.now;
        let node = self.node_mut(number)?;
        node.links -= 1;
        node.times.changed = now;
        self.post(number, Notes::DELETE | Notes::LINK);
        self.free_if_unused(number);
        Ok(())
    }

    fn lose_directory(&mut self, number: Number) -> Result<()> {
        self.node_mut(number)?.links = 0;
        self.post(number, Notes::DELETE | Notes::LINK);
        self.free_if_unused(number);
        Ok(())
    }
}

/// What a rename is to the directory it leaves and the one it comes to (kqueue(2): EXTEND only where the number of
/// names changed, LINK where that of subdirectories did).
fn rename_notes(across: bool, directory: bool, replaces: bool) -> (Notes, Notes) {
    let mut source = Notes::WRITE;
    source.set(Notes::EXTEND, across);
    source.set(Notes::LINK, directory && (across || replaces));
    let mut target = source;
    target.set(Notes::LINK, directory && !replaces);
    (source, target)
}
