//! What this process did last with servers and drivers, for whoever looks; and a look at what others did.
//!
//! Only what is rare anyway is recorded: to look, to wait and to wake leave nothing here.

use alloc::sync::Arc;

use abi::error::{EAGAIN, EBADMSG, Error, Result};
use event_protocol::shared::{Kept, Region};
use event_protocol::trace::{Entry, Event, SIZE, Trace, Writer};
use rt::sync::OnceLock;
use rt::sys::Memory;

use super::memory::SharedMemory;

/// This process's own, once it has a session. `None`: there was no room, and it does without.
static OWN: OnceLock<Option<Kept<SharedMemory, Trace>>> = OnceLock::new();

/// From now on init shows what is recorded.
pub fn begin() {
    OWN.get_or_init(|| {
        let memory = Memory::create(SIZE).ok()?;
        let trace = Arc::new(Region::new(SharedMemory::writable(&memory).ok()?)).keep_trace().ok()?;
        trace.begin(Writer::Client);
        rt::init::trace(&memory).ok()?;
        Some(trace)
    });
}

/// Records something.
#[cold]
pub fn note(event: Event, detail: u32, value: u64) {
    if let Some(Some(trace)) = OWN.get() {
        trace.record(rt::clock::ticks(), event, detail, value);
    }
}

/// Records that a request failed, and gives the error back. That there is nothing now is no failure.
#[cold]
pub fn failed(event: Event, value: impl Into<u64>, error: Error) -> Error {
    if error.errno != EAGAIN {
        note(event, error.errno.unsigned_abs(), value.into());
    }
    error
}

/// The trace of a process, as it goes on.
#[derive(Debug)]
pub struct Look(Kept<SharedMemory, Trace>);

impl Look {
    /// Begins to look at one of a process's traces. What is answered is that of [`rt::init::trace_of`].
    pub fn at(pid: u32, index: u32) -> Result<Look> {
        let memory = SharedMemory::readable(&rt::init::trace_of(pid, index)?)?;
        let trace = Arc::new(Region::new(memory)).keep_trace();
        trace.map(Look).map_err(|_| Error::new(EBADMSG))
    }

    /// Who writes it; `None`: nobody whose words can be read.
    pub fn writer(&self) -> Option<Writer> {
        self.0.writer()
    }

    /// Entries ever written.
    pub fn written(&self) -> u64 {
        self.0.written()
    }

    /// Those that are kept, the oldest first.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.0.entries()
    }
}
