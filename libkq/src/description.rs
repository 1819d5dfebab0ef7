//! What every open description has, whatever it is: a name of its own, its numbers, and who watches it.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::ending::Ending;
use crate::nesting::Inner;
use crate::sync::Mutex;

/// Names of open descriptions, never used twice in a process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Who has notes on descriptors and must hear when they are closed, and when a thread ends that waits for them.
pub trait Watcher: Ending {
    /// A number of a description is being closed, and is neither usable nor free before this returns. `last`: no other
    /// number stands for it.
    fn closed(&self, description: u64, fd: i32, last: bool);
}

/// The part of an open description that numbers and notes are concerned with.
pub struct Description {
    name: u64,
    numbers: AtomicU32,
    watchers: Mutex<Vec<Weak<dyn Watcher>>>,
    /// Sets that a set lies in, or lay in.
    around: Mutex<Vec<Weak<dyn Inner>>>,
}

impl Default for Description {
    fn default() -> Self {
        Description::new()
    }
}

impl Description {
    /// A description without numbers.
    pub fn new() -> Description {
        Description {
            name: NEXT.fetch_add(1, Ordering::Relaxed),
            numbers: AtomicU32::new(0),
            watchers: Mutex::new(Vec::new()),
            around: Mutex::new(Vec::new()),
        }
    }

    /// Its name.
    pub fn name(&self) -> u64 {
        self.name
    }

    /// It has one more number.
    pub fn numbered(&self) {
        self.numbers.fetch_add(1, Ordering::Relaxed);
    }

    /// One of its numbers is being closed: who watches it hears of it first (R31). True for the last.
    pub fn close(&self, fd: i32) -> bool {
        let last = self.numbers.fetch_sub(1, Ordering::AcqRel) == 1;
        let watchers: Vec<_> = self.watchers.lock().iter().filter_map(Weak::upgrade).collect();
        for watcher in watchers {
            watcher.closed(self.name, fd, last);
        }
        last
    }

    /// Remembers a set that it is put into.
    pub fn lies_in(&self, set: Weak<dyn Inner>) {
        let mut around = self.around.lock();
        around.retain(|known| known.strong_count() > 0 && !ptr::addr_eq(known.as_ptr(), set.as_ptr()));
        around.push(set);
    }

    /// Sets that it lies in, or lay in.
    pub fn sets_around(&self) -> Vec<Arc<dyn Inner>> {
        self.around.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Remembers who has notes on it.
    pub fn watched_by(&self, watcher: &Weak<dyn Watcher>) {
        let mut watchers = self.watchers.lock();
        watchers.retain(|known| known.strong_count() > 0);
        if !watchers.iter().any(|known| ptr::addr_eq(known.as_ptr(), watcher.as_ptr())) {
            watchers.push(watcher.clone());
        }
    }
}
