//! From a path to what it names.

use super::FileSystem;
use crate::directory::MAX_NAME;
use crate::node::Number;
use abi::error::{ENAMETOOLONG, ENOENT, ENOTDIR, Error, Result};

/// The end of a path.
pub(super) struct Place<'p> {
    /// The directory of its last component.
    pub directory: Number,
    /// The last component. `None` where it is no name: the top of a file system, `.` or `..`.
    pub name: Option<&'p str>,
    /// What is there.
    pub found: Option<Number>,
    /// It ended in a slash: only a directory will do.
    pub slash: bool,
}

impl<K: Copy + Ord> FileSystem<K> {
    /// Follows a path up to its last component, which need not be there. A relative path starts at an open directory;
    /// `..` does not leave a file system.
    pub(super) fn place<'p>(&self, from: Option<K>, path: &'p str) -> Result<Place<'p>> {
        let (mut at, rest) = self.start(from, path)?;
        let slash = rest.ends_with('/');
        let mut components = rest.split('/').filter(|part| !part.is_empty()).peekable();
        let mut place = Place { directory: at, name: None, found: Some(at), slash };
        while let Some(part) = components.next() {
            let directory = self.node(at)?.directory()?;
            let found = match part {
                "." => Some(at),
                ".." => Some(directory.parent),
                _ if part.len() > MAX_NAME => return Err(Error::new(ENAMETOOLONG)),
                _ => directory.get(part).map(|entry| entry.node),
            };
            if components.peek().is_none() {
                let name = Some(part).filter(|part| !matches!(*part, "." | ".."));
                place = Place { directory: at, name, found, slash };
            } else {
                at = found.ok_or(Error::new(ENOENT))?;
            }
        }
        if slash
            && let Some(found) = place.found
            && !self.node(found)?.is_directory()
        {
            return Err(Error::new(ENOTDIR));
        }
        Ok(place)
    }

    /// What a path names.
    pub(super) fn find(&self, from: Option<K>, path: &str) -> Result<Number> {
        self.place(from, path)?.found.ok_or(Error::new(ENOENT))
    }

    fn start<'p>(&self, from: Option<K>, path: &'p str) -> Result<(Number, &'p str)> {
        if !path.starts_with('/') {
            let from = from.filter(|_| !path.is_empty()).ok_or(Error::new(ENOENT))?;
            return Ok((self.open_of(from)?.node, path));
        }
        let under =
            |prefix: &str| path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        self.mounts.iter().find_map(|(prefix, top)| Some((*top, under(prefix)?))).ok_or(Error::new(ENOENT))
    }
}
