//! Threads as the IPC logic sees them.

use abi::status::Waits;

use crate::{
    arena::Id, endpoint::Endpoint, notification::Notification, process::Process, quota::Charge,
    watch::NO_WATCH,
};

/// Names a thread.
pub type ThreadId = Id<Thread>;

/// No thread, in links between threads.
pub const NO_THREAD: u32 = u32::MAX;

/// Where a thread waits. It is in the queue that this names, and in no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Nowhere: running, ready or suspended.
    Not,
    /// For a receiver to take its message; it called with this badge.
    Call {
        /// The endpoint it called.
        endpoint: Id<Endpoint>,
        /// The badge of the handle it used.
        badge: u64,
    },
    /// For the reply of a process that took its message.
    Reply {
        /// The process that owns the endpoint; only its threads may answer.
        server: Id<Process>,
    },
    /// For a message.
    Recv {
        /// The endpoint it receives on.
        endpoint: Id<Endpoint>,
    },
    /// For bits.
    Notification {
        /// The notification it waits on.
        notification: Id<Notification>,
    },
    /// For a futex wake.
    Futex {
        /// Address of the word in the thread's own address space.
        address: u64,
    },
}

impl Wait {
    /// As a program is told.
    pub fn told(&self) -> Waits {
        match self {
            Wait::Not => Waits::Not,
            Wait::Call { .. } | Wait::Reply { .. } => Waits::Answer,
            Wait::Recv { .. } => Waits::Message,
            Wait::Notification { .. } => Waits::Notification,
            Wait::Futex { .. } => Waits::Futex,
        }
    }
}

/// What a wait ended with, for the thread's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// An errno in the result register.
    Error(i32),
    /// Zero in the result register.
    Success,
    /// The bits of a notification that it waited for.
    Bits(u64),
    /// The bits of the bound notification, as a message.
    NotificationMessage(u64),
    /// The last handle with this badge is closed, as a message.
    ClosedMessage(u64),
}

/// A thread.
pub struct Thread {
    /// Its process.
    pub process: Id<Process>,
    /// The kernel's own word for it: where its registers are saved.
    pub block: u64,
    /// Where it waits.
    pub wait: Wait,
    /// Outcome of a wait that was ended by somebody else's operation, until the kernel has written it to the registers.
    pub outcome: Outcome,
    /// Links of the queue it is in.
    pub next: u32,
    /// See `next`.
    pub prev: u32,
    /// The notification that its receives hear too.
    pub bound: Option<Id<Notification>>,
    /// The reply token of its current call.
    pub token: u64,
    /// Position in a [`DeadlineQueue`](crate::deadline::DeadlineQueue) plus the CPU that owns the queue.
    pub deadline: Option<DeadlineSlot>,
    /// Ended, or to end at the next chance.
    pub dead: bool,
    /// Off its CPU and out of every queue for good: only handles keep this record. A dead one may still be running.
    pub ended: bool,
    /// Not to run although it waits nowhere.
    pub suspended: bool,
    /// Suspended, and off its CPU and every run queue: starting it must make it ready.
    pub parked: bool,
    /// Handles to it.
    pub handles: u32,
    /// First of those who are told when it has ended.
    pub first_watch: u32,
    /// The next thread of the process.
    pub sibling: u32,
    /// What it costs.
    pub charge: Option<Charge>,
}

/// Where a thread's deadline is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeadlineSlot {
    /// The CPU whose queue holds it.
    pub cpu: u8,
    /// Its position there.
    pub position: u32,
}

impl Thread {
    /// What a position without a thread holds: dead, waiting nowhere.
    pub(crate) const fn vacant() -> Thread {
        Thread {
            process: Id::new(u32::MAX, 0),
            block: 0,
            wait: Wait::Not,
            outcome: Outcome::Success,
            next: NO_THREAD,
            prev: NO_THREAD,
            bound: None,
            token: 0,
            deadline: None,
            dead: true,
            ended: true,
            suspended: true,
            parked: true,
            handles: 0,
            first_watch: NO_WATCH,
            sibling: NO_THREAD,
            charge: None,
        }
    }
}
