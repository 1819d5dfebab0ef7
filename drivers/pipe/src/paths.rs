//! Requests about names of FIFOs.

use crate::names::{self, Place};
use abi::error::{EEXIST, EINVAL, ENOENT, ENOTDIR, EPERM, Error, Result};
use driver_sdk::{FileType, PathReply, PathRequest, Stat};

use crate::pipes::Pipes;

impl Pipes {
    /// Does what is asked of a name.
    pub(crate) fn act_on_name(&mut self, request: &PathRequest) -> Result<PathReply> {
        match request {
            PathRequest::MakeFifo { path, mode } => {
                let name = match names::place(path)? {
                    Place::Directory => return Err(Error::new(EEXIST)),
                    Place::Name(name) => name,
                };
                // Nothing is made before the name is known to be free.
                self.names.add(name, self.last + 1)?;
                self.create(*mode & 0o7777, true, 0);
            }
            PathRequest::Unlink { path } => {
                let number = self.names.remove(names::name(path)?)?;
                self.unnamed(number);
            }
            PathRequest::Rename { from, to } => {
                if let Some(number) = self.names.rename(names::name(from)?, names::name(to)?)? {
                    self.unnamed(number);
                }
            }
            PathRequest::Link { from, to } => {
                let number = self.names.find(names::name(from)?)?;
                self.names.add(names::name(to)?, number)?;
            }
            PathRequest::Stat { path } => {
                return match names::place(path)? {
                    Place::Directory => Ok(PathReply::Stat(stat(0, FileType::Directory, 0o777, 2))),
                    Place::Name(name) => self.stat(self.names.find(name)?).map(PathReply::Stat),
                };
            }
            PathRequest::ReadDirectory { path, cookie } => {
                return match names::place(path)? {
                    Place::Directory => self.names.list(*cookie),
                    Place::Name(name) => {
                        Err(self.names.find(name).map_or_else(|e| e, |_| Error::new(ENOTDIR)))
                    }
                };
            }
            PathRequest::SetMode { path, mode } => {
                let number = self.names.find(names::name(path)?)?;
                if let Some(pipe) = self.pipes.get_mut(&number) {
                    pipe.mode = *mode & 0o7777;
                }
            }
            PathRequest::Truncate { path, .. } => {
                self.names.find(names::name(path)?)?;
                return Err(Error::new(EINVAL));
            }
            PathRequest::MakeDirectory { .. } | PathRequest::RemoveDirectory { .. } => {
                return Err(Error::new(EPERM));
            }
        }
        Ok(PathReply::Done)
    }

    pub(crate) fn stat(&self, number: u64) -> Result<Stat> {
        let pipe = self.pipes.get(&number).ok_or(Error::new(ENOENT))?;
        Ok(stat(number, FileType::Fifo, pipe.mode, self.names.links(number)))
    }
}

/// Times are not kept.
fn stat(inode: u64, file_type: FileType, mode: u16, links: u32) -> Stat {
    Stat { inode, file_type, mode, links, size: 0, accessed: 0, modified: 0, changed: 0 }
}
