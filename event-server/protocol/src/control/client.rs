//! What a client asks on its session handle.

use super::policy::Policy;
use crate::badge::SourceId;
use crate::filter::Filters;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A queue of a session: the client's own number for it, 0 to [`MAX_QUEUES`](super::limits::MAX_QUEUES) - 1.
pub type QueueNumber = u32;

/// A request on a session handle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Handle 0 = notification (right to signal) of waiter `number`: bit 0 is signalled when it is chosen. Replaces an
    /// earlier one. Valid for all shards. → [`Reply::Done`].
    RegisterWaiter {
        /// Its number in the session, below [`MAX_WAITERS`](crate::park::MAX_WAITERS).
        number: u32,
    },
    /// Takes a waiter's notification back, when its thread ends. → [`Reply::Done`].
    ReleaseWaiter {
        /// Its number.
        number: u32,
    },
    /// Makes a queue known to all shards. Handle 0 = zeroed memory of the first bank:
    /// [`BankLayout::size`](crate::activation::BankLayout::size) for `slots` and the server's number of shards.
    /// → [`Reply::Done`]; EEXIST when the number is in use, EINVAL for a size that is not a bank's.
    CreateQueue {
        /// The number that the client gives it.
        queue: QueueNumber,
        /// Slots of the first bank.
        slots: u32,
    },
    /// Adds a bank. Handle 0 = its memory. → [`Reply::Bank`].
    GrowQueue {
        /// Which queue.
        queue: QueueNumber,
        /// Slots of the new bank.
        slots: u32,
    },
    /// Closes a queue: this shard drops its notes, and nobody can use it further. To be sent to every shard in which
    /// the session has notes. → [`Reply::Done`], also when the queue is already gone.
    CloseQueue {
        /// Which queue.
        queue: QueueNumber,
    },
    /// The session handle of another shard, whose sources the client is about to adopt. → [`Reply::Done`], handle 0 = that
    /// handle. EEXIST: it was given already, each comes once; EINVAL: no such shard.
    Meet {
        /// 0 to `shards - 1`.
        shard: u32,
    },
    /// From here on notes on a source of this shard may be made. Handle 0 = the watch handle, wherever it came from: it is
    /// the server's own, and arrives as its badge, or it is refused. → [`Reply::Adopted`], handle 0 = the page of cells,
    /// read-only; the same object each time for the same `page`, so a client that has it mapped closes the duplicate.
    /// EINVAL: no handle of the server's; EBADF: one of another kind; ENOENT: the source is another shard's; EACCES: it is
    /// another session's.
    Adopt,
    /// Gives up a source of this shard (R31): its notes are deleted in every queue of the session, and it cannot be
    /// used until adopted again. Before the watch handle is closed. → [`Reply::Done`].
    Release {
        /// Which source.
        source: SourceId,
    },
    /// Applies changes in order on notes whose sources are at home in this shard. → [`Reply::Changed`].
    Change {
        /// Which queue.
        queue: QueueNumber,
        /// Processing stops after so many failures (R2: room in the event list); at least one is reported.
        failures_allowed: u32,
        /// Up to [`MAX_CHANGES`](super::limits::MAX_CHANGES).
        changes: Vec<Change>,
    },
    /// A waiter that was chosen on this queue is not for it: it is gone, or was told of something else. If an exclusive note of
    /// the queue is true in this shard, somebody else who sleeps for its source is woken. → [`Reply::Done`].
    HandBack {
        /// Which queue.
        queue: QueueNumber,
    },
    /// The shard's counters. → [`Reply::Stats`].
    Stats,
    /// The descriptor of a durable source that a driver has gone on with. → [`Reply::Done`], handle 0 = a duplicate of it, as often as it
    /// is asked for. EAGAIN: no driver has yet; ENODEV: none will; ENOENT: the source was made by the present driver, or there is no such
    /// source.
    Reopen {
        /// Which source.
        source: SourceId,
    },
}

/// One change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// A note on a source, in a slot that [`Slot::begin`](crate::slot::Slot::begin) prepared. It is activated at once
    /// when it is true. EEXIST: the slot has a note; ENOENT: no such source, or not adopted; ENODEV: the source is
    /// gone; EINVAL: a filter that the source does not serve ([`Filters::HANGUP`] and
    /// [`Filters::GONE`] can be asked of any), or no slot; ENOMEM: quota.
    Add {
        /// The source.
        source: SourceId,
        /// Bank of the queue.
        bank: u8,
        /// Slot of the bank.
        slot: u32,
        /// Generation of the slot, not 0: comes back in ring entries.
        generation: u32,
        /// The filters it is interested in.
        filters: Filters,
        /// Which interface made it.
        view: View,
        /// It is one of those of which an arrival wakes one: see [`Slot::keep`](crate::slot::Slot::keep).
        exclusive: bool,
    },
    /// Widens or narrows the filters of a note, and activates it when it is true. ENOENT: no such note.
    Modify {
        /// Bank of the queue.
        bank: u8,
        /// Slot of the bank.
        slot: u32,
        /// Generation of the slot.
        generation: u32,
        /// The filters it is interested in from now on.
        filters: Filters,
        /// As for [`Change::Add`].
        exclusive: bool,
    },
    /// Says whom an arrival wakes, as far as this note's queue is concerned: the policy of all exclusive notes that the queue has
    /// on the note's source; [`None`]: the source's. ENOENT: no such note; EINVAL: it is not exclusive.
    Prefer {
        /// Bank of the queue.
        bank: u8,
        /// Slot of the bank.
        slot: u32,
        /// Generation of the slot.
        generation: u32,
        /// The policy.
        policy: Option<Policy>,
    },
    /// Says the same for a source, and all queues that do not say it themselves; [`None`]: the server's. ENOENT: no such source,
    /// or not adopted.
    PreferAll {
        /// The source.
        source: SourceId,
        /// The policy.
        policy: Option<Policy>,
    },
    /// Deletes a note: after the reply the server never touches its slot again. ENOENT: no such note (its source was
    /// released, or its driver's session ended and nothing was left).
    Delete {
        /// Bank of the queue.
        bank: u8,
        /// Slot of the bank.
        slot: u32,
        /// Generation of the slot.
        generation: u32,
    },
}

/// The interface that a note belongs to: a knote has one or more notes for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum View {
    /// kevent: one note per filter.
    Kevent,
    /// poll: one note per descriptor.
    Poll,
    /// select.
    Select,
    /// epoll: one note per descriptor number.
    Epoll,
    /// /dev/poll.
    DevPoll,
}

/// Answers to [`Request`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// Answer to [`Request::GrowQueue`].
    Bank {
        /// The new bank's number.
        bank: u8,
    },
    /// Answer to [`Request::Adopt`].
    Adopted(Adopted),
    /// Answer to [`Request::Change`].
    Changed {
        /// Changes that were looked at, from the first on.
        processed: u32,
        /// Those that failed.
        failures: Vec<Failure>,
    },
    /// Answer to [`Request::Stats`].
    Stats(super::lobby::Stats),
}

/// A change that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Which change.
    pub index: u32,
    /// Why.
    pub errno: u32,
}

/// A source and its cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Adopted {
    /// The source; its home is the shard that was asked.
    pub source: SourceId,
    /// Number of the page, unique among all shards' pages that live.
    pub page: u64,
    /// Cell in the page.
    pub cell: u32,
    /// Filters that it serves.
    pub filters: Filters,
    /// Low-water marks of reading and writing that notes have unless they say otherwise.
    pub low_water: (u32, u32),
}
