//! The way to power off: drivers are told, and have a while to write out what is buffered.

use alloc::{collections::BTreeMap, vec::Vec};

use init_protocol::limits::DRAIN_MS;

use crate::System;

/// Who wants to be told, and how far it has come.
#[derive(Debug)]
pub struct Power<H> {
    listeners: BTreeMap<u32, H>,
    going: Option<Going>,
}

#[derive(Debug)]
struct Going {
    status: u8,
    deadline: u64,
    awaited: Vec<u32>,
}

impl<H> Power<H> {
    /// On.
    pub fn new() -> Power<H> {
        Power { listeners: BTreeMap::new(), going: None }
    }

    /// Process `pid` wants to be told.
    pub fn listen(&mut self, pid: u32, notification: H) {
        self.listeners.insert(pid, notification);
    }

    /// Tells the listeners. What came first counts.
    pub fn go<S: System<Handle = H>>(&mut self, system: &mut S, status: u8) {
        if self.going.is_none() {
            for notification in self.listeners.values() {
                system.signal(notification);
            }
            let deadline = system.now().saturating_add(DRAIN_MS * 1_000_000);
            self.going = Some(Going { status, deadline, awaited: self.listeners.keys().copied().collect() });
        }
    }

    /// Whether the machine is on its way off.
    pub fn is_going(&self) -> bool {
        self.going.is_some()
    }

    /// Process `pid` has written out what it had, or has ended.
    pub fn drained(&mut self, pid: u32) {
        if let Some(going) = &mut self.going {
            going.awaited.retain(|&awaited| awaited != pid);
        }
    }

    /// Process `pid` has ended.
    pub fn forget(&mut self, pid: u32) {
        self.listeners.remove(&pid);
        self.drained(pid);
    }

    /// Until when to wait at most.
    pub fn deadline(&self) -> Option<u64> {
        self.going.as_ref().map(|going| going.deadline)
    }

    /// The machine's status, when nobody is awaited or it is time.
    pub fn is_off(&self, now: u64) -> Option<u8> {
        let going = self.going.as_ref()?;
        (going.awaited.is_empty() || now >= going.deadline).then_some(going.status)
    }
}
