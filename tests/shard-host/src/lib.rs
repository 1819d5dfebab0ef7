//! A stand-in for the process that shards of the event server run in: it remembers what they ask of it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;

use abi::Handle;
use abi::error::Result;
use event_core::host::{Host, Peer};
use event_protocol::badge::{ClientId, DriverId};
use event_protocol::fault::Fault;
use event_protocol::shared::Owned;

/// Memory that others have mapped, too.
pub type Memory = Arc<Owned>;

/// Who was ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Liar {
    /// A client.
    Client(ClientId),
    /// A driver.
    Driver(DriverId),
}

/// Remembers what shards do.
#[derive(Default)]
pub struct Kernel {
    next: u64,
    honest: bool,
    /// Pages of cells by their handles.
    pub pages: BTreeMap<Handle, Memory>,
    /// Descriptors that the shard has.
    pub descriptors: BTreeSet<Handle>,
    /// Notifications that were signalled.
    pub signalled: Vec<Handle>,
    /// Sessions that were ended.
    pub lies: Vec<(Liar, Fault)>,
    /// The CPU that the shard runs on.
    pub cpu: u32,
    /// CPUs that have nothing to run: a bit for each.
    pub idle: u32,
    /// The shard's CPU has nothing else to run.
    pub quiet: bool,
    /// Monotonic ns.
    pub now: u64,
    /// How often somebody was to be chosen of those who sleep for one source.
    pub choices: Cell<u64>,
    /// What clients do as soon as one of them is signalled.
    pub at_once: Option<Box<dyn Fn() + Send>>,
}

impl Kernel {
    /// One among peers that do not lie: it panics when a session is ended.
    pub fn of_honest_peers() -> Kernel {
        Kernel { honest: true, ..Kernel::default() }
    }
}

impl Kernel {
    /// A descriptor for the shard.
    pub fn descriptor(&mut self) -> Handle {
        self.next += 1;
        self.descriptors.insert(Handle(self.next));
        Handle(self.next)
    }
}

impl Host for Kernel {
    type Memory = Memory;

    fn create_page(&mut self) -> Result<(Memory, Handle)> {
        self.next += 1;
        let (memory, handle) = (Arc::new(Owned::new(4096)), Handle(self.next));
        self.pages.insert(handle, memory.clone());
        Ok((memory, handle))
    }

    fn close(&mut self, handle: Handle) {
        let known = self.descriptors.remove(&handle) || self.pages.remove(&handle).is_some();
        assert!(known, "a page or descriptor is given back twice");
    }

    fn cpu(&self) -> u32 {
        self.cpu
    }

    fn cpus(&self) -> u32 {
        4
    }

    fn is_idle(&self, cpu: u32) -> bool {
        self.idle & 1 << (cpu & 31) != 0
    }

    fn is_quiet(&self) -> bool {
        self.choices.set(self.choices.get() + 1);
        self.quiet
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn signal(&mut self, notification: Handle) {
        self.signalled.push(notification);
        if let Some(act) = &self.at_once {
            act();
        }
    }

    fn ended(&mut self, who: Peer<'_>, fault: Fault) {
        assert!(!self.honest, "{who:?} was ended: {fault:?}");
        let who = match who {
            Peer::Client(id) => Liar::Client(id),
            Peer::Driver(id, _) => Liar::Driver(id),
        };
        self.lies.push((who, fault));
    }
}
