//! The effects of a shard on the system.

use abi::error::Result;
use abi::memory::PAGE;
use abi::{Handle, Rights};
use core::sync::atomic::Ordering;
use event_core::bounds::{Telling, Tenth};
use event_core::host::{Host, Peer};
use event_protocol::badge::SourceId;
use event_protocol::fault::Fault;
use event_protocol::trace::Event;
use rt::sys::{Memory, Object, close, signal};

use crate::memory::Pages;
use crate::trace::Ring;

/// Bit of a waiter's notification that says: chosen.
pub const CHOSEN: u64 = 1;

/// What one shard does to the system.
#[derive(Debug)]
pub struct World {
    /// The last wake of a batch goes out with the shard's own wait, in one kernel entry.
    last_wake: Option<Handle>,
    /// What happened lately.
    pub trace: Ring,
    /// Of lies.
    telling: Telling,
    /// Audits of this shard.
    pub audits: Tenth,
}

impl World {
    /// Nothing done yet.
    pub fn new(trace: Ring) -> World {
        World { last_wake: None, trace, telling: Telling::default(), audits: Tenth::default() }
    }

    /// The wake that is still to be signalled.
    #[inline]
    pub fn take_wake(&mut self) -> Option<Handle> {
        self.last_wake.take()
    }
}

impl Host for World {
    type Memory = Pages;

    fn create_page(&mut self) -> Result<(Pages, Handle)> {
        let memory = Memory::create(PAGE as usize)?;
        let pages = Pages::map(&memory, PAGE as usize)?;
        // Nobody but the server needs more of it.
        let handle =
            memory.restricted(Rights::READ | Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER)?;
        Ok((pages, handle.into_handle()))
    }

    fn close(&mut self, handle: Handle) {
        // The shard's own handle: there is nothing to refuse.
        let _ = close(handle);
    }

    fn cpu(&self) -> u32 {
        rt::clock::cpu() as u32
    }

    fn cpus(&self) -> u32 {
        rt::clock::cpu_count() as u32
    }

    fn is_idle(&self, cpu: u32) -> bool {
        // What a client says of its CPU may be any number.
        rt::hints().cpus.get(cpu as usize).is_some_and(|hint| hint.idle.load(Ordering::Relaxed) == 1)
    }

    fn is_quiet(&self) -> bool {
        rt::clock::cpu_hint().queue_length.load(Ordering::Relaxed) <= 1
    }

    fn now(&self) -> u64 {
        rt::clock::now_ns()
    }

    #[inline]
    fn signal(&mut self, notification: Handle) {
        if let Some(earlier) = self.last_wake.replace(notification) {
            // A waiter that is gone needs no wake.
            let _ = signal(earlier, CHOSEN);
        }
    }

    #[cold]
    fn ended(&mut self, who: Peer<'_>, fault: Fault) {
        let id = match who {
            Peer::Client(id) => id.0,
            Peer::Driver(id, _) => id.0,
        };
        self.trace.add(Event::Ended, 0, id);
        let Some(told) = self.telling.tell(self.now()) else { return };
        if told.left_out > 0 {
            rt::log!("event: {} more sessions were ended for lying", told.left_out);
        }
        match who {
            Peer::Client(_) => rt::log!("event: client {id:#x} is ended for lying: {fault}"),
            Peer::Driver(_, name) => rt::log!("event: driver {name:?} ({id:#x}) is ended for lying: {fault}"),
        }
        if told.trace {
            self.trace.print();
        }
    }

    #[cold]
    fn handed_on(&mut self, source: SourceId) {
        self.trace.add(Event::HandedOn, 0, source.0);
    }
}
