//! An open file: what numbers that were duplicated share.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::error::{EINVAL, EOWNERDEAD, EPERM, ESPIPE, Result};
use abi::flag::{O_APPEND, O_NONBLOCK};
use event_protocol::descriptor::{Control, ControlReply, DURABLE, Kind, Whence};
use event_protocol::filter::Filters;

use crate::description::Description;
use crate::interruption::Interruption;
use crate::nesting::Inner;
use crate::platform::{Platform, Source};
use crate::sync::Mutex;

/// What can be watched.
pub enum Target<P: Platform> {
    /// A file.
    File(Arc<File<P>>),
    /// A set.
    Set(Arc<dyn Inner>),
}

impl<P: Platform> Target<P> {
    /// Its numbers, and who watches it.
    pub fn description(&self) -> &Description {
        match self {
            Target::File(file) => &file.description,
            Target::Set(set) => set.description(),
        }
    }
}

/// How a call finds what numbers stand for, and what may interrupt it.
pub trait Files<P: Platform> {
    /// The file; `EBADF` when the number is not open, `EINVAL` when it is none that can be watched.
    fn file(&self, fd: i32) -> Result<Arc<File<P>>>;

    /// The file or set; `EBADF` when the number is not open.
    fn target(&self, fd: i32) -> Result<Target<P>>;

    /// R56: has the driver of a number say what there is to watch, before a lock is taken that others need. What it said
    /// is [known](File::known) then.
    fn ask(&self, fd: i32) {
        if let Ok(Target::File(file)) = self.target(fd) {
            let _ = file.pollable();
        }
    }

    /// What may interrupt a wait.
    fn interruption(&self) -> Option<Arc<dyn Interruption>>;

    /// A look that did not wait is over: handlers of what is due run. Nearly always nothing is, and this is a load and a
    /// branch.
    fn boundary(&self);
}

/// An open file at its driver.
pub struct File<P: Platform> {
    /// Its numbers, and who watches it.
    pub description: Description,
    platform: Arc<P>,
    handle: P::File,
    flags: AtomicU64,
    /// Held while the driver is asked.
    asking: Mutex<()>,
    source: Mutex<Option<Asked<P>>>,
    /// Whether a durable file has a position: asked once.
    positioned: Mutex<Option<bool>>,
}

/// What a driver said when it was asked last what there is to watch.
type Asked<P> = Result<Arc<Source<<P as Platform>::Memory>>>;

impl<P: Platform> File<P> {
    /// A file that was opened with these `O_*` flags.
    pub fn new(platform: Arc<P>, handle: P::File, flags: u64) -> File<P> {
        let file = File {
            description: Description::new(),
            platform,
            handle,
            flags: AtomicU64::new(flags),
            asking: Mutex::new(()),
            source: Mutex::new(None),
            positioned: Mutex::new(None),
        };
        if file.is_durable() {
            // By its source it finds the next driver. One that cannot be had now is asked for again.
            let _ = file.source();
        }
        file
    }

    /// Whether it survives its driver's restart.
    pub fn is_durable(&self) -> bool {
        self.flags() & DURABLE != 0
    }

    /// Whether its driver is known to be away.
    pub(crate) fn is_away(&self) -> bool {
        matches!(&*self.source.lock(), Some(Ok(source)) if source.cell.is_away())
    }

    /// Whether it has a position, from which reads go on. Of a driver that does not say, it has. `EOWNERDEAD`: the driver is gone.
    pub(crate) fn is_positioned(&self) -> Result<bool> {
        if let Some(known) = *self.positioned.lock() {
            return Ok(known);
        }
        let asked = Control::Seek { whence: Whence::Current, offset: 0 };
        let known = match self.platform.control(&self.handle, asked, 0) {
            Ok(_) => true,
            Err(error) if [ESPIPE, EINVAL].contains(&error.errno) => false,
            Err(error) if error.errno == EOWNERDEAD => return Err(error),
            Err(_) => return Ok(true),
        };
        *self.positioned.lock() = Some(known);
        Ok(known)
    }

    /// The source to watch, adopted the first time that somebody asks. Takes as long as its driver takes, so it is not for
    /// where others wait (R56): [`known`](File::known) is.
    pub fn source(&self) -> Result<Arc<Source<P::Memory>>> {
        let _asking = self.asking.lock();
        let known = self.source.lock().clone();
        if let Some(Ok(source)) = known {
            return Ok(source);
        }
        let adopted = self.platform.adopt(&self.handle).map(Arc::new);
        *self.source.lock() = Some(adopted.clone());
        adopted
    }

    /// The same as far as it was asked for before: an answer, or an error, that is known already. A number that has become
    /// this file's only now is asked about nevertheless.
    pub fn known(&self) -> Result<Arc<Source<P::Memory>>> {
        let known = self.source.lock().clone();
        known.unwrap_or_else(|| self.source())
    }

    /// The source by which poll, select, epoll and /dev/poll watch it; `None` when it is always ready to them, as regular
    /// files are and what has neither reading nor writing.
    pub fn pollable(&self) -> Result<Option<Arc<Source<P::Memory>>>> {
        self.polled_by(File::source)
    }

    /// The same of what is [known](File::known).
    pub fn known_pollable(&self) -> Result<Option<Arc<Source<P::Memory>>>> {
        self.polled_by(File::known)
    }

    fn polled_by(&self, source: impl FnOnce(&File<P>) -> Asked<P>) -> Result<Option<Arc<Source<P::Memory>>>> {
        const POLLED: Filters = Filters::READ.union(Filters::WRITE).union(Filters::EXCEPT);
        if self.platform.kind(&self.handle) == Kind::File {
            return Ok(None);
        }
        match source(self) {
            Ok(source) => Ok(Some(source).filter(|source| source.filters.intersects(POLLED))),
            Err(error) if error.errno == EPERM => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether calls on it never wait.
    pub fn is_nonblocking(&self) -> bool {
        self.flags() & O_NONBLOCK as u64 != 0
    }

    /// The `O_*` flags that it was opened with, as they are now: they are the open file's, so all its numbers'.
    pub fn flags(&self) -> u64 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Sets those of the flags that can be changed, and clears them otherwise.
    pub fn set_flags(&self, flags: u64) {
        const CHANGEABLE: u64 = (O_NONBLOCK | O_APPEND) as u64;
        let set = |old: u64| Some(old & !CHANGEABLE | flags & CHANGEABLE);
        // It never refuses.
        let _ = self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, set);
    }

    /// Its driver's name for it.
    pub fn handle(&self) -> &P::File {
        &self.handle
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.platform.kind(&self.handle)
    }

    /// Anything else, waiting where it must. See [`Process::control`](crate::process::Process::control) for durable ones.
    pub fn control(&self, control: Control) -> Result<ControlReply> {
        self.platform.control(&self.handle, control, 0)
    }
}

impl<P: Platform> Drop for File<P> {
    fn drop(&mut self) {
        if let Some(Ok(source)) = self.source.lock().take() {
            self.platform.release(source.id);
        }
    }
}
