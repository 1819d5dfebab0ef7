//! The files. Small ones stay in memory until the file system says that they changed: a note of `EVFILT_VNODE` watches each, and
//! a look at the notes takes no system call.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use libkq::control::FileType;
use libkq::event::note;
use libkq::flag::{O_CREAT, O_RDONLY, O_WRONLY};
use libkq::{Descriptor, Error, Filter, KEvent, Queue, Result, process};
use rt::abi::error::{EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR};

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

/// The files below a root.
#[derive(Debug)]
pub struct Site {
    root: String,
    kept: BTreeMap<String, (Descriptor, Arc<[u8]>)>,
    /// Notes on the files that are kept.
    changes: Queue,
}

impl Site {
    /// The site below this root.
    pub fn new(root: &str) -> Result<Site> {
        Ok(Site { root: root.into(), kept: BTreeMap::new(), changes: Queue::new()? })
    }

    /// Finds a file; a path that ends with a slash means the directory's page.
    pub fn find(&mut self, path: &str) -> core::result::Result<Document, Status> {
        self.forget_what_changed().map_err(|_| Status::Failed)?;
        if let Some((_, bytes)) = self.kept.get(path) {
            return Ok(Document::Kept(bytes.clone()));
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
        // Watched first and read then: what changes in between is told.
        let watch = KEvent {
            fflags: note::VNODE & !note::READ & !note::OPEN & !note::CLOSE,
            ..KEvent::new(fd as usize, Filter::VNODE)
        };
        self.changes.apply(&[watch.add().clear()])?;
        let bytes: Arc<[u8]> = read(fd, stat.size as usize)?.into();
        if self.kept.len() == KEPT {
            self.kept.pop_first();
        }
        self.kept.insert(path.into(), (descriptor, bytes.clone()));
        Ok(Document::Kept(bytes))
    }

    fn forget_what_changed(&mut self) -> Result<()> {
        let mut events = [KEvent::default(); 16];
        loop {
            let told = self.changes.wait(&mut events, Some(Duration::ZERO))?;
            if told.is_empty() {
                return Ok(());
            }
            for event in told {
                self.kept.retain(|_, (file, _)| file.number() != event.ident as i32);
            }
        }
    }
}

/// Reads a file, which may have become shorter.
fn read(fd: i32, size: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; size];
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
