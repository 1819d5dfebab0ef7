//! What is done to paths of a driver's, without opening them.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A request about paths. All are whole paths of this service, up to [`MAX_PATH`](super::MAX_PATH) bytes; permissions are the low
/// 12 bits of a mode.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PathRequest {
    /// Removes a name (unlink(2)). → [`PathReply::Done`].
    Unlink {
        /// The name.
        path: String,
    },
    /// Gives a file another name, over one that is there (rename(2)). → `Done`.
    Rename {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// Gives a file one more name (link(2)). → `Done`.
    Link {
        /// A name it has.
        from: String,
        /// The new one: EEXIST.
        to: String,
    },
    /// Makes a directory (mkdir(2)). → `Done`.
    MakeDirectory {
        /// Its name.
        path: String,
        /// Permissions.
        mode: u16,
    },
    /// Removes an empty directory (rmdir(2)). → `Done`.
    RemoveDirectory {
        /// Its name.
        path: String,
    },
    /// Makes a FIFO (mkfifo(2)). → `Done`.
    MakeFifo {
        /// Its name.
        path: String,
        /// Permissions.
        mode: u16,
    },
    /// What a file is (stat(2)). → [`PathReply::Stat`].
    Stat {
        /// Its name.
        path: String,
    },
    /// Names in a directory. → [`PathReply::Entries`].
    ReadDirectory {
        /// Its name.
        path: String,
        /// 0, or where the answer before ended.
        cookie: u64,
    },
    /// Cuts or extends a file (truncate(2)). → `Done`.
    Truncate {
        /// Its name.
        path: String,
        /// Its new length.
        length: u64,
    },
    /// Changes permissions (chmod(2)). → `Done`.
    SetMode {
        /// Its name.
        path: String,
        /// Permissions.
        mode: u16,
    },
}

/// Answers to [`PathRequest`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PathReply {
    /// It is done.
    Done,
    /// What the file is.
    Stat(Stat),
    /// Names: as many as there is room for.
    Entries {
        /// The names.
        entries: Vec<Entry>,
        /// Where to go on; `None` when these were the last.
        next: Option<u64>,
    },
}

/// A name in a directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The name, without the directory's.
    pub name: String,
    /// The file's number.
    pub inode: u64,
    /// What it is.
    pub file_type: FileType,
}

/// Types of files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A FIFO or pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device.
    Device,
    /// None of these, as a set that only a descriptor stands for: no bits of a type.
    Anonymous,
}

/// What a file is (stat(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stat {
    /// Its number in its file system.
    pub inode: u64,
    /// Its type.
    pub file_type: FileType,
    /// Permissions.
    pub mode: u16,
    /// Names that it has.
    pub links: u32,
    /// Its length in bytes.
    pub size: u64,
    /// Last read, in ns since 1970.
    pub accessed: u64,
    /// Last written, in ns since 1970.
    pub modified: u64,
    /// Last changed in any way, in ns since 1970.
    pub changed: u64,
}
