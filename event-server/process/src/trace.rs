//! The last things that a shard did, for whoever looks; shown in the log when it ends, or when somebody lied to it for the first
//! time in a while.

use abi::error::Result;
use alloc::sync::Arc;
use core::cell::Cell;
use event_protocol::shared::{Kept, Region};
use event_protocol::trace::{Clock, Event, SIZE, Trace, Writer};
use rt::sys::Memory;

use crate::memory::Pages;

/// The trace of a shard, which alone writes it.
#[derive(Debug)]
pub struct Ring {
    trace: Kept<Pages, Trace>,
    /// The bits of the doorbell that is the last entry, 0 when that is something else.
    rang: Cell<u64>,
}

impl Ring {
    /// A ring that init shows: after those of the shards before.
    pub fn begin() -> Result<Ring> {
        let memory = Memory::create(SIZE)?;
        let trace = Arc::new(Region::new(Pages::map(&memory, SIZE)?)).keep_trace()?;
        trace.begin(Writer::Shard);
        // Where nobody keeps it, it is shown only at the end.
        let _ = rt::init::trace(&memory);
        Ok(Ring { trace, rang: Cell::new(0) })
    }

    /// Remembers one.
    pub fn add(&self, event: Event, detail: u32, value: u64) {
        self.rang.set(0);
        self.trace.record_alone(rt::clock::ticks(), event, detail, value);
    }

    /// Remembers a doorbell, the first of those in a row that are the same: more would only be in the place of what tells more, and cost
    /// the event path.
    #[inline(always)]
    pub fn doorbell(&self, bits: u64) {
        if self.rang.get() != bits {
            self.another_doorbell(bits);
        }
    }

    #[cold]
    #[inline(never)]
    fn another_doorbell(&self, bits: u64) {
        self.add(Event::Doorbell, 0, bits);
        self.rang.set(bits);
    }

    /// Writes all to the log, the oldest first.
    #[cold]
    pub fn print(&self) {
        let clock = Clock::of(rt::hints());
        self.trace.entries().for_each(|entry| rt::log!("event:   {}", entry.at(clock)));
    }
}
