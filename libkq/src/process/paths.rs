//! What is done to paths without opening them.

use alloc::vec::Vec;

use abi::error::{EBADMSG, ENOENT, ENOTDIR, EXDEV, Error, Result};
use abi::flag::{O_NONBLOCK, O_RDONLY};
use event_protocol::descriptor::names::FILES;
use event_protocol::descriptor::{Control, ControlReply, Entry, FileType, PathReply, PathRequest, Stat};

use super::Process;
use super::transfer::stat_of_set;
use crate::devpoll;
use crate::machine::service_of;
use crate::platform::Platform;

/// Where devices have their paths.
const DEVICES: &str = "/dev/";

/// A path of the service of local sockets.
const SOCKETS: &str = "/run/socket";

impl<P: Platform> Process<P> {
    fn done(&self, path: &str, request: PathRequest) -> Result<()> {
        done(self.platform.path(path, request)?)
    }

    /// Asks of a name that may be a socket's: they have names of any text, and what is no file of whoever serves such paths
    /// is looked for among them.
    fn file_or_socket(&self, path: &str, request: PathRequest) -> Result<PathReply> {
        match self.platform.path(path, request.clone()) {
            Err(error) if matches!(error.errno, ENOENT | ENOTDIR) => {
                self.platform.path(SOCKETS, request).map_err(|_| error)
            }
            asked => asked,
        }
    }

    /// Whether files are served there and one has this name.
    pub(super) fn is_file(&self, path: &str) -> bool {
        let files = FILES.iter().any(|&files| service_of(path) == service_of(files));
        files && self.platform.path(path, PathRequest::Stat { path: path.into() }).is_ok()
    }

    /// Removes a name, of a file or of a local socket. `unlink(2)`.
    pub fn unlink(&self, path: &str) -> Result<()> {
        done(self.file_or_socket(path, PathRequest::Unlink { path: path.into() })?)
    }

    /// Gives a file another name, over one that is there. `EXDEV`: the two are different services'. `rename(2)`.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        same_service(from, to)?;
        self.done(from, PathRequest::Rename { from: from.into(), to: to.into() })
    }

    /// Gives a file one more name. `link(2)`.
    pub fn link(&self, from: &str, to: &str) -> Result<()> {
        same_service(from, to)?;
        self.done(from, PathRequest::Link { from: from.into(), to: to.into() })
    }

    /// Makes a directory. `mkdir(2)`.
    pub fn mkdir(&self, path: &str, mode: u16) -> Result<()> {
        self.done(path, PathRequest::MakeDirectory { path: path.into(), mode })
    }

    /// Removes an empty directory. `rmdir(2)`.
    pub fn rmdir(&self, path: &str) -> Result<()> {
        self.done(path, PathRequest::RemoveDirectory { path: path.into() })
    }

    /// What a file is. Of a device that has no names to tell of it is known when it is open: it is opened, without waiting,
    /// and closed again. `stat(2)`.
    pub fn stat_path(&self, path: &str) -> Result<Stat> {
        if path == devpoll::PATH {
            return Ok(stat_of_set(FileType::Device, 0o600));
        }
        match self.file_or_socket(path, PathRequest::Stat { path: path.into() }) {
            Ok(PathReply::Stat(stat)) => Ok(stat),
            Ok(_) => Err(Error::new(EBADMSG)),
            Err(_) if path.starts_with(DEVICES) => {
                let flags = (O_RDONLY | O_NONBLOCK) as u64;
                self.stat_of(&self.unnumbered(self.platform.open(path, flags)?, flags))
            }
            Err(error) => Err(error),
        }
    }

    /// Cuts or extends a file. `truncate(2)`.
    pub fn truncate_path(&self, path: &str, length: u64) -> Result<()> {
        self.done(path, PathRequest::Truncate { path: path.into(), length })
    }

    /// Changes permissions. `chmod(2)`.
    pub fn chmod(&self, path: &str, mode: u16) -> Result<()> {
        self.done(path, PathRequest::SetMode { path: path.into(), mode })
    }

    /// Some names of an open directory from a cookie on, 0 at first, and where to go on. `readdir(3)`.
    pub fn read_directory(&self, fd: i32, cookie: u64) -> Result<(Vec<Entry>, Option<u64>)> {
        match self.control(fd, Control::ReadDirectory(cookie))? {
            ControlReply::Path(PathReply::Entries { entries, next }) => Ok((entries, next)),
            _ => Err(Error::new(EBADMSG)),
        }
    }

    /// All names of a directory.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let (mut all, mut at) = (Vec::new(), Some(0));
        while let Some(cookie) = at {
            match self.platform.path(path, PathRequest::ReadDirectory { path: path.into(), cookie })? {
                PathReply::Entries { entries, next } => {
                    // R56: a driver that has always more and tells nothing.
                    at = next.filter(|_| !entries.is_empty());
                    all.extend(entries);
                }
                _ => return Err(Error::new(EBADMSG)),
            }
        }
        Ok(all)
    }
}

fn done(reply: PathReply) -> Result<()> {
    match reply {
        PathReply::Done => Ok(()),
        _ => Err(Error::new(EBADMSG)),
    }
}

fn same_service(from: &str, to: &str) -> Result<()> {
    if service_of(from)? == service_of(to)? { Ok(()) } else { Err(Error::new(EXDEV)) }
}
