//! The kernel's logic without the machine: handles, IPC, notifications, futexes, scheduling, deadlines, quotas.
//!
//! Nothing here touches hardware, memory maps or registers, and nothing is `unsafe`; the kernel binary wraps this state
//! in its locks, moves message words between register frames, and switches threads as the outcomes say. That makes
//! every rule testable on the host in milliseconds.
//!
//! Rules that hold everywhere:
//! 1. No operation on the event path allocates: queues are linked through the objects that wait in them.
//! 2. A thread waits in at most one place ([`thread::Wait`]), and only the code that takes it out of there wakes it.
//! 3. Every id carries a generation; a stale id finds nothing.
//! 4. What a process can make grow is charged to its [`quota::Account`] first.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod arena;
pub mod deadline;
pub mod endpoint;
pub mod futex;
pub mod handle_table;
pub mod irq;
pub mod notification;
pub mod object;
pub mod objects;
pub mod process;
pub mod quota;
pub mod run_queue;
pub mod thread;
pub mod thread_queue;
pub mod thread_table;
pub mod transfer;
pub mod watch;

pub use objects::Objects;
