//! A stand-in for the process that a shard runs in.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use abi::Handle;
use abi::error::Result;
use event_core::host::{Host, Peer};
use event_protocol::badge::{ClientId, DriverId, SourceId};
use event_protocol::cell::Direction;
use event_protocol::changed::{Changed, ChangedHeader, Publisher};
use event_protocol::fault::Fault;
use event_protocol::level::Level;
use event_protocol::parked::NO_WAITER;
use event_protocol::shared::{Owned, Region};

pub type Memory = Arc<Owned>;

/// Who was ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Liar {
    /// A client.
    Client(ClientId),
    /// A driver.
    Driver(DriverId),
}

/// Remembers what a shard does.
#[derive(Default)]
pub struct Kernel {
    next: u64,
    /// Pages by handle.
    pub pages: BTreeMap<Handle, Memory>,
    /// Notifications that were signalled.
    pub signalled: Vec<Handle>,
    /// Sessions that were ended.
    pub lies: Vec<(Liar, Fault)>,
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
        assert!(self.pages.remove(&handle).is_some(), "closed twice");
    }

    fn signal(&mut self, notification: Handle) {
        self.signalled.push(notification);
    }

    fn ended(&mut self, who: Peer<'_>, fault: Fault) {
        let who = match who {
            Peer::Client(id) => Liar::Client(id),
            Peer::Driver(id, _) => Liar::Driver(id),
        };
        self.lies.push((who, fault));
    }
}

/// Writes into a driver's ring memory by way of views of other kinds, as a hostile driver can: the published tail, the
/// published head, or the first two entries.
pub fn poke(region: &Region<Memory>, at: usize, word: u64, source: SourceId) {
    let header = region.queue_header().unwrap();
    match at % 6 {
        0 => {
            header.take_pending();
            header.put_back_pending(word as u32);
        }
        1 => {
            header.take_pending();
            header.put_back_pending(word as u32 % 32);
        }
        2 => {
            let parked = header.parked();
            let bits = (0..NO_WAITER).map(|number| (number, word & 1 << number != 0));
            bits.for_each(|(number, set)| if set { parked.add(number) } else { parked.remove(number) });
        }
        kind => {
            let (other, entries) = (ChangedHeader::default(), [AtomicU64::new(0)]);
            let entry = Level::unpack(if kind == 3 { word } else { source.0 });
            let direction = if kind == 5 { Direction::Write } else { Direction::Read };
            let cell = region.cell(3).unwrap();
            let changed = Changed::new(&other, &entries).unwrap();
            let _ = Publisher::new().publish(changed, cell, source, direction, entry, false).unwrap();
        }
    }
}
