//! Locks that sleep in the kernel only when there is somebody to wait for.

mod condvar;
pub mod futex;
mod mutex;
mod once;

pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard, RawMutex};
pub use once::OnceLock;
