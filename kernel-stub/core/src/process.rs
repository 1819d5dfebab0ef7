//! Processes: handles, threads, a quota, an end.

use crate::{
    arena::Id,
    handle_table::HandleTable,
    quota::{Account, Charge},
};
use abi::status::ProcessStatus;
use alloc::sync::Arc;

/// How far a process has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// Its threads may run.
    Alive,
    /// Its end is decided; threads on other CPUs may still be on their way out.
    Ending,
    /// No thread is left; the kernel closes its handles step by step, from this index.
    Closing(u32),
    /// Nothing is left but the status.
    Dead,
}

/// A process.
pub struct Process {
    /// What it has open.
    pub handles: HandleTable,
    /// The kernel's own word for it: its address space.
    pub block: u64,
    /// First of its threads ([`Thread::sibling`](crate::thread::Thread::sibling) links them).
    pub first_thread: u32,
    /// Threads that have not ended.
    pub threads: u32,
    /// No thread of it gets a higher one.
    pub highest_priority: u8,
    /// Who pays for what it makes.
    pub account: Arc<Account>,
    /// How far it has come.
    pub life: Life,
    /// How it ended.
    pub status: ProcessStatus,
    /// Handles to it.
    pub references: u32,
    /// First of those who are told when it has ended.
    pub first_watch: u32,
    /// One of its threads was let run once.
    pub started: bool,
    /// Who made it, and what it costs there; the first process was made by nobody.
    pub creator: Option<(Id<Process>, Charge)>,
}
