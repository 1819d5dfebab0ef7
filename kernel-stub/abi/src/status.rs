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

/// [`ProcessStatus::waits`]: what a thread waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Waits {
    /// Nothing: it runs, or would.
    Not = 0,
    /// That its call is answered.
    Answer = 1,
    /// A message.
    Message = 2,
    /// A notification.
    Notification = 3,
    /// A futex, or the end of a sleep.
    Futex = 4,
    /// Its turn: it would run, and better threads than it have its CPU.
    Turn = 5,
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
    /// Of a thread, [what it waits for](Waits) as a number: a hint, which may be old by now. Of a process 0.
    pub waits: u64,
}
