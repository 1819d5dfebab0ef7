//! The files. Small ones stay in memory until the file system says that they changed: notes of `EVFILT_VNODE` watch each and
//! the directories that it is in, and a look at the notes takes no system call.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use libkq::control::FileType;
use libkq::event::note;
use libkq::flag::{O_CREAT, O_RDONLY, O_WRONLY};
use libkq::{Descriptor, Error, Filter, KEvent, Queue, Result, process};
use rt::abi::error::{EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR};

use crate::response::Status;

/// Larger files are read anew each time.
const LARGEST_KEPT: u64 = 32 << 10;
/// Files that are kept.
const KEPT: usize = 64;
/// What a directory's page is called.
const INDEX: &str = "index.html";
/// The page of a site that has none yet.
pub const FIRST_PAGE: &[u8] = include_bytes!("../site/index.html");

/// What there is of a file.
#[derive(Clone, Debug)]
pub enum Document {
    /// All of it.
    Kept(Arc<[u8]>),
    /// A file to read from, and how long it is.
    File(Arc<Descriptor>, u64),
}

/// A file in memory.
#[derive(Debug)]
struct Kept {
    file: Descriptor,
    above: Vec<Arc<Descriptor>>,
    bytes: Arc<[u8]>,
}

/// The files below a root.
#[derive(Debug)]
pub struct Site {
    root: String,
    kept: BTreeMap<String, Kept>,
    /// Directories above them, by their paths.
    directories: BTreeMap<String, Arc<Descriptor>>,
    /// Notes on all of them.
    changes: Queue,
}

impl Site {
    /// The site below this root.
    pub fn new(root: &str) -> Result<Site> {
        Ok(Site {
            root: root.into(),
            kept: BTreeMap::new(),
            directories: BTreeMap::new(),
            changes: Queue::new()?,
        })
    }

    /// Finds a file; a path that ends with a slash means the directory's page.
    pub fn find(&mut self, path: &str) -> core::result::Result<Document, Status> {
        self.forget_what_changed().map_err(|_| Status::Failed)?;
        if let Some(kept) = self.kept.get(path) {
            return Ok(Document::Kept(kept.bytes.clone()));
        }
        let index = if path.ends_with('/') { INDEX } else { "" };
        self.open(path, &format!("{}{path}{index}", self.root)).map_err(|error| match error.errno {
            ENOENT | ENOTDIR | EISDIR | ENAMETOOLONG => Status::NotFound,
            _ => Status::Failed,
        })
    }

    fn open(&mut self, path: &str, file: &str) -> Result<Document> {
        let descriptor = Descriptor::open(file, O_RDONLY)?;
        let fd = descriptor.number();
        let stat = process().stat(fd)?;
        if stat.file_type != FileType::Regular {
            return Err(Error::new(EISDIR));
        }
        if stat.size > LARGEST_KEPT {
            return Ok(Document::File(Arc::new(descriptor), stat.size));
        }
        let above = self.watch_above(file);
        // Watched first and read then: what changes in between is told.
        let changes = note::VNODE & !note::READ & !note::OPEN & !note::CLOSE;
        let is_watched = self.watch(&descriptor, file, changes);
        let bytes: Arc<[u8]> = read(fd, stat.size as usize)?.into();
        if let (Ok(above), Ok(())) = (above, is_watched) {
            if self.kept.len() == KEPT {
                self.kept.pop_first();
            }
            self.kept.insert(path.into(), Kept { file: descriptor, above, bytes: bytes.clone() });
        }
        self.forget_directories();
        Ok(Document::Kept(bytes))
    }

    /// Watches the directories above a file: one that is renamed, or that another one replaces, takes the file's path from it.
    fn watch_above(&mut self, file: &str) -> Result<Vec<Arc<Descriptor>>> {
        let mut above = Vec::new();
        for (end, _) in file.match_indices('/').filter(|&(end, _)| end > 0 && !file[..end].ends_with('/')) {
            let path = &file[..end];
            let directory = match self.directories.get(path) {
                Some(directory) => directory.clone(),
                None => Arc::new(Descriptor::open(path, O_RDONLY)?),
            };
            if !self.directories.contains_key(path) {
                self.watch(&directory, path, note::RENAME | note::DELETE | note::REVOKE)?;
                self.directories.insert(path.into(), directory.clone());
            }
            above.push(directory);
        }
        Ok(above)
    }

    /// Watches what was opened by this path. `ENOENT`: meanwhile the path leads elsewhere.
    fn watch(&self, descriptor: &Descriptor, path: &str, changes: u32) -> Result<()> {
        let fd = descriptor.number();
        let note = KEvent { fflags: changes, ..KEvent::new(fd as usize, Filter::VNODE) };
        self.changes.apply(&[note.add().clear()])?;
        let is_it = process().stat_path(path)?.inode == process().stat(fd)?.inode;
        if is_it { Ok(()) } else { Err(Error::new(ENOENT)) }
    }

    fn forget_what_changed(&mut self) -> Result<()> {
        let mut events = [KEvent::default(); 16];
        loop {
            let told = self.changes.wait(&mut events, Some(Duration::ZERO))?;
            if told.is_empty() {
                return Ok(());
            }
            for event in told {
                let is_other = |descriptor: &Descriptor| descriptor.number() != event.ident as i32;
                self.kept
                    .retain(|_, kept| is_other(&kept.file) && kept.above.iter().all(|above| is_other(above)));
                self.directories.retain(|_, directory| is_other(directory));
            }
            self.forget_directories();
        }
    }

    /// Closes directories in which no file is kept.
    fn forget_directories(&mut self) {
        self.directories.retain(|_, directory| Arc::strong_count(directory) > 1);
    }
}

/// Reads a file, which may have become shorter.
fn read(fd: i32, size: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Error::new(ENOMEM))?;
    bytes.resize(size, 0);
    let count = process().read_whole(fd, &mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Makes the root and its first page where there is none.
pub fn furnish(root: &str) -> Result<()> {
    let mut at = 0;
    while at < root.len() {
        at = root[at + 1..].find('/').map_or(root.len(), |more| at + 1 + more);
        match process().mkdir(&root[..at], 0o755) {
            Err(error) if error.errno != EEXIST && at == root.len() => return Err(error),
            // Of what lies above, the root itself tells.
            _ => {}
        }
    }
    let page = format!("{root}/{INDEX}");
    match process().stat_path(&page) {
        Ok(_) => Ok(()),
        Err(_) => Descriptor::open(&page, O_WRONLY | O_CREAT)?.write_all(FIRST_PAGE),
    }
}
