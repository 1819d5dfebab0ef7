//! An open file: what numbers that were duplicated share.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::error::Result;
use abi::flag::O_NONBLOCK;
use event_protocol::descriptor::{Control, ControlReply, NONBLOCK};

use crate::kqueue::Kqueue;
use crate::platform::{Platform, Read, Source};
use crate::sync::Mutex;

/// An open file at its driver.
pub struct File<P: Platform> {
    platform: Arc<P>,
    handle: P::File,
    flags: AtomicU64,
    source: Mutex<Option<Arc<Source<P::Memory>>>>,
    watchers: Mutex<Vec<Weak<Kqueue<P>>>>,
}

impl<P: Platform> File<P> {
    /// A file that was opened with these `O_*` flags.
    pub fn new(platform: Arc<P>, handle: P::File, flags: u64) -> File<P> {
        File {
            platform,
            handle,
            flags: AtomicU64::new(flags),
            source: Mutex::new(None),
            watchers: Mutex::new(Vec::new()),
        }
    }

    /// The source to watch, adopted the first time that somebody asks.
    pub fn source(&self) -> Result<Arc<Source<P::Memory>>> {
        let mut source = self.source.lock();
        match &*source {
            Some(source) => Ok(source.clone()),
            None => {
                let adopted = Arc::new(self.platform.adopt(&self.handle)?);
                *source = Some(adopted.clone());
                Ok(adopted)
            }
        }
    }

    /// Remembers a queue that has notes on it.
    pub fn watched_by(&self, queue: &Arc<Kqueue<P>>) {
        let mut watchers = self.watchers.lock();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        if !watchers.iter().any(|watcher| watcher.as_ptr() == Arc::as_ptr(queue)) {
            watchers.push(Arc::downgrade(queue));
        }
    }

    /// Queues that may have notes on it.
    pub fn watchers(&self) -> Vec<Arc<Kqueue<P>>> {
        self.watchers.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Whether calls on it never wait.
    pub fn is_nonblocking(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & O_NONBLOCK as u64 != 0
    }

    /// Makes calls on it wait or not: it is the open file's, so all its numbers'.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        if nonblocking {
            self.flags.fetch_or(O_NONBLOCK as u64, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!(O_NONBLOCK as u64), Ordering::Relaxed);
        }
    }

    fn transfer_flags(&self) -> u64 {
        if self.is_nonblocking() { NONBLOCK } else { 0 }
    }

    /// Reads.
    pub fn read(&self, buffer: &mut [u8]) -> Result<Read> {
        self.platform.read(&self.handle, buffer, self.transfer_flags())
    }

    /// Writes.
    pub fn write(&self, bytes: &[u8]) -> Result<usize> {
        self.platform.write(&self.handle, bytes, self.transfer_flags())
    }

    /// Anything else.
    pub fn control(&self, control: Control) -> Result<ControlReply> {
        self.platform.control(&self.handle, control)
    }
}

impl<P: Platform> Drop for File<P> {
    fn drop(&mut self) {
        if let Some(source) = self.source.lock().take() {
            self.platform.release(source.id);
        }
    }
}
