//! What the library needs from the world: the event server, the drivers, a clock, a way to sleep. The machine's is
//! [`machine`](crate::machine); tests bring their own.

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;

use abi::error::{ENODEV, Error, Result};
use event_protocol::activation::BankLayout;
use event_protocol::badge::SourceId;
use event_protocol::cell::Cell;
use event_protocol::control::client::{Change, QueueNumber};
use event_protocol::descriptor::message::MessageFlags;
use event_protocol::descriptor::{Control, ControlReply, Kind, PathReply, PathRequest};
use event_protocol::filter::Filters;
use event_protocol::park::Waiter;
use event_protocol::shared::{Kept, Mapped, Region};

use crate::ending::Ending;
use crate::engine::Seats;

/// A process's session with the event server and its ways to drivers.
///
/// Every call fails rather than waits for ever when who should answer is dead.
pub trait Platform: Sized + Send + Sync + 'static {
    /// Mapped memory.
    type Memory: Mapped + Send + Sync + 'static;
    /// What stands for an open file at its driver; dropping it closes the file there.
    type File: Send + Sync + 'static;

    /// Monotonic nanoseconds.
    fn now(&self) -> u64;

    /// The CPU that the caller runs on.
    fn cpu(&self) -> u32;

    /// A number of the calling thread that no other thread of the process has, had or will have.
    fn thread(&self) -> u64;

    /// Whether the process never had another thread than the calling one, and so nobody outlives it.
    fn is_alone(&self) -> bool;

    /// Has `told` hear of it soon after the calling thread is no more, however it ends, from a thread of the library's.
    fn when_thread_ends(&self, told: Weak<dyn Ending>) -> Result<()>;

    /// The waiter records of the session, and which are in use.
    fn waiters(&self) -> (&[Waiter], &Seats);

    /// Gives the server the notification of a waiter record.
    fn register_waiter(&self, number: u32) -> Result<()>;

    /// Sleeps until the waiter is signalled, which it may be without having been chosen. `ETIMEDOUT` at the deadline;
    /// another error when the server is dead.
    fn sleep(&self, number: u32, deadline: u64) -> Result<()>;

    /// Signals a waiter that was chosen.
    fn wake(&self, number: u32);

    /// Makes a queue with a first bank of so many slots.
    fn create_queue(&self, slots: u32) -> Result<(QueueNumber, Bank<Self::Memory>)>;

    /// Adds a bank to a queue that has `banks` already.
    fn grow_queue(&self, queue: QueueNumber, banks: usize, slots: u32) -> Result<Bank<Self::Memory>>;

    /// Closes a queue in the shards of the mask.
    fn close_queue(&self, queue: QueueNumber, shards: u64);

    /// A waiter that was chosen on a queue is not for it, and nobody else is parked there: see
    /// [`Request::HandBack`](event_protocol::control::client::Request::HandBack), in the shards of the mask.
    fn hand_back(&self, queue: QueueNumber, shards: u64);

    /// Applies changes, in order, in the shard where their sources are at home, and stops after so many failures.
    fn changes(
        &self,
        shard: u32,
        queue: QueueNumber,
        failures_allowed: u32,
        changes: Vec<Change>,
    ) -> Result<Changed>;

    /// Applies one change.
    fn change(&self, shard: u32, queue: QueueNumber, change: Change) -> Result<()> {
        let done = self.changes(shard, queue, 1, vec![change])?;
        done.failures.first().map_or(Ok(()), |&(_, error)| Err(error))
    }

    /// Makes the source of an open file known to the session. `EPERM`: it cannot be watched.
    fn adopt(&self, file: &Self::File) -> Result<Source<Self::Memory>>;

    /// Gives a source up, with the notes that it has still.
    fn release(&self, source: SourceId);

    /// Goes on with a durable file at the driver that has it now. `EAGAIN`: none has yet; `ENODEV`: none will; `ENOENT`: the server
    /// knows of no other than the present one.
    fn renew(&self, file: &Self::File, source: SourceId) -> Result<()> {
        _ = (file, source);
        Err(Error::new(ENODEV))
    }

    /// Whether the driver that has, or had, a durable file is gone. A call that it died over, or that came too late, fails with
    /// `EOWNERDEAD`.
    fn is_left(&self, file: &Self::File) -> bool {
        _ = file;
        false
    }

    /// Opens a path.
    fn open(&self, path: &str, flags: u64) -> Result<Self::File>;

    /// What an open file is.
    fn kind(&self, file: &Self::File) -> Kind;

    /// Opens a timer that does not run.
    fn open_timer(&self) -> Result<Self::File>;

    /// Opens what a path means beside an open file.
    fn open_beside(&self, file: &Self::File, path: &str, flags: u64) -> Result<Self::File>;

    /// Does something to a path of whoever serves it.
    fn path(&self, path: &str, request: PathRequest) -> Result<PathReply>;

    /// Reads what there is, up to the buffer's length; the time is that of the interrupt that brought it. At `offset`, or
    /// at [`CURRENT`](event_protocol::descriptor::CURRENT).
    fn read(&self, file: &Self::File, buffer: &mut [u8], flags: u64, offset: u64) -> Result<Read>;

    /// Writes; returns how much was taken.
    fn write(&self, file: &Self::File, bytes: &[u8], flags: u64, offset: u64) -> Result<usize>;

    /// Sends a message, with duplicates of open files; returns how much was taken.
    fn send(
        &self,
        file: &Self::File,
        address: &str,
        bytes: &[u8],
        files: &[&Self::File],
        flags: MessageFlags,
    ) -> Result<usize>;

    /// Receives a message, with so many open files at most.
    fn receive(
        &self,
        file: &Self::File,
        buffer: &mut [u8],
        files: usize,
        flags: MessageFlags,
    ) -> Result<Received<Self::File>>;

    /// Anything else that is done to a file; with [`NONBLOCK`](event_protocol::descriptor::NONBLOCK), `EAGAIN` instead of
    /// waiting.
    fn control(&self, file: &Self::File, control: Control, flags: u64) -> Result<ControlReply>;
}

/// A message that was received.
#[derive(Debug)]
pub struct Received<F> {
    /// Bytes in the buffer.
    pub count: usize,
    /// Bytes of the whole datagram, of which there was perhaps no room for all.
    pub whole: usize,
    /// What was cut, and whether a record ends.
    pub flags: MessageFlags,
    /// Who sent it; no text when that has no name.
    pub address: String,
    /// Open files that came with it, and the `O_*` flags that they were opened with.
    pub files: Vec<(F, u64)>,
}

/// What became of changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changed {
    /// Changes that were looked at, from the first on.
    pub processed: usize,
    /// Those that failed, and why.
    pub failures: Vec<(usize, Error)>,
}

/// Memory of a bank.
pub type Bank<M> = (Arc<Region<M>>, BankLayout);

/// A source that the session has adopted.
#[derive(Debug)]
pub struct Source<M> {
    /// Its name with the server; its shard is its home.
    pub id: SourceId,
    /// Where its level is.
    pub cell: Kept<M, Cell>,
    /// Filters that it serves.
    pub filters: Filters,
    /// Low-water marks of reading and writing that notes have unless they say otherwise.
    pub low_water: (u32, u32),
}

/// What a read brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Read {
    /// Bytes; 0 is the end of the file.
    pub count: usize,
    /// Monotonic time in ns of the interrupt that brought the last of them, 0 when there was none.
    pub arrival: u64,
}
