//! The last things that a shard did, for whoever looks; shown in the log when it ends or when somebody lied to it.

use abi::error::Result;
use alloc::sync::Arc;
use event_protocol::shared::{Kept, Region};
use event_protocol::trace::{Clock, Event, SIZE, Trace, Writer};
use rt::sys::Memory;

use crate::memory::Pages;

/// The trace of a shard, which alone writes it.
#[derive(Debug)]
pub struct Ring(Kept<Pages, Trace>);

impl Ring {
    /// A ring that init shows: after those of the shards before.
    pub fn begin() -> Result<Ring> {
        let memory = Memory::create(SIZE)?;
        let trace = Arc::new(Region::new(Pages::map(&memory, SIZE)?)).keep_trace()?;
        trace.begin(Writer::Shard);
        // Where nobody keeps it, it is shown only at the end.
        let _ = rt::init::trace(&memory);
        Ok(Ring(trace))
    }

    /// Remembers one.
    #[inline(always)]
    pub fn add(&self, event: Event, detail: u32, value: u64) {
        self.0.record_alone(rt::clock::ticks(), event, detail, value);
    }

    /// Writes all to the log, the oldest first.
    #[cold]
    pub fn print(&self) {
        let clock = Clock::of(rt::hints());
        self.0.entries().for_each(|entry| rt::log!("event:   {}", entry.at(clock)));
    }
}
