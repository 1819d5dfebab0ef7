//! System calls with types: one owned type for each kind of kernel object, closed when dropped.
//!
//! A wrong handle, a missing right or a bad argument is an error of the call, never undefined behaviour; only what
//! changes the caller's own address space or runs foreign code is `unsafe`.

mod endpoint;
mod futex;
mod handle;
mod irq;
mod memory;
mod notification;
mod process;
pub mod raw;
mod system;
mod thread;

pub use endpoint::Endpoint;
pub use futex::{futex_wait, futex_wake};
pub use handle::{AnyHandle, Object, close, duplicate, info};
pub use irq::{Hardware, Irq};
pub use memory::{Mapping, Memory, map_self, unmap_self};
pub use notification::{Notification, signal};
pub(crate) use process::create_own_thread;
pub use process::{Process, Quota, exit};
pub use raw::{Received, Registers};
pub use system::{counters, log_line, monotonic, null, realtime, yield_now};
pub use thread::{Thread, exit_thread, set_affinity, set_priority, set_thread_pointer};
