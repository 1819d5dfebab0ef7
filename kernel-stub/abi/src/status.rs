//! How processes and threads end.

/// [`ProcessStatus::state`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum State {
    /// Not ended.
    Alive = 0,
    /// Ended by itself or by a kill; `code` is what was given to the call.
    Exited = 1,
    /// Ended by a processor exception: `vector`, `error`, `address` and `instruction` say which and where.
    Faulted = 2,
}

/// What [`SYS_PROCESS_STATUS`](crate::number::SYS_PROCESS_STATUS) tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct ProcessStatus {
    /// A [`State`] as a number.
    pub state: u32,
    /// Exception vector (Intel SDM volume 3, table 6-1).
    pub vector: u32,
    /// Status given to the call that ended it.
    pub code: i64,
    /// Error code of the exception.
    pub error: u64,
    /// The address it accessed (page fault).
    pub address: u64,
    /// Its instruction pointer at the exception.
    pub instruction: u64,
    /// Threads alive.
    pub threads: u64,
    /// Bytes of its quota in use.
    pub quota_used: u64,
    /// Its quota in bytes.
    pub quota_limit: u64,
}
